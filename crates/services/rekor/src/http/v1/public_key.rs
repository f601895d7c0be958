//! `GET /api/v1/log/publicKey`.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{Uri, header};

use super::{error::ApiError, query::Query};
use crate::Rekor1;

/// The key that verifies checkpoints and SETs, in PEM.
///
/// Clients generated from upstream's document decode no other content type.
pub(super) async fn public_key(
    State(rekor1): State<Arc<Rekor1>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Query::of(&uri)?.own_tree(&rekor1)?;
    let pem = rekor1.log().public_key().to_pem();
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}
