//! The signed entry timestamp of Rekor v1.

use entry::rekor1::set_payload;
use wire::bundle::TransparencyLogEntry;

use crate::{Check, VerifyError, check::Failing, trust::TrustedLog};

/// Checks the log's signature over body, time, log and index of `entry`.
pub(crate) fn check(entry: &TransparencyLogEntry, log: &TrustedLog) -> Result<(), VerifyError> {
    let Some(promise) = &entry.inclusion_promise else {
        return Err(Check::InclusionPromise.failed("it is absent"));
    };
    let number = |number: i64| u64::try_from(number).failing(Check::InclusionPromise);
    let (time, index) = (number(entry.integrated_time.0)?, number(entry.log_index.0)?);
    let signed = set_payload(entry.canonicalized_body.as_slice(), time, &log.id, index);
    let signature = promise.signed_entry_timestamp.as_slice();
    log.key.verify(&signed, signature).failing(Check::InclusionPromise)
}
