//! `GET /api/v1/log/entries?logIndex=N` and `GET /api/v1/log/entries/{entryUUID}`.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::Uri;
use signing::Lane;
use tlog::LeafIndex;

use super::{
    answer::{entry_response, json},
    error::ApiError,
    query::Query,
};
use crate::Rekor1;

/// The entry at an index.
pub(super) async fn by_index(
    State(rekor1): State<Arc<Rekor1>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let index = LeafIndex(Query::of(&uri)?.required("logIndex", 0)?);
    at(&rekor1, index).await
}

/// The entry of an id.
pub(super) async fn by_id(
    State(rekor1): State<Arc<Rekor1>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let index = find(&rekor1, "entryUUID in path", &id).await?.ok_or(ApiError::NotFound)?;
    at(&rekor1, index).await
}

/// The entry at an index of a head that is taken now, after the search for it: it covers what was found.
async fn at(rekor1: &Rekor1, index: LeafIndex) -> Result<Response, ApiError> {
    let checkpoint = rekor1.log().latest_checkpoint().await?;
    let proven = rekor1.entry(index, &checkpoint, &mut Lane::New).await?;
    let proven = proven.ok_or(ApiError::NotFound)?;
    json(&entry_response(rekor1, &proven)?)
}

/// Where the entry of that id is; `what` names the id's place in the request.
pub(super) async fn find(
    rekor1: &Rekor1,
    what: &str,
    id: &str,
) -> Result<Option<LeafIndex>, ApiError> {
    let id: ::entry::rekor1::EntryId =
        id.parse().map_err(|error| ApiError::of_entry_id(what, error))?;
    Ok(rekor1.find(&id).await?)
}
