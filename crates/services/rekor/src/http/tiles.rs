//! Checkpoint, tiles and entry bundles of C2SP `tlog-tiles`.

use axum::response::{IntoResponse, Response};
use engine::{Log, ReadError};
use http::header;
use thiserror::Error;
use tlog::TilePath;

/// The newest checkpoint. Caches ask again each time.
pub(super) fn checkpoint(log: &Log) -> Response {
    note(log.checkpoint().note.clone())
}

/// A signed note as it is served. Caches ask again each time.
pub(super) fn note(note: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, note).into_response()
}

/// The tile at `path`, the part of the URL behind `tile/`.
///
/// # Errors
/// [`TileError::NoSuchTile`] for what the published tree does not have.
pub(super) async fn tile(log: &Log, path: &str) -> Result<Response, TileError> {
    let path: TilePath = format!("tile/{path}").parse().map_err(|_| TileError::NoSuchTile)?;
    let content = log.tile(path).await?.ok_or(TileError::NoSuchTile)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, content).into_response())
}

/// Why no tile was given.
#[derive(Debug, Error)]
pub(super) enum TileError {
    #[error("there is no such tile")]
    NoSuchTile,
    #[error(transparent)]
    Read(#[from] ReadError),
}
