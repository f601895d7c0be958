//! The signed entry timestamp (SET) of Rekor v1: `inclusionPromise` in a bundle.

use entry::rekor1::set_payload;
use moment::UnixSeconds;
use tlog::LeafIndex;
use wire::bundle::TransparencyLogEntry;

use crate::{Check, VerifyError, check::Failing, trust::TrustedLog};

/// Checks the log's signature over body, time, log and index of `entry`.
pub(crate) fn check(entry: &TransparencyLogEntry, log: &TrustedLog) -> Result<(), VerifyError> {
    let Some(set) = &entry.inclusion_promise else {
        return Err(Check::Set.failed("it is absent"));
    };
    let number = |number: i64| u64::try_from(number).failing(Check::Set);
    let (time, index) =
        (UnixSeconds(number(entry.integrated_time.0)?), LeafIndex(number(entry.log_index.0)?));
    let signed = set_payload(entry.canonicalized_body.as_slice(), time, &log.id, index);
    let signature = set.signed_entry_timestamp.as_slice();
    log.key.verify(&signed, signature).failing(Check::Set)
}
