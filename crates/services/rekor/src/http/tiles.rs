//! Checkpoint, tiles and entry bundles of C2SP `tlog-tiles`.

use std::sync::Arc;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use engine::{Bundle, Log, ReadError, Tile};
use futures::stream;
use http::header;
use server::{PAGE_LEN, in_pages};
use thiserror::Error;
use tlog::TilePath;

/// The newest checkpoint. Caches ask again each time.
///
/// # Errors
/// [`ReadError::NotCurrent`].
pub(super) async fn checkpoint(log: &Log) -> Result<Response, ReadError> {
    Ok(note(log.latest_checkpoint().await?.note.clone()))
}

/// A signed note as it is served. Caches ask again each time.
pub(super) fn note(note: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, note).into_response()
}

/// The tile at `path`, the part of the URL behind `tile/`. An entry bundle is read as its reader takes it.
///
/// # Errors
/// [`TileError::NoSuchTile`] for what the published tree does not have.
pub(super) async fn tile(log: &Arc<Log>, path: &str) -> Result<Response, TileError> {
    let path: TilePath = format!("tile/{path}").parse().map_err(|_| TileError::NoSuchTile)?;
    let content = match log.tile(path, PAGE_LEN).await?.ok_or(TileError::NoSuchTile)? {
        Tile::Hashes(hashes) => Body::from(hashes),
        Tile::Entries(bundle) => return entries(bundle).await,
    };
    Ok((IMMUTABLE, content).into_response())
}

/// With its length: over HTTP/1.0, which proxies still speak, a body without one ends where its connection does, and a
/// cache would keep half a bundle for ever.
async fn entries(mut bundle: Bundle) -> Result<Response, TileError> {
    let length = [(header::CONTENT_LENGTH, bundle.content_len().await?.to_string())];
    let pages = stream::try_unfold(bundle, async |mut bundle| {
        Ok::<_, ReadError>(bundle.next().await?.map(|page| (Bytes::from(page), bundle)))
    });
    Ok((IMMUTABLE, length, in_pages(pages).await?).into_response())
}

const IMMUTABLE: [(header::HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "application/octet-stream"),
    (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
];

/// Why no tile was given.
#[derive(Debug, Error)]
pub(super) enum TileError {
    #[error("there is no such tile")]
    NoSuchTile,
    #[error(transparent)]
    Read(#[from] ReadError),
}
