//! `POST /api/v1/log/entries`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use server::{read_body, within_limits};

use super::{
    BODY_LIMIT,
    answer::{entry_response, header_value, with_json},
    error::ApiError,
};
use crate::{Rekor1, Rekor1Error, http::submit};

/// Takes a proposed entry, and answers with the entry, its SET and its proof.
pub(super) async fn create(
    State(rekor1): State<Arc<Rekor1>>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = within_limits(request).await?;
    let (pass, request) =
        submit::pass(rekor1.writers(), request).await.map_err(Rekor1Error::from)?;
    let json = read_body(request, BODY_LIMIT).await?;
    let answer = entry_response(&rekor1, &rekor1.create(pass, json).await?)?;
    let mut headers = HeaderMap::new();
    // Bare, although RFC 9110 wants quotes: Go clients take it for the id as it is.
    headers.insert(header::ETAG, header_value(&answer.id));
    headers.insert(header::LOCATION, location(&answer.id));
    with_json(StatusCode::CREATED, headers, &answer)
}

/// Path only: sigstore-java joins it to its base URL.
pub(super) fn location(id: &str) -> http::HeaderValue {
    header_value(&format!("/api/v1/log/entries/{id}"))
}
