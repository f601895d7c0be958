//! The transparency log on SQLite: one file, one process, one writer.
//!
//! Implements [`store::LogStore`]; what is decided without I/O lives in [`store::plan`]. Three facts make it
//! safe:
//!
//! - **One process.** A lock of the operating system on `<file>.lock` refuses a second opener, and falls with the
//!   process, also after `kill -9`.
//! - **One writer.** One connection writes, and each append is one `BEGIN IMMEDIATE` transaction; a plain `BEGIN`
//!   would take the write lock late and could fail then.
//! - **`synchronous=FULL`.** In WAL mode `NORMAL` gives up acknowledged commits at power loss, which forks a log.
//!
//! What this crate refuses to do: run on a network file system's idea of locks with two processes, or in memory.
//!
//! | module | job |
//! |---|---|
//! | `open` | lock file, connections, migration |
//! | `append` | the rows of a plan, in few statements |
//! | `checkpoints` | from the WAL into the file, beside the writer |
//! | `read` | everything that only reads |
//! | `error` | what SQLite's error codes mean for a log |

mod append;
mod checkpoints;
mod error;
mod open;
mod read;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use moment::UnixSeconds;
use sqlx::{Sqlite, SqlitePool, Transaction};
use store::row::{check_spec, from_u64, refuse_twin};
use store::search::{Search, check_leaves};
use store::{
    Appended, Batch, DedupHash, EntryLen, Found, IndexKey, LogId, LogRecord, LogSpec, LogState,
    LogStore, SearchPage, StoreError, StoredEntry, TimestampSignature,
};
use tlog::{HashRange, LeafHash, LeafIndex, NodeHash, TreeHead, TreeSize};

use crate::checkpoints::{Checkpoints, pages_of};
use crate::error::{at_commit, unavailable};

/// The log's store in one SQLite file.
pub struct SqliteLogStore {
    // One connection; waiting for it is the queue of the writers.
    writer: SqlitePool,
    readers: SqlitePool,
    checkpoints: Checkpoints,
    // Held until `close`; dropping the file gives up the lock.
    lock: Mutex<Option<open::Lock>>,
    // Of the appends of this process, beside which there is none.
    generation: AtomicU64,
}

impl SqliteLogStore {
    /// Opens the database, creating and migrating it as needed.
    ///
    /// # Errors
    /// [`StoreError::AlreadyOpen`] when another opener has it, [`StoreError::Unavailable`] when the file cannot be
    /// read and written, [`StoreError::Corrupt`] when it is no database of ours.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = open::lock(path)?;
        let writer = open::writer(path).await?;
        Ok(Self::of(path, writer, lock))
    }

    /// Opens a database that is there and has this program's schema already, and changes nothing of it.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StoreError::Unavailable`] with a [`store::SchemaMismatch`] for another schema.
    pub async fn open_as_it_is(path: &Path) -> Result<Self, StoreError> {
        let lock = open::lock(path)?;
        let writer = open::writer_as_it_is(path).await?;
        Ok(Self::of(path, writer, lock))
    }

    fn of(path: &Path, writer: SqlitePool, lock: open::Lock) -> Self {
        let (readers, lock) = (open::readers(path), Mutex::new(Some(lock)));
        let checkpoints = Checkpoints::start(writer.clone(), open::copier(path));
        Self { writer, readers, checkpoints, lock, generation: AtomicU64::new(0) }
    }

    // Dropped before its commit, the transaction is rolled back before the connection serves again.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        match self.writer.begin_with(BEGIN).await {
            // SQLite rolls back by itself where a disk is full or fails, of which sqlx knows nothing: the connection
            // would begin no transaction any more.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                let stuck = self.writer.acquire().await.map_err(unavailable)?;
                let _ = stuck.close().await;
                self.writer.begin_with(BEGIN).await.map_err(unavailable)
            }
            begun => begun.map_err(unavailable),
        }
    }
}

/// A plain one would take the write lock late, and could fail then.
const BEGIN: &str = "BEGIN IMMEDIATE";

#[async_trait]
impl LogStore for SqliteLogStore {
    async fn ensure_log(&self, spec: &LogSpec, now: UnixSeconds) -> Result<LogRecord, StoreError> {
        let mut tx = self.begin().await?;
        let record = if let Some(record) = read::log_named(&mut tx, &spec.name).await? {
            record
        } else {
            refuse_twin(spec, &read::logs(&mut tx).await?)?;
            append::create_log(&mut tx, spec, now).await?
        };
        tx.commit().await.map_err(at_commit)?;
        check_spec(record, spec)
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        read::logs(&mut *read::connection(&self.readers).await?).await
    }

    async fn state(&self, log: LogId) -> Result<LogState, StoreError> {
        read::state(&mut *read::connection(&self.readers).await?, log).await?.into_state()
    }

    async fn highest_row(&self, log: LogId) -> Result<Option<LeafIndex>, StoreError> {
        read::highest_row(&mut *read::connection(&self.readers).await?, log).await
    }

    async fn append(&self, log: LogId, batch: &Batch) -> Result<Appended, StoreError> {
        let mut tx = self.begin().await?;
        let plan = append::append(&mut tx, log, batch).await?;
        // Durable from here, or unknown.
        let committed = tx.commit().await.map_err(at_commit);
        if !plan.fresh().is_empty() {
            self.generation.fetch_add(1, Ordering::SeqCst);
            self.checkpoints.note(pages_of(&plan));
        }
        committed?;
        Ok(plan.into_appended())
    }

    async fn freeze(&self, log: LogId) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        append::freeze(&mut tx, log).await?;
        let committed = tx.commit().await.map_err(at_commit);
        self.generation.fetch_add(1, Ordering::SeqCst);
        committed
    }

    async fn find(
        &self,
        log: LogId,
        dedup_hashes: &[DedupHash],
    ) -> Result<Vec<Option<Found>>, StoreError> {
        let known =
            read::find(&mut *read::connection(&self.readers).await?, log, dedup_hashes).await?;
        Ok(dedup_hashes.iter().map(|hash| known.get(hash).copied()).collect())
    }

    async fn find_leaf(
        &self,
        log: LogId,
        leaf_hash: &LeafHash,
    ) -> Result<Option<LeafIndex>, StoreError> {
        read::find_leaf(&mut *read::connection(&self.readers).await?, log, leaf_hash).await
    }

    async fn entries(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        read::entries(&mut *read::connection(&self.readers).await?, log, range).await
    }

    async fn entry_lengths(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<EntryLen>, StoreError> {
        read::entry_lengths(&mut *read::connection(&self.readers).await?, log, range).await
    }

    async fn hashes(&self, log: LogId, range: HashRange) -> Result<Vec<NodeHash>, StoreError> {
        read::hashes(&mut *read::connection(&self.readers).await?, log, range).await
    }

    async fn tree_head(&self, log: LogId, size: TreeSize) -> Result<Option<TreeHead>, StoreError> {
        let connection = &mut *read::connection(&self.readers).await?;
        let root = read::tree_head(connection, log, from_u64("size of the log", size.0)?).await?;
        Ok(root.map(|root| TreeHead { size, root }))
    }

    async fn search(
        &self,
        log: LogId,
        keys: &[IndexKey],
        match_all: bool,
        page: SearchPage,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        let search = Search::new(keys, match_all, page)?;
        read::search(&mut *read::connection(&self.readers).await?, log, search).await
    }

    async fn index_keys(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<(LeafIndex, String, String)>, StoreError> {
        read::index_keys(&mut *read::connection(&self.readers).await?, log, range).await
    }

    async fn leaf_hashes(
        &self,
        log: LogId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LeafHash>, StoreError> {
        check_leaves(indexes)?;
        read::leaf_hashes(&mut *read::connection(&self.readers).await?, log, indexes).await
    }

    async fn put_timestamp_signatures(
        &self,
        log: LogId,
        signatures: &[TimestampSignature],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        append::put_timestamp_signatures(&mut tx, log, signatures).await?;
        tx.commit().await.map_err(at_commit)
    }

    fn generation(&self) -> Option<u64> {
        Some(self.generation.load(Ordering::SeqCst))
    }

    /// The lock on the file keeps others out.
    fn is_shared(&self) -> bool {
        false
    }

    async fn close(&self) {
        self.readers.close().await;
        self.checkpoints.close().await;
        self.writer.close().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[cfg(test)]
mod tests {
    use store::contract_suite::{batch, spec};
    use tlog::TreeSize;

    use super::*;

    /// SQLite had rolled back, and no transaction could begin until the process was started again.
    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteLogStore::open(&directory.path().join("log.db")).await.unwrap();
        let log = store.ensure_log(&spec("test"), UnixSeconds(7)).await.unwrap().id;
        let mut large = batch(0..1);
        large.entries[0].extra = vec![7; 60_000].into();
        // No fewer than it has.
        sqlx::query("PRAGMA max_page_count = 1").execute(&store.writer).await.unwrap();
        let full = store.append(log, &large).await.unwrap_err();
        assert!(matches!(full, StoreError::Unavailable { .. }), "{full:?}");
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&store.writer).await.unwrap();
        let appended = store.append(log, &large).await.unwrap();
        assert_eq!(appended.after.size(), TreeSize(1));
        store.close().await;
    }
}
