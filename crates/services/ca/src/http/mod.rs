//! Fulcio v1 and v2 over HTTP. Content types of requests and `Accept` are ignored, as by upstream's
//! gateway.

mod cors;
pub(crate) mod reply;
mod request;
mod signing_cert;
mod v1;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{MethodRouter, get, post},
};
use server::Protocol;

use crate::{Ca, grpc};

/// Largest request body, in bytes: upstream's 4 MiB, and a little, so that a token of 4 MiB is
/// still answered as the bad token that it is.
const BODY_LIMIT: usize = (4 << 20) + (64 << 10);

/// Longest body that is kept and parsed, in bytes: a token of 16 KiB, a certificate request of
/// 16 KiB in base64 or a key of 8 KiB, and their names. What lies between this and [`BODY_LIMIT`]
/// is read to its end, forgotten on the way, and refused as the bad request that it says it is.
pub(crate) const MAX_REQUEST_LEN: usize = 64 << 10;

/// Longest time for a request: keys of the issuer (two documents of 5 s), the log (5 s), the rest.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The routes of `ca`, HTTP and gRPC, without the shared layers.
pub fn router(ca: Arc<Ca>) -> Router {
    let with_preflight = |methods: MethodRouter<Arc<Ca>>| methods.options(cors::preflight);
    Router::new()
        .route("/api/v2/signingCert", with_preflight(post(signing_cert::create)))
        .route("/api/v2/trustBundle", with_preflight(get(trust_bundle)))
        .route("/api/v2/configuration", with_preflight(get(configuration)))
        .route("/api/v1/signingCert", with_preflight(post(v1::create)))
        .route("/api/v1/rootCert", with_preflight(get(v1::root_cert)))
        .with_state(Arc::clone(&ca))
        .merge(grpc::routes(ca))
}

/// How the shared layers answer for a certificate authority: `google.rpc.Status` in JSON.
#[must_use]
pub fn protocol() -> Protocol {
    Protocol { name: "ca", body_limit: BODY_LIMIT, timeout: TIMEOUT, render: reply::failure }
}

async fn trust_bundle(State(ca): State<Arc<Ca>>) -> Response {
    reply::json(ca.trust_bundle())
}

async fn configuration(State(ca): State<Arc<Ca>>) -> Response {
    reply::json(ca.configuration())
}
