//! `POST /api/v1/log/entries/retrieve`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use server::read_body;
use signing::Lane;
use tlog::LeafIndex;
use wire::rekor1::SearchLogQuery;

use super::{
    BODY_LIMIT,
    answer::{entry_response, json},
    entry,
    error::{ApiError, code},
    query::question,
};
use crate::Rekor1;

/// Most entries of one question, as upstream has it; also what bounds the memory of an answer: 1 MiB.
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
    let checkpoint = rekor1.log().checkpoint();
    let mut entries = Vec::with_capacity(indexes.len());
    for index in indexes {
        if let Some(proven) = rekor1.entry(index, &checkpoint, &mut lane).await? {
            entries.push(entry_response(&rekor1, &proven)?);
        }
    }
    json(&entries)
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
