//! `GET /ct/v1/get-proof-by-hash` and `/ct/v1/get-entry-and-proof`. RFC 6962 §4.5, §4.8.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use tlog::{LeafHash, LeafIndex, TreeSize};
use wire::{
    Base64,
    ct::{GetEntryAndProofResponse, GetProofByHashResponse},
};

use super::error::ApiError;
use crate::CtLog;

#[derive(Deserialize)]
pub(super) struct ByHash {
    hash: String,
    tree_size: u64,
}

pub(super) async fn get_proof_by_hash(
    State(ct): State<CtLog>,
    Query(ByHash { hash, tree_size }): Query<ByHash>,
) -> Result<Json<GetProofByHashResponse>, ApiError> {
    let leaf_hash =
        leaf_hash(&hash).ok_or(ApiError::Parameter("hash must be 32 bytes in base64"))?;
    let tree_size = TreeSize(tree_size);
    if tree_size == TreeSize(0) {
        return Err(ApiError::Parameter("tree_size must not be 0"));
    }
    let index = ct.log().find_leaf(&leaf_hash).await?;
    let leaf_index = index.filter(|index| tree_size.contains(*index)).ok_or(ApiError::NotFound)?;
    let path = ct.log().inclusion_path(leaf_index, tree_size).await?;
    let audit_path = path.iter().map(|hash| Base64(hash.0.to_vec())).collect();
    Ok(Json(GetProofByHashResponse { leaf_index: leaf_index.0, audit_path }))
}

/// Reads the `hash` parameter. Many callers leave `+` unescaped, which a query turns into a blank.
fn leaf_hash(text: &str) -> Option<LeafHash> {
    let decoded = Base64::decode(&text.replace(' ', "+")).ok()?;
    LeafHash::try_from(decoded.as_slice()).ok()
}

#[derive(Deserialize)]
pub(super) struct ByIndex {
    leaf_index: u64,
    tree_size: u64,
}

pub(super) async fn get_entry_and_proof(
    State(ct): State<CtLog>,
    Query(ByIndex { leaf_index, tree_size }): Query<ByIndex>,
) -> Result<Json<GetEntryAndProofResponse>, ApiError> {
    let (leaf_index, tree_size) = (LeafIndex(leaf_index), TreeSize(tree_size));
    if !tree_size.contains(leaf_index) {
        return Err(ApiError::Parameter("leaf_index must be less than tree_size"));
    }
    let path = ct.log().inclusion_path(leaf_index, tree_size).await?;
    let rows = ct.log().entries(leaf_index.alone()).await?;
    let row = rows.into_iter().next().ok_or(ApiError::NotFound)?;
    Ok(Json(GetEntryAndProofResponse {
        leaf_input: Base64(row.body.to_vec()),
        extra_data: Base64(row.extra.to_vec()),
        audit_path: path.iter().map(|hash| Base64(hash.0.to_vec())).collect(),
    }))
}
