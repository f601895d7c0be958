//! What can go wrong in a log, one enum per boundary.

use std::{io, path::PathBuf, sync::Arc};

use crypto::KeyError;
use signing::{ClockFault, SignError};
use store::{EntryRefused, StoreError};
use thiserror::Error;
use tlog::{EdgeError, LeafHash, LeafIndex, NodeHash, NoteError, ProofError, TreeSize};

use crate::AnchorError;

/// Why a submission was not answered with a proof.
///
/// One failed batch answers many waiters, so sources are shared.
#[derive(Clone, Debug, Error)]
pub enum SubmitError {
    /// The entry breaks a limit of every log.
    #[error("the entry is refused")]
    Refused(#[from] EntryRefused),
    /// The log takes no new entries any more; its operator froze it.
    #[error("the log is frozen")]
    Frozen,
    /// The queue is full. Nothing was stored; try again later.
    #[error("the log's queue is full")]
    Overloaded,
    /// The clock is wrong, so the entry would be promised for a wrong time. Nothing was stored.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// The disk has less free than its operator wants to be left. Nothing was stored; it passes by itself
    /// when there is room.
    #[error("the log's disk is nearly full; it takes entries again when there is room")]
    NoRoom,
    /// The process is ending. Nothing was stored.
    #[error("the log is shutting down")]
    ShuttingDown,
    /// The store failed before anything was committed.
    #[error("the log's store is unavailable")]
    Unavailable(#[source] Arc<StoreError>),
    /// A commit was lost and the store cannot say how it ended.
    ///
    /// Submitting the entry again is safe: it is found by its deduplication hash.
    #[error("the log's store did not say whether the entry was stored")]
    OutcomeUnknown,
    /// The entry is stored, and the key that signs checkpoints gave no signature.
    #[error("the entry is stored, but its checkpoint could not be signed")]
    Signing(#[source] Arc<SignError<NoteError>>),
    /// The entry may be stored, and no checkpoint over it is given away before the anchor has it.
    ///
    /// Callers are told no more: where it is kept is the operator's to know, and in the source.
    #[error("the log's last checkpoint cannot be kept, so nothing is signed")]
    Unanchored(#[source] Arc<AnchorError>),
    /// A proof made from stored hashes does not verify: the store is damaged.
    #[error("the proof of entry {index} does not verify")]
    ProofInvalid {
        /// Index of the entry.
        index: LeafIndex,
    },
    /// The log stopped for good because what is stored is not what was sequenced.
    #[error("the log stopped: {0}")]
    Stopped(Arc<StopReason>),
}

impl SubmitError {
    /// Whose fault it is, and whether it passes.
    #[must_use]
    pub fn kind(&self) -> SubmitErrorKind {
        match self {
            Self::Refused(_) => SubmitErrorKind::Caller,
            Self::Frozen => SubmitErrorKind::Frozen,
            Self::Signing(error) if !error.is_passing() => SubmitErrorKind::Ours,
            Self::Overloaded
            | Self::NoRoom
            | Self::ShuttingDown
            | Self::Clock(_)
            | Self::Unavailable(_)
            | Self::OutcomeUnknown
            | Self::Signing(_)
            | Self::Unanchored(_)
            // Of this process, which ends then: another one may take it.
            | Self::Stopped(_) => SubmitErrorKind::Passing,
            Self::ProofInvalid { .. } => SubmitErrorKind::Ours,
        }
    }
}

/// What the answer to a caller depends on, in every protocol alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitErrorKind {
    /// The entry cannot be taken, and another one can.
    Caller,
    /// The log takes none any more.
    Frozen,
    /// Submitting it again is right.
    Passing,
    /// Somebody has to mend the log or its key first.
    Ours,
}

/// Why a log stopped for good: it serves what it published and signs nothing more.
#[derive(Debug, Error)]
pub enum StopReason {
    /// A committed row is not the row that was sent.
    #[error("entry {index} was read back with leaf hash {found}, but {expected} was written")]
    LeafMismatch {
        /// Index of the entry.
        index: LeafIndex,
        /// Leaf hash that was submitted or stored.
        expected: LeafHash,
        /// Leaf hash of the body as read back.
        found: LeafHash,
    },
    /// Rows are missing, doubled or out of order.
    #[error("entry {expected} was asked for and entry {found} came back")]
    RowMissing {
        /// Index that was asked for.
        expected: LeafIndex,
        /// Index of the row in its place, or the end of the rows.
        found: LeafIndex,
    },
    /// An entry is there that the log's state does not count, so no append can go on.
    #[error(
        "the log has {size} entries, and beyond them is a row of entry {found}, which no append made"
    )]
    RowBeyond {
        /// Size of the log.
        size: TreeSize,
        /// Highest index of a row.
        found: LeafIndex,
    },
    /// Hashes of the tree are missing.
    #[error("stored hashes {start}..{end} of level {level} are missing")]
    HashesMissing {
        /// Tile level.
        level: u8,
        /// First index.
        start: u64,
        /// End, exclusive.
        end: u64,
    },
    /// The root over the committed rows is not the root that the store wrote.
    #[error("at size {size} the entries give root {computed}, but the store says {stored}")]
    RootMismatch {
        /// Tree size.
        size: TreeSize,
        /// Recomputed from the bodies.
        computed: NodeHash,
        /// As stored.
        stored: NodeHash,
    },
    /// The database has fewer entries than this process has seen: it was rolled back.
    #[error("the database holds {found} entries, this process has seen {expected}")]
    Rollback {
        /// Size that was seen.
        expected: TreeSize,
        /// Size that is there now.
        found: TreeSize,
    },
    /// An anchor holds another tree of the same size: somebody signs a second history.
    #[error(
        "at size {size} the log has root {found}, and an anchor has {signed}, which was signed"
    )]
    AnchorForked {
        /// Tree size.
        size: TreeSize,
        /// Root at the anchor.
        signed: NodeHash,
        /// Root here.
        found: NodeHash,
    },
    /// An anchor holds a tree that is not of this log's history.
    #[error("an anchor has a signed tree of {size} entries that is of another history")]
    AnchorOfAnotherHistory {
        /// Entries of that tree.
        size: TreeSize,
    },
    /// An anchor holds a tree that this log's database does not reach.
    #[error(
        "an anchor has a signed tree of {signed} entries, and the database does not reach so far: it was restored, \
         or others have another one"
    )]
    AnchorAhead {
        /// Entries of that tree.
        signed: TreeSize,
    },
    /// An anchor says that the log is over.
    #[error("the log is over, as an anchor has it")]
    Ended,
    /// The store itself found its rows contradicting each other.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// The store did not say where every entry of a batch is.
    #[error("the store did not place every entry of a batch")]
    PlacementsMissing,
    /// The stored hashes do not make up a tree of the stored size.
    #[error(transparent)]
    Edge(EdgeError),
    /// A task of the log ended by a panic.
    #[error("the log's sequencing task died")]
    TaskDied,
}

/// Why a log did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The signer's key is not the key of the log.
    #[error("the signing key {key_id} is not the public key of log {log}")]
    WrongKey {
        /// Name of the log.
        log: String,
        /// [`crypto::Signer::key_id`].
        key_id: String,
    },
    /// The second origin cannot be told from the first.
    #[error("log {log}: {origin:?} cannot be the origin of its tiles")]
    TilesOrigin {
        /// Name of the log.
        log: String,
        /// [`crate::TilesSigner::origin`].
        origin: String,
    },
    /// The log's public key does not parse.
    #[error("the public key of the log cannot be used")]
    Key(#[source] KeyError),
    /// The database is older than the last checkpoint that was signed.
    #[error(
        "log {log}: the database holds {found} entries, but a checkpoint for {signed} entries was \
         signed ({place}); it was restored from an old copy or lost. Restore the newest copy, or bring the \
         entries back that another copy has (`countersignd log restore`), or end this log and begin the \
         next one (`countersignd log begin-anew`)"
    )]
    BehindCheckpoint {
        /// Name of the log.
        log: String,
        /// Entries in the database.
        found: TreeSize,
        /// Entries under the last signed checkpoint.
        signed: TreeSize,
        /// Where that checkpoint is kept.
        place: String,
    },
    /// The database holds another history than the one that was signed.
    #[error(
        "log {log}: at size {size} the database has root {found}, but root {signed} was signed \
         ({place}); this is another history. Restore the right database, or end this log and begin the \
         next one (`countersignd log begin-anew`)"
    )]
    Forked {
        /// Name of the log.
        log: String,
        /// Size of the signed checkpoint.
        size: TreeSize,
        /// Root in the database.
        found: NodeHash,
        /// Root that was signed.
        signed: NodeHash,
        /// Where that checkpoint is kept.
        place: String,
    },
    /// The log has entries, and no anchor knows of any.
    #[error(
        "log {log}: the database holds {size} entries, and nothing is kept at {places}: whether it was restored \
         from an old copy, nobody can tell. Bring back what was kept there; or, if this log never had an anchor \
         or that is lost, give the newest checkpoint that anybody has (`countersignd log restore NAME \
         --checkpoint FILE`); or end this log and begin the next one (`countersignd log begin-anew`)"
    )]
    NoAnchor {
        /// Name of the log.
        log: String,
        /// Entries in the database.
        size: TreeSize,
        /// Where they should be kept.
        places: String,
    },
    /// The log was ended for ever.
    #[error("log {log} is over, as {place} has it: no process may sign for it again")]
    Ended {
        /// Name of the log.
        log: String,
        /// Which anchor says so.
        place: String,
    },
    /// What an anchor holds cannot be known, or not be changed.
    #[error("the anchor {place} cannot be read or written: {source}")]
    Anchor {
        /// Which anchor.
        place: String,
        /// What is wrong there.
        source: AnchorError,
    },
    /// An anchor does not hold a checkpoint of this log.
    #[error("what {place} has is no checkpoint that this log's key signed")]
    AnchorInvalid {
        /// Which anchor.
        place: String,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// An anchor holds a checkpoint of another log.
    #[error("what {place} has is of log origin {origin:?}")]
    AnchorOfAnotherLog {
        /// Which anchor.
        place: String,
        /// Origin in the checkpoint.
        origin: String,
    },
    /// The first checkpoint could not be kept.
    #[error("the log's checkpoint cannot be kept")]
    Unanchored(#[source] Box<SubmitError>),
    /// The checkpoint file is not one of this log.
    #[error("the checkpoint file {file} is not a checkpoint of this log", file = file.display())]
    CheckpointFileInvalid {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// The checkpoint file is one of another log.
    #[error("the checkpoint file {file} is of log origin {origin:?}", file = file.display())]
    CheckpointFileOfAnotherLog {
        /// The file.
        file: PathBuf,
        /// Origin in the file.
        origin: String,
    },
    /// The checkpoint file cannot be read.
    #[error("the checkpoint file {file} cannot be read or written", file = file.display())]
    CheckpointFile {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What is stored does not add up, or cannot be read.
    #[error("what is stored of the log could not be confirmed; if it can be read, run fsck")]
    Damaged(#[source] RecheckError),
    /// The store failed.
    #[error("the log's store is unavailable")]
    Store(#[from] StoreError),
    /// The first checkpoint could not be signed.
    #[error("the log's checkpoint could not be signed")]
    Signing(#[from] SignError<NoteError>),
}

/// Why committed rows were not confirmed.
#[derive(Clone, Debug, Error)]
pub enum RecheckError {
    /// The rows are wrong.
    #[error(transparent)]
    Mismatch(Arc<StopReason>),
    /// The rows could not be read.
    #[error("the committed rows could not be read back")]
    Store(#[source] Arc<StoreError>),
}

impl From<StopReason> for RecheckError {
    fn from(reason: StopReason) -> Self {
        Self::Mismatch(Arc::new(reason))
    }
}

impl From<StoreError> for RecheckError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// Why a read was refused.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A tree larger than the published checkpoint was asked for.
    #[error("the tree has {published} entries, {asked} were asked for")]
    BeyondCheckpoint {
        /// Size that was asked for.
        asked: TreeSize,
        /// Size of the published checkpoint.
        published: TreeSize,
    },
    /// There is no such proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// An entry that must be there is not.
    #[error("entry {index} cannot be read; run fsck")]
    Damaged {
        /// Index of the entry.
        index: LeafIndex,
    },
    /// The store failed.
    #[error("the log's store is unavailable")]
    Store(#[from] StoreError),
    /// Whether another process has given out a larger tree cannot be known, or that tree not be signed here, now.
    ///
    /// The tree that is known is not given for it: to whoever has seen the larger one, the log would have shrunk.
    #[error("the log's latest tree cannot be given at present")]
    NotCurrent(#[source] SubmitError),
}

impl ReadError {
    /// Whether asking again later, or another process of the log, is right.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Store(_) | Self::NotCurrent(_))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crypto::SignerError;
    use store::EntryRefused;

    use super::*;

    #[test]
    fn a_key_that_will_not_sign_is_ours_to_mend_and_one_that_is_away_passes() {
        let name = || ("log".to_owned(), "injected".to_owned());
        let (key_id, reason) = name();
        let away = SignError::Signer(SignerError::Unavailable { key_id, reason });
        let (key_id, reason) = name();
        let refused = SignError::Signer(SignerError::Refused { key_id, reason });
        for (error, kind) in [
            (away, SubmitErrorKind::Passing),
            (refused, SubmitErrorKind::Ours),
            (SignError::Signature(NoteError::Malformed), SubmitErrorKind::Ours),
        ] {
            assert_eq!(SubmitError::Signing(Arc::new(error)).kind(), kind);
        }
    }

    #[test]
    fn what_an_entry_met_is_of_one_kind() {
        let down = StoreError::Unavailable { source: "injected".into() };
        for (error, kind) in [
            (
                SubmitError::Refused(EntryRefused::BodyTooLong { length: 9, limit: 8 }),
                SubmitErrorKind::Caller,
            ),
            (SubmitError::Frozen, SubmitErrorKind::Frozen),
            (SubmitError::Overloaded, SubmitErrorKind::Passing),
            (SubmitError::NoRoom, SubmitErrorKind::Passing),
            (SubmitError::ShuttingDown, SubmitErrorKind::Passing),
            (SubmitError::Unavailable(Arc::new(down)), SubmitErrorKind::Passing),
            (SubmitError::OutcomeUnknown, SubmitErrorKind::Passing),
            (ClockFault::Behind { by: Duration::from_secs(61) }.into(), SubmitErrorKind::Passing),
            (SubmitError::Stopped(Arc::new(StopReason::TaskDied)), SubmitErrorKind::Passing),
            (SubmitError::ProofInvalid { index: LeafIndex(0) }, SubmitErrorKind::Ours),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
        }
    }
}
