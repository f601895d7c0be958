//! Fills the logs of a stopped stack to a size, by the store's own port.
//!
//! Through the services it would take minutes of signatures that say nothing of the log. What an append finds when it
//! comes is the same: rows in the order of their indexes, hashes and words in none.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use postgres::PostgresLogStore;
use signing::{Clock, SystemClock};
use sqlite::SqliteLogStore;
use store::{Batch, DedupHash, IndexKey, LogId, LogKind, LogStore, NewEntry};
use tlog::TreeSize;

use crate::Arguments;

/// Entries of one append. Few appends make it quick; the rows are those of small ones, but for the tree heads.
const BATCH: u64 = 4096;

/// Bytes of a body: short, since long ones are only written, one behind the other, and never met again.
const BODY: usize = 600;

/// Brings the logs of both versions of Rekor to `entries` each.
pub(crate) async fn run(arguments: &Arguments, entries: u64) -> Result<()> {
    let store: Arc<dyn LogStore> = match &arguments.database_url {
        Some(url) => Arc::new(PostgresLogStore::connect_as_it_is(url).await?),
        None => Arc::new(SqliteLogStore::open_as_it_is(&arguments.data_dir.join("log.db")).await?),
    };
    for log in store.logs().await? {
        if matches!(log.spec.kind, LogKind::Rekor1 | LogKind::Rekor2) {
            fill(store.as_ref(), (log.id, log.spec.kind), entries)
                .await
                .with_context(|| format!("cannot fill {}", log.spec.name))?;
        }
    }
    store.close().await;
    Ok(())
}

async fn fill(store: &dyn LogStore, (log, kind): (LogId, LogKind), entries: u64) -> Result<()> {
    let seed = crypto::random_bytes::<16>();
    let mut size = store.state(log).await?.edge.size();
    while size.0 < entries {
        let end = entries.min(size.0.saturating_add(BATCH));
        let entries = (size.0..end).map(|number| entry(kind, &seed, number)).collect();
        let batch = Batch { entries, now: SystemClock.now(), minimum_size: TreeSize(0) };
        size = store.append(log, &batch).await?.after.size();
    }
    Ok(())
}

/// An entry like a `hashedrekord` in what the database makes of it.
fn entry(kind: LogKind, seed: &[u8], number: u64) -> NewEntry {
    let digest = crypto::sha256(&[seed, &number.to_be_bytes()].concat());
    let digest = digest.as_slice();
    let body: Bytes = digest.iter().copied().cycle().take(BODY).collect();
    let leaf_hash = tlog::leaf_hash(&body);
    let is_searched = kind == LogKind::Rekor1;
    NewEntry {
        leaf_hash,
        dedup_hash: DedupHash::from(leaf_hash),
        kind: "hashedrekord",
        timestamp_signature: if is_searched { Bytes::from(vec![1; 71]) } else { Bytes::new() },
        body,
        extra: Bytes::new(),
        index_keys: if is_searched { words(digest) } else { Vec::new() },
    }
}

/// A word that no other entry has for the artifact, one for the key, and an address that is in all of them.
fn words(digest: &[u8]) -> Vec<IndexKey> {
    let word = |kind, key| IndexKey { kind, key };
    vec![
        word("hash", format!("sha256:{}", hex::encode(digest))),
        word("key", hex::encode(crypto::sha256(digest))),
        word("email", "load@acme.internal".to_owned()),
    ]
}
