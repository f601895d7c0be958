use engine::SubmitError;
use entry::EntryError;
use signing::Overloaded;
use thiserror::Error;
use tlog::LeafIndex;

use crate::WriterRefusal;

/// Why Rekor v2 did not take an entry.
#[derive(Debug, Error)]
pub enum Rekor2Error {
    /// The request is not one, or does not verify.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// No bundle of tiles can hold the entry.
    #[error(
        "the canonical entry has {length} bytes, a log entry may have at most {limit}",
        limit = tlog::MAX_ENTRY_LEN
    )]
    EntryTooLong {
        /// Length of its body, in bytes.
        length: usize,
    },
    /// It is in the log, and the log is configured to say so.
    #[error("an equivalent entry already exists in the transparency log with index {index}")]
    Duplicate {
        /// Where it is.
        index: LeafIndex,
    },
    /// The log did not take the entry.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Not of somebody who may write.
    #[error(transparent)]
    Writer(#[from] WriterRefusal),
    /// Too much waits to be verified.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}
