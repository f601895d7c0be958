use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use service::Failure;
use wire::rpc::{Code, Status};

use crate::IssueError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// 200 with `body`.
pub(super) fn json<T: Serialize>(body: &T) -> Response {
    render(StatusCode::OK, body)
}

/// The answer to a request without a certificate.
pub(super) fn issue_error(error: &IssueError) -> Response {
    let mut response = status(error.code(), error.to_string());
    if let Some(seconds) = error.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer of the shared layers. A wrong method is 501, as upstream's gateway has it.
pub(super) fn failure(failure: &Failure) -> Response {
    let code = match failure {
        Failure::NotFound => Code::NotFound,
        Failure::MethodNotAllowed => Code::Unimplemented,
        Failure::BodyTooLarge { .. } => Code::ResourceExhausted,
        Failure::BodyUnreadable => Code::InvalidArgument,
        Failure::Timeout | Failure::Overloaded => Code::Unavailable,
        Failure::Internal => Code::Internal,
    };
    let mut response = status(code, failure.to_string());
    if matches!(failure, Failure::BodyTooLarge { .. }) {
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    }
    response
}

fn status(code: Code, message: String) -> Response {
    let http =
        StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    render(http, &Status::new(code, message))
}

fn render<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(json) => (status, [(header::CONTENT_TYPE, JSON)], json).into_response(),
        // None of the bodies has a map with keys that JSON cannot write.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
