use std::time::Duration;

use thiserror::Error;
use tlog::TreeSize;

/// Whatever the database's driver said, kept as the source of our error.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why a store did not do what it was asked, sorted by whose fault it is.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It was never made here, or the database is another one than it was.
    #[error("log {id} is not in this database")]
    UnknownLog {
        /// The id asked for.
        id: i64,
    },
    /// A log keeps its kind, tree id, origin and key; another one needs another name.
    #[error("log {name:?} exists with another {field}")]
    SpecMismatch {
        /// [`crate::LogSpec::name`].
        name: String,
        /// The first property that differs.
        field: &'static str,
    },
    /// A log is its origin and its key: under these there is one history.
    #[error(
        "the log {name:?} would have the {field} of the log {other:?}, which is in this database: a log is its \
         origin and its key, and has one history"
    )]
    SameLog {
        /// [`crate::LogSpec::name`] of the one that was to be made.
        name: String,
        /// Name of the one that is there.
        other: String,
        /// What they would have in common.
        field: &'static str,
    },
    /// A database of before has two histories under one origin.
    #[error(
        "the database has the origin {origin:?} twice, as the log {first:?} and as {second:?}: to clients they are \
         one log that contradicts itself, so this database is served by nothing. Keep it for whoever looks into \
         this, and begin in another one with logs that have other hosts and other keys"
    )]
    OriginTwice {
        /// The origin.
        origin: String,
        /// Name of one of the logs.
        first: String,
        /// Name of another one.
        second: String,
    },
    /// The batch can never be stored as it is; nothing was written.
    #[error("entry {position} of the batch is refused")]
    EntryRefused {
        /// Position in [`crate::Batch::entries`].
        position: usize,
        /// The limit that it breaks.
        #[source]
        source: EntryRefused,
    },
    /// More was asked for at once than the port allows.
    #[error("{asked} {what} asked for at once, at most {limit} allowed")]
    TooMuch {
        /// What was counted.
        what: &'static str,
        /// How many were asked for.
        asked: u64,
        /// The port's limit.
        limit: u64,
    },
    /// Stored hashes, or a tree head, that the log does not have (yet).
    #[error("{what} {start}..{end} are not all in the log")]
    OutOfRange {
        /// What was asked for.
        what: &'static str,
        /// First of the range, 0-based.
        start: u64,
        /// End of the range, exclusive.
        end: u64,
    },
    /// The log takes no more entries; it stays readable.
    #[error("the log is frozen")]
    Frozen,
    /// The database is behind what this process has seen, or contradicts itself: a restored backup or a lost
    /// commit. Writing on would fork the log; nothing was written.
    #[error(
        "the database went back: its head of size {stored} does not continue the head of size {expected}"
    )]
    Rollback {
        /// Size of the log in the database.
        stored: TreeSize,
        /// [`crate::Batch::minimum_size`].
        expected: TreeSize,
    },
    /// The writer's clock is so far behind the time of the last entry that a new one would be promised for the
    /// future: one of the two times is wrong. Nothing was written.
    #[error("the clock is {} s behind the log's last entry", .by.as_secs())]
    ClockBehind {
        /// How far.
        by: Duration,
    },
    /// Another writer was first; nothing was written, the same batch may be tried again at once.
    #[error("another writer appended first")]
    Conflict,
    /// The connection was lost, or the disk failed, while the commit was under way: the batch may be in the log or
    /// not. It must be re-read (by deduplication hash), never guessed.
    #[error("the outcome of the commit is unknown")]
    OutcomeUnknown {
        /// What the driver said.
        #[source]
        source: Cause,
    },
    /// The batch is committed here but not on the synchronous standby: visible, and yet it may vanish at a
    /// failover. It must not be signed; the next append that succeeds covers it.
    #[error("the commit is not confirmed by the synchronous standby")]
    Unreplicated,
    /// The database does not answer or refuses for now; nothing was written.
    #[error("the database is unavailable")]
    Unavailable {
        /// What the driver said.
        #[source]
        source: Cause,
    },
    /// Another process has this database file open.
    #[error("{path} is in use by another process")]
    AlreadyOpen {
        /// The lock file.
        path: String,
    },
    /// The database server is set up so that it may lose acknowledged commits.
    #[error(
        "the database server runs with {setting} off, which loses acknowledged entries at power loss"
    )]
    UnsafeDatabase {
        /// Name of the server's setting.
        setting: &'static str,
    },
    /// The server would not tell when a commit waits for no standby any more, or would not be heard.
    #[error(
        "the database's warnings do not arrive, and one of them says that an entry was not replicated: connect to \
         the server itself, without anything in between that drops its notices"
    )]
    UnheardWarnings,
    /// What is stored contradicts itself; a human has to look (`countersignd fsck log`).
    #[error("the stored log is corrupt: {what}")]
    Corrupt {
        /// The contradiction.
        what: String,
    },
}

/// A limit that an entry breaks; see [`crate::NewEntry::check`].
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum EntryRefused {
    /// The body does not fit the 16-bit length of a tile bundle.
    #[error("body of {length} bytes exceeds {limit}")]
    BodyTooLong {
        /// Length of the body in bytes.
        length: usize,
        /// [`tlog::MAX_ENTRY_LEN`].
        limit: usize,
    },
    /// The extra data exceeds [`crate::MAX_EXTRA_LEN`].
    #[error("extra data of {length} bytes exceeds {limit}")]
    ExtraTooLong {
        /// Length in bytes.
        length: usize,
        /// [`crate::MAX_EXTRA_LEN`].
        limit: usize,
    },
    /// The timestamp signature exceeds [`crate::MAX_TIMESTAMP_SIGNATURE_LEN`].
    #[error("timestamp signature of {length} bytes exceeds {limit}")]
    TimestampSignatureTooLong {
        /// Length in bytes.
        length: usize,
        /// [`crate::MAX_TIMESTAMP_SIGNATURE_LEN`].
        limit: usize,
    },
    /// More index keys than [`crate::MAX_INDEX_KEYS`].
    #[error("{count} index keys exceed {limit}")]
    TooManyIndexKeys {
        /// How many there are.
        count: usize,
        /// [`crate::MAX_INDEX_KEYS`].
        limit: usize,
    },
    /// An index key is empty, longer than [`crate::MAX_INDEX_KEY_LEN`], or holds a NUL.
    #[error("index key of kind {kind:?} is empty, too long or holds a NUL")]
    IndexKey {
        /// [`crate::IndexKey::kind`].
        kind: &'static str,
    },
}
