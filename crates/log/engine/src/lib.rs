//! The part that could fork a log: entries in, a signed history out.
//!
//! A [`Log`] takes entries from any number of callers and brings them, batch by
//! batch, into a Merkle tree in a [`store::LogStore`]. Nobody is answered
//! before the entry is committed, read back, hashed again and under a signed
//! checkpoint. RFC 6962 and RFC 9162 (trees and proofs), C2SP `tlog-tiles` and
//! `tlog-checkpoint`. What an entry means, and how it is asked for, is for the services above.
//!
//! It refuses to: sign a root that it has not recomputed from committed bodies,
//! start on a database that is behind the last signed checkpoint, go on after
//! any mismatch, hold a lock across a commit, accept what it cannot queue.
//!
//! - `engine`: [`Log::start`] and [`Log::submit`]: the queue, the batcher, the re-check, the
//!   checkpoint file. The only part that writes and signs.
//! - `anchors`: the last signed checkpoint, kept where a restore of the database does not reach it.
//! - `restore`: entries that a copy of a log still has, brought back.
//! - `reader`: proofs, entries, hashes and tiles up to the published checkpoint.
//! - `timestamp_signatures`: what a protocol signs of an entry after its commit, kept beside it.
//! - `fsck`: [`fsck()`] recomputes all that is stored, with the [`EntryRules`] of a protocol.

mod anchors;
mod engine;
mod error;
mod fsck;
mod reader;
mod restore;
mod timestamp_signatures;

pub use anchors::{Anchor, AnchorError, Anchors, FileAnchor, Kept, Stored};
pub use engine::{
    Integrated, Log, LogConfig, LogLimits, LogParts, LogTrouble, PublishedCheckpoint, TilesSigner,
};
pub use error::{ReadError, RecheckError, StartError, StopReason, SubmitError, SubmitErrorKind};
pub use fsck::{EntryRules, Finding, FsckError, FsckReport, Leaves, MAX_FINDINGS, fsck};
pub use reader::{Bundle, MAX_ENTRIES_PER_READ, Pages, Tile};
pub use restore::{LogIn, RestoreError, holds, restore};
