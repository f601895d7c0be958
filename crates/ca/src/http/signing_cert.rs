use std::sync::Arc;

use axum::{
    body::HttpBody,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, header};
use metrics::counter;
use service::{Failure, read_body};
use tracing::{error, info, warn};
use wire::{
    fulcio::{CertificateChain, EmbeddedSct, SigningCertRequest, SigningCertResponse},
    rpc::Code,
};

use super::{BODY_LIMIT, MAX_REQUEST_LEN, reply};
use crate::{Ca, IssueError};

/// `POST /api/v2/signingCert`
pub(super) async fn create(State(ca): State<Arc<Ca>>, request: Request) -> Response {
    let header_token = header_token(request.headers());
    let within_protocol = |length| length <= BODY_LIMIT as u64;
    let declared = request.body().size_hint().exact().is_some_and(within_protocol);
    let request = match read_body(request, MAX_REQUEST_LEN).await {
        // The body ends here: an issuance may wait for seconds and holds only what it needs.
        Ok(body) => parse(&body),
        // What is longer than it says, or does not say, is 413 like what is too long for us all.
        Err(Failure::BodyTooLarge { limit }) if declared => {
            Err(IssueError::Request(format!("longer than {limit} bytes")))
        }
        Err(failure) => return reply::failure(&failure),
    };
    let issued = match request {
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
