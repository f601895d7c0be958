use std::{error::Error, fmt};

use moment::UnixSeconds;
use thiserror::Error;

use crate::Cause;

/// One check of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// The bundle is well formed and holds what its version demands.
    Format,
    /// The bundle is about this artifact.
    Digest,
    /// The signature is of the signer's key.
    Signature,
    /// The bundle names the demanded key.
    PublicKey,
    /// The signing certificate chains to a trusted CA and was valid at every signing time.
    Certificate,
    /// Exactly one trusted CT log gave an SCT for the certificate.
    Sct,
    /// Trusted authorities stamped this signature.
    Timestamp,
    /// The log's entry is of this signature, key and artifact.
    LogEntry,
    /// The log's signature over the entry and its time (Rekor v1).
    Set,
    /// The entry is in the tree of the checkpoint.
    InclusionProof,
    /// The checkpoint is signed by a trusted log.
    Checkpoint,
    /// The signed statement can be read and is of the demanded kind.
    Statement,
    /// The certificate is of the demanded identity and issuer.
    Identity,
    /// The certificate and the statement are of the demanded repository and ref.
    Source,
}

impl Check {
    /// The name in messages and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Digest => "digest",
            Self::Signature => "signature",
            Self::PublicKey => "public-key",
            Self::Certificate => "certificate",
            Self::Sct => "sct",
            Self::Timestamp => "timestamp",
            Self::LogEntry => "log-entry",
            Self::Set => "inclusion-promise",
            Self::InclusionProof => "inclusion-proof",
            Self::Checkpoint => "checkpoint",
            Self::Statement => "statement",
            Self::Identity => "identity",
            Self::Source => "source",
        }
    }

    /// The error that this check failed for `reason`, which nothing but a change explains.
    #[must_use]
    pub fn failed(self, reason: impl Into<Box<dyn Error + Send + Sync>>) -> VerifyError {
        self.failed_by(Cause::Altered, reason)
    }

    /// The error that this check failed for `reason`, explained by `cause`.
    #[must_use]
    pub fn failed_by(
        self,
        cause: Cause,
        reason: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> VerifyError {
        VerifyError { check: self, cause, reason: reason.into() }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The check that a bundle failed, and why.
#[derive(Debug, Error)]
#[error("check `{check}` failed: {reason}")]
pub struct VerifyError {
    /// Which check.
    pub check: Check,
    /// What explains it.
    pub cause: Cause,
    /// What was found.
    #[source]
    pub reason: Box<dyn Error + Send + Sync>,
}

/// Names the check that an error belongs to.
pub(crate) trait Failing<T> {
    fn failing(self, check: Check) -> Result<T, VerifyError>;

    /// The same where another cause than a change explains the error.
    fn failing_by(self, check: Check, cause: Cause) -> Result<T, VerifyError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Failing<T> for Result<T, E> {
    fn failing(self, check: Check) -> Result<T, VerifyError> {
        self.failing_by(check, Cause::Altered)
    }

    fn failing_by(self, check: Check, cause: Cause) -> Result<T, VerifyError> {
        self.map_err(|reason| check.failed_by(cause, reason))
    }
}

impl<T> Failing<T> for Option<T> {
    /// For conversions whose absence of a value needs no further words.
    fn failing(self, check: Check) -> Result<T, VerifyError> {
        self.failing_by(check, Cause::Altered)
    }

    fn failing_by(self, check: Check, cause: Cause) -> Result<T, VerifyError> {
        self.ok_or_else(|| check.failed_by(cause, "a value is out of range"))
    }
}

/// An error with its causes, in one line.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// A time as people read it, RFC 3339; past the year 9999, the seconds.
#[must_use]
pub fn rfc3339(at: UnixSeconds) -> String {
    wire::Timestamp::from_unix_seconds(at.0).map_or_else(|| at.to_string(), |time| time.to_string())
}
