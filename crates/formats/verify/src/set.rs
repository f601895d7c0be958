//! The signed entry timestamp (SET) of Rekor v1: `inclusionPromise` in a bundle.

use serde::Serialize;
use wire::bundle::TransparencyLogEntry;

use crate::{Check, VerifyError, check::Failing, trust::TrustedLog};

/// What a v1 log signs: canonical JSON, whose members stand in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SetPayload {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: i64,
}

/// Checks the log's signature over body, time, log and index of `entry`.
pub(crate) fn check(entry: &TransparencyLogEntry, log: &TrustedLog) -> Result<(), VerifyError> {
    let Some(set) = &entry.inclusion_promise else {
        return Err(Check::Set.failed("it is absent"));
    };
    let payload = SetPayload {
        body: entry.canonicalized_body.encode(),
        integrated_time: entry.integrated_time.0,
        log_id: hex::encode(log.id),
        log_index: entry.log_index.0,
    };
    let payload = serde_json::to_vec(&payload).failing(Check::Set)?;
    let signature = set.signed_entry_timestamp.as_slice();
    log.key.verify(&payload, signature).failing(Check::Set)
}
