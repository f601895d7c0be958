//! `POST /api/v1/log/entries/retrieve`.

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use service::read_body;
use tlog::Hash;
use wire::rekor1::SearchLogQuery;

use super::{
    BODY_LIMIT, Face,
    answer::{entry_response, json},
    entry,
    error::{ApiError, code},
    query::question,
};

/// Most entries of one question, as upstream has it; also what bounds the memory of an answer: 1 MiB.
const MAX_ITEMS: usize = 10;

/// Entries by id, index, or as they were proposed. What is not in the log is left out of the answer.
pub(super) async fn retrieve(
    State(face): State<Face>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = read_body(request, BODY_LIMIT).await?;
    let query: SearchLogQuery = question(&body)?;
    check(&query)?;

    let mut indexes = Vec::new();
    for (at, id) in query.entry_uuids.iter().enumerate() {
        indexes.extend(entry::find(&face, &format!("entryUUIDs.{at} in body"), id).await?);
    }
    for leaf_hash in proposed(&face, &query).await? {
        indexes.extend(face.log().find_leaf(&leaf_hash).await?);
    }
    // No index is negative any more.
    indexes.extend(query.log_indexes.iter().filter_map(|index| u64::try_from(*index).ok()));

    // One head for all, taken after the searches: it covers what they found.
    let checkpoint = face.log().checkpoint();
    let mut entries = Vec::with_capacity(indexes.len());
    for index in indexes {
        if let Some(vouched) = entry::at(&face, index, &checkpoint).await? {
            entries.push(entry_response(&face, &vouched)?);
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

/// Leaf hashes of the entries that these proposals would make.
async fn proposed(face: &Face, query: &SearchLogQuery) -> Result<Vec<Hash>, ApiError> {
    let mut leaves = Vec::with_capacity(query.entries.len());
    for proposal in &query.entries {
        let json = Bytes::copy_from_slice(proposal.get().as_bytes());
        let kinds = face.options.kinds;
        let verify = move || ::entry::rekor1::verify_proposed(&json, &kinds);
        // The first one lets the question in; a full queue refuses none after it.
        let cpu = face.rekor1.cpu();
        let verified =
            if leaves.is_empty() { cpu.run(verify).await } else { cpu.run_next(verify).await };
        leaves.push(verified??.leaf_hash());
    }
    Ok(leaves)
}
