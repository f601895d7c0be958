//! `GET /api/v1/log/proof`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::Uri;
use tlog::TreeSize;
use wire::rekor1::ConsistencyProof;

use super::{answer::json, error::ApiError, query::Query};
use crate::Rekor1;

/// Consistency proof between two sizes of the tree.
///
/// `rootHash` is the root of the log's latest head and not the one at `lastSize`: so it is
/// upstream, and monitors, which compare the proof with checkpoints of their own, know it.
pub(super) async fn consistency(
    State(rekor1): State<Arc<Rekor1>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Query::of(&uri)?;
    let first_size = TreeSize(query.number("firstSize", 1)?.unwrap_or(1));
    let last_size = TreeSize(query.required("lastSize", 1)?);
    query.own_tree(&rekor1)?;
    let latest = rekor1.log().latest_checkpoint().await?.head;
    if first_size > last_size {
        let message = format!("firstSize ({first_size}) is larger than lastSize ({last_size})");
        return Err(ApiError::Request(message));
    }
    if last_size > latest.size {
        let message = format!("lastSize ({last_size}) is larger than the log ({})", latest.size);
        return Err(ApiError::Request(message));
    }
    let path = rekor1.log().consistency_path(first_size, last_size).await?;
    json(&ConsistencyProof {
        hashes: path.iter().map(ToString::to_string).collect(),
        root_hash: latest.root.to_string(),
    })
}
