//! Checkpoints that are kept for logs.

use std::{path::Path, sync::Arc};

use crate::common::signer;
use axum::{Router, body::Body, extract::Request};
use crypto::{KeyType, Signer, Unsigned};
use http::{StatusCode, header};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tlog::{Checkpoint, KeyIdKind, NodeHash, TreeHead, TreeSize, UnsignedCheckpoint, log_key_id};
use tower::ServiceExt;
use trust::{AnchoredLog, Anchors, protocol};

const ORIGIN: &str = "log.test";

struct Kept {
    app: Router,
    key: Arc<dyn Signer>,
    directory: TempDir,
}

impl Kept {
    fn new() -> Self {
        let (key, directory) = (signer(KeyType::Ed25519), tempfile::tempdir().unwrap());
        Self { app: opened(directory.path(), &key), key, directory }
    }

    async fn ask(&self, request: Request) -> (StatusCode, String, String) {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let tag = parts.headers.get(header::ETAG).map(|tag| tag.to_str().unwrap().to_owned());
        (parts.status, tag.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self) -> (StatusCode, String, String) {
        self.ask(Request::get("/anchors/2026").body(Body::empty()).unwrap()).await
    }

    /// Replaces what has `tag`; with none, nothing.
    async fn put(&self, tag: Option<&str>, text: impl Into<Body>) -> StatusCode {
        let put = Request::put("/anchors/2026");
        let put = match tag {
            Some(tag) => put.header(header::IF_MATCH, tag),
            None => put.header(header::IF_NONE_MATCH, "*"),
        };
        self.ask(put.body(text.into()).unwrap()).await.0
    }

    /// Replaces what is there.
    async fn follow(&self, text: String) -> StatusCode {
        let (status, tag, _) = self.get().await;
        self.put((status == StatusCode::OK).then_some(tag.as_str()), text).await
    }

    async fn note(&self, size: u64, root: u8) -> String {
        note(&self.key, (ORIGIN, size, root), &[]).await
    }

    async fn end(&self, size: u64, root: u8) -> String {
        note(&self.key, (ORIGIN, size, root), &[Checkpoint::OVER]).await
    }
}

fn opened(directory: &Path, key: &Arc<dyn Signer>) -> Router {
    let log = AnchoredLog {
        name: "2026".to_owned(),
        origin: ORIGIN.to_owned(),
        public_key: key.public_key().clone(),
        key_name: ORIGIN.to_owned(),
        key_id: log_key_id(key.public_key(), ORIGIN, KeyIdKind::Named),
    };
    let anchors = Anchors::new(directory.join("anchors"), vec![log]);
    server::harden(Arc::new(anchors).router(), protocol())
}

async fn note(
    key: &Arc<dyn Signer>,
    (origin, size, root): (&str, u64, u8),
    lines: &[&str],
) -> String {
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        head: TreeHead { size: TreeSize(size), root: NodeHash([root; 32]) },
        extensions: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    let key_id = log_key_id(key.public_key(), ORIGIN, KeyIdKind::Named);
    let unsigned = UnsignedCheckpoint::new(&checkpoint, ORIGIN.to_owned(), key_id);
    let signature = key.sign(unsigned.bytes_to_sign()).await.unwrap();
    unsigned.with_signature(&signature, key.public_key()).unwrap().to_string()
}

#[tokio::test]
async fn keeps_what_the_log_signed_also_after_a_restart() {
    let mut kept = Kept::new();
    assert_eq!(kept.get().await.0, StatusCode::NOT_FOUND);
    let first = kept.note(3, 3).await;
    assert_eq!(kept.put(None, first.clone()).await, StatusCode::NO_CONTENT);
    let (status, tag, text) = kept.get().await;
    assert_eq!((status, &text), (StatusCode::OK, &first));
    let second = kept.note(5, 5).await;
    assert_eq!(kept.put(Some(&tag), second.clone()).await, StatusCode::NO_CONTENT);
    kept.app = opened(kept.directory.path(), &kept.key);
    assert_eq!(kept.get().await.2, second);
    assert_eq!(kept.put(Some(&tag), kept.note(6, 6).await).await, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn nothing_is_replaced_by_who_does_not_say_what() {
    let kept = Kept::new();
    let first = kept.note(3, 3).await;
    assert_eq!(kept.put(Some("\"x\""), first.clone()).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(kept.put(None, first.clone()).await, StatusCode::NO_CONTENT);
    let next = kept.note(4, 4).await;
    assert_eq!(kept.put(None, next.clone()).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(kept.put(Some("*"), next.clone()).await, StatusCode::PRECONDITION_FAILED);
    let bare = Request::put("/anchors/2026").body(Body::from(next)).unwrap();
    assert_eq!(kept.ask(bare).await.0, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(kept.get().await.2, first);
}

#[tokio::test]
async fn nothing_goes_back() {
    let kept = Kept::new();
    let newest = kept.note(5, 5).await;
    assert_eq!(kept.follow(newest.clone()).await, StatusCode::NO_CONTENT);
    for other in [kept.note(4, 4).await, kept.note(0, 0).await, kept.note(5, 6).await] {
        assert_eq!(kept.follow(other).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(kept.follow(newest.clone()).await, StatusCode::NO_CONTENT);
    assert_eq!(kept.get().await.2, newest);
}

#[tokio::test]
async fn nothing_is_kept_that_the_log_did_not_sign() {
    let kept = Kept::new();
    let first = kept.note(3, 3).await;
    assert_eq!(kept.follow(first.clone()).await, StatusCode::NO_CONTENT);
    let stranger = note(&signer(KeyType::Ed25519), (ORIGIN, 9, 9), &[]).await;
    let foreign_end = note(&signer(KeyType::Ed25519), (ORIGIN, 9, 9), &[Checkpoint::OVER]).await;
    let of_another_log = note(&kept.key, ("other.test", 9, 9), &[]).await;
    let good = kept.note(9, 9).await;
    let line = good.lines().last().unwrap();
    let twice = format!("{good}{line}\n");
    let unsigned_end = format!("{}\n{first}", Checkpoint::OVER);
    for text in [stranger, foreign_end, of_another_log, twice, unsigned_end, String::new()] {
        assert_eq!(kept.follow(text.clone()).await, StatusCode::FORBIDDEN, "{text}");
    }
    assert_eq!(kept.follow("\n".repeat(4000)).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(kept.get().await.2, first);
}

#[tokio::test]
async fn a_log_that_is_over_stays_so() {
    let kept = Kept::new();
    assert_eq!(kept.follow(kept.note(5, 5).await).await, StatusCode::NO_CONTENT);
    for before in [kept.end(4, 4).await, kept.end(5, 6).await] {
        assert_eq!(kept.follow(before).await, StatusCode::FORBIDDEN);
    }
    let end = kept.end(5, 5).await;
    assert_eq!(kept.follow(end.clone()).await, StatusCode::NO_CONTENT);
    for after in [kept.note(5, 5).await, kept.note(6, 6).await, kept.end(7, 7).await] {
        assert_eq!(kept.follow(after).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(kept.follow(end.clone()).await, StatusCode::NO_CONTENT);
    assert_eq!(kept.get().await.2, end);
}

#[tokio::test]
async fn there_is_nothing_else() {
    let kept = Kept::new();
    for path in ["/anchors/", "/anchors", "/anchors/other", "/anchors/%ff", "/anchors/..%2f2026"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(kept.ask(request).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for method in ["POST", "DELETE", "PATCH"] {
        let request = Request::builder().method(method).uri("/anchors/2026");
        let answer = kept.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.0, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn what_is_damaged_is_not_taken_for_nothing() {
    let kept = Kept::new();
    assert_eq!(kept.follow(kept.note(5, 5).await).await, StatusCode::NO_CONTENT);
    std::fs::write(kept.directory.path().join("anchors/2026"), "half").unwrap();
    assert_eq!(kept.get().await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(kept.put(None, kept.note(6, 6).await).await, StatusCode::INTERNAL_SERVER_ERROR);
}
