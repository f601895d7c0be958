use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, header};
use metrics::counter;
use service::read_body;
use tracing::{error, info, warn};
use wire::{
    fulcio::{CertificateChain, EmbeddedSct, SigningCertRequest, SigningCertResponse},
    rpc::Code,
};

use super::{BODY_LIMIT, reply};
use crate::{Ca, IssueError};

/// `POST /api/v2/signingCert`
pub(super) async fn create(State(ca): State<Arc<Ca>>, request: Request) -> Response {
    let header_token = header_token(request.headers());
    let body = match read_body(request, BODY_LIMIT).await {
        Ok(body) => body,
        Err(failure) => return reply::failure(&failure),
    };
    let issued = match parse(&body) {
        Ok(request) => ca.issue(request, header_token.as_deref()).await,
        Err(error) => Err(error),
    };
    match issued {
        Ok(chain) => {
            counter!("ca_certificates_total").increment(1);
            // One member and no other: sigstore-rs reads the answer as a tagged union.
            reply::json(&SigningCertResponse::SignedCertificateEmbeddedSct(EmbeddedSct {
                chain: CertificateChain { certificates: chain.0 },
            }))
        }
        Err(error) => {
            counter!("ca_refusals_total", "reason" => error.reason()).increment(1);
            record(&error);
            reply::issue_error(&error)
        }
    }
}

/// The token of `Authorization`, with or without `Bearer ` before it.
fn header_token(headers: &HeaderMap) -> Option<String> {
    const SCHEME: &str = "Bearer ";
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let token = match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token,
        _ => value,
    };
    Some(token.trim()).filter(|token| !token.is_empty()).map(str::to_owned)
}

/// The parser's own words may quote a token, so only the place of the error is passed on.
fn parse(body: &[u8]) -> Result<SigningCertRequest, IssueError> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() { "JSON of another shape" } else { "not JSON" };
        IssueError::Request(format!("{what}, line {line} column {column}"))
    })
}

fn record(error: &IssueError) {
    let cause = error as &dyn std::error::Error;
    match error.code() {
        Code::InvalidArgument => info!(ca.reason = error.reason(), error = cause, "refused"),
        Code::Unavailable => warn!(ca.reason = error.reason(), error = cause, "cannot issue now"),
        _ => error!(ca.reason = error.reason(), error = cause, "cannot issue"),
    }
}
