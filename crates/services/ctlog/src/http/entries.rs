//! `GET /ct/v1/get-entries` and `/ct/v1/get-roots`. RFC 6962 §4.6, §4.7.

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use engine::{Pages, ReadError};
use futures::stream;
use http::header;
use serde::Deserialize;
use server::{PAGE_LEN, in_pages};
use store::StoredEntry;
use thiserror::Error;
use tlog::{LeafIndex, TreeSize};
use wire::{
    Base64,
    ct::{GetRootsResponse, LogEntry},
};

use super::error::ApiError;
use crate::CtLog;

/// Entries of one answer. With the longest chains these are 60 MiB of JSON, with Fulcio's 2 MiB; a page at a time is
/// in memory.
const MAX_ENTRIES: u64 = 256;

#[derive(Deserialize)]
pub(super) struct Range {
    start: u64,
    end: u64,
}

/// Answers with fewer entries than asked for, as §4.6 allows, never with none. They are read as their reader takes
/// them.
pub(super) async fn get_entries(
    State(ct): State<CtLog>,
    Query(Range { start, end }): Query<Range>,
) -> Result<Response, ApiError> {
    if start > end {
        return Err(ApiError::Parameter("start must not be greater than end"));
    }
    let start = LeafIndex(start);
    let size = ct.log().checkpoint_reaching(TreeSize(start.next().0)).await?.head.size;
    if !size.contains(start) {
        return Err(ApiError::Parameter("start is beyond the tree"));
    }
    // `end` is inclusive in RFC 6962.
    let end = LeafIndex(end).next().min(size.end());
    let most = LeafIndex(start.0.saturating_add(MAX_ENTRIES));
    let answer = Answer::Begin(ct.log().pages(start..end.min(most), PAGE_LEN).await?);
    let body = in_pages(stream::try_unfold(answer, Answer::next)).await;
    let body = body.map_err(|error| match error {
        EntriesError::Read(error) => ApiError::from(error),
        EntriesError::Json(error) => ApiError::Answer(error),
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// `{"entries":[...]}` under way.
enum Answer {
    Begin(Pages),
    Within(Pages),
    End,
}

#[derive(Debug, Error)]
enum EntriesError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the answer cannot be written")]
    Json(#[from] serde_json::Error),
}

impl Answer {
    async fn next(self) -> Result<Option<(Bytes, Self)>, EntriesError> {
        let (mut json, before, mut pages) = match self {
            Self::Begin(pages) => (br#"{"entries":["#.to_vec(), "", pages),
            Self::Within(pages) => (Vec::new(), ",", pages),
            Self::End => return Ok(None),
        };
        let Some(rows) = pages.next().await? else {
            json.extend_from_slice(b"]}");
            return Ok(Some((Bytes::from(json), Self::End)));
        };
        let mut between = before;
        for row in rows {
            json.extend_from_slice(between.as_bytes());
            serde_json::to_writer(&mut json, &log_entry(&row))?;
            between = ",";
        }
        Ok(Some((Bytes::from(json), Self::Within(pages))))
    }
}

fn log_entry(row: &StoredEntry) -> LogEntry {
    LogEntry { leaf_input: Base64(row.body.to_vec()), extra_data: Base64(row.extra.to_vec()) }
}

pub(super) async fn get_roots(State(ct): State<CtLog>) -> Json<GetRootsResponse> {
    let certificates = ct.chains().roots().into_iter().map(|der| Base64(der.to_vec())).collect();
    Json(GetRootsResponse { certificates })
}
