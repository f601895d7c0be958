//! Brings what is committed from the WAL into the database file, beside the writer.
//!
//! SQLite by itself does it within the commit that made the WAL long. That commit waits for it, and so do all that come
//! after: rows go to the ends of their tables, but hashes and words anywhere into their indexes, so in a large log nearly
//! each entry has pages of its own to be written to the file, in as many places. Here another connection copies them
//! while the writer goes on, and the writer is held up for the few that came meanwhile.
//!
//! Nothing depends on it but time: a commit is durable in the WAL, as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::SqlitePool;
use store::plan::Plan;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What keeps the WAL short.
pub(crate) struct Checkpoints {
    written: Arc<Written>,
    copying: AbortHandle,
    /// The connection that copies.
    pool: SqlitePool,
}

/// What was written to the WAL since somebody began to copy it.
#[derive(Default)]
struct Written {
    pages: AtomicU64,
    enough: Notify,
}

impl Checkpoints {
    /// Begins to look after the WAL of `writer`, by a connection of `pool`.
    pub(crate) fn start(writer: SqlitePool, pool: SqlitePool) -> Self {
        let written = Arc::<Written>::default();
        let copying = tokio::spawn(copy_whenever_due(Arc::clone(&written), writer, pool.clone()));
        Self { written, copying: copying.abort_handle(), pool }
    }

    /// Notes that about so many pages went into the WAL.
    pub(crate) fn note(&self, pages: u64) {
        let before = self.written.pages.fetch_add(pages, Ordering::Relaxed);
        if before < DUE && before.saturating_add(pages) >= DUE {
            self.written.enough.notify_one();
        }
    }

    /// Gives up its connection.
    pub(crate) async fn close(&self) {
        self.copying.abort();
        self.pool.close().await;
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.copying.abort();
    }
}

/// About how many pages the rows of a plan change.
pub(crate) fn pages_of(plan: &Plan<'_>) -> u64 {
    let of_entry = |entry: &store::NewEntry| {
        let bytes = (entry.body.len() + entry.extra.len()) as u64;
        // One in each index with keys in no order, and what its bytes fill.
        1 + entry.index_keys.len() as u64 + bytes / PAGE
    };
    EACH_TIME + plan.fresh().iter().map(|entry| of_entry(entry)).sum::<u64>()
}

async fn copy_whenever_due(written: Arc<Written>, writer: SqlitePool, pool: SqlitePool) {
    loop {
        written.enough.notified().await;
        written.pages.store(0, Ordering::Relaxed);
        // What fails here is tried again with the next pages, and met by the writer where it is for good.
        let _ = copy(&written, &writer, &pool).await;
    }
}

/// Copies all, and lets the next commit begin the WAL anew.
async fn copy(
    written: &Written,
    writer: &SqlitePool,
    pool: &SqlitePool,
) -> Result<(), sqlx::Error> {
    let connection = &mut *pool.acquire().await?;
    for _ in 0..MOST_PASSES {
        written.pages.store(0, Ordering::Relaxed);
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
        if written.pages.load(Ordering::Relaxed) <= REST {
            break;
        }
    }
    // While this is held nobody writes, so what is left is little, and is all.
    let quiet = writer.acquire().await?;
    written.pages.store(0, Ordering::Relaxed);
    sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(connection).await?;
    drop(quiet);
    Ok(())
}

/// 32 MiB of pages: the more commits are copied at once, the more of them changed the same page.
const DUE: u64 = 8192;
/// The writer waits for the copying of so many, some milliseconds.
const REST: u64 = 512;
/// Each has less to do than the one before, or the disk is slower than the writer, who then has to wait.
const MOST_PASSES: u32 = 4;
/// Of one append: the state, a tree head, the ends of the tables.
const EACH_TIME: u64 = 8;
const PAGE: u64 = 4096;
