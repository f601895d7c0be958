//! Brings back what was signed, from a copy of the log that still has it.

use std::collections::HashMap;

use store::{Batch, IndexKey, LogRecord, LogStore, NewEntry, StoreError, StoredEntry};
use thiserror::Error;
use tlog::{Edge, LeafIndex, NodeHash, TreeHead, TreeSize, leaf_hash};

use crate::{RecheckError, engine::recheck::stored_edge};

/// A log in a database.
#[derive(Clone, Copy)]
pub struct LogIn<'a> {
    /// The database.
    pub store: &'a dyn LogStore,
    /// The log.
    pub record: &'a LogRecord,
}

/// Why nothing was brought back.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// Another origin or key.
    #[error("the copy is of another log: its {field} differs")]
    AnotherLog {
        /// What differs.
        field: &'static str,
    },
    /// The copy, or the log, ends before what was signed.
    #[error("{whose} holds {found} entries, and a checkpoint for {signed} entries was signed")]
    Behind {
        /// The copy, or the log.
        whose: &'static str,
        /// Entries of the copy.
        found: TreeSize,
        /// Entries under the checkpoint.
        signed: TreeSize,
    },
    /// The copy, or the log, does not continue the other one, or has not what was signed.
    #[error(
        "at size {size} {whose} has root {found} in place of {expected}: it is another history"
    )]
    Forked {
        /// The copy, or the log.
        whose: &'static str,
        /// Tree size.
        size: TreeSize,
        /// As found.
        found: NodeHash,
        /// As it must be.
        expected: NodeHash,
    },
    /// An entry of the copy is not what its leaf hash says.
    #[error("entry {index} of the copy is damaged")]
    Damaged {
        /// Which one.
        index: LeafIndex,
    },
    /// Stored hashes do not add up.
    #[error("what is stored could not be confirmed")]
    Unconfirmed(#[from] RecheckError),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Appends to `target` all entries that `copy` has beyond it, with their times and signatures; `signed` is the last
/// checkpoint that anybody was given. Gives how many entries came back.
///
/// Everything is read and computed before the first is written: nothing is, unless in the end the log has
/// exactly the tree that was signed. It may be run again.
///
/// # Errors
/// [`RestoreError`]; after [`RestoreError::Store`] a part may be back.
pub async fn restore(
    copy: LogIn<'_>,
    target: LogIn<'_>,
    signed: TreeHead,
) -> Result<u64, RestoreError> {
    refuse_another(copy.record, target.record)?;
    let (from, to) = (edge(target).await?, edge(copy).await?);
    if from.size() >= signed.size && to.size() <= from.size() {
        holds(target, signed).await?;
        return Ok(0);
    }
    confirm_signed("the copy", copy, signed).await?;
    confirm_head("the copy", copy, from.head()).await?;
    confirm_entries(copy, from.clone(), &to).await?;
    let restored = append_all(copy, target, from.size()).await?;
    holds(target, signed).await?;
    Ok(restored)
}

/// Confirms that the log has all of the tree that was signed.
///
/// # Errors
/// [`RestoreError::Behind`], [`RestoreError::Forked`], [`RestoreError::Unconfirmed`], [`RestoreError::Store`].
pub async fn holds(log: LogIn<'_>, signed: TreeHead) -> Result<(), RestoreError> {
    confirm_signed("the log", log, signed).await
}

async fn confirm_signed(
    whose: &'static str,
    log: LogIn<'_>,
    signed: TreeHead,
) -> Result<(), RestoreError> {
    let found = edge(log).await?.size();
    if found < signed.size {
        return Err(RestoreError::Behind { whose, found, signed: signed.size });
    }
    confirm_head(whose, log, signed).await
}

fn refuse_another(copy: &LogRecord, target: &LogRecord) -> Result<(), RestoreError> {
    let (copy, target) = (&copy.spec, &target.spec);
    let same = [
        ("kind", copy.kind == target.kind),
        ("origin", copy.origin == target.origin),
        ("key", copy.public_key_der == target.public_key_der),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(RestoreError::AnotherLog { field }),
        None => Ok(()),
    }
}

async fn edge(log: LogIn<'_>) -> Result<Edge, RestoreError> {
    Ok(log.store.state(log.record.id).await?.edge)
}

async fn confirm_head(
    whose: &'static str,
    log: LogIn<'_>,
    head: TreeHead,
) -> Result<(), RestoreError> {
    let then = stored_edge(log.store, log.record.id, head.size).await?.head();
    if then == head {
        return Ok(());
    }
    let (size, found, expected) = (head.size, then.root, head.root);
    Err(RestoreError::Forked { whose, size, found, expected })
}

/// The copy's bodies give the copy's head.
async fn confirm_entries(copy: LogIn<'_>, mut from: Edge, to: &Edge) -> Result<(), RestoreError> {
    while from.size() < to.size() {
        for row in rows(copy, from.size()).await? {
            if leaf_hash(&row.body) != row.leaf_hash {
                return Err(RestoreError::Damaged { index: row.index });
            }
            from.push(row.leaf_hash);
        }
    }
    if from == *to {
        return Ok(());
    }
    let (size, found, expected) = (to.size(), from.head().root, to.head().root);
    Err(RestoreError::Forked { whose: "the copy", size, found, expected })
}

/// The next entries; at least one.
async fn rows(copy: LogIn<'_>, size: TreeSize) -> Result<Vec<StoredEntry>, RestoreError> {
    let range = size.end()..LeafIndex(size.0.saturating_add(ROWS));
    let rows = copy.store.entries(copy.record.id, range).await?;
    if rows.is_empty() {
        return Err(RestoreError::Damaged { index: size.end() });
    }
    Ok(rows)
}

async fn append_all(
    copy: LogIn<'_>,
    target: LogIn<'_>,
    mut size: TreeSize,
) -> Result<u64, RestoreError> {
    let (begin, end) = (size, edge(copy).await?.size());
    let mut words = Words::default();
    while size < end {
        let rows = rows(copy, size).await?;
        let last = LeafIndex(size.0 + rows.len() as u64);
        let mut keys = words.of(copy, size.end(), last).await?;
        // An append gives all its entries one time.
        for rows in rows.chunk_by(|one, next| one.integrated_at == next.integrated_at) {
            let Some(first) = rows.first() else { continue };
            let entries = rows.iter().map(|row| NewEntry {
                leaf_hash: row.leaf_hash,
                dedup_hash: row.dedup_hash,
                kind: words.word(&row.kind),
                body: row.body.clone(),
                extra: row.extra.clone(),
                timestamp_signature: row.timestamp_signature.clone(),
                index_keys: keys.remove(&row.index).unwrap_or_default(),
            });
            let entries: Vec<_> = entries.collect();
            let batch = Batch { entries, now: first.integrated_at, minimum_size: size };
            size = target.store.append(target.record.id, &batch).await?.after.size();
        }
    }
    Ok(size.0 - begin.0)
}

/// Rows of one reading: with the longest bodies these are 32 MiB.
const ROWS: u64 = 512;

/// Names of kinds, of which there are few: a new entry has them for as long as the program runs.
#[derive(Default)]
struct Words(HashMap<String, &'static str>);

impl Words {
    fn word(&mut self, word: &str) -> &'static str {
        if let Some(known) = self.0.get(word) {
            return known;
        }
        let leaked: &'static str = Box::leak(word.to_owned().into_boxed_str());
        self.0.insert(word.to_owned(), leaked);
        leaked
    }

    /// What these entries can be searched by.
    async fn of(
        &mut self,
        copy: LogIn<'_>,
        start: LeafIndex,
        end: LeafIndex,
    ) -> Result<HashMap<LeafIndex, Vec<IndexKey>>, RestoreError> {
        let mut keys: HashMap<LeafIndex, Vec<IndexKey>> = HashMap::new();
        for (index, kind, key) in copy.store.index_keys(copy.record.id, start..end).await? {
            keys.entry(index).or_default().push(IndexKey { kind: self.word(&kind), key });
        }
        Ok(keys)
    }
}
