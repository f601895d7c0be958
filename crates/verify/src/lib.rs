//! Offline verification of Sigstore bundles.
//!
//! Two independent verifiers must agree. The first is ours: it reads a bundle
//! strictly and checks every field, so that none can be changed or dropped
//! unseen, also where others overlook it (a proof's index, root or size beside
//! the checkpoint's, a wrong kind or version, a promised time in a Rekor v2
//! entry). The second is `sigstore-verify`, which must accept the same bundle.
//! Specification: the Sigstore client specification, bundle versions 0.1 to
//! 0.3, Rekor v1 and v2.
//!
//! It refuses to: use the network or a clock (`now` is an argument), accept a
//! bundle with several signatures or log entries, trust anything that the
//! bundle itself brings, verify without naming each check.
//!
//! - [`UnverifiedBundle`]: a bundle, strictly read.
//! - [`Trust`]: logs, CAs and timestamp authorities of a trusted root.
//! - [`Authority`]: who may have signed: an identity, a key or a certificate.
//! - [`verify()`]: all checks; [`Verified`] names those that passed, [`VerifyError`] the one that failed.

mod artifact;
mod bundle;
mod certificate;
mod check;
mod identity;
mod log;
mod promise;
mod rekor1;
mod second;
mod signature;
mod timestamp;
mod trust;
mod verifier;

pub use artifact::Artifact;
pub use bundle::{MAX_BUNDLE_LEN, UnverifiedBundle};
pub use certificate::{PinnedCertificate, PinnedCertificateError};
pub use check::{Check, VerifyError};
pub use identity::{IdentityPolicy, Matcher, PatternError, SignerIdentity};
pub use log::LoggedAt;
pub use timestamp::{SigningTime, TimeSource};
pub use trust::{MAX_TRUSTED_ROOT_LEN, Trust, TrustError};
pub use verifier::{Authority, Verified, needs_artifact_bytes, verify};
