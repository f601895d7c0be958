//! The routes of the timestamp authority.

mod certchain;
mod reply;
mod request;
mod timestamp;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use server::Protocol;

pub(crate) use certchain::CertificateChain;
pub(crate) use request::RequestForm;

use crate::Tsa;

/// Largest body of any route, in bytes. The largest request without extensions takes about 250;
/// the rest is for those whose extensions are then refused by name.
const MAX_BODY_LEN: usize = 8 * 1024;

/// A token takes far less than a millisecond; an HSM under load, a few seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `POST /api/v1/timestamp`, `GET /api/v1/timestamp/certchain`, and `POST /` and `/tsr` as other
/// authorities have them. To be wrapped in `server::harden` with [`protocol`].
pub fn router(tsa: Arc<Tsa>) -> Router {
    Router::new()
        .route("/api/v1/timestamp", post(timestamp::create))
        .route("/api/v1/timestamp/certchain", get(certchain::show))
        .route("/tsr", post(timestamp::create))
        .route("/", post(timestamp::create))
        .with_state(tsa)
}

/// Limits of this service, and what the shared layers answer for it: JSON `{code, message}`.
#[must_use]
pub fn protocol() -> Protocol {
    Protocol { name: "tsa", body_limit: MAX_BODY_LEN, timeout: TIMEOUT, render: reply::failure }
}
