use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use server::{Failure, Protocol};

use crate::{
    TrustFile, TrustFiles,
    anchors::MAX_LEN,
    page::CONTENT_SECURITY_POLICY,
    tuf::{PublishedFile, Repository},
};

/// `GET /` is the page, `GET /{name}` a trust file or TUF metadata, `GET /targets/{name}`
/// a TUF target, anything else 404.
///
/// Names are looked up among those that are there; no path ever reaches the disk.
/// Answers carry a strong `ETag`; `If-None-Match` gives 304. Nothing is cached without
/// asking again, since a rotation must be seen at once, but files whose name says their
/// version or digest.
pub fn router(files: Arc<TrustFiles>, repository: Arc<Repository>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/{name}", get(file))
        .route("/targets/{name}", get(target))
        .with_state(Served { files, repository })
}

#[derive(Clone)]
struct Served {
    files: Arc<TrustFiles>,
    repository: Arc<Repository>,
}

/// Plain text failures; checkpoints are the only bodies.
#[must_use]
pub fn protocol() -> Protocol {
    Protocol {
        name: "trust",
        body_limit: MAX_LEN,
        timeout: Duration::from_secs(10),
        render: |failure: &Failure| (failure.status(), format!("{failure}\n")).into_response(),
    }
}

async fn page(State(served): State<Served>, headers: HeaderMap) -> Response {
    let page = served.files.page(&served.repository.root_json());
    let mut response = answer(Answer::of(&page), &headers);
    let security = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let parsed = security.into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?)));
    response.headers_mut().extend(parsed.collect::<Vec<(HeaderName, http::HeaderValue)>>());
    response
}

/// A name that is not UTF-8 is the name of no file: 404 like any other.
type Name = Result<Path<String>, PathRejection>;

async fn file(State(served): State<Served>, name: Name, headers: HeaderMap) -> Response {
    let Ok(Path(name)) = name else { return not_found() };
    if let Some(file) = served.files.files().iter().find(|file| file.name == name) {
        return answer(Answer::of(file), &headers);
    }
    match served.repository.file(&name) {
        Some(file) => answer(Answer::of_metadata(&file), &headers),
        None => not_found(),
    }
}

async fn target(State(served): State<Served>, name: Name, headers: HeaderMap) -> Response {
    let Ok(Path(name)) = name else { return not_found() };
    match served.repository.file(&format!("targets/{name}")) {
        Some(file) => answer(Answer::of_target(&file), &headers),
        None => not_found(),
    }
}

/// TUF clients look for the root after the newest and want exactly this answer.
fn not_found() -> Response {
    (protocol().render)(&Failure::NotFound)
}

/// What is answered with a file.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    content: &'a bytes::Bytes,
    content_type: &'static str,
    etag: &'a str,
    immutable: bool,
}

impl<'a> Answer<'a> {
    fn of(file: &'a TrustFile) -> Self {
        let TrustFile { content, content_type, etag, .. } = file;
        Self { content, content_type, etag, immutable: false }
    }

    fn of_metadata(file: &'a PublishedFile) -> Self {
        let PublishedFile { content, etag, immutable } = file;
        Self { content, content_type: "application/json", etag, immutable: *immutable }
    }

    pub(crate) fn of_checkpoint(content: &'a bytes::Bytes, etag: &'a str) -> Self {
        Self { content, content_type: "text/plain; charset=utf-8", etag, immutable: false }
    }

    /// Bytes to a browser, whatever is in it.
    fn of_target(file: &'a PublishedFile) -> Self {
        Self { content_type: "application/octet-stream", ..Self::of_metadata(file) }
    }
}

pub(crate) fn answer(answer: Answer<'_>, headers: &HeaderMap) -> Response {
    let cache = if answer.immutable { IMMUTABLE } else { "no-cache" };
    let common = [
        (header::ETAG, answer.etag),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if is_known(headers, answer.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let content_type = [(header::CONTENT_TYPE, answer.content_type)];
    (common, content_type, answer.content.clone()).into_response()
}

/// A year, the longest that caches understand.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// RFC 9110 §13.1.2, with the weak comparison that it asks for.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH);
    lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}
