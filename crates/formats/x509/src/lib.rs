//! The Fulcio certificate profile: extensions, names, precertificates and the checks around them.
//!
//! Specifications: RFC 5280 (certificates), RFC 6962 §3 (precertificates, chains; the rest is crate [`ct`]),
//! RFC 2986 (certificate requests) and the OIDs below 1.3.6.1.4.1.57264 of Fulcio.
//!
//! Issuing follows the shape of every signature in this workspace: an unsigned value shows
//! the exact bytes to sign, and takes the signature only after verifying it.
//!
//! ```text
//! LeafProfile + CertificateChain -> UnsignedPrecertificate -> Precertificate
//!     -> (verified SCT) -> UnsignedCertificate -> IssuedCertificate
//! ```
//!
//! Precertificate and certificate are two encodings of one in-memory `Tbs`, so that what the
//! log signed is, byte for byte, what verifiers rebuild from the final certificate.
//!
//! It refuses to: accept ASN.1 that is not canonical DER (re-encoding must give the same
//! bytes), issue beyond its CA's validity, embed an SCT that it has not verified, log a
//! precertificate with a malformed poison, or take keys that are known to be weak.
//!
//! - [`oid`]: the object identifiers.
//! - [`FulcioExtensions`], [`SubjectAlternativeName`]: what a certificate says about an identity.
//! - [`LeafProfile`], [`CertificateChain`], [`UnsignedPrecertificate`], [`UnsignedCertificate`]: issuing.
//! - [`pre_entry`], [`verify_embedded_sct`]: what a log signed of a certificate, rebuilt.
//! - [`AcceptedChains`], [`validate_chain`]: which chains a CT log takes, and what it logs of them.
//! - [`LeafView`], [`AuthorityView`], [`verify_leaf_chain`]: reading and verifying.
//! - [`proof`], [`lint`]: proof of possession and weak keys.

mod algorithm;
mod authority;
mod certificate;
mod chain;
mod embedded;
mod extensions;
mod issuance;
mod leaf;
pub mod lint;
pub mod oid;
mod path;
mod pem_text;
mod profile;
pub mod proof;
mod san;
mod submission;

pub use authority::AuthorityView;
pub use certificate::CertificateError;
pub use chain::{CertificateChain, ChainError};
pub use embedded::{EmbeddedSctError, embedded_scts, single_embedded_sct, verify_embedded_sct};
pub use extensions::{ExtensionsError, FulcioExtensions};
pub use issuance::{
    IssuanceError, IssuedCertificate, Precertificate, UnsignedCertificate, UnsignedPrecertificate,
};
pub use leaf::{LeafError, LeafView};
pub use path::{PathError, VerifiedChain, verify_leaf_chain};
pub use pem_text::{PemError, from_pem, to_pem};
pub use profile::{LeafProfile, ProfileError, positive_serial_number};
pub use san::{SanError, SubjectAlternativeName};
pub use submission::{
    AcceptedChainError, AcceptedChains, MAX_SUBMITTED_CERTIFICATES, Submission, SubmissionError,
    pre_entry, validate_chain,
};
