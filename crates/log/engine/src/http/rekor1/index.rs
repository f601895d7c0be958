//! `POST /api/v1/index/retrieve`.

use ::entry::{IndexKeyKind, rekor1::search_keys};
use axum::{
    extract::{Request, State},
    response::Response,
};
use service::read_body;
use store::IndexKey;
use wire::rekor1::SearchIndex;

use super::{Face, answer::json, error::ApiError, query::question};

/// Longest question: a certificate chain in PEM in base64 is 30 KiB.
const BODY_LIMIT: usize = 256 * 1024;

/// Ids of the entries with a hash, key, e-mail address or name, the newest first.
pub(super) async fn retrieve(
    State(face): State<Face>,
    request: Request,
) -> Result<Response, ApiError> {
    let body = read_body(request, BODY_LIMIT).await?;
    let query: SearchIndex = question(&body)?;
    let search = if query.public_key.is_some() {
        // Of a chain each signature is verified: up to nine, and nobody had to sign for the question.
        face.rekor1.cpu().run(move || search_keys(&query)).await?
    } else {
        search_keys(&query)
    };
    let search = search.map_err(ApiError::of_search)?;
    let keys: Vec<IndexKey> = search
        .keys
        .into_iter()
        .flat_map(|(asked, key)| {
            kinds(asked).iter().map(move |kind| IndexKey { kind: kind.as_str(), key: key.clone() })
        })
        .collect();
    let ids = face.rekor1.search(&keys, search.match_all).await?;
    json(&ids.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// What a word may be in the index: a subject is any name of a certificate.
fn kinds(asked: IndexKeyKind) -> &'static [IndexKeyKind] {
    match asked {
        IndexKeyKind::Hash => &[IndexKeyKind::Hash],
        IndexKeyKind::Key => &[IndexKeyKind::Key],
        IndexKeyKind::Email => &[IndexKeyKind::Email],
        IndexKeyKind::Uri => &[IndexKeyKind::Uri],
        IndexKeyKind::Subject => &[IndexKeyKind::Subject, IndexKeyKind::Email, IndexKeyKind::Uri],
    }
}
