use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use service::{Failure, Protocol};

use crate::{TrustFile, TrustFiles, tuf::Repository};

/// `GET /` is the page, `GET /{name}` a file, anything else 404.
///
/// Answers carry a strong `ETag`; `If-None-Match` gives 304. Nothing is cached
/// without asking again, since a rotation must be seen at once.
pub fn router(files: Arc<TrustFiles>, repository: Arc<Repository>) -> Router {
    let _ = repository;
    Router::new().route("/", get(page)).route("/{name}", get(file)).with_state(files)
}

/// Plain text failures; no route takes a body.
#[must_use]
pub fn protocol() -> Protocol {
    Protocol {
        name: "trust",
        body_limit: 1024,
        timeout: Duration::from_secs(10),
        render: |failure: &Failure| (failure.status(), format!("{failure}\n")).into_response(),
    }
}

async fn page(State(files): State<Arc<TrustFiles>>, headers: HeaderMap) -> Response {
    answer(files.page(), &headers)
}

async fn file(
    State(files): State<Arc<TrustFiles>>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    // A name that is not UTF-8 is the name of no file: 404 like any other.
    let of_that_name = |file: &&TrustFile| name.as_ref().is_ok_and(|name| name.0 == file.name);
    match files.files().iter().find(of_that_name) {
        Some(file) => answer(file, &headers),
        None => (protocol().render)(&Failure::NotFound),
    }
}

fn answer(file: &TrustFile, headers: &HeaderMap) -> Response {
    let caching = [(header::ETAG, file.etag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if is_known(headers, &file.etag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let content_type = [(header::CONTENT_TYPE, file.content_type)];
    (caching, content_type, file.content.clone()).into_response()
}

/// RFC 9110 §13.1.2, with the weak comparison that it asks for.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH);
    lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}
