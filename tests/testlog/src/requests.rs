//! Sends requests to a router as the server runs it.

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// What a router answered.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl Answer {
    /// A header's text; nothing where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Asks for `path`.
pub async fn get(router: &Router, path: &str) -> Answer {
    send(router, Method::GET, path, Body::empty()).await
}

/// Posts `body` to `path`.
pub async fn post(router: &Router, path: &str, body: impl Into<Body>) -> Answer {
    send(router, Method::POST, path, body.into()).await
}

/// Sends any request.
pub async fn send(router: &Router, method: Method, path: &str, body: Body) -> Answer {
    let request = Request::builder().method(method).uri(path).body(body).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Bodies that no JSON route takes.
pub fn hostile_bodies(valid: &str) -> Vec<(&'static str, Vec<u8>)> {
    let half = valid.len() / 2;
    vec![
        ("nothing", Vec::new()),
        ("garbage", b"\xff\xfe\x00garbage".to_vec()),
        ("truncated", valid.as_bytes()[..half].to_vec()),
        ("two values", format!("{valid}{valid}").into_bytes()),
        ("a number", b"7".to_vec()),
        ("an array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("deep arrays", "[".repeat(200_000).into_bytes()),
        ("deep objects", "{\"a\":".repeat(40_000).into_bytes()),
        ("dots", vec![b'.'; 200_000]),
    ]
}
