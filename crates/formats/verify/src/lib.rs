//! Offline verification of Sigstore bundles.
//!
//! It reads a bundle strictly and checks every field, so that none can be changed
//! or dropped unseen, also where others overlook it (a proof's index, root or size
//! beside the checkpoint's, a wrong kind or version, an integrated time in a Rekor v2
//! entry). Other implementations are oracles of its tests, not of its verdict.
//! Specification: the Sigstore client specification, bundle versions 0.1 to 0.3,
//! Rekor v1 and v2.
//!
//! It refuses to: use the network or a clock (`now` is an argument), accept a
//! bundle with several signatures, trust anything that the
//! bundle itself brings, verify without naming each check.
//!
//! - [`UnverifiedBundle`]: a bundle, strictly read.
//! - [`Trust`]: logs, CAs and timestamp authorities of a trusted root.
//! - [`ExpectedSigner`]: who may have signed: an identity, a key or a certificate.
//! - [`verify()`]: all checks; [`Verified`] names those that passed, [`VerifyError`] the one that
//!   failed and, as its [`Cause`], what explains it.

mod artifact;
mod bundle;
mod cause;
mod certificate;
mod check;
mod format;
mod identity;
mod log;
mod rekor1;
mod set;
mod signature;
mod timestamp;
mod trust;
mod verifier;

pub use artifact::Artifact;
pub use bundle::{MAX_BUNDLE_LEN, UnverifiedBundle};
pub use cause::Cause;
pub use certificate::{PinnedCertificate, PinnedCertificateError, check_issued};
pub use check::{Check, VerifyError, rfc3339};
pub use format::OtherFormat;
pub use identity::{IdentityPolicy, Matcher, PatternError, SignerIdentity};
pub use log::LoggedAt;
pub use signature::states;
pub use timestamp::{SigningTime, TimeSource};
pub use trust::{InstanceKind, MAX_TRUSTED_ROOT_LEN, Trust, TrustError, Unusable};
pub use verifier::{
    Conditions, ExpectedSigner, MAX_CLOCK_SKEW, PassedOver, Verified, needs_artifact_bytes, verify,
};
