//! A store that lies on demand, as failing memory, disks and networks do.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use engine::{Integrated, Log};
use moment::UnixSeconds;
use store::{
    Appended, Batch, DedupHash, EntryLen, Found, IndexKey, LogId, LogRecord, LogSpec, LogState,
    LogStore, SearchPage, StoreError, StoredEntry, TimestampSignature,
};
use tlog::{Edge, HashRange, LeafHash, LeafIndex, NodeHash, TreeHead, TreeSize};
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::entry;

/// One lie, told at every read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lie {
    /// One bit of the body of that entry is flipped.
    Body(u64),
    /// One bit of the body is flipped and the row's leaf hash fits it.
    BodyAndLeafHash(u64),
    /// The row's leaf hash has a flipped bit.
    LeafHash(u64),
    /// The row is not there.
    Missing(u64),
    /// The row's time is 0.
    Time(u64),
    /// The row's deduplication hash is another one.
    DedupHash(u64),
    /// A stored hash has a flipped bit.
    StoredHash(u8, u64),
    /// The tree head of that size has a flipped bit.
    TreeHead(u64),
    /// The state's edge has a flipped bit in its last node.
    Edge,
    /// The state is that of a log without entries.
    EmptyState,
}

/// Wraps a store; passes everything through until it is told otherwise.
pub struct Tampering {
    inner: Arc<dyn LogStore>,
    lie: Mutex<Option<Lie>>,
    append_errors: Mutex<VecDeque<StoreError>>,
    read_errors: Mutex<VecDeque<Option<StoreError>>>,
    appends: Gate,
    reads: Gate,
    states: Gate,
    is_cut: AtomicBool,
    is_shared: AtomicBool,
    bytes_read: AtomicUsize,
    state_reads: AtomicUsize,
}

impl Tampering {
    /// Passes everything to `inner` until it is told otherwise.
    pub fn new(inner: Arc<dyn LogStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            lie: Mutex::default(),
            append_errors: Mutex::default(),
            read_errors: Mutex::default(),
            appends: Gate::open(),
            reads: Gate::open(),
            states: Gate::open(),
            is_cut: AtomicBool::new(false),
            is_shared: AtomicBool::new(false),
            bytes_read: AtomicUsize::new(0),
            state_reads: AtomicUsize::new(0),
        })
    }

    /// Says from now on that other processes may write, as where several replicas have one database.
    pub fn share(&self) {
        self.is_shared.store(true, Ordering::SeqCst);
    }

    /// Lets each question for the state fail, or none.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }

    /// Waits until the state of `question` is read, and holds the answer until [`Tampering::release`].
    pub async fn hold_state_of<T: Send + 'static>(
        &self,
        question: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.states.hold(question).await
    }

    /// How often the state was asked for.
    pub fn state_reads(&self) -> usize {
        self.state_reads.load(Ordering::SeqCst)
    }

    /// Tells that lie from now on, or none.
    pub fn tell(&self, lie: Option<Lie>) {
        *self.lie.lock().unwrap() = lie;
    }

    /// Lets the next append fail with `error`, nothing written.
    pub fn fail_append(&self, error: StoreError) {
        self.append_errors.lock().unwrap().push_back(error);
    }

    /// Lets the next read of entries or of duplicates fail with `error`.
    pub fn fail_read(&self, error: StoreError) {
        self.read_errors.lock().unwrap().push_back(Some(error));
    }

    /// Lets the next read of entries or of duplicates (after those already arranged) succeed.
    pub fn pass_read(&self) {
        self.read_errors.lock().unwrap().push_back(None);
    }

    /// How many bytes of entries were read through it.
    pub fn bytes_read(&self) -> usize {
        self.bytes_read.load(Ordering::SeqCst)
    }

    /// How many reads of entries have begun.
    pub fn reads_begun(&self) -> usize {
        self.reads.came.load(Ordering::SeqCst)
    }

    /// Holds every append until [`Tampering::release`].
    pub fn hold(&self) {
        self.appends.close();
    }

    /// Holds every append and waits until one entry is in the hands of the batcher.
    pub async fn occupy(&self, log: &Arc<Log>) -> JoinHandle<Integrated> {
        let log = Arc::clone(log);
        self.hold_append_of(async move { log.submit(entry(b"first")).await.unwrap() }).await
    }

    /// Holds every append and waits until what `submission` brings is in the hands of the batcher.
    pub async fn hold_append_of<T: Send + 'static>(
        &self,
        submission: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.appends.hold(submission).await
    }

    /// Holds every read of entries and waits for that of `question`.
    pub async fn hold_read_of<T: Send + 'static>(
        &self,
        question: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.reads.hold(question).await
    }

    /// Lets what is held go on.
    pub fn release(&self) {
        self.appends.reopen();
        self.reads.reopen();
        self.states.reopen();
    }

    fn lies(&self, lie: Lie) -> bool {
        *self.lie.lock().unwrap() == Some(lie)
    }

    fn read_error(&self) -> Result<(), StoreError> {
        self.read_errors.lock().unwrap().pop_front().flatten().map_or(Ok(()), Err)
    }
}

/// Holds calls until it is opened again, and counts those that came.
struct Gate {
    permits: Semaphore,
    came: AtomicUsize,
}

impl Gate {
    fn open() -> Self {
        Self { permits: Semaphore::new(Semaphore::MAX_PERMITS), came: AtomicUsize::new(0) }
    }

    fn close(&self) {
        self.permits.forget_permits(usize::MAX);
    }

    fn reopen(&self) {
        if self.permits.available_permits() == 0 {
            self.permits.add_permits(1000);
        }
    }

    async fn pass(&self) {
        self.came.fetch_add(1, Ordering::SeqCst);
        let _permit = self.permits.acquire().await.unwrap();
    }

    /// Closes it, and waits until one more call came.
    async fn hold<T: Send + 'static>(
        &self,
        caller: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.close();
        let came = self.came.load(Ordering::SeqCst);
        let caller = tokio::spawn(caller);
        while self.came.load(Ordering::SeqCst) == came {
            tokio::task::yield_now().await;
        }
        caller
    }
}

/// A failure of the store that passes.
pub fn unavailable() -> StoreError {
    StoreError::Unavailable { source: "injected".into() }
}

fn flipped(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[0] ^= 1;
    bytes.into()
}

fn flipped_hash<H: From<[u8; 32]> + AsRef<[u8]>>(hash: &H) -> H {
    let mut bytes: [u8; 32] = hash.as_ref().try_into().unwrap();
    bytes[31] ^= 0x80;
    bytes.into()
}

#[async_trait]
impl LogStore for Tampering {
    async fn ensure_log(&self, spec: &LogSpec, now: UnixSeconds) -> Result<LogRecord, StoreError> {
        self.inner.ensure_log(spec, now).await
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        self.inner.logs().await
    }

    async fn state(&self, log: LogId) -> Result<LogState, StoreError> {
        self.state_reads.fetch_add(1, Ordering::SeqCst);
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        let mut state = self.inner.state(log).await?;
        // Held once it is known, so that it may be old when it arrives.
        self.states.pass().await;
        if self.lies(Lie::Edge) {
            let mut bytes = state.edge.to_bytes();
            *bytes.last_mut().unwrap() ^= 1;
            state.edge = Edge::from_bytes(state.edge.size(), &bytes).unwrap();
        }
        if self.lies(Lie::EmptyState) {
            state.edge = Edge::default();
        }
        Ok(state)
    }

    async fn highest_row(&self, log: LogId) -> Result<Option<LeafIndex>, StoreError> {
        self.inner.highest_row(log).await
    }

    async fn append(&self, log: LogId, batch: &Batch) -> Result<Appended, StoreError> {
        self.appends.pass().await;
        let error = self.append_errors.lock().unwrap().pop_front();
        match error {
            Some(error) => Err(error),
            None => self.inner.append(log, batch).await,
        }
    }

    async fn freeze(&self, log: LogId) -> Result<(), StoreError> {
        self.inner.freeze(log).await
    }

    async fn find(
        &self,
        log: LogId,
        dedup_hashes: &[DedupHash],
    ) -> Result<Vec<Option<Found>>, StoreError> {
        self.read_error()?;
        self.inner.find(log, dedup_hashes).await
    }

    async fn find_leaf(
        &self,
        log: LogId,
        leaf_hash: &LeafHash,
    ) -> Result<Option<LeafIndex>, StoreError> {
        self.inner.find_leaf(log, leaf_hash).await
    }

    async fn entries(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        self.reads.pass().await;
        self.read_error()?;
        let mut rows = self.inner.entries(log, range).await?;
        let bytes = rows.iter().map(|row| row.body.len() + row.extra.len()).sum();
        self.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        rows.retain(|row| !self.lies(Lie::Missing(row.index.0)));
        for row in &mut rows {
            let index = row.index.0;
            if self.lies(Lie::Body(index)) {
                row.body = flipped(&row.body);
            }
            if self.lies(Lie::BodyAndLeafHash(index)) {
                row.body = flipped(&row.body);
                row.leaf_hash = tlog::leaf_hash(&row.body);
            }
            if self.lies(Lie::LeafHash(index)) {
                row.leaf_hash = flipped_hash(&row.leaf_hash);
            }
            if self.lies(Lie::Time(index)) {
                row.integrated_at = UnixSeconds(0);
            }
            if self.lies(Lie::DedupHash(index)) {
                row.dedup_hash = DedupHash([9; 32]);
            }
        }
        Ok(rows)
    }

    async fn entry_lengths(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<EntryLen>, StoreError> {
        self.inner.entry_lengths(log, range).await
    }

    async fn hashes(&self, log: LogId, range: HashRange) -> Result<Vec<NodeHash>, StoreError> {
        let hashes = self.inner.hashes(log, range).await?;
        let lie = |index, hash| {
            if self.lies(Lie::StoredHash(range.level, index)) { flipped_hash(&hash) } else { hash }
        };
        Ok((range.start..).zip(hashes).map(|(index, hash)| lie(index, hash)).collect())
    }

    async fn tree_head(&self, log: LogId, size: TreeSize) -> Result<Option<TreeHead>, StoreError> {
        let head = self.inner.tree_head(log, size).await?;
        Ok(head.map(|head| {
            if self.lies(Lie::TreeHead(size.0)) {
                TreeHead { root: flipped_hash(&head.root), ..head }
            } else {
                head
            }
        }))
    }

    async fn search(
        &self,
        log: LogId,
        keys: &[IndexKey],
        match_all: bool,
        page: SearchPage,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        self.read_error()?;
        self.inner.search(log, keys, match_all, page).await
    }

    async fn index_keys(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<(LeafIndex, String, String)>, StoreError> {
        self.inner.index_keys(log, range).await
    }

    async fn leaf_hashes(
        &self,
        log: LogId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LeafHash>, StoreError> {
        self.read_error()?;
        self.inner.leaf_hashes(log, indexes).await
    }

    async fn put_timestamp_signatures(
        &self,
        log: LogId,
        signatures: &[TimestampSignature],
    ) -> Result<(), StoreError> {
        self.inner.put_timestamp_signatures(log, signatures).await
    }

    fn generation(&self) -> Option<u64> {
        self.inner.generation()
    }

    fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::SeqCst) || self.inner.is_shared()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
