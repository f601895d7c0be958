use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use metrics::counter;
use serde_json::json;
use server::Failure;
use tracing::{debug, error};
use tsp::{FailInfo, TimestampResponse, rejection};

use super::request::RequestForm;
use crate::refusal::Refusal;

const TIMESTAMP_REPLY: HeaderValue = HeaderValue::from_static("application/timestamp-reply");

/// Seconds after which trying again is worth it.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// A token, as DER in both forms.
pub(crate) fn granted(form: RequestForm, response: TimestampResponse) -> Response {
    count(form, "granted");
    der(StatusCode::OK, response.into_der())
}

/// A refusal in the form of the request.
///
/// A DER caller gets a `TimeStampResp` under HTTP 200, as RFC 3161 §3.4 has it and generic
/// clients expect; sigstore-js, which sends JSON, does not look into it and gets a 4xx. Where
/// the fault is ours both get a 503: Sigstore's clients then try again.
pub(crate) fn refused(form: RequestForm, refusal: &Refusal) -> Response {
    let fail_info = refusal.fail_info();
    count(form, fail_info.name());
    if refusal.is_ours() {
        error!(error = refusal as &dyn std::error::Error, "refused a timestamp");
    } else {
        debug!(error = refusal as &dyn std::error::Error, "refused a timestamp");
    }
    if let Refusal::Body(body_failure) = refusal {
        return failure(body_failure);
    }
    let status = match (form, refusal.is_ours()) {
        // As of a frozen log: clients must not take it for an answer to this request alone.
        _ if matches!(refusal, Refusal::Frozen) => StatusCode::METHOD_NOT_ALLOWED,
        (_, true) => StatusCode::SERVICE_UNAVAILABLE,
        (RequestForm::Der, false) => StatusCode::OK,
        (RequestForm::Json, false) => StatusCode::BAD_REQUEST,
    };
    // It may quote the caller.
    let message = refusal.to_string();
    let message = wire::inert::escape(&message);
    let mut response = match form {
        RequestForm::Der => der(status, rejection(fail_info, &message)),
        RequestForm::Json => problem(status, &message),
    };
    if refusal.is_ours() {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S);
    }
    response
}

/// The caller has had as many as it may for now: Go's clients try again after a 429, and read no DER then.
pub(crate) fn limited(form: RequestForm, failure: &Failure) -> Response {
    count(form, "limited");
    let (status, message) = (failure.status(), failure.to_string());
    let response = match form {
        RequestForm::Der => der(status, rejection(FailInfo::SystemFailure, &message)),
        RequestForm::Json => problem(status, &message),
    };
    failure.with_retry_after(response)
}

pub(crate) fn unsupported_media_type() -> Response {
    problem(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "send application/timestamp-query (DER) or application/json",
    )
}

/// What the shared layers answer for this service.
pub(crate) fn failure(failure: &Failure) -> Response {
    match failure {
        // The two forms have limits of their own; a single number would be wrong for one.
        Failure::BodyTooLarge { .. } => problem(failure.status(), "the request body is too long"),
        other => problem(other.status(), &other.to_string()),
    }
}

fn problem(status: StatusCode, message: &str) -> Response {
    let body = json!({ "code": status.as_u16(), "message": message }).to_string();
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

fn der(status: StatusCode, der: Vec<u8>) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    let headers = [(header::CONTENT_TYPE, TIMESTAMP_REPLY), (header::CACHE_CONTROL, no_store)];
    (status, headers, Body::from(der)).into_response()
}

/// Both labels are from our own fixed words (GHSA-9c54-x2g4-v92j: labels from request data).
fn count(form: RequestForm, outcome: &'static str) {
    counter!("countersign_tsa_replies_total", "form" => form.name(), "outcome" => outcome)
        .increment(1);
}
