use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument, debug, error, info, info_span};

use crate::{
    CallerAddress, Failure, GrpcError, Protocol, answers::Room, body, grpc, metrics, shares::Shares,
};

/// Puts the shared layers around a service's router.
///
/// From the outside in: empty path segments are dropped before routing; a
/// request id is taken or made (`x-request-id`); metrics, a span and a log line;
/// a panic becomes [`Failure::Internal`]; [`Protocol::timeout`]; a declared body
/// above [`Protocol::body_limit`] is refused unread; a request is refused, before any work, while its peer has left
/// too many answers unread. Unknown paths and methods,
/// and every 413 that a handler did not write itself, are answered by [`Protocol::render`]; a 503
/// without a `Retry-After` gets one.
///
/// The router's own fallbacks are replaced, so a service needs none.
///
/// Panics are caught by tower-http's layer. Its others do not serve here: `TimeoutLayer` has one time for all
/// requests, and gRPC's callers shorten theirs; `RequestBodyLimitLayer` closes on who still writes, who then sees no
/// 413; `NormalizePathLayer` leaves `//` within a path; `SetRequestIdLayer` takes any id from a caller into the log, and a layer that keeps bad ones from it is as long as
/// `RequestId`;
/// `TraceLayer` would make the labels a second time that the metrics need.
pub fn harden(router: Router, protocol: Protocol) -> Router {
    let refuse = move |failure: Failure| {
        move |request: Request| async move { protocol.answer(grpc::is_grpc(&request), &failure) }
    };
    let routes = router
        .fallback(refuse(Failure::NotFound))
        .method_not_allowed_fallback(refuse(Failure::MethodNotAllowed))
        .layer(DefaultBodyLimit::max(protocol.body_limit))
        .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| panicked(panic.as_ref())))
        .layer(from_fn_with_state(Arc::new(protocol), guard));
    // Layers run after routing; a rewritten path needs a router around the router.
    Router::new().fallback_service(routes).layer(from_fn(rewrite_path))
}

/// The id of the request being answered, in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Longest id taken from a caller; a UUID has 36.
    const MAX_LEN: usize = 64;

    /// The id as text of `[A-Za-z0-9._-]`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only made of visible ASCII, so the alternative is never met.
        self.0.to_str().unwrap_or_default()
    }

    /// Takes the caller's id when it is harmless in a log, else makes one.
    fn of(headers: &HeaderMap) -> Self {
        let harmless = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=Self::MAX_LEN).contains(&bytes.len())
                && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
        };
        headers.get(X_REQUEST_ID).filter(harmless).cloned().map_or_else(Self::fresh, Self)
    }

    fn fresh() -> Self {
        let id = u128::from_be_bytes(crypto::random_bytes::<16>());
        let text = HeaderValue::from_str(&format!("{id:032x}"));
        Self(text.unwrap_or_else(|_| HeaderValue::from_static("none")))
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

async fn rewrite_path(mut request: Request, next: Next) -> Response {
    if let Some(uri) = without_empty_segments(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// Removes empty segments from the request's path: `//api//v2/x/` becomes `/api/v2/x`.
///
/// Go and JavaScript clients join a base URL that ends in a slash into
/// `//api/...`, others add a slash at the end. `None` when nothing changes. tower-http's
/// `NormalizePath` leaves empty segments within a path.
fn without_empty_segments(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (path.len() <= 1 || !path.ends_with('/')) {
        return None;
    }
    let mut clean = String::with_capacity(uri.path_and_query()?.as_str().len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() {
        clean.push('/');
    }
    if let Some(query) = uri.query() {
        clean.push('?');
        clean.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(clean).ok()?);
    Uri::from_parts(parts).ok()
}

async fn guard(
    State(protocol): State<Arc<Protocol>>,
    route: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let method = metrics::method_label(request.method());
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let span = info_span!(
        "request",
        service = protocol.name,
        request.id = id.as_str(),
        http.method = method,
        http.route = route
    );

    let is_grpc = grpc::is_grpc(&request);
    let mut response = answer(&protocol, request, next).instrument(span.clone()).await;
    response.headers_mut().insert(X_REQUEST_ID, id.0);

    let elapsed = started.elapsed();
    let grpc_status = is_grpc.then(|| grpc::status_label(response.headers()));
    let answered = metrics::Answered { status: response.status(), grpc_status, elapsed };
    metrics::record_request(protocol.name, method, route, answered);
    span.in_scope(|| {
        let status = response.status().as_u16();
        debug!(http.status = status, http.elapsed_us = elapsed.as_micros(), "answered");
    });
    response
}

async fn answer(protocol: &Protocol, request: Request, next: Next) -> Response {
    let is_grpc = grpc::is_grpc(&request);
    let refuse = |failure: Failure| finish(protocol, is_grpc, protocol.answer(is_grpc, &failure));
    // Before anything is done: for an answer that has no room it would be done for nothing.
    let room = match Room::within(&Shares::of(request.extensions())) {
        Ok(room) => room,
        Err(overloaded) => {
            let (parts, body) = request.into_parts();
            body::discard(&parts.headers, body).await;
            return refuse(overloaded);
        }
    };
    let answered = answer_within(protocol, is_grpc, request, next).await;
    room.fill(answered, is_grpc).unwrap_or_else(refuse)
}

async fn answer_within(
    protocol: &Protocol,
    is_grpc: bool,
    request: Request,
    next: Next,
) -> Response {
    let length = body::declared_length(request.headers());
    if length.is_some_and(|length| length > protocol.body_limit as u64) {
        let failure = Failure::BodyTooLarge { limit: protocol.body_limit };
        let caller = request.extensions().get().map(|CallerAddress(address)| address.to_string());
        info!(caller.address = caller, error = %failure, "refused");
        let (parts, body) = request.into_parts();
        body::discard(&parts.headers, body).await;
        return protocol.answer(is_grpc, &failure);
    }
    let callers = if is_grpc { grpc::timeout(request.headers()) } else { Ok(None) };
    let (timeout, is_callers) = match callers {
        Ok(Some(callers)) if callers < protocol.timeout => (callers, true),
        Ok(_) => (protocol.timeout, false),
        Err(malformed) => return malformed.into_response(),
    };
    let response = match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) if is_callers => GrpcError::deadline_exceeded().into_response(),
        Err(_) => protocol.answer(is_grpc, &Failure::Timeout),
    };
    finish(protocol, is_grpc, response)
}

/// Brings answers that were not written by the service into its form.
fn finish(protocol: &Protocol, is_grpc: bool, mut response: Response) -> Response {
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = protocol.answer(is_grpc, &failure);
    }
    // An extractor's own refusal is plain text; a service's names another limit than the body's.
    let is_plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|content_type| content_type.as_bytes().starts_with(b"text/plain"));
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE && is_plain {
        return protocol.answer(is_grpc, &Failure::BodyTooLarge { limit: protocol.body_limit });
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let one_second = HeaderValue::from_static("1");
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(one_second);
    }
    response
}

/// Says so in the log; [`finish`] writes the answer, in a form that depends on the request.
fn panicked(panic: &(dyn Any + Send)) -> Response {
    error!(panic.message = panic_message(panic), "a request handler panicked");
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Failure::Internal);
    response
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(uri: &str) -> Option<String> {
        without_empty_segments(&uri.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn leaves_clean_paths_alone() {
        for uri in ["/", "/a", "/a/b?x=//", "*", "http://host/a/b"] {
            assert_eq!(clean(uri), None, "{uri}");
        }
    }

    #[test]
    fn removes_double_and_trailing_slashes_and_keeps_the_query() {
        for (uri, expected) in [
            ("//", "/"),
            ("/a/", "/a"),
            ("//api/v2//x//", "/api/v2/x"),
            ("//api/v2/x/?a=b//&c", "/api/v2/x?a=b//&c"),
            ("http://host:1//a/?q", "http://host:1/a?q"),
            ("/a/%2F/", "/a/%2F"),
        ] {
            assert_eq!(clean(uri).as_deref(), Some(expected), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn segments_and_query_stay_and_a_clean_path_is_left_alone(
            path in "(/[a-z%0-9.]{0,3}){1,8}", query in "[a-z/&=]{0,6}"
        ) {
            let uri: Uri = format!("{path}?{query}").parse().unwrap();
            let cleaned = without_empty_segments(&uri).unwrap_or_else(|| uri.clone());
            prop_assert_eq!(cleaned.query(), uri.query());
            let segments = |uri: &Uri| -> Vec<String> {
                uri.path().split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect()
            };
            prop_assert_eq!(segments(&cleaned), segments(&uri));
            prop_assert_eq!(without_empty_segments(&cleaned), None);
        }
    }
}
