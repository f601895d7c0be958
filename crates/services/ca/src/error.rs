use std::time::Duration;

use crypto::{KeyError, SignerError};
use identity::{ClaimError, PrincipalError, TokenError, VerificationError};
use server::Limited;
use signing::{ClockFault, Overloaded, SignError};
use thiserror::Error;
use wire::{refusal::Reason, rpc::Code};
use x509::{IssuanceError, ProfileError, lint::WeakKey, proof::CsrError};

use crate::{CtError, KeysError};

/// Why no certificate was issued, sorted by whose fault it is.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The body is not a request. Only the place is told: the text may hold a token.
    #[error("the request is not valid: {0}")]
    Request(String),
    /// No token, neither in the body nor in the header.
    #[error("the request has no identity token")]
    NoToken,
    /// The token is not a token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Told by the claim `iss` alone, before anything is verified or asked for.
    #[error("the token's issuer is not accepted here")]
    UnknownIssuer,
    /// The issuer has no key of the token's `kid` and algorithm.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownTokenKey,
    /// Two entries of the issuer grant it, and nothing says which of them is meant.
    #[error(
        "two entries of the token's issuer accept it: their keys and rules do not tell them apart"
    )]
    Ambiguous,
    /// The token does not count.
    #[error(transparent)]
    Verification(#[from] VerificationError),
    /// The token is no identity for a certificate.
    #[error(transparent)]
    Principal(#[from] PrincipalError),
    /// Of an unsupported kind or size, or not to be read; it is the caller's to change.
    #[error("the public key is not acceptable: {0}")]
    Key(#[from] KeyError),
    /// The public key can be broken.
    #[error("the public key is weak: {0}")]
    WeakKey(#[from] WeakKey),
    /// Over other bytes, by another key, or in a form that is no signature.
    #[error("the proof of possession is not a signature by the key over the token's email or sub")]
    Proof,
    /// The other way to show a key: its key and signature count, its names do not.
    #[error("the certificate signing request is not acceptable: {0}")]
    Csr(#[from] CsrError),
    /// The issuer's names are longer, or of other characters, than certificates hold.
    #[error("the identity does not fit into a certificate: {0}")]
    Profile(#[source] ProfileError),

    /// It passes; [`IssueError::retry_after_s`] says when to come back.
    #[error("the token's issuer gives no keys at the moment")]
    IssuerUnavailable(#[source] KeysError),
    /// The issuer answers, and will never answer what is needed as it is configured.
    #[error("the token's issuer cannot be asked for its keys as it is configured")]
    IssuerMisconfigured(#[source] KeysError),
    /// The log gives no SCT.
    #[error("the certificate transparency log does not answer")]
    CtUnavailable(#[source] CtError),
    /// The key's backend does not sign.
    #[error("the signing key is not available")]
    Signer(#[from] SignerError),
    /// The clock is wrong, and with it would be the validity.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// Its issuer or its subject has had as many as it may for now.
    #[error(
        "more certificates were asked for than one {by} may have: try again in {retry_after_s} s"
    )]
    RateLimited {
        /// `issuer` or `subject`.
        by: &'static str,
        /// Whole seconds until the next one may be.
        retry_after_s: u64,
    },
    /// Too much to do.
    #[error("too many requests are waiting")]
    Overloaded,

    /// The log refused what we sent, or answered what is no SCT of it.
    #[error("the certificate transparency log gave no usable SCT")]
    CtBroken(#[source] CtError),
    /// Expired, or the clock is wrong; readiness tells it before.
    #[error("the certificate authority's own certificate is not valid now")]
    AuthorityNotValid,
    /// Its operator ended it.
    #[error("this certificate authority is frozen: it issues no certificates any more")]
    Frozen,
    /// A wrong signature or an encoder's refusal: a fault of ours, and none of the caller's.
    #[error("the certificate could not be made")]
    Issuance(#[source] IssuanceError),
}

impl IssueError {
    /// The status of the answer. Fulcio's clients expect 400 also for failed authentication.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Request(_)
            | Self::NoToken
            | Self::Token(_)
            | Self::UnknownIssuer
            | Self::UnknownTokenKey
            | Self::Ambiguous
            | Self::Verification(_)
            | Self::Principal(_)
            | Self::Key(_)
            | Self::WeakKey(_)
            | Self::Proof
            | Self::Csr(_)
            | Self::Profile(_) => Code::InvalidArgument,
            Self::IssuerUnavailable(_)
            | Self::CtUnavailable(_)
            | Self::Signer(_)
            | Self::Clock(_)
            | Self::Overloaded => Code::Unavailable,
            Self::RateLimited { .. } => Code::ResourceExhausted,
            Self::Frozen => Code::FailedPrecondition,
            // Trying again does not help, and it is not the caller's fault: neither 503 nor 400.
            Self::IssuerMisconfigured(_)
            | Self::CtBroken(_)
            | Self::AuthorityNotValid
            | Self::Issuance(_) => Code::Internal,
        }
    }

    /// The word for metrics, log lines and clients.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Request(_) => Reason::Request,
            Self::NoToken => Reason::NoToken,
            Self::Token(TokenError::Algorithm) => Reason::Algorithm,
            Self::Token(_) => Reason::Token,
            Self::UnknownIssuer => Reason::UnknownIssuer,
            Self::UnknownTokenKey => Reason::UnknownTokenKey,
            Self::Ambiguous => Reason::Ambiguous,
            Self::Verification(error) => reason_of_verification(error),
            Self::Principal(error) => reason_of_principal(error),
            Self::Key(_) => Reason::Key,
            Self::WeakKey(_) => Reason::WeakKey,
            Self::Proof => Reason::Proof,
            Self::Csr(_) => Reason::Csr,
            Self::Profile(_) => Reason::Profile,
            Self::IssuerUnavailable(_) => Reason::IssuerUnavailable,
            Self::IssuerMisconfigured(_) => Reason::IssuerMisconfigured,
            Self::CtUnavailable(_) => Reason::CtUnavailable,
            Self::Signer(_) => Reason::Signer,
            Self::Clock(_) => Reason::Clock,
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::Overloaded => Reason::Overloaded,
            Self::CtBroken(_) => Reason::CtBroken,
            Self::AuthorityNotValid => Reason::AuthorityNotValid,
            Self::Frozen => Reason::Frozen,
            Self::Issuance(_) => Reason::Issuance,
        }
    }

    /// Whether the token had been verified when this came up: then what it says is its issuer's word.
    pub(crate) const fn is_after_verification(&self) -> bool {
        match self {
            Self::Request(_)
            | Self::NoToken
            | Self::Token(_)
            | Self::UnknownIssuer
            | Self::UnknownTokenKey
            | Self::Verification(_)
            | Self::IssuerUnavailable(_)
            | Self::IssuerMisconfigured(_)
            | Self::Clock(_)
            | Self::Overloaded
            | Self::Frozen => false,
            Self::Ambiguous
            | Self::Principal(_)
            | Self::Key(_)
            | Self::WeakKey(_)
            | Self::Proof
            | Self::Csr(_)
            | Self::Profile(_)
            | Self::RateLimited { .. }
            | Self::CtUnavailable(_)
            | Self::Signer(_)
            | Self::CtBroken(_)
            | Self::AuthorityNotValid
            | Self::Issuance(_) => true,
        }
    }

    /// Seconds after which trying again makes sense; only of errors that pass by themselves.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::CtUnavailable(CtError::CircuitOpen { retry_after_s })
            | Self::RateLimited { retry_after_s, .. } => Some(*retry_after_s),
            Self::IssuerUnavailable(error) => Some(error.retry_after_s()),
            error if error.code() == Code::Unavailable => Some(1),
            _ => None,
        }
    }
}

/// A wait as it is told: in whole seconds, that nobody comes back too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

const fn reason_of_verification(error: &VerificationError) -> Reason {
    match error {
        VerificationError::Algorithm(_) => Reason::Algorithm,
        VerificationError::Audience => Reason::Audience,
        VerificationError::Expired => Reason::Expired,
        VerificationError::NotYetValid => Reason::NotYetValid,
        VerificationError::TooOld | VerificationError::LivesTooLong => Reason::Lifetime,
        VerificationError::Claim(_) => Reason::Claim,
        VerificationError::Issuer | VerificationError::Signature => Reason::Signature,
    }
}

/// Presets have their own refusals, which name the claim; here is told only what to do about them.
const fn reason_of_principal(error: &PrincipalError) -> Reason {
    match error {
        PrincipalError::Claim(ClaimError::Missing(_) | ClaimError::WrongType(_)) => Reason::Claim,
        PrincipalError::EmailNotVerified => Reason::EmailNotVerified,
        PrincipalError::Required(_) => Reason::Rule,
        _ => Reason::Identity,
    }
}

impl From<Limited> for IssueError {
    fn from(Limited { by, retry_after_s }: Limited) -> Self {
        Self::RateLimited { by, retry_after_s }
    }
}

impl From<Overloaded> for IssueError {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

impl From<SignError<IssuanceError>> for IssueError {
    fn from(error: SignError<IssuanceError>) -> Self {
        match error {
            SignError::Signer(source) => Self::Signer(source),
            SignError::Signature(source) => source.into(),
            SignError::Overloaded(_) => Self::Overloaded,
        }
    }
}

impl From<KeysError> for IssueError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::UnknownKey => Self::UnknownTokenKey,
            error @ KeysError::Unavailable { .. } if error.is_permanent() => {
                Self::IssuerMisconfigured(error)
            }
            error => Self::IssuerUnavailable(error),
        }
    }
}

impl From<CtError> for IssueError {
    fn from(error: CtError) -> Self {
        if error.is_outage() { Self::CtUnavailable(error) } else { Self::CtBroken(error) }
    }
}

impl From<IssuanceError> for IssueError {
    /// A name or claim that is too long is the caller's; all else is ours.
    fn from(error: IssuanceError) -> Self {
        match error {
            IssuanceError::Profile(
                source @ (ProfileError::SubjectAlternativeName(_) | ProfileError::Extensions(_)),
            ) => Self::Profile(source),
            IssuanceError::Profile(ProfileError::BeyondIssuer | ProfileError::NeverValid) => {
                Self::AuthorityNotValid
            }
            IssuanceError::Sct(source) => Self::CtBroken(CtError::Sct(source)),
            error => Self::Issuance(error),
        }
    }
}
