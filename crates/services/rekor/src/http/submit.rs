//! What both protocols say of an entry that was not taken, and who is let in to bring one.

use axum::{body::HttpBody, extract::Request, response::Response};
use engine::{SubmitError, SubmitErrorKind};
use http::{HeaderValue, StatusCode, header};

use crate::{WriterRefusal, Writers, writers::Pass};

/// The status of its answer.
pub(super) fn status_of(error: &SubmitError) -> StatusCode {
    match error.kind() {
        SubmitErrorKind::Caller => StatusCode::BAD_REQUEST,
        // Upstream's status for a frozen log of v2; it tells clients to take the next shard. Upstream's v1 has
        // no frozen trees that it is still asked to write to.
        SubmitErrorKind::Frozen => StatusCode::METHOD_NOT_ALLOWED,
        SubmitErrorKind::Passing => StatusCode::SERVICE_UNAVAILABLE,
        SubmitErrorKind::Ours => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What the caller is told: all of its own faults, none of our insides.
pub(super) fn message_of(error: &SubmitError) -> String {
    match error {
        SubmitError::Refused(limit) => limit.to_string(),
        SubmitError::Frozen => "this log has been frozen, use the latest one".to_owned(),
        SubmitError::Stopped(_) => "this log takes no entries at present".to_owned(),
        ours if ours.kind() == SubmitErrorKind::Ours => "internal error".to_owned(),
        passing => passing.to_string(),
    }
}

/// What a body without a declared length counts for: what an entry can hold.
const UNDECLARED: u64 = 64 * 1024;

/// Looks at the head of a request to write. Who is refused by it has nothing more to send.
pub(super) async fn pass(
    writers: &Writers,
    request: Request,
) -> Result<(Pass, Request), WriterRefusal> {
    let length = request.body().size_hint().upper().unwrap_or(UNDECLARED);
    match writers.pass(request.headers(), length).await {
        Ok(pass) => Ok((pass, request)),
        Err(refusal) => {
            server::discard_body(request).await;
            Err(refusal)
        }
    }
}

/// The status of the answer to somebody who may not write.
pub(super) fn status_of_refusal(refusal: &WriterRefusal) -> StatusCode {
    match refusal {
        WriterRefusal::NoToken | WriterRefusal::Token(_) => StatusCode::UNAUTHORIZED,
        WriterRefusal::Unverified { .. } => StatusCode::SERVICE_UNAVAILABLE,
        WriterRefusal::Signer => StatusCode::FORBIDDEN,
        WriterRefusal::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
    }
}

/// Says how to be let in, or when: RFC 6750 §3.
pub(super) fn challenge(refusal: &WriterRefusal, response: &mut Response) {
    let headers = response.headers_mut();
    match refusal {
        WriterRefusal::NoToken => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        WriterRefusal::Token(_) => {
            let invalid = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, invalid);
        }
        WriterRefusal::Unverified { retry_after_s, .. }
        | WriterRefusal::Limited { retry_after_s } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
        }
        WriterRefusal::Signer => {}
    }
}
