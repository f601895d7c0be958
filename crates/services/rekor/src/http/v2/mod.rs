//! Rekor v2: one write call, and tiles.

mod entries;
mod error;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use http::Uri;
use server::Protocol;

use self::error::{ApiError, render};
use super::tiles;
use crate::Rekor2;

/// `POST /api/v2/log/entries`, `GET /checkpoint` and `GET /tile/...`, the last two also under `/api/v2`.
pub fn rekor2_router(rekor2: Arc<Rekor2>) -> Router {
    Router::new()
        .route("/api/v2/log/entries", post(entries::create))
        .route("/checkpoint", get(checkpoint))
        .route("/api/v2/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .route("/api/v2/tile/{*path}", get(tile))
        .with_state(rekor2)
}

/// Limits and errors of [`rekor2_router`].
#[must_use]
pub fn rekor2_protocol() -> Protocol {
    Protocol { name: "rekor2", body_limit: BODY_LIMIT, timeout: TIMEOUT, render }
}

/// Upstream's limit. A request holds a body of at most 64 KiB in base64; the rest is room for DSSE payloads.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Upstream's server time-out; a store that does not answer is given up on before it.
const TIMEOUT: Duration = Duration::from_secs(20);

async fn checkpoint(State(rekor2): State<Arc<Rekor2>>) -> Result<Response, ApiError> {
    Ok(tiles::checkpoint(rekor2.log()).await?)
}

async fn tile(State(rekor2): State<Arc<Rekor2>>, uri: Uri) -> Result<Response, ApiError> {
    // The raw path: an escaped spelling of a tile's URL is another URL, and not one of ours.
    let (_, path) = uri.path().split_once("/tile/").unwrap_or_default();
    Ok(tiles::tile(rekor2.log(), path).await?)
}
