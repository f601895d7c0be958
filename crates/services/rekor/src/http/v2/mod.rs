//! Rekor v2: one write call, and tiles.

pub(super) mod entries;
mod error;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use engine::Log;
use http::Uri;
use service::{CpuPool, Protocol};

use self::error::{ApiError, render};
use super::{OnDuplicate, tiles};

/// What an operator may choose about the Rekor v2 face.
#[derive(Clone, Copy, Debug)]
pub struct Rekor2Options {
    /// Accepts `dsseRequestV002` and stores it as a hashedrekord over SHA-256 of the PAE.
    ///
    /// sigstore-js and cosign 3.0 still send it; upstream answers 400 since 2.3.0.
    pub legacy_dsse: bool,
    /// How a repeated entry is answered.
    pub on_duplicate: OnDuplicate,
}

impl Default for Rekor2Options {
    /// What satisfies every client at once.
    fn default() -> Self {
        Self { legacy_dsse: true, on_duplicate: OnDuplicate::Idempotent }
    }
}

/// `POST /api/v2/log/entries`, `GET /checkpoint` and `GET /tile/...`, the last two also under `/api/v2`.
pub fn rekor2_router(log: Arc<Log>, cpu: CpuPool, options: Rekor2Options) -> Router {
    Router::new()
        .route("/api/v2/log/entries", post(entries::create))
        .route("/checkpoint", get(checkpoint))
        .route("/api/v2/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .route("/api/v2/tile/{*path}", get(tile))
        .with_state(Face { log, cpu, options })
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

#[derive(Clone)]
struct Face {
    log: Arc<Log>,
    cpu: CpuPool,
    options: Rekor2Options,
}

async fn checkpoint(State(face): State<Face>) -> Response {
    tiles::checkpoint(&face.log)
}

async fn tile(State(face): State<Face>, uri: Uri) -> Result<Response, ApiError> {
    // The raw path: an escaped spelling of a tile's URL is another URL, and not one of ours.
    let (_, path) = uri.path().split_once("/tile/").unwrap_or_default();
    Ok(tiles::tile(&face.log, path).await?)
}
