use crypto::SignerError;
use server::Failure;
use signing::{Overloaded, SignError};
use thiserror::Error;
use tsp::{FailInfo, RequestError, TokenError};

use crate::NotReady;

/// Why a request gets no token.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    /// The request cannot be granted, now or later.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The JSON request has another shape. Names the place and repeats nothing of it.
    #[error("the request is not a JSON timestamp request: line {line}, column {column}")]
    Json {
        /// 1-based.
        line: usize,
        /// 1-based, in bytes.
        column: usize,
    },
    /// The body did not arrive, or is too long.
    #[error(transparent)]
    Body(Failure),
    /// Time or certificates do not allow a token now.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// Its operator ended it.
    #[error("this timestamp authority is frozen: it stamps nothing any more")]
    Frozen,
    /// Too many requests are waiting.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The key did not sign.
    #[error("no signature could be made")]
    Signer(#[from] SignerError),
    /// The token could not be finished; with a wrong signature it must not leave.
    #[error("the token could not be finished")]
    Token(#[from] TokenError),
}

impl From<SignError<TokenError>> for Refusal {
    fn from(error: SignError<TokenError>) -> Self {
        match error {
            SignError::Signer(source) => Self::Signer(source),
            SignError::Signature(source) => Self::Token(source),
            SignError::Overloaded(source) => Self::Overloaded(source),
        }
    }
}

impl Refusal {
    /// The bit by which RFC 3161 names it.
    pub(crate) const fn fail_info(&self) -> FailInfo {
        match self {
            Self::Request(error) => error.fail_info(),
            Self::Frozen => FailInfo::BadRequest,
            Self::Json { .. } | Self::Body(_) => FailInfo::BadDataFormat,
            Self::NotReady(NotReady::ClockWentBack { .. } | NotReady::Clock(_)) => {
                FailInfo::TimeNotAvailable
            }
            Self::NotReady(NotReady::OutsideValidity)
            | Self::Overloaded(_)
            | Self::Signer(_)
            | Self::Token(_) => FailInfo::SystemFailure,
        }
    }

    /// Whether the authority is at fault, so that trying again may help.
    pub(crate) const fn is_ours(&self) -> bool {
        matches!(self.fail_info(), FailInfo::TimeNotAvailable | FailInfo::SystemFailure)
    }
}
