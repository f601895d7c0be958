//! `GET /ct/v1/get-entries` and `/ct/v1/get-roots`. RFC 6962 §4.6, §4.7.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use tlog::LeafIndex;
use wire::{
    Base64,
    ct::{GetEntriesResponse, GetRootsResponse, LogEntry},
};

use super::error::ApiError;
use crate::CtLog;

/// Entries of one answer. With the longest chains these are 60 MiB of JSON; with Fulcio's, 2 MiB.
const MAX_ENTRIES: u64 = 256;

#[derive(Deserialize)]
pub(super) struct Range {
    start: u64,
    end: u64,
}

/// Answers with fewer entries than asked for, as §4.6 allows, never with none.
pub(super) async fn get_entries(
    State(ct): State<CtLog>,
    Query(Range { start, end }): Query<Range>,
) -> Result<Json<GetEntriesResponse>, ApiError> {
    if start > end {
        return Err(ApiError::Parameter("start must not be greater than end"));
    }
    let start = LeafIndex(start);
    let size = ct.log().checkpoint().head.size;
    if !size.contains(start) {
        return Err(ApiError::Parameter("start is beyond the tree"));
    }
    // `end` is inclusive in RFC 6962.
    let end = LeafIndex(end).next().min(size.end());
    let most = LeafIndex(start.0.saturating_add(MAX_ENTRIES));
    let rows = ct.log().entries(start..end.min(most)).await?;
    let entries = rows
        .into_iter()
        .map(|row| LogEntry {
            leaf_input: Base64(row.body.to_vec()),
            extra_data: Base64(row.extra.to_vec()),
        })
        .collect();
    Ok(Json(GetEntriesResponse { entries }))
}

pub(super) async fn get_roots(State(ct): State<CtLog>) -> Json<GetRootsResponse> {
    let certificates = ct.chains().roots().into_iter().map(|der| Base64(der.to_vec())).collect();
    Json(GetRootsResponse { certificates })
}
