//! The storage port of the transparency log: what the engine demands of a database, and nothing of any database.
//!
//! [`LogStore`] is cut by guarantee, not by table: [`LogStore::append`] is one transaction that either leaves a
//! longer, consistent log or leaves nothing. Two adapters implement it (`log-sqlite`, `log-postgres`); what they
//! decide alike is decided once, here, without I/O: [`plan`] turns a locked state and a batch into the rows to
//! write, [`mod@column`] turns numbers and hashes into columns and back.
//!
//! | module | job |
//! |---|---|
//! | [`plan`] | checks of the locked state, folding of duplicates, placements, tiles that become full |
//! | [`row`] | rows of either database and what they mean; numbers and hashes to and from columns, without loss |
//! | [`timestamp_signature`] | signatures over entry and time that are kept after the append |
//! | `schema` | which schema a database has, against the program's |
//! | [`search`] | which index keys to read next, and what the words have in common |
//! | [`fault`] | [`FaultyStore`]: writes that failed, that failed yet persisted, and the like |
//! | `contract_suite` | the tests every adapter passes (feature `contract-suite`) |
//!
//! What this crate refuses to do: open a database, read a clock, sign, verify an entry, or know an HTTP shape.

#[cfg(feature = "contract-suite")]
pub mod contract_suite;
mod error;
pub mod fault;
pub mod plan;
pub mod row;
mod schema;
pub mod search;
mod store;
pub mod timestamp_signature;
mod types;

pub use error::{Cause, EntryRefused, StoreError};
pub use fault::{Fault, FaultyStore};
pub use schema::{SchemaMismatch, check_schema};
pub use store::{
    LogStore, MAX_BATCH_ENTRIES, MAX_CLOCK_GAP, MAX_ENTRIES_PER_READ, MAX_HASHES_PER_READ,
    MAX_SEARCH_KEYS, MAX_SEARCH_RESULTS,
};
pub use timestamp_signature::TimestampSignature;
pub use types::{
    Appended, Batch, DedupHash, EntryLen, Found, IndexKey, LogId, LogKind, LogRecord, LogSpec,
    LogState, MAX_EXTRA_LEN, MAX_INDEX_KEY_LEN, MAX_INDEX_KEYS, MAX_TIMESTAMP_SIGNATURE_LEN,
    NewEntry, Placement, SearchPage, StoredEntry,
};
