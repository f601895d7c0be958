//! `POST /api/v1/index/retrieve`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use server::read_body;
use wire::rekor1::SearchIndex;

use super::{answer::json, error::ApiError, query::question};
use crate::Rekor1;

/// Longest question: a certificate chain in PEM in base64 is 30 KiB.
const BODY_LIMIT: usize = 256 * 1024;

/// Ids of the entries with a hash, key, e-mail address or name, the newest first.
pub(super) async fn retrieve(
    State(rekor1): State<Arc<Rekor1>>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = read_body(request, BODY_LIMIT).await?;
    let query: SearchIndex = question(&body)?;
    let ids = rekor1.search(query).await.map_err(ApiError::of_search)?;
    json(&ids.iter().map(ToString::to_string).collect::<Vec<_>>())
}
