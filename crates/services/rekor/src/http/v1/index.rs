//! `POST /api/v1/index/retrieve`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, Uri, header};
use server::read_body;
use store::{MAX_SEARCH_RESULTS, SearchPage};
use wire::rekor1::SearchIndex;

use super::{
    answer::{header_value, with_json},
    entry,
    error::ApiError,
    query::{Query, question},
};
use crate::Rekor1;

/// Most ids of one answer: 85 KB of JSON.
const MAX_IDS: usize = MAX_SEARCH_RESULTS - 1;

/// Longest question: a certificate chain in PEM in base64 is 30 KiB.
const BODY_LIMIT: usize = 256 * 1024;

/// Ids of the entries with a hash, key, e-mail address or name, the newest first.
///
/// At most [`MAX_IDS`], or as many as `limit` in the query says; `after`, the last id of one page, asks for the
/// next, and the header `Link` says so where there is one. Upstream has none of them, and gives everything or fails.
pub(super) async fn retrieve(
    State(rekor1): State<Arc<Rekor1>>,
    uri: Uri,
    request: Request,
) -> Result<Response, ApiError> {
    let page = page(&rekor1, &Query::of(&uri)?).await?;
    let limit = page.limit;
    // One more tells whether there is a next page.
    let page = SearchPage { limit: limit.saturating_add(1), ..page };
    let body = read_body(request, BODY_LIMIT).await?;
    let query: SearchIndex = question(&body)?;
    let ids = rekor1.search(query, page).await.map_err(ApiError::of_search)?;
    let given: Vec<_> = ids.iter().take(limit).map(ToString::to_string).collect();
    let mut headers = HeaderMap::new();
    if let Some(last) = given.last().filter(|_| ids.len() > limit) {
        // Against the address that was asked for, whatever stands before it.
        let next = header_value(&format!("<?limit={limit}&after={last}>; rel=\"next\""));
        headers.insert(header::LINK, next);
    }
    with_json(StatusCode::OK, headers, &given)
}

async fn page(rekor1: &Rekor1, query: &Query) -> Result<SearchPage, ApiError> {
    let limit = query.number("limit", 1)?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(MAX_IDS).min(MAX_IDS);
    let Some(after) = query.text("after") else { return Ok(SearchPage::first(limit)) };
    let below = entry::find(rekor1, "after in query", after).await?;
    // Everything would be an answer to another question.
    let below =
        below.ok_or_else(|| ApiError::Request("after is no entry of this log".to_owned()))?;
    Ok(SearchPage { limit, below: Some(below) })
}
