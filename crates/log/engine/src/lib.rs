//! The transparency log service: one engine; Rekor v1, Rekor v2 and CT faces.
//!
//! A [`Log`] takes entries from any number of callers and brings them, batch by
//! batch, into a Merkle tree in a [`store::LogStore`]. Nobody is answered
//! before the entry is committed, read back, hashed again and under a signed
//! checkpoint. RFC 6962 and RFC 9162 (trees and proofs), C2SP `tlog-tiles` and
//! `tlog-checkpoint`, the Rekor v2 API.
//!
//! It refuses to: sign a root that it has not recomputed from committed bodies,
//! start on a database that is behind the last signed checkpoint, go on after
//! any mismatch, hold a lock across a commit, accept what it cannot queue.
//!
//! - `engine`: [`Log`], the queue, the batcher, the re-check, the checkpoint file.
//! - `reader`: proofs, entries and hashes up to the published checkpoint.
//! - [`ct`]: Certificate Transparency: chains, SCTs, signed tree heads.
//! - [`Rekor1`]: SETs, entry ids and search of Rekor v1.
//! - [`http`]: all faces as routers.
//! - `fsck`: [`fsck()`] recomputes all that is stored.

pub mod ct;
mod engine;
mod error;
mod fsck;
pub mod http;
mod reader;
mod rekor1;

pub use engine::{
    Integrated, Log, LogConfig, LogLimits, LogParts, PublishedCheckpoint, TilesIdentity,
};
pub use error::{ReadError, RecheckError, StartError, StopReason, SubmitError};
pub use fsck::{Finding, FsckError, FsckReport, MAX_FINDINGS, fsck};
pub use reader::MAX_ENTRIES_PER_READ;
pub use rekor1::{Rekor1, Rekor1Error, tree_id};
