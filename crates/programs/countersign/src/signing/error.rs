use crypto::{KeyError, SignatureError, SignerError};
use entry::EntryError;
use provenance::{EnvelopeError, StatementError};
use thiserror::Error;
use verify::VerifyError;

use super::CertificateError;
use crate::services::{ServiceError, ServiceKind, ServiceUrlError};

/// Why nothing was signed.
#[derive(Debug, Error)]
pub enum SigningError {
    /// One signature would say two things.
    #[error(
        "the file begins like a DSSE pre-authentication encoding (`DSSEv1 `): its signature would \
         also be one on an attestation"
    )]
    AttestationAsFile,
    /// As above, of what is signed to show a CA that we hold the key.
    #[error(
        "the identity token's subject begins like a DSSE pre-authentication encoding (`DSSEv1 `): \
         its signature would also be one on an attestation"
    )]
    AttestationAsName,
    /// Services are to be used, and nothing says whom to trust.
    #[error(
        "no trust is configured, and URLs of services create none: \
         run `countersign trust init`, give --trust-config or --trusted-root, or set \
         COUNTERSIGN_TRUST_CONFIG"
    )]
    NoTrust,
    /// Keyless signing needs a CA, a log and, unless the log signs a time, a timestamp authority.
    #[error("keyless signing needs a {0}: give its URL or a signing config that names one")]
    NoService(ServiceKind),
    /// The CA is sent the token.
    #[error("the URL of the certificate authority cannot be used: {0}")]
    CertificateAuthorityUrl(#[from] ServiceUrlError),
    /// A log has only digests to verify by, and pure Ed25519 signs none.
    #[error(
        "a Rekor log does not take signatures by Ed25519 keys: \
         sign without the log, or with an ECDSA or RSA key"
    )]
    Ed25519Logged,
    /// The statement cannot be encoded.
    #[error("the statement cannot be signed: {0}")]
    Statement(#[from] StatementError),
    /// No subject that a verifier could look for.
    #[error("no subject of the statement has a SHA-256 or SHA-512 digest: add one")]
    SubjectDigest,
    /// The system's source of randomness failed.
    #[error("no ephemeral key can be made: {0}")]
    Key(#[from] KeyError),
    /// The key gave no signature.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The two halves of a key file do not belong together; nothing was sent.
    #[error("the signing key gave a signature that its public half does not verify: {0}")]
    Signature(#[from] SignatureError),
    /// A service gave nothing usable.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The CA gave a certificate that is not ours or not trusted.
    #[error(
        "the certificate from the certificate authority is not acceptable: {0}; \
         check that the trusted root is of the same instance"
    )]
    Certificate(#[from] CertificateError),
    /// No log would take the entry.
    #[error("the signature cannot be logged: {0}")]
    Entry(#[from] EntryError),
    /// The finished bundle did not verify, so it was thrown away.
    #[error(
        "the new bundle does not verify and was thrown away: {0}; \
         check that the services and the trusted root are of the same instance"
    )]
    SelfCheck(#[source] VerifyError),
}

impl SigningError {
    /// The process's exit code; scripts rely on it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Service(error) => error.exit_code(),
            Self::AttestationAsFile
            | Self::AttestationAsName
            | Self::NoTrust
            | Self::NoService(_)
            | Self::CertificateAuthorityUrl(_)
            | Self::Ed25519Logged
            | Self::Statement(_)
            | Self::SubjectDigest => 2,
            Self::Signer(SignerError::Unavailable { .. } | SignerError::Late { .. }) => 3,
            Self::Signer(SignerError::Refused { .. }) => 4,
            Self::Key(_)
            | Self::Signature(_)
            | Self::Certificate(_)
            | Self::Entry(_)
            | Self::SelfCheck(_) => 1,
        }
    }
}

impl From<EnvelopeError> for SigningError {
    fn from(EnvelopeError::Signature(error): EnvelopeError) -> Self {
        Self::Signature(error)
    }
}
