//! Rekor v1: the REST API that most clients still speak first, and its tree as tiles.

mod answer;
mod consistency;
mod create;
mod entry;
mod error;
mod index;
mod log_info;
mod public_key;
mod query;
mod retrieve;
mod tiles;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    middleware::from_fn,
    routing::{get, post},
};
use server::Protocol;

use self::error::render;
use crate::Rekor1;

/// The API of Rekor v1 under `/api/v1`, and the tree's tiles at `/checkpoint` and `/tile/...`.
pub fn rekor1_router(rekor1: Arc<Rekor1>) -> Router {
    let routes = [
        ("/api/v1/log/entries", post(create::create).get(entry::by_index)),
        ("/api/v1/log/entries/retrieve", post(retrieve::retrieve)),
        ("/api/v1/log/entries/{id}", get(entry::by_id)),
        ("/api/v1/log", get(log_info::log_info)),
        ("/api/v1/log/proof", get(consistency::consistency)),
        ("/api/v1/log/publicKey", get(public_key::public_key)),
        ("/api/v1/index/retrieve", post(index::retrieve)),
    ];
    let api = routes
        .into_iter()
        .fold(Router::new(), |api, (path, route)| api.route(path, route.options(answer::preflight)))
        .layer(from_fn(answer::open_and_uncached));
    Router::new()
        .route("/", get(async || "Rekor v1 API at /api/v1/log, tiles at /checkpoint and /tile/\n"))
        .route("/ping", get(async || "."))
        .route("/checkpoint", get(tiles::checkpoint))
        .route("/tile/{*path}", get(tiles::tile))
        .merge(api)
        .with_state(rekor1)
}

/// Limits and errors of [`rekor1_router`].
#[must_use]
pub fn rekor1_protocol() -> Protocol {
    Protocol { name: "rekor1", body_limit: BODY_LIMIT, timeout: TIMEOUT, render }
}

/// A canonical body has at most 64 KiB. The rest is room for what is verified and not kept: the payload of an
/// envelope, base64 in JSON in JSON.
const BODY_LIMIT: usize = ::entry::rekor1::MAX_REQUEST_LEN;

/// As for Rekor v2: a store that does not answer is given up on before it.
const TIMEOUT: Duration = Duration::from_secs(20);
