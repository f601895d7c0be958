//! Cross-origin rules, as upstream has them: any page may ask, but not with an `Authorization`
//! header of its own, so that browsers put the token into the body.
//!
//! tower-http's `CorsLayer` takes every `OPTIONS` for a preflight, also one that upstream answers as a wrong method,
//! and adds a `Vary` that keeps shared caches from the trust bundle.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use server::Failure;

use super::reply;

/// Of every answer: it depends on nothing that the page's origin could change.
pub(super) const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// The preflight of a known path; any other `OPTIONS` request is a wrong method.
pub(super) async fn preflight(headers: HeaderMap) -> Response {
    let asks = [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD];
    if !asks.iter().all(|name| headers.contains_key(name)) {
        return reply::failure(&Failure::MethodNotAllowed);
    }
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN),
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, HEAD")),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("accept, content-type, x-requested-with"),
        ),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}
