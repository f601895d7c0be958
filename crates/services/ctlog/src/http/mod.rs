//! The API of a CT log, RFC 6962 §4.

mod add_chain;
mod entries;
mod error;
mod proofs;
mod tree_head;

use std::time::Duration;

use axum::{
    Router,
    routing::{get, post},
};
use server::Protocol;

use self::error::render;
use crate::CtLog;

/// `/ct/v1/*` of RFC 6962.
pub fn router(ct: CtLog) -> Router {
    Router::new()
        .route("/ct/v1/add-chain", post(add_chain::add_chain))
        .route("/ct/v1/add-pre-chain", post(add_chain::add_pre_chain))
        .route("/ct/v1/get-sth", get(tree_head::get_sth))
        .route("/ct/v1/get-sth-consistency", get(tree_head::get_sth_consistency))
        .route("/ct/v1/get-proof-by-hash", get(proofs::get_proof_by_hash))
        .route("/ct/v1/get-entry-and-proof", get(proofs::get_entry_and_proof))
        .route("/ct/v1/get-entries", get(entries::get_entries))
        .route("/ct/v1/get-roots", get(entries::get_roots))
        .with_state(ct)
}

/// Limits and errors of [`router`].
#[must_use]
pub fn protocol() -> Protocol {
    Protocol { name: "ct", body_limit: BODY_LIMIT, timeout: TIMEOUT, render }
}

/// Ten certificates of 16 KiB in base64 are 220 KiB.
const BODY_LIMIT: usize = 256 * 1024;

/// As Rekor's: a store that does not answer is given up on before it.
const TIMEOUT: Duration = Duration::from_secs(20);
