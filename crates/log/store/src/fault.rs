//! A store whose writes fail on demand, for the tests of whatever writes.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use moment::UnixSeconds;
use tlog::{HashRange, LeafHash, LeafIndex, NodeHash, TreeHead, TreeSize};

use crate::{
    Appended, Batch, DedupHash, EntryLen, Found, IndexKey, LogId, LogRecord, LogSpec, LogState,
    LogStore, SearchPage, StoreError, StoredEntry, TimestampSignature,
};

/// How a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written: [`StoreError::Unavailable`].
    Failed,
    /// All is written, and the answer is lost: [`StoreError::OutcomeUnknown`].
    FailedYetPersisted,
    /// Nothing is written, as if another writer had been first: [`StoreError::Conflict`].
    Conflict,
    /// All is written and visible, but not on the standby: [`StoreError::Unreplicated`].
    Unreplicated,
}

impl Fault {
    fn persists(self) -> bool {
        matches!(self, Self::FailedYetPersisted | Self::Unreplicated)
    }

    fn error(self) -> StoreError {
        match self {
            Self::Failed => StoreError::Unavailable { source: INJECTED.into() },
            Self::FailedYetPersisted => StoreError::OutcomeUnknown { source: INJECTED.into() },
            Self::Conflict => StoreError::Conflict,
            Self::Unreplicated => StoreError::Unreplicated,
        }
    }
}

/// Wraps any store and lets chosen writes fail; everything else passes through.
pub struct FaultyStore {
    inner: Arc<dyn LogStore>,
    appends: Mutex<VecDeque<Fault>>,
    timestamp_signatures: Mutex<VecDeque<Fault>>,
}

impl FaultyStore {
    /// A store without faults so far.
    #[must_use]
    pub fn new(inner: Arc<dyn LogStore>) -> Self {
        Self { inner, appends: Mutex::default(), timestamp_signatures: Mutex::default() }
    }

    /// Lets the next [`LogStore::append`] fail (after those already arranged).
    pub fn fail_append(&self, fault: Fault) {
        arrange(&self.appends, fault);
    }

    /// Lets the next [`LogStore::put_timestamp_signatures`] fail (after those already arranged).
    pub fn fail_timestamp_signatures(&self, fault: Fault) {
        arrange(&self.timestamp_signatures, fault);
    }
}

#[async_trait]
impl LogStore for FaultyStore {
    async fn ensure_log(&self, spec: &LogSpec, now: UnixSeconds) -> Result<LogRecord, StoreError> {
        self.inner.ensure_log(spec, now).await
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        self.inner.logs().await
    }

    async fn state(&self, log: LogId) -> Result<LogState, StoreError> {
        self.inner.state(log).await
    }

    async fn highest_row(&self, log: LogId) -> Result<Option<LeafIndex>, StoreError> {
        self.inner.highest_row(log).await
    }

    async fn append(&self, log: LogId, batch: &Batch) -> Result<Appended, StoreError> {
        let Some(fault) = next(&self.appends) else { return self.inner.append(log, batch).await };
        if fault.persists() {
            self.inner.append(log, batch).await?;
        }
        Err(fault.error())
    }

    async fn freeze(&self, log: LogId) -> Result<(), StoreError> {
        self.inner.freeze(log).await
    }

    async fn find(
        &self,
        log: LogId,
        dedup_hashes: &[DedupHash],
    ) -> Result<Vec<Option<Found>>, StoreError> {
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
        self.inner.entries(log, range).await
    }

    async fn entry_lengths(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<EntryLen>, StoreError> {
        self.inner.entry_lengths(log, range).await
    }

    async fn hashes(&self, log: LogId, range: HashRange) -> Result<Vec<NodeHash>, StoreError> {
        self.inner.hashes(log, range).await
    }

    async fn tree_head(&self, log: LogId, size: TreeSize) -> Result<Option<TreeHead>, StoreError> {
        self.inner.tree_head(log, size).await
    }

    async fn search(
        &self,
        log: LogId,
        keys: &[IndexKey],
        match_all: bool,
        page: SearchPage,
    ) -> Result<Vec<LeafIndex>, StoreError> {
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
        self.inner.leaf_hashes(log, indexes).await
    }

    async fn put_timestamp_signatures(
        &self,
        log: LogId,
        signatures: &[TimestampSignature],
    ) -> Result<(), StoreError> {
        let fault = next(&self.timestamp_signatures);
        if fault.is_none_or(Fault::persists) {
            self.inner.put_timestamp_signatures(log, signatures).await?;
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn generation(&self) -> Option<u64> {
        self.inner.generation()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

const INJECTED: &str = "injected fault";

fn arrange(queue: &Mutex<VecDeque<Fault>>, fault: Fault) {
    queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
}

fn next(queue: &Mutex<VecDeque<Fault>>) -> Option<Fault> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}
