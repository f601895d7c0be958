//! Errors of the Rekor v2 API: `{"code","message","details"}`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use engine::{ReadError, SubmitError, SubmitErrorKind};
use http::{HeaderName, HeaderValue, StatusCode, header};
use server::Failure;
use thiserror::Error;
use wire::{
    OutOfRange,
    rpc::{Code, Status},
};

use crate::{
    Rekor2Error, WriterRefusal,
    http::{submit, tiles::TileError},
};

/// Why a request was not answered with what it asked for, sorted by whose fault it is.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Rekor2(Rekor2Error),
    #[error("there is no such tile")]
    NoSuchTile,
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the index does not fit the answer")]
    Index(#[from] OutOfRange),
    #[error("the answer cannot be written")]
    Json(#[source] serde_json::Error),
}

impl From<Rekor2Error> for ApiError {
    fn from(error: Rekor2Error) -> Self {
        match error {
            Rekor2Error::Overloaded(overloaded) => Self::Failure(overloaded.into()),
            other => Self::Rekor2(other),
        }
    }
}

impl From<TileError> for ApiError {
    fn from(error: TileError) -> Self {
        match error {
            TileError::NoSuchTile => Self::NoSuchTile,
            TileError::Read(error) => Self::Read(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Failure(failure) = &self {
            return render(failure);
        }
        let (status, code) = self.kind();
        if status.is_server_error() {
            // The text may name tables and hosts: it is for the log, the caller gets the kind alone.
            tracing::warn!(error = &self as &dyn std::error::Error, "a request failed");
        }
        let mut response = body(status, code, self.message());
        if let Self::Rekor2(Rekor2Error::Writer(refusal)) = &self {
            submit::challenge(refusal, &mut response);
        }
        let headers = response.headers_mut();
        match &self {
            Self::Rekor2(Rekor2Error::Duplicate { index }) => {
                headers.insert(HeaderName::from_static("x-log-index"), HeaderValue::from(index.0));
            }
            Self::NoSuchTile => {
                // A cache that kept it would hide the tile when it comes into being.
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            _ => {}
        }
        response
    }
}

impl ApiError {
    fn kind(&self) -> (StatusCode, Code) {
        match self {
            Self::Failure(failure) => (failure.status(), Code::Unknown),
            Self::Rekor2(error) => kind_of(error),
            Self::NoSuchTile => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::Read(error) if error.is_passing() => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
            }
            Self::Read(_) | Self::Index(_) | Self::Json(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal)
            }
        }
    }

    /// What the caller is told: all of its own faults, none of our insides.
    fn message(&self) -> String {
        match self {
            Self::Rekor2(Rekor2Error::Submit(error)) => submit::message_of(error),
            Self::Read(_) | Self::Index(_) | Self::Json(_) => "internal error".to_owned(),
            other => other.to_string(),
        }
    }
}

fn kind_of(error: &Rekor2Error) -> (StatusCode, Code) {
    match error {
        Rekor2Error::Entry(_) => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
        Rekor2Error::EntryTooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument),
        Rekor2Error::Duplicate { .. } => (StatusCode::CONFLICT, Code::AlreadyExists),
        Rekor2Error::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        Rekor2Error::Submit(error) => (submit::status_of(error), code_of(error)),
        Rekor2Error::Writer(refusal) => {
            (submit::status_of_refusal(refusal), code_of_refusal(refusal))
        }
    }
}

fn code_of(error: &SubmitError) -> Code {
    match (error, error.kind()) {
        (SubmitError::ProofInvalid { .. }, _) => Code::DataLoss,
        (_, SubmitErrorKind::Caller) => Code::InvalidArgument,
        (_, SubmitErrorKind::Frozen) => Code::FailedPrecondition,
        (_, SubmitErrorKind::Passing) => Code::Unavailable,
        (_, SubmitErrorKind::Ours) => Code::Internal,
    }
}

fn code_of_refusal(refusal: &WriterRefusal) -> Code {
    match refusal {
        WriterRefusal::NoToken | WriterRefusal::Token(_) => Code::Unauthenticated,
        WriterRefusal::Unverified { .. } => Code::Unavailable,
        WriterRefusal::Signer => Code::PermissionDenied,
        WriterRefusal::Limited { .. } => Code::ResourceExhausted,
    }
}

/// Writes a failure of the shared layers.
pub(super) fn render(failure: &Failure) -> Response {
    let code = match failure {
        Failure::NotFound => Code::NotFound,
        Failure::MethodNotAllowed => Code::Unimplemented,
        Failure::BodyTooLarge { .. } | Failure::BodyUnreadable => Code::InvalidArgument,
        Failure::Timeout => Code::DeadlineExceeded,
        Failure::Overloaded | Failure::ShuttingDown => Code::Unavailable,
        Failure::RateLimited { .. } => Code::ResourceExhausted,
        Failure::Internal => Code::Internal,
    };
    failure.with_retry_after(body(failure.status(), code, failure.to_string()))
}

fn body(status: StatusCode, code: Code, message: String) -> Response {
    let mut response = (status, Json(Status::new(code, message))).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let one_second = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, one_second);
    }
    if status == StatusCode::NOT_FOUND {
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crypto::SignerError;
    use http_body_util::BodyExt;
    use signing::SignError;
    use tlog::NoteError;

    use super::*;

    #[tokio::test]
    async fn an_entry_that_no_bundle_can_hold_is_413_and_names_the_limit() {
        let response = ApiError::from(Rekor2Error::EntryTooLong { length: 70_000 }).into_response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let status: Status = serde_json::from_slice(&body).unwrap();
        assert_eq!(status.code, Code::InvalidArgument);
        assert!(status.message.contains("70000") && status.message.contains("65535"));
    }
    #[test]
    fn a_key_that_will_not_sign_is_500_and_one_that_is_away_503() {
        let refused = SignerError::Refused { key_id: "v2".to_owned(), reason: "no".to_owned() };
        let away = SignerError::Unavailable { key_id: "v2".to_owned(), reason: "no".to_owned() };
        for (error, expected) in [
            (SignError::Signer(refused), (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal)),
            (
                SignError::Signature(NoteError::Malformed),
                (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
            ),
            (SignError::Signer(away), (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)),
        ] {
            let error = ApiError::Rekor2(SubmitError::Signing(Arc::new(error)).into());
            assert_eq!(error.kind(), expected);
        }
    }
}
