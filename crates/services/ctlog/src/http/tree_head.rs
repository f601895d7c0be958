//! `GET /ct/v1/get-sth` and `/ct/v1/get-sth-consistency`. RFC 6962 §4.3, §4.4.

use axum::{
    Json,
    extract::{Query, State},
    response::IntoResponse,
};
use http::header;
use serde::Deserialize;
use tlog::TreeSize;
use wire::{
    Base64,
    ct::{GetSthConsistencyResponse, GetSthResponse},
};

use super::error::ApiError;
use crate::CtLog;

/// The latest tree head. Caches ask again each time: from one of them the log would shrink.
pub(super) async fn get_sth(State(ct): State<CtLog>) -> Result<impl IntoResponse, ApiError> {
    let signed = ct.signed_tree_head().await?;
    let head = GetSthResponse {
        tree_size: signed.tree_size,
        timestamp: signed.timestamp.0,
        sha256_root_hash: Base64(signed.root_hash.to_vec()),
        tree_head_signature: Base64(signed.digitally_signed.clone()),
    };
    Ok(([(header::CACHE_CONTROL, "no-cache")], Json(head)))
}

#[derive(Deserialize)]
pub(super) struct Sizes {
    first: u64,
    second: u64,
}

pub(super) async fn get_sth_consistency(
    State(ct): State<CtLog>,
    Query(Sizes { first, second }): Query<Sizes>,
) -> Result<Json<GetSthConsistencyResponse>, ApiError> {
    if first > second {
        return Err(ApiError::Parameter("first must not be greater than second"));
    }
    // Every tree is consistent with the empty one: from there the path is empty.
    let path = ct.log().consistency_path(TreeSize(first), TreeSize(second)).await?;
    let consistency = path.iter().map(|hash| Base64(hash.0.to_vec())).collect();
    Ok(Json(GetSthConsistencyResponse { consistency }))
}
