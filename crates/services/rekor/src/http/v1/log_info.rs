//! `GET /api/v1/log`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use wire::rekor1::LogInfo;

use super::{
    answer::{int64, json},
    error::ApiError,
};
use crate::Rekor1;

/// The newest head of the one tree. Size, root and checkpoint are one snapshot.
pub(super) async fn log_info(State(rekor1): State<Arc<Rekor1>>) -> Result<Response, ApiError> {
    let checkpoint = rekor1.log().latest_checkpoint().await?;
    json(&LogInfo {
        inactive_shards: Vec::new(),
        root_hash: checkpoint.head.root.to_string(),
        signed_tree_head: checkpoint.note.clone(),
        tree_id: rekor1.tree_id().to_string(),
        tree_size: int64(checkpoint.head.size.0)?,
    })
}
