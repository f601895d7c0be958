//! `GET /checkpoint` and `GET /tile/...`: the tree under its second origin.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::Uri;

use super::error::ApiError;
use crate::{Rekor1, http::tiles};

/// The checkpoint of C2SP tiles; a log without a second origin has none, and no tiles.
pub(super) async fn checkpoint(State(rekor1): State<Arc<Rekor1>>) -> Result<Response, ApiError> {
    let published = rekor1.log().latest_checkpoint().await?;
    let note = published.tiles_note.as_ref().ok_or(ApiError::NoSuchTile)?;
    Ok(tiles::note(note.clone()))
}

pub(super) async fn tile(
    State(rekor1): State<Arc<Rekor1>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    if rekor1.log().checkpoint().tiles_note.is_none() {
        return Err(ApiError::NoSuchTile);
    }
    // The raw path: an escaped spelling of a tile's URL is another URL, and not one of ours.
    let (_, path) = uri.path().split_once("/tile/").unwrap_or_default();
    Ok(tiles::tile(rekor1.log(), path).await?)
}
