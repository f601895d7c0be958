//! Errors of the Rekor v1 API: `{"code","message"}`, and 404 with nothing.

use ::entry::{EntryError, rekor1::EntryIdError};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use engine::ReadError;
use http::{HeaderValue, StatusCode, header};
use server::Failure;
use thiserror::Error;
use wire::{inert, rekor1::Error as Body};

use super::create::location;
use crate::{
    Rekor1Error,
    http::{submit, tiles::TileError},
};

/// Why a request was not answered with what it asked for, sorted by whose fault it is.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Against the API's document: 422, and in the body the code that generated servers have for it.
    #[error("{message}")]
    Schema { code: u16, message: String },
    #[error("{0}")]
    Request(String),
    #[error("more than max allowed {limit} entries in request")]
    TooManyItems { limit: usize },
    #[error("there is no such entry")]
    NotFound,
    #[error("there is no such tile")]
    NoSuchTile,
    #[error(transparent)]
    Rekor1(Rekor1Error),
    #[error("a number does not fit the answer")]
    Number,
    #[error("the answer cannot be written")]
    Json(#[source] serde_json::Error),
}

/// Codes of go-openapi for what breaks the API's document. Some clients show them.
pub(super) mod code {
    pub(in super::super) const TYPE: u16 = 601;
    pub(in super::super) const REQUIRED: u16 = 602;
    pub(in super::super) const TOO_LONG: u16 = 603;
    pub(in super::super) const PATTERN: u16 = 605;
    pub(in super::super) const ENUM: u16 = 606;
    pub(in super::super) const MINIMUM: u16 = 609;
    pub(in super::super) const MAX_ITEMS: u16 = 611;
}

impl ApiError {
    /// A word in the wrong form breaks the schema; a key that cannot be read is a bad request.
    pub(super) fn of_search(error: Rekor1Error) -> Self {
        let Rekor1Error::Entry(error) = error else { return error.into() };
        let code = match error {
            EntryError::HashValue { .. } | EntryError::UnsupportedHash(_) => code::PATTERN,
            EntryError::TooLong { .. } => code::TOO_LONG,
            EntryError::KeyFormat => code::ENUM,
            EntryError::Unexpected(_) => code::TYPE,
            other => return Self::Entry(other),
        };
        Self::Schema { code, message: error.to_string() }
    }

    /// `what` is the id's place in the request.
    pub(super) fn of_entry_id(what: &str, error: EntryIdError) -> Self {
        match error {
            EntryIdError::Form => Self::Schema {
                code: code::PATTERN,
                message: format!("{what} should match '^([0-9a-fA-F]{{64}}|[0-9a-fA-F]{{80}})$'"),
            },
            EntryIdError::TreeId => Self::Request(error.to_string()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Failure(failure) => failure.status(),
            Self::Entry(EntryError::RequestTooLong { .. } | EntryError::BodyTooLong { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Entry(_) | Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::Schema { .. } | Self::TooManyItems { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Rekor1(Rekor1Error::Duplicate(_)) => StatusCode::CONFLICT,
            Self::NotFound | Self::NoSuchTile => StatusCode::NOT_FOUND,
            Self::Rekor1(Rekor1Error::Submit(error)) => submit::status_of(error),
            Self::Rekor1(Rekor1Error::Writer(refusal)) => submit::status_of_refusal(refusal),
            Self::Rekor1(Rekor1Error::Signing(error)) if error.is_passing() => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Rekor1(Rekor1Error::Clock(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Rekor1(Rekor1Error::Read(error)) if error.is_passing() => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Rekor1(_) | Self::Number | Self::Json(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the caller is told: all of its own faults, none of our insides.
    fn message(&self) -> String {
        match self {
            Self::Rekor1(Rekor1Error::Submit(error)) => submit::message_of(error),
            damaged if damaged.status() == StatusCode::INTERNAL_SERVER_ERROR => {
                "internal error".to_owned()
            }
            other => other.to_string(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Failure(failure) = &self {
            return render(failure);
        }
        if matches!(self, Self::NotFound) {
            return StatusCode::NOT_FOUND.into_response();
        }
        let status = self.status();
        if status.is_server_error() {
            // The text may name tables and hosts: it is for the log, the caller gets the kind alone.
            tracing::warn!(error = &self as &dyn std::error::Error, "a request failed");
        }
        let code = match &self {
            Self::Schema { code, .. } => *code,
            _ => status.as_u16(),
        };
        let mut response = body(status, code, &self.message());
        match &self {
            Self::Rekor1(Rekor1Error::Duplicate(id)) => {
                response.headers_mut().insert(header::LOCATION, location(&id.to_string()));
            }
            Self::Rekor1(Rekor1Error::Writer(refusal)) => {
                submit::challenge(refusal, &mut response);
            }
            _ => {}
        }
        response
    }
}

/// Writes a failure of the shared layers.
pub(super) fn render(failure: &Failure) -> Response {
    let answer = body(failure.status(), failure.status().as_u16(), &failure.to_string());
    failure.with_retry_after(answer)
}

fn body(status: StatusCode, code: u16, message: &str) -> Response {
    // It may quote the caller.
    let message = inert::escape(message).into_owned();
    let mut response = (status, Json(Body { code, message })).into_response();
    let headers = response.headers_mut();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status == StatusCode::NOT_FOUND {
        // A cache that kept it would hide the tile when it comes into being.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

impl From<Rekor1Error> for ApiError {
    fn from(error: Rekor1Error) -> Self {
        match error {
            Rekor1Error::Overloaded(overloaded) => Self::Failure(overloaded.into()),
            Rekor1Error::Entry(error) => Self::Entry(error),
            other => Self::Rekor1(other),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::Rekor1(error.into())
    }
}

impl From<TileError> for ApiError {
    fn from(error: TileError) -> Self {
        match error {
            TileError::NoSuchTile => Self::NoSuchTile,
            TileError::Read(error) => error.into(),
        }
    }
}

/// A question that is no JSON is a bad request; one whose values are of other types or names breaks the schema.
impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        // It may echo a name or a word of the request.
        let mut message = error.to_string();
        message.truncate(message.floor_char_boundary(MAX_ECHO));
        match error.classify() {
            serde_json::error::Category::Data => Self::Schema { code: code::TYPE, message },
            _ => Self::Request(message),
        }
    }
}

/// Longest description of malformed JSON, in bytes.
const MAX_ECHO: usize = 300;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crypto::{SignatureError, SignerError};
    use engine::SubmitError;
    use signing::SignError;
    use tlog::NoteError;

    use super::*;

    #[test]
    fn a_key_that_will_not_sign_is_500_and_one_that_is_away_503_whatever_it_was_to_sign() {
        let refused = || SignerError::Refused { key_id: "v1".to_owned(), reason: "no".to_owned() };
        let away = || SignerError::Unavailable { key_id: "v1".to_owned(), reason: "no".to_owned() };
        let checkpoint = |error| Rekor1Error::Submit(SubmitError::Signing(Arc::new(error)));
        for error in [
            Rekor1Error::Signing(refused()),
            Rekor1Error::Signature(SignatureError::WrongAlgorithm),
            checkpoint(SignError::Signer(refused())),
            checkpoint(SignError::Signature(NoteError::Malformed)),
        ] {
            assert_eq!(ApiError::from(error).status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
        for error in [Rekor1Error::Signing(away()), checkpoint(SignError::Signer(away()))] {
            assert_eq!(ApiError::from(error).status(), StatusCode::SERVICE_UNAVAILABLE);
        }
    }
}
