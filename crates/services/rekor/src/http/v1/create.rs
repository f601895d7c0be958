//! `POST /api/v1/log/entries`.

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use service::read_body;
use store::NewEntry;

use super::{
    BODY_LIMIT, Face,
    answer::{entry_response, with_json},
    error::{ApiError, header_value},
};
use crate::{http::OnDuplicate, new_entry::new_entry};

/// Verifies a proposed entry, sequences it, and answers with the entry, its SET and its proof.
pub(super) async fn create(
    State(face): State<Face>,
    request: Request,
) -> Result<Response, ApiError> {
    let json = read_body(request, BODY_LIMIT).await?;
    let kinds = face.options.kinds;
    // Signatures are verified off the runtime's threads.
    let entry = face.rekor1.cpu().run(move || verified(&json, kinds)).await??;

    let vouched = face.rekor1.submit(entry).await?;
    let answer = entry_response(&face, &vouched)?;
    if !vouched.fresh && face.options.on_duplicate == OnDuplicate::Conflict {
        return Err(ApiError::Duplicate { id: answer.id });
    }
    let mut headers = HeaderMap::new();
    // Bare, although RFC 9110 wants quotes: Go clients take it for the id as it is.
    headers.insert(header::ETAG, header_value(&answer.id));
    headers.insert(header::LOCATION, location(&answer.id));
    with_json(StatusCode::CREATED, headers, &answer)
}

fn verified(json: &[u8], kinds: ::entry::rekor1::Options) -> Result<NewEntry, ApiError> {
    Ok(new_entry(::entry::rekor1::verify_proposed(json, &kinds)?))
}

/// Path only: sigstore-java joins it to its base URL.
pub(super) fn location(id: &str) -> http::HeaderValue {
    header_value(&format!("/api/v1/log/entries/{id}"))
}
