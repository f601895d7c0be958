//! The contract of the log's store, on SQLite.

#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sqlite::SqliteLogStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use store::contract_suite::Database;
use store::{LogStore, StoreError};

store::log_store_contract!(file);

struct SqliteFile {
    directory: tempfile::TempDir,
    open: Mutex<Option<Arc<SqliteLogStore>>>,
}

#[expect(
    clippy::unused_async,
    reason = "the contract awaits it, for databases that are further away"
)]
async fn file() -> SqliteFile {
    SqliteFile { directory: tempfile::tempdir().unwrap(), open: Mutex::default() }
}

impl SqliteFile {
    fn path(&self) -> PathBuf {
        self.directory.path().join("log.db")
    }

    async fn connection(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path()).connect().await.unwrap()
    }
}

#[async_trait]
impl Database for SqliteFile {
    async fn store(&self) -> Arc<dyn LogStore> {
        match SqliteLogStore::open(&self.path()).await {
            Ok(store) => {
                let store = Arc::new(store);
                *self.open.lock().unwrap() = Some(store.clone());
                store
            }
            Err(StoreError::AlreadyOpen { .. }) => self.open.lock().unwrap().clone().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn execute(&self, statement: &'static str) -> Result<(), String> {
        let done = sqlx::query(statement).execute(&mut self.connection().await).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.connection().await).await.unwrap()
    }

    async fn remove(&self) {}
}
