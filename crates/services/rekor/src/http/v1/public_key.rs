//! `GET /api/v1/log/publicKey`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{Uri, header};

use super::{Face, error::ApiError, query::Query};

/// The key that verifies checkpoints and SETs, in PEM.
///
/// Clients generated from upstream's document decode no other content type.
pub(super) async fn public_key(State(face): State<Face>, uri: Uri) -> Result<Response, ApiError> {
    Query::of(&uri)?.own_tree(&face)?;
    let pem = face.log().public_key().to_pem();
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response())
}
