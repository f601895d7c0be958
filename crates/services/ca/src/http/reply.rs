use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use server::Failure;
use wire::{
    refusal::{self, Reason},
    rpc::{Code, Status},
};

use super::cors::ANY_ORIGIN;
use crate::api::Refusal;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REASON: HeaderName = HeaderName::from_static(refusal::HEADER);
const PEM_CHAIN: HeaderValue = HeaderValue::from_static("application/pem-certificate-chain");

/// 200 with `body`.
pub(super) fn json<T: Serialize>(body: &T) -> Response {
    render(StatusCode::OK, body)
}

/// Certificates as one text: a line feed after each, and none at the end.
pub(super) fn pem<T: AsRef<str>>(status: StatusCode, certificates: &[T]) -> Response {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str(certificate.as_ref());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    with_body(status, PEM_CHAIN, text.into_bytes())
}

/// The answer to a request that got no certificate.
pub(crate) fn refusal(refusal: &Refusal) -> Response {
    let mut response = status(refusal.code(), refusal.message().to_owned());
    if refusal.reason() == Reason::Frozen {
        // As of a frozen log: the resource is there, and takes this no more.
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    }
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(refusal.reason().word()));
    if let Some(seconds) = refusal.retry_after_s() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer of the shared layers. A wrong method is 501, as upstream's gateway has it.
pub(super) fn failure(failure: &Failure) -> Response {
    let code = match failure {
        Failure::NotFound => Code::NotFound,
        Failure::MethodNotAllowed => Code::Unimplemented,
        Failure::BodyTooLarge { .. } | Failure::RateLimited { .. } => Code::ResourceExhausted,
        Failure::BodyUnreadable => Code::InvalidArgument,
        Failure::Timeout | Failure::Overloaded | Failure::ShuttingDown => Code::Unavailable,
        Failure::Internal => Code::Internal,
    };
    let mut response = status(code, failure.to_string());
    if matches!(failure, Failure::BodyTooLarge { .. }) {
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    }
    failure.with_retry_after(response)
}

/// The answer to a request on gRPC's paths that is no call.
pub(crate) fn not_grpc(http: StatusCode, message: &str) -> Response {
    render(http, &Status::new(Code::Unimplemented, message))
}

fn status(code: Code, message: String) -> Response {
    let http =
        StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    render(http, &Status::new(code, message))
}

fn render<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(json) => with_body(status, JSON, json),
        // None of the bodies has a map with keys that JSON cannot write.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, content_type), (header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN)];
    (status, headers, body).into_response()
}
