use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use crypto::sha256;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::Tsa;

/// The authority's certificates as they are served: PEM, leaf first.
pub(crate) struct CertificateChain {
    pem: Bytes,
    entity_tag: HeaderValue,
}

impl CertificateChain {
    pub(crate) fn new<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Self {
        let line_feed = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let pem: String = certificates
            .map(|der| pem::encode_config(&pem::Pem::new("CERTIFICATE", der), line_feed))
            .collect();
        let entity_tag = format!("\"{}\"", hex::encode(sha256(pem.as_bytes())));
        // Quotes and hexadecimal digits only, so the alternative is never met.
        let entity_tag =
            HeaderValue::try_from(entity_tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        Self { pem: pem.into(), entity_tag }
    }
}

/// Short, unlike upstream's day: after a rotation the old chain verifies no new token.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

const PEM_CHAIN: HeaderValue = HeaderValue::from_static("application/pem-certificate-chain");

/// `GET /api/v1/timestamp/certchain`.
pub(crate) async fn show(State(tsa): State<Arc<Tsa>>, headers: HeaderMap) -> Response {
    let chain = tsa.certificate_chain();
    let common = [(header::ETAG, chain.entity_tag.clone()), (header::CACHE_CONTROL, CACHE_CONTROL)];
    if is_known(&headers, &chain.entity_tag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, PEM_CHAIN)], chain.pem.clone()).into_response()
}

/// Whether `If-None-Match` names the entity tag, strongly or weakly (RFC 9110 §13.1.2).
fn is_known(headers: &HeaderMap, entity_tag: &HeaderValue) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH);
    tags.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
        |tag| {
            let tag = tag.trim();
            let strong = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || strong.as_bytes() == entity_tag.as_bytes()
        },
    )
}
