//! The transparency log on PostgreSQL, for any number of processes at once.
//!
//! Implements [`store::LogStore`]; what is decided without I/O lives in [`store::plan`]. Safety rests on the
//! row lock of the log's state, on a compare-and-swap of its size and root, and on unique keys; never on a leader, a
//! clock or a session. What one has to know of the server:
//!
//! - `fsync` and `full_page_writes` must be on, else [`PostgresLogStore::connect`] refuses.
//! - Each append sets `synchronous_commit` and its time limits itself, for its own transaction.
//! - A failover to a standby that is behind forks the log: set `synchronous_standby_names`. A commit that the standby
//!   did not confirm is told apart, see `transaction`.
//!
//! What this crate refuses to do: write outside of schema `log`, hold session locks, or guess the outcome of a commit.
//!
//! | module | job |
//! |---|---|
//! | `access` | where the database is, and its password, which may change |
//! | `connect` | connections, the server's settings, migration |
//! | `roles` | who owns the tables, and who appends to them |
//! | `transaction` | a write transaction that is all or nothing, also when its future is dropped |
//! | `news` | whether anybody wrote, without asking all the time |
//! | `append` | the rows of a plan, in one statement |
//! | `read` | everything that only reads |
//! | `lock` | which process makes logs |
//! | `error` | what Postgres' error codes mean for a log |

mod access;
mod append;
mod connect;
mod error;
mod lock;
mod news;
mod read;
mod roles;
mod transaction;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use moment::UnixSeconds;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use store::row::check_spec;
use store::row::from_u64;
use store::search::{Search, check_leaves};
use store::{
    Appended, Batch, DedupHash, EntryLen, Found, IndexKey, LogId, LogRecord, LogSpec, LogState,
    LogStore, SearchPage, StoreError, StoredEntry, TimestampSignature,
};
use tlog::{HashRange, LeafHash, LeafIndex, NodeHash, TreeHead, TreeSize};

pub use crate::access::Access;
use crate::access::{Connector, Readers};
pub use crate::lock::MakersLock;
use crate::news::News;
pub use crate::roles::{Login, Right, SCRAM_ITERATIONS, right_of, roles_sql};
use crate::transaction::Writers;

/// The log's store in schema `log` of a PostgreSQL database.
pub struct PostgresLogStore {
    writers: Writers,
    readers: Readers,
    news: News,
}

impl PostgresLogStore {
    /// Connects and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::UnsafeDatabase`] when the server is set up to lose commits, [`StoreError::Unavailable`] when it
    /// does not answer, the URL is wrong, or the schema is not ours.
    pub async fn connect(access: impl Into<Access>) -> Result<Self, StoreError> {
        let connector = Connector::new(access.into())?;
        let options = connector.options().await;
        let connection = connect::prepare(&options).await?;
        Ok(Self::of(connector, &options, connection))
    }

    /// As [`Self::connect`], of the owner of the tables, and lets the role `service` append to the logs.
    ///
    /// # Errors
    /// As there; also when there is no such role.
    pub async fn connect_and_grant(
        access: impl Into<Access>,
        service: &str,
    ) -> Result<Self, StoreError> {
        let connector = Connector::new(access.into())?;
        let options = connector.options().await;
        let mut connection = connect::prepare(&options).await?;
        roles::grant(&mut connection, service).await?;
        Ok(Self::of(connector, &options, connection))
    }

    /// Connects to a database whose schema is this program's already, and changes nothing.
    ///
    /// # Errors
    /// As [`Self::connect`]; [`StoreError::Unavailable`] with a [`store::SchemaMismatch`] for another schema.
    pub async fn connect_as_it_is(access: impl Into<Access>) -> Result<Self, StoreError> {
        let connector = Connector::new(access.into())?;
        let options = connector.options().await;
        let connection = connect::as_it_is(&options).await?;
        Ok(Self::of(connector, &options, connection))
    }

    fn of(connector: Connector, options: &PgConnectOptions, connection: PgConnection) -> Self {
        let connector = Arc::new(connector);
        let readers = Readers::new(options, Arc::clone(&connector));
        let news = News::new(Arc::clone(&connector));
        Self { readers, news, writers: Writers::new(connector, connection) }
    }
}

#[async_trait]
impl LogStore for PostgresLogStore {
    async fn ensure_log(&self, spec: &LogSpec, now: UnixSeconds) -> Result<LogRecord, StoreError> {
        let mut transaction = self.writers.begin().await?;
        let ensured = append::ensure_log(transaction.connection(), spec, now).await;
        check_spec(transaction.end(ensured).await?, spec)
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        read::logs(&mut *self.readers.acquire().await?).await
    }

    async fn state(&self, log: LogId) -> Result<LogState, StoreError> {
        read::durable_state(&mut *self.readers.acquire().await?, log).await
    }

    async fn highest_row(&self, log: LogId) -> Result<Option<LeafIndex>, StoreError> {
        read::highest_row(&mut *self.readers.acquire().await?, log).await
    }

    async fn append(&self, log: LogId, batch: &Batch) -> Result<Appended, StoreError> {
        let mut transaction = self.writers.begin().await?;
        let written = append::append(transaction.connection(), log, batch).await;
        // Durable when this returns, here and on the synchronous standby if there is one.
        let ended = transaction.end(written).await;
        // Also where nobody knows whether it was written.
        if ended.as_ref().map_or(true, |plan| !plan.fresh().is_empty()) {
            self.news.announce(&self.readers);
        }
        Ok(ended?.into_appended())
    }

    async fn freeze(&self, log: LogId) -> Result<(), StoreError> {
        let mut transaction = self.writers.begin().await?;
        let frozen = append::freeze(transaction.connection(), log).await;
        transaction.end(frozen).await?;
        self.news.announce(&self.readers);
        Ok(())
    }

    async fn find(
        &self,
        log: LogId,
        dedup_hashes: &[DedupHash],
    ) -> Result<Vec<Option<Found>>, StoreError> {
        let known = read::find(&mut *self.readers.acquire().await?, log, dedup_hashes).await?;
        Ok(dedup_hashes.iter().map(|hash| known.get(hash).copied()).collect())
    }

    async fn find_leaf(
        &self,
        log: LogId,
        leaf_hash: &LeafHash,
    ) -> Result<Option<LeafIndex>, StoreError> {
        read::find_leaf(&mut *self.readers.acquire().await?, log, leaf_hash).await
    }

    async fn entries(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        read::entries(&mut *self.readers.acquire().await?, log, range).await
    }

    async fn entry_lengths(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<EntryLen>, StoreError> {
        read::entry_lengths(&mut *self.readers.acquire().await?, log, range).await
    }

    async fn hashes(&self, log: LogId, range: HashRange) -> Result<Vec<NodeHash>, StoreError> {
        read::hashes(&mut *self.readers.acquire().await?, log, range).await
    }

    async fn tree_head(&self, log: LogId, size: TreeSize) -> Result<Option<TreeHead>, StoreError> {
        let connection = &mut *self.readers.acquire().await?;
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
        read::search(&mut *self.readers.acquire().await?, log, search).await
    }

    async fn index_keys(
        &self,
        log: LogId,
        range: Range<LeafIndex>,
    ) -> Result<Vec<(LeafIndex, String, String)>, StoreError> {
        read::index_keys(&mut *self.readers.acquire().await?, log, range).await
    }

    async fn leaf_hashes(
        &self,
        log: LogId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LeafHash>, StoreError> {
        check_leaves(indexes)?;
        read::leaf_hashes(&mut *self.readers.acquire().await?, log, indexes).await
    }

    async fn put_timestamp_signatures(
        &self,
        log: LogId,
        signatures: &[TimestampSignature],
    ) -> Result<(), StoreError> {
        let mut transaction = self.writers.begin().await?;
        let put = append::put_timestamp_signatures(transaction.connection(), log, signatures).await;
        transaction.end(put).await
    }

    fn generation(&self) -> Option<u64> {
        self.news.generation()
    }

    async fn close(&self) {
        self.news.close();
        self.writers.close().await;
        self.readers.close().await;
    }
}
