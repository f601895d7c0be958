//! Promises that are made after the append, because they sign the index: Rekor v1's SETs.

use bytes::Bytes;

use crate::column::bound;
use crate::search::{at_most, missing};
use crate::{EntryRefused, MAX_BATCH_ENTRIES, MAX_PROMISE_LEN, StoreError};

/// The promises that a log of `size` entries may keep, as columns.
///
/// # Errors
/// As [`crate::LogStore::put_promises`].
pub fn rows(size: u64, promises: &[(u64, Bytes)]) -> Result<Vec<(i64, &[u8])>, StoreError> {
    at_most("promises", promises.len(), MAX_BATCH_ENTRIES)?;
    let mut rows = Vec::with_capacity(promises.len());
    for (position, (index, promise)) in promises.iter().enumerate() {
        if *index >= size {
            return Err(missing(*index));
        }
        let length = promise.len();
        if length > MAX_PROMISE_LEN {
            let source = EntryRefused::PromiseTooLong { length, limit: MAX_PROMISE_LEN };
            return Err(StoreError::EntryRefused { position, source });
        }
        if length > 0 {
            rows.push((bound(*index), promise.as_ref()));
        }
    }
    Ok(rows)
}
