//! What all answers of the API have in common.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use wire::{
    Base64,
    rekor1::{EntryResponse, InclusionProof, LogEntry, Verification},
};

use super::error::ApiError;
use crate::{Rekor1, v1::ProvenEntry};

/// Lets web pages of any origin read the answers, as upstream does, and keeps caches from giving old ones.
pub(super) async fn open_and_uncached(request: Request, next: Next) -> Response {
    let from_page = request.headers().contains_key(header::ORIGIN);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(
        "no-cache, no-store, no-transform, must-revalidate, private, max-age=0",
    ));
    if from_page {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

/// What a page may send, asked by its browser beforehand.
///
/// tower-http's `CorsLayer` would open answers to who is no page as well, which upstream leaves as they are.
pub(super) async fn preflight() -> impl IntoResponse {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
    ];
    (StatusCode::NO_CONTENT, allowed)
}

/// An answer of 200 in JSON.
pub(super) fn json(value: &impl Serialize) -> Result<Response, ApiError> {
    with_json(StatusCode::OK, HeaderMap::new(), value)
}

/// An answer in JSON with more headers.
pub(super) fn with_json(
    status: StatusCode,
    headers: HeaderMap,
    value: &impl Serialize,
) -> Result<Response, ApiError> {
    let json = serde_json::to_vec(value).map_err(ApiError::Json)?;
    Ok((status, headers, [(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// Header values are made of hex digits and fixed text.
pub(super) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The entry as v1 writes it. Index, proof and checkpoint are of one and the same head.
pub(super) fn entry_response(
    rekor1: &Rekor1,
    proven: &ProvenEntry,
) -> Result<EntryResponse, ApiError> {
    let head = proven.checkpoint.head;
    // There is one tree, so the index over all trees is the index in it.
    let log_index = int64(proven.index.0)?;
    let entry = LogEntry {
        body: Base64(proven.body.to_vec()),
        integrated_time: int64(proven.integrated_at.0)?,
        log_id: hex::encode(rekor1.log().key_id()),
        log_index,
        verification: Some(Verification {
            inclusion_proof: Some(InclusionProof {
                checkpoint: proven.checkpoint.note.clone(),
                hashes: proven.path.iter().map(ToString::to_string).collect(),
                log_index,
                root_hash: head.root.to_string(),
                tree_size: int64(head.size.0)?,
            }),
            signed_entry_timestamp: Base64(proven.set.to_vec()),
        }),
    };
    Ok(EntryResponse { id: rekor1.entry_id(proven.leaf_hash).to_string(), entry })
}

/// A count, index or time as the signed integers of the API; no log reaches 2^63.
pub(super) fn int64(value: u64) -> Result<i64, ApiError> {
    i64::try_from(value).map_err(|_| ApiError::Number)
}
