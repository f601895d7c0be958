use std::fmt;

use thiserror::Error;
use wire::refusal::Reason;

use super::ServiceUrl;

/// Which service, in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it does.
    pub kind: ServiceKind,
    /// Where it is; shown without credentials.
    pub url: ServiceUrl,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} at {}", self.kind, self.url)
    }
}

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// Fulcio v2.
    CertificateAuthority,
    /// Rekor, v1 or v2.
    TransparencyLog,
    /// RFC 3161.
    TimestampAuthority,
    /// TUF.
    TrustRepository,
}

impl ServiceKind {
    /// What to look at when a service of this kind says no, and nothing but that.
    const fn advice_on_refusal(self) -> &'static str {
        match self {
            // There are two dozen reasons: a guess would send most people the wrong way.
            Self::CertificateAuthority => "its own words say why; ask its operator if they do not",
            Self::TransparencyLog => {
                "check that the URL is of a Rekor log that takes new entries, and that you are \
                 one of its writers (--log-token)"
            }
            Self::TimestampAuthority => {
                "check that the URL is the complete one of an RFC 3161 authority"
            }
            Self::TrustRepository => "check that the URL is of the instance's TUF repository",
        }
    }
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateAuthority => "certificate authority",
            Self::TransparencyLog => "transparency log",
            Self::TimestampAuthority => "timestamp authority",
            Self::TrustRepository => "trust repository",
        })
    }
}

/// Why a service did not give what was asked: which service, what happened, what to do.
///
/// No variant holds the identity token, also where the service repeated it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ServiceError {
    /// No connection, no answer in time, or an answer 429 or 5xx to the last attempt too.
    #[error(
        "{service} is not available: {reason}; try again later, or check the URL and the network"
    )]
    Unreachable {
        /// Which.
        service: Box<Service>,
        /// What happened.
        reason: String,
    },
    /// It answered, and will answer the same again.
    #[error("{service} refused: {message}; {}", advice(.service, *.reason))]
    Refused {
        /// Which.
        service: Box<Service>,
        /// Its own words, shortened.
        message: String,
        /// Its word for the reason, where it has one that we know.
        reason: Option<Reason>,
    },
    /// What it answered is not of the protocol.
    #[error(
        "{service} gave an answer that cannot be used: {reason}; check that the URL is of a {}",
        .service.kind
    )]
    Malformed {
        /// Which.
        service: Box<Service>,
        /// What is wrong with it.
        reason: String,
    },
    /// What it answered is well-formed, and not what was asked or not by whom is trusted.
    #[error(
        "{service} gave an answer that is not to be trusted: {reason}; \
         check that the trusted root is of the same instance"
    )]
    Untrusted {
        /// Which.
        service: Box<Service>,
        /// What is wrong with it.
        reason: String,
    },
}

impl ServiceError {
    /// The process's exit code: 3 when trying again may help, 4 when the service refused for
    /// good, 1 when what it gave does not verify.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Malformed { .. } => 3,
            Self::Refused { .. } => 4,
            Self::Untrusted { .. } => 1,
        }
    }

    /// Which service.
    #[must_use]
    pub const fn service(&self) -> &Service {
        match self {
            Self::Unreachable { service, .. }
            | Self::Refused { service, .. }
            | Self::Malformed { service, .. }
            | Self::Untrusted { service, .. } => service,
        }
    }
}

/// By the reason where the service gives one, else by what the service is.
fn advice(service: &Service, reason: Option<Reason>) -> &'static str {
    reason.map_or(service.kind.advice_on_refusal(), Reason::advice)
}

impl Service {
    pub(super) fn unreachable(&self, reason: impl Into<String>) -> ServiceError {
        ServiceError::Unreachable { service: Box::new(self.clone()), reason: reason.into() }
    }

    pub(super) fn refused(
        &self,
        message: impl Into<String>,
        reason: Option<Reason>,
    ) -> ServiceError {
        ServiceError::Refused { service: Box::new(self.clone()), message: message.into(), reason }
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> ServiceError {
        ServiceError::Malformed { service: Box::new(self.clone()), reason: reason.into() }
    }

    pub(super) fn untrusted(&self, reason: impl Into<String>) -> ServiceError {
        ServiceError::Untrusted { service: Box::new(self.clone()), reason: reason.into() }
    }
}
