//! The way from a path to connections that may be trusted with a log.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use store::StoreError;

use crate::error::unavailable;

/// Takes the lock that makes this process the only opener.
///
/// A lock of the operating system, not a file's existence: the kernel gives it up when the process dies.
pub(crate) fn lock(database: &Path) -> Result<Lock, StoreError> {
    let path = lock_path(database);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::AlreadyOpen { path: path.display().to_string() })
        }
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// The lock of the only opener, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Closing it is not enough: a child that is between fork and exec has it too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Opens the one connection that writes, and brings the schema up to date.
pub(crate) async fn writer(path: &Path) -> Result<SqlitePool, StoreError> {
    let pool = one_connection(connect_options(path).create_if_missing(true)).await?;
    refuse_origin_twice(&pool).await?;
    MIGRATIONS
        .run(&pool)
        .await
        .map_err(|error| StoreError::Unavailable { source: error.into() })?;
    Ok(pool)
}

/// Opens the one connection that writes, to a file whose schema is ours.
pub(crate) async fn writer_as_it_is(path: &Path) -> Result<SqlitePool, StoreError> {
    let pool = one_connection(connect_options(path)).await?;
    let tables: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'",
    )
    .fetch_one(&pool)
    .await
    .map_err(unavailable)?;
    let found: Option<i64> = if tables == 1 {
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(&pool)
            .await
            .map_err(unavailable)?
    } else {
        None
    };
    let known = MIGRATIONS.iter().map(|one| one.version).max().unwrap_or_default();
    if let Err(error) = store::check_schema(found, known) {
        let twice = match found {
            // What is to be done about the schema, `init`, would be refused by this.
            Some(found) if found < known => refuse_origin_twice(&pool).await,
            _ => Ok(()),
        };
        pool.close().await;
        return Err(twice.err().unwrap_or(StoreError::Unavailable { source: error.into() }));
    }
    Ok(pool)
}

async fn one_connection(options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WRITER_WAIT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(unavailable)
}

/// Databases of before may have two logs of one origin, over which the schema of today cannot be laid.
async fn refuse_origin_twice(pool: &SqlitePool) -> Result<(), StoreError> {
    let is_there: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'log'",
    )
    .fetch_one(pool)
    .await
    .map_err(unavailable)?;
    if is_there == 0 {
        return Ok(());
    }
    let twice: Option<(String, String, String)> = sqlx::query_as(
        "SELECT origin, min(name), max(name) FROM log GROUP BY origin HAVING count(*) > 1 LIMIT 1",
    )
    .fetch_optional(pool)
    .await
    .map_err(unavailable)?;
    match twice {
        None => Ok(()),
        Some((origin, first, second)) => Err(StoreError::OriginTwice { origin, first, second }),
    }
}

/// The connection that copies the WAL; opened when first needed. It waits for readers as short as reads are, since the
/// writer may be waiting for it.
pub(crate) fn copier(path: &Path) -> SqlitePool {
    let options = connect_options(path).pragma("cache_size", COPIER_CACHE_KIB);
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WRITER_WAIT)
        .test_before_acquire(false)
        .connect_lazy_with(options.busy_timeout(COPIER_WAIT))
}

/// Connections that cannot write; opened when first needed.
pub(crate) fn readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(READER_WAIT)
        .test_before_acquire(false)
        .connect_lazy_with(connect_options(path).read_only(true))
}

fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // REPLACE would else delete rows without asking the triggers.
        .pragma("recursive_triggers", "ON")
        .pragma("cache_size", CACHE_KIB)
        .pragma("wal_autocheckpoint", WAL_PAGES)
        .busy_timeout(BUSY_TIMEOUT)
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database.as_os_str());
    name.push(".lock");
    PathBuf::from(name)
}

fn io(error: std::io::Error) -> StoreError {
    StoreError::Unavailable { source: error.into() }
}

static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations/log/sqlite");

/// Reads of an HTTP server on few cores; each connection is a thread.
const READERS: u32 = 4;
/// Longer than any request may take, so that the waiter gives up first.
const READER_WAIT: Duration = Duration::from_secs(10);
/// A writer queues behind appends of some 20 ms each.
const WRITER_WAIT: Duration = Duration::from_secs(30);
/// Only an online backup or a curious shell contends with us for the file's locks.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// 32 MiB (negative: KiB): the upper levels of the two indexes with random keys, up to some million entries.
const CACHE_KIB: &str = "-32768";
/// 128 MiB of pages of 4 KiB, four times what [`crate::checkpoints`] lets come together: from there on each commit tries
/// to copy them itself, and waits.
const WAL_PAGES: &str = "32768";
/// It copies pages that are not in its cache.
const COPIER_CACHE_KIB: &str = "-64";
/// Reads take some milliseconds. Who reads for longer, as a backup does, is not waited for.
const COPIER_WAIT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_has_the_file_for_a_moment_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("log.db");
        let held = lock(&database).unwrap();
        let of_a_child = held.0.try_clone().unwrap();
        assert!(matches!(lock(&database), Err(StoreError::AlreadyOpen { .. })));
        drop(held);
        lock(&database).unwrap();
        drop(of_a_child);
    }

    #[tokio::test]
    async fn writes_with_full_synchronisation_whatever_the_defaults_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.db");
        // Who copies synchronises too: what it copied is gone from the WAL.
        for pool in [writer(&path).await.unwrap(), copier(&path)] {
            let settings: (i64, String, i64, i64) = sqlx::query_as(
                "SELECT synchronous, journal_mode, foreign_keys, recursive_triggers FROM \
                 pragma_synchronous, pragma_journal_mode, pragma_foreign_keys, pragma_recursive_triggers",
            )
            .fetch_one(&pool)
            .await
            .unwrap();
            assert_eq!(settings, (2, "wal".to_owned(), 1, 1));
        }
    }
}
