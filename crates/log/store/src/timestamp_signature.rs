//! Timestamp signatures that are made after the append, because they cover the index: Rekor v1's SETs.

use bytes::Bytes;
use tlog::{LeafIndex, TreeSize};

use crate::row::bound;
use crate::search::{at_most, missing};
use crate::{EntryRefused, MAX_BATCH_ENTRIES, MAX_TIMESTAMP_SIGNATURE_LEN, StoreError};

/// The log's signature over one of its entries and that entry's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampSignature {
    /// Where the entry is.
    pub index: LeafIndex,
    /// The signature as the log made it; empty means none.
    pub signature: Bytes,
}

/// Those that a log of `size` entries may keep, as columns.
///
/// # Errors
/// As [`crate::LogStore::put_timestamp_signatures`].
pub fn rows(
    size: TreeSize,
    signatures: &[TimestampSignature],
) -> Result<Vec<(i64, &[u8])>, StoreError> {
    at_most("timestamp signatures", signatures.len(), MAX_BATCH_ENTRIES)?;
    let mut rows = Vec::with_capacity(signatures.len());
    for (position, TimestampSignature { index, signature }) in signatures.iter().enumerate() {
        if !size.contains(*index) {
            return Err(missing(*index));
        }
        let (length, limit) = (signature.len(), MAX_TIMESTAMP_SIGNATURE_LEN);
        if length > limit {
            let source = EntryRefused::TimestampSignatureTooLong { length, limit };
            return Err(StoreError::EntryRefused { position, source });
        }
        if length > 0 {
            rows.push((bound(index.0), signature.as_ref()));
        }
    }
    Ok(rows)
}
