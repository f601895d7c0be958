use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use moment::UnixSeconds;
use tlog::{HashRange, LeafHash, LeafIndex, NodeHash, TreeHead, TreeSize};

use crate::{
    Appended, Batch, DedupHash, EntryLen, Found, IndexKey, LogId, LogRecord, LogSpec, LogState,
    SearchPage, StoreError, StoredEntry, TimestampSignature,
};

/// Most entries of one [`Batch`]: 16 times what the engine's batcher takes, and well below SQLite's limits.
pub const MAX_BATCH_ENTRIES: usize = 8192;
/// How far the time of the last entry may be ahead of a writer's clock: as far as verifiers let a promise be ahead
/// of theirs. Clocks of replicas differ by much less.
pub const MAX_CLOCK_GAP: Duration = Duration::from_mins(1);
/// Most entries one [`LogStore::entries`] gives; with the longest bodies these are 64 MiB.
pub const MAX_ENTRIES_PER_READ: u64 = 1024;
/// Most hashes one [`LogStore::hashes`] gives: 256 tiles, 2 MiB.
pub const MAX_HASHES_PER_READ: u64 = 65_536;
/// Most keys of one [`LogStore::search`]: Rekor v1 asks for four words at most, each of up to five types.
pub const MAX_SEARCH_KEYS: usize = 20;
/// Most indexes one [`LogStore::search`] gives: a page of 1,000, and one more that tells whether there is a next one.
pub const MAX_SEARCH_RESULTS: usize = 1001;

/// What the log engine demands of its database.
///
/// Every method sees only what is committed, and may fail with [`StoreError::Unavailable`],
/// [`StoreError::Corrupt`] and, where it takes a [`LogId`] to write to, [`StoreError::UnknownLog`].
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// Creates the log, or returns the one of that name. `now` is its creation time.
    ///
    /// # Errors
    /// [`StoreError::SameLog`] when another log has its origin or its key,
    /// [`StoreError::SpecMismatch`] when the name exists with another kind, tree id, origin or key.
    async fn ensure_log(&self, spec: &LogSpec, now: UnixSeconds) -> Result<LogRecord, StoreError>;

    /// All logs of this database, by id.
    ///
    /// # Errors
    /// As said at the trait.
    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError>;

    /// The log's size, root and right edge.
    ///
    /// # Errors
    /// As said at the trait.
    async fn state(&self, log: LogId) -> Result<LogState, StoreError>;

    /// The highest index at which there is the row of an entry, whatever the log's state says.
    ///
    /// A state that is read afterwards covers it, or no append made that row.
    ///
    /// # Errors
    /// As said at the trait.
    async fn highest_row(&self, log: LogId) -> Result<Option<LeafIndex>, StoreError>;

    /// Appends the batch's new entries in one transaction, and says where each of its entries is.
    ///
    /// When it returns, all of it is durable, and all that was committed before: also when nothing of it is new, or
    /// when it is empty. When the future is dropped, the log has all of the batch or nothing of
    /// it; only [`LogStore::find`] tells which.
    ///
    /// # Errors
    /// Nothing written: [`StoreError::EntryRefused`], [`StoreError::TooMuch`], [`StoreError::Frozen`],
    /// [`StoreError::Rollback`], [`StoreError::ClockBehind`], [`StoreError::Conflict`], [`StoreError::Unavailable`],
    /// [`StoreError::Corrupt`]. Perhaps written: [`StoreError::OutcomeUnknown`]. Written, but not to be signed:
    /// [`StoreError::Unreplicated`].
    async fn append(&self, log: LogId, batch: &Batch) -> Result<Appended, StoreError>;

    /// Makes the log refuse entries, for good; idempotent. As durable as an append, and each time anew.
    ///
    /// # Errors
    /// As said at the trait.
    async fn freeze(&self, log: LogId) -> Result<(), StoreError>;

    /// Looks up entries by what makes a duplicate; the answers are in the order of `dedup_hashes`.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] above [`MAX_BATCH_ENTRIES`].
    async fn find(
        &self,
        log: LogId,
        dedup_hashes: &[DedupHash],
    ) -> Result<Vec<Option<Found>>, StoreError>;

    /// The lowest index with that leaf hash.
    ///
    /// # Errors
    /// As said at the trait.
    async fn find_leaf(
        &self,
        log: LogId,
        leaf_hash: &LeafHash,
    ) -> Result<Option<LeafIndex>, StoreError>;

    /// Entries of `range` as far as they exist, contiguous from its start, at most [`MAX_ENTRIES_PER_READ`].
    ///
    /// # Errors
    /// As said at the trait.
    async fn entries(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<StoredEntry>, StoreError>;

    /// How long the entries of `range` are, as far as they exist, contiguous from its start, at most
    /// [`MAX_ENTRIES_PER_READ`]. None of their bytes are read.
    ///
    /// # Errors
    /// As said at the trait.
    async fn entry_lengths(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<EntryLen>, StoreError>;

    /// Stored hashes of perfect subtrees, exactly `range.end - range.start` of them.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] when the log does not have them all, [`StoreError::TooMuch`] above
    /// [`MAX_HASHES_PER_READ`].
    async fn hashes(&self, log: LogId, range: HashRange) -> Result<Vec<NodeHash>, StoreError>;

    /// The head that the log had at that size, if an append ended there. Size 0 always has one.
    ///
    /// # Errors
    /// As said at the trait.
    async fn tree_head(&self, log: LogId, size: TreeSize) -> Result<Option<TreeHead>, StoreError>;

    /// Indexes of entries that have these keys, each once, the newest first, as many as `page` asks for.
    ///
    /// Words are compared in lower case. Keys with the same word and other types are alternatives of one
    /// another, as who searches may not know what a word is. `match_all` asks for entries that have every
    /// word, else one is enough. No key matches nothing.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] above [`MAX_SEARCH_KEYS`] or [`MAX_SEARCH_RESULTS`].
    async fn search(
        &self,
        log: LogId,
        keys: &[IndexKey],
        match_all: bool,
        page: SearchPage,
    ) -> Result<Vec<LeafIndex>, StoreError>;

    /// The words under which entries of `range` are found, each with its index and kind; in no order.
    ///
    /// For copying a log: it may read the whole index.
    ///
    /// # Errors
    /// As said at the trait.
    async fn index_keys(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<(LeafIndex, String, String)>, StoreError>;

    /// Leaf hashes of these entries, in the order of `indexes`; all of them must be in the log.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`], [`StoreError::TooMuch`] above [`MAX_SEARCH_RESULTS`].
    async fn leaf_hashes(
        &self,
        log: LogId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LeafHash>, StoreError>;

    /// Keeps timestamp signatures that were made after the append. The first of an entry stays.
    ///
    /// # Errors
    /// Nothing kept: [`StoreError::OutOfRange`] when the log does not have all of these entries,
    /// [`StoreError::TooMuch`] above [`MAX_BATCH_ENTRIES`], [`StoreError::EntryRefused`] when one is
    /// longer than [`crate::MAX_TIMESTAMP_SIGNATURE_LEN`].
    async fn put_timestamp_signatures(
        &self,
        log: LogId,
        signatures: &[TimestampSignature],
    ) -> Result<(), StoreError>;

    /// A number that changes when somebody appended to a log of this database or froze one, in whatever process; what
    /// was read after it is not older. `None` while nobody could say: then who wants to know reads the state.
    ///
    /// It costs nothing to ask. Other processes may die before they tell, so look now and then all the same.
    fn generation(&self) -> Option<u64> {
        None
    }

    /// Whether another process may write to the logs of this database while this one has it open.
    fn is_shared(&self) -> bool {
        true
    }

    /// Closes all connections and gives up locks. Later calls fail with [`StoreError::Unavailable`].
    async fn close(&self);
}
