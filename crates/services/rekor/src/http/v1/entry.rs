//! `GET /api/v1/log/entries?logIndex=N` and `GET /api/v1/log/entries/{entryUUID}`.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use engine::PublishedCheckpoint;
use http::Uri;

use super::{
    Face,
    answer::{entry_response, json},
    error::ApiError,
    query::Query,
};
use crate::v1::Vouched;

/// The entry at an index.
pub(super) async fn by_index(State(face): State<Face>, uri: Uri) -> Result<Response, ApiError> {
    let index = Query::of(&uri)?.required("logIndex", 0)?;
    let vouched = at(&face, index, &face.log().checkpoint()).await?.ok_or(ApiError::NotFound)?;
    json(&entry_response(&face, &vouched)?)
}

/// The entry of an id.
pub(super) async fn by_id(
    State(face): State<Face>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let index = find(&face, "entryUUID in path", &id).await?.ok_or(ApiError::NotFound)?;
    // Taken after the search: it covers what was found.
    let vouched = at(&face, index, &face.log().checkpoint()).await?.ok_or(ApiError::NotFound)?;
    json(&entry_response(&face, &vouched)?)
}

/// The entry at `index` in the tree of `checkpoint`.
pub(super) async fn at(
    face: &Face,
    index: u64,
    checkpoint: &Arc<PublishedCheckpoint>,
) -> Result<Option<Vouched>, ApiError> {
    Ok(face.rekor1.entry(index, checkpoint).await?)
}

/// Where the entry of that id is; `what` names the id's place in the request.
pub(super) async fn find(face: &Face, what: &str, id: &str) -> Result<Option<u64>, ApiError> {
    let id: ::entry::rekor1::EntryId =
        id.parse().map_err(|error| ApiError::of_entry_id(what, error))?;
    Ok(face.rekor1.find(&id).await?)
}
