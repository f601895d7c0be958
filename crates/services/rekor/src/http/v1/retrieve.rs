//! `POST /api/v1/log/entries/retrieve`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use engine::PublishedCheckpoint;
use futures::stream;
use http::header;
use server::{in_pages, read_body};
use signing::Lane;
use tlog::LeafIndex;
use wire::rekor1::SearchLogQuery;

use super::{
    BODY_LIMIT,
    answer::entry_response,
    entry,
    error::{ApiError, code},
    query::question,
};
use crate::Rekor1;

/// Most entries of one question, as upstream has it; with the longest bodies they are 1 MiB.
const MAX_ITEMS: usize = 10;

/// Entries by id, index, or as they were proposed. What is not in the log is left out of the answer.
pub(super) async fn retrieve(
    State(rekor1): State<Arc<Rekor1>>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = read_body(request, BODY_LIMIT).await?;
    let query: SearchLogQuery = rekor1.read_question(body, |json| question(&json)).await??;
    check(&query)?;

    let mut indexes = Vec::new();
    for (at, id) in query.entry_uuids.iter().enumerate() {
        indexes.extend(entry::find(&rekor1, &format!("entryUUIDs.{at} in body"), id).await?);
    }
    let proposals = query.entries.iter();
    let proposals = proposals.map(|proposal| Bytes::copy_from_slice(proposal.get().as_bytes()));
    let proposals = proposals.collect();
    // The first job lets the question in; no queue refuses those after it.
    let mut lane = Lane::New;
    for leaf_hash in rekor1.leaf_hashes_of(proposals, &mut lane).await? {
        indexes.extend(rekor1.log().find_leaf(&leaf_hash).await?);
    }
    // No index is negative any more.
    indexes.extend(
        query.log_indexes.iter().filter_map(|index| u64::try_from(*index).ok().map(LeafIndex)),
    );

    // One head for all, taken after the searches: it covers what they found.
    let checkpoint = rekor1.log().latest_checkpoint().await?;
    let entries = Entries { rekor1, checkpoint, lane, indexes: indexes.into_iter(), begun: false };
    let pages = stream::try_unfold(Some(entries), Entries::next);
    Ok(([(header::CONTENT_TYPE, "application/json")], in_pages(pages).await?).into_response())
}

/// The answer under way: entries are read, and signed for where they have to be, as their reader takes them.
struct Entries {
    rekor1: Arc<Rekor1>,
    checkpoint: Arc<PublishedCheckpoint>,
    lane: Lane,
    indexes: std::vec::IntoIter<LeafIndex>,
    begun: bool,
}

impl Entries {
    async fn next(entries: Option<Self>) -> Result<Option<(Bytes, Option<Self>)>, ApiError> {
        let Some(mut entries) = entries else { return Ok(None) };
        let mut json = if entries.begun { Vec::new() } else { b"[".to_vec() };
        while let Some(index) = entries.indexes.next() {
            let Self { rekor1, checkpoint, lane, .. } = &mut entries;
            let Some(proven) = rekor1.entry(index, checkpoint, lane).await? else { continue };
            if entries.begun {
                json.push(b',');
            }
            entries.begun = true;
            let entry = entry_response(&entries.rekor1, &proven)?;
            serde_json::to_writer(&mut json, &entry).map_err(ApiError::Json)?;
            return Ok(Some((json.into(), Some(entries))));
        }
        json.push(b']');
        Ok(Some((json.into(), None)))
    }
}

fn check(query: &SearchLogQuery) -> Result<(), ApiError> {
    let lists = [
        ("entryUUIDs", query.entry_uuids.len()),
        ("logIndexes", query.log_indexes.len()),
        ("entries", query.entries.len()),
    ];
    for (name, items) in lists {
        if items > MAX_ITEMS {
            let message = format!("{name} in body should have at most {MAX_ITEMS} items");
            return Err(ApiError::Schema { code: code::MAX_ITEMS, message });
        }
    }
    if let Some(at) = query.log_indexes.iter().position(|index| *index < 0) {
        let message = format!("logIndexes.{at} in body should be greater than or equal to 0");
        return Err(ApiError::Schema { code: code::MINIMUM, message });
    }
    if lists.into_iter().map(|(_, items)| items).sum::<usize>() > MAX_ITEMS {
        return Err(ApiError::TooManyItems { limit: MAX_ITEMS });
    }
    Ok(())
}
