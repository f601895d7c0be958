//! Errors of the CT API: a status and a line of text.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use engine::{ReadError, SubmitError, SubmitErrorKind};
use http::{HeaderValue, StatusCode, header};
use server::Failure;
use thiserror::Error;
use wire::inert;

use crate::CtError;

/// Why a request was not answered with what it asked for.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("the body is not an add-chain request")]
    Json(#[source] serde_json::Error),
    #[error("the answer cannot be written")]
    Answer(#[source] serde_json::Error),
    #[error("{0}")]
    Parameter(&'static str),
    #[error("there is no such entry in that tree")]
    NotFound,
    #[error(transparent)]
    Ct(#[from] CtError),
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::Ct(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Failure(failure) = &self {
            return render(failure);
        }
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = &self as &dyn Error, "a request failed");
        }
        let message = match status {
            // All of the caller's own faults, none of our insides.
            StatusCode::INTERNAL_SERVER_ERROR => "internal error".to_owned(),
            StatusCode::SERVICE_UNAVAILABLE if self.is_of_the_clock() => self.to_string(),
            StatusCode::SERVICE_UNAVAILABLE => {
                "the log cannot take or give entries at present, try again".to_owned()
            }
            _ => with_sources(&self),
        };
        text(status, &message)
    }
}

impl ApiError {
    /// The words of such a fault are for anybody: the CA shows them to its operator.
    fn is_of_the_clock(&self) -> bool {
        fn is_of_the_clock(error: &CtError) -> bool {
            match error {
                CtError::Clock(_) | CtError::Submit(SubmitError::Clock(_)) => true,
                CtError::TreeHead(error) => is_of_the_clock(error),
                _ => false,
            }
        }
        matches!(self, Self::Ct(error) if is_of_the_clock(error))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Failure(failure) => failure.status(),
            Self::Json(_) | Self::Parameter(_) => StatusCode::BAD_REQUEST,
            Self::Answer(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Ct(error) => status_of(error),
        }
    }
}

fn status_of(error: &CtError) -> StatusCode {
    match error {
        CtError::Submission(_)
        | CtError::UnexpectedPrecertificate
        | CtError::NoPrecertificate
        | CtError::Unloggable(_)
        | CtError::Read(ReadError::BeyondCheckpoint { .. } | ReadError::Proof(_)) => {
            StatusCode::BAD_REQUEST
        }
        CtError::Submit(error) => match error.kind() {
            SubmitErrorKind::Caller => StatusCode::BAD_REQUEST,
            // As in Rekor.
            SubmitErrorKind::Frozen => StatusCode::METHOD_NOT_ALLOWED,
            SubmitErrorKind::Passing => StatusCode::SERVICE_UNAVAILABLE,
            SubmitErrorKind::Ours => StatusCode::INTERNAL_SERVER_ERROR,
        },
        CtError::Signing(error) if error.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
        CtError::Read(error) if error.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
        CtError::Overloaded | CtError::Clock(_) => StatusCode::SERVICE_UNAVAILABLE,
        CtError::TreeHead(error) => status_of(error),
        CtError::Signing(_)
        | CtError::Signature(_)
        | CtError::SctDamaged { .. }
        | CtError::Read(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Writes a failure of the shared layers.
pub(super) fn render(failure: &Failure) -> Response {
    failure.with_retry_after(text(failure.status(), &failure.to_string()))
}

fn text(status: StatusCode, message: &str) -> Response {
    // It may quote the caller.
    let message = inert::escape(message) + "\n";
    // A cache that kept it would hide the entry when it comes into being.
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let mut response = (status, no_store, message.into_owned()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let one_second = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, one_second);
    }
    response
}

fn with_sources(error: &ApiError) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(": ");
        message.push_str(&error.to_string());
        source = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crypto::SignerError;
    use ct::SctError;
    use signing::SignError;
    use tlog::NoteError;

    use super::*;

    #[test]
    fn a_key_that_will_not_sign_is_500_and_one_that_is_away_503_whatever_it_was_to_sign() {
        let refused = || SignerError::Refused { key_id: "ct".to_owned(), reason: "no".to_owned() };
        let away = || SignerError::Unavailable { key_id: "ct".to_owned(), reason: "no".to_owned() };
        let checkpoint = |error| CtError::Submit(SubmitError::Signing(Arc::new(error)));
        for error in [
            CtError::Signing(refused()),
            CtError::Signature(SctError::LogKey),
            checkpoint(SignError::Signer(refused())),
            checkpoint(SignError::Signature(NoteError::Malformed)),
        ] {
            assert_eq!(status_of(&error), StatusCode::INTERNAL_SERVER_ERROR, "{error}");
        }
        for error in [CtError::Signing(away()), checkpoint(SignError::Signer(away()))] {
            assert_eq!(status_of(&error), StatusCode::SERVICE_UNAVAILABLE, "{error}");
        }
    }
}
