//! `GET /api/v1/log`.

use axum::{extract::State, response::Response};
use wire::rekor1::LogInfo;

use super::{
    Face,
    answer::{int64, json},
    error::ApiError,
};

/// The newest head of the one tree. Size, root and checkpoint are one snapshot.
pub(super) async fn log_info(State(face): State<Face>) -> Result<Response, ApiError> {
    let checkpoint = face.log().checkpoint();
    json(&LogInfo {
        inactive_shards: Vec::new(),
        root_hash: checkpoint.head.root.to_string(),
        signed_tree_head: checkpoint.note.clone(),
        tree_id: face.rekor1.tree_id().to_string(),
        tree_size: int64(checkpoint.head.size)?,
    })
}
