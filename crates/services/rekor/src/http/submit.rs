//! What both protocols say of an entry that was not taken.

use engine::{SubmitError, SubmitErrorKind};
use http::StatusCode;

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
