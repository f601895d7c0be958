//! Checkpoint, tiles and entry bundles of C2SP `tlog-tiles`.

use axum::response::{IntoResponse, Response};
use http::header;
use thiserror::Error;
use tlog::{HashRange, TILE_WIDTH, TilePath, complete_subtrees, encode_bundle_entry};

use crate::{Log, ReadError};

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
/// What a URL gives never changes: a partial tile is a prefix of the full one,
/// and the full one's URL does not exist before it is full.
///
/// # Errors
/// [`TileError::NoSuchTile`] for what the published tree does not have.
pub(super) async fn tile(log: &Log, path: &str) -> Result<Response, TileError> {
    let path: TilePath = format!("tile/{path}").parse().map_err(|_| TileError::NoSuchTile)?;
    let size = log.checkpoint().head.size;
    let content = match path {
        TilePath::Hashes { tile, width } => {
            let (start, end) = within(complete_subtrees(size, tile.level), tile.index, width)?;
            let hashes = log.hashes(HashRange { level: tile.level, start, end }).await?;
            hashes.iter().flat_map(|hash| hash.0).collect()
        }
        TilePath::Entries { index, width } => {
            let (start, end) = within(size, index, width)?;
            bundle(log, start, end).await?
        }
    };
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

/// The range of a tile of `width`, if all of it is among the `available` first.
fn within(available: u64, index: u64, width: u16) -> Result<(u64, u64), TileError> {
    let start = index.checked_mul(TILE_WIDTH);
    let end = start.and_then(|start| start.checked_add(u64::from(width)));
    match (start, end) {
        (Some(start), Some(end)) if end <= available => Ok((start, end)),
        _ => Err(TileError::NoSuchTile),
    }
}

async fn bundle(log: &Log, start: u64, end: u64) -> Result<Vec<u8>, ReadError> {
    let rows = log.entries(start, end).await?;
    let missing = || ReadError::Damaged { index: start + rows.len() as u64 };
    if rows.len() as u64 != end - start {
        return Err(missing());
    }
    let mut content = Vec::with_capacity(rows.iter().map(|row| row.body.len() + 2).sum());
    for row in &rows {
        encode_bundle_entry(&mut content, &row.body).map_err(|_| missing())?;
    }
    Ok(content)
}
