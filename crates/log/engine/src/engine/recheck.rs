//! Confirms committed rows before anything is signed over them.
//!
//! A bit that flips between hashing and storing has ended public logs for good.
//! So what was committed is read again, its bodies are hashed again, and the
//! root is computed again from an edge that this process itself confirmed.

use std::{ops::Range, sync::Arc};

use store::{LogId, LogStore, StoredEntry};
use tlog::{
    BatchTree, Edge, HashRange, LeafHash, LeafIndex, TreeSize, leaf_hash, root_of, verify_inclusion,
};

use crate::{RecheckError, StopReason};

/// Rows in one read: at most one batch, so memory stays bounded by a batch.
pub(crate) const ROWS_PER_READ: u64 = 512;

/// Bodies that are hashed without another thread, in bytes: 20 to 80 us, where a way to a thread and back takes as
/// long, and a single entry would wait for it.
const HASHED_IN_PLACE: usize = 32 * 1024;

/// A leaf hash that this process handed to the store, and where the store put it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) index: LeafIndex,
    pub(crate) leaf_hash: LeafHash,
}

/// Reads the rows from `from.size()` to `after.size()` back and confirms that they give `after`.
///
/// Those of `written` in front of `from` were compared when [`read_leaves`] went over them.
///
/// # Errors
/// [`RecheckError::Mismatch`] when any row, or the root, is not what it must be.
pub(crate) async fn confirm(
    store: &dyn LogStore,
    log: LogId,
    from: &Edge,
    after: &Edge,
    written: &[Written],
) -> Result<BatchTree, RecheckError> {
    let end = after.size();
    if let Some(lost) = written.iter().find(|row| !end.contains(row.index)) {
        return Err(StopReason::RowMissing { expected: lost.index, found: end.end() }.into());
    }
    let mut leaves = Vec::new();
    let mut next = from.size().0;
    while next < end.0 {
        let rows = LeafIndex(next)..LeafIndex(end.0.min(next + ROWS_PER_READ));
        next = rows.end.0;
        leaves.extend(read_leaves(store, log, rows, written).await?);
    }
    let tree = BatchTree::new(from.clone(), leaves.clone());
    check_root(&tree, after, &leaves)?;
    Ok(tree)
}

/// The edge of the tree of the first `size` entries, from stored hashes.
///
/// # Errors
/// [`RecheckError::Store`], [`RecheckError::Mismatch`] when hashes are missing.
pub(crate) async fn stored_edge(
    store: &dyn LogStore,
    log: LogId,
    size: TreeSize,
) -> Result<Edge, RecheckError> {
    let mut nodes = Vec::new();
    let mut leaf = 0;
    for height in (0..64u32).rev().filter(|height| size.0 >> height & 1 == 1) {
        // A subtree of 2^height leaves is 2^(height mod 8) stored hashes of level height / 8.
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        let start = leaf >> (8 * u32::from(level));
        let end = start + (1 << (height % 8));
        let hashes = store.hashes(log, HashRange { level, start, end }).await?;
        if hashes.len() as u64 != end - start {
            return Err(StopReason::HashesMissing { level, start, end }.into());
        }
        nodes.extend_from_slice(root_of(&hashes).as_ref());
        leaf += 1 << height;
    }
    Edge::from_bytes(size, &nodes).map_err(|error| StopReason::Edge(error).into())
}

/// Leaf hashes of these rows, computed from the bodies and compared with what was written.
///
/// # Errors
/// As [`confirm`].
pub(crate) async fn read_leaves(
    store: &dyn LogStore,
    log: LogId,
    range: Range<LeafIndex>,
    written: &[Written],
) -> Result<Vec<LeafHash>, RecheckError> {
    let start = range.start;
    let rows = store.entries(log, range.clone()).await?;
    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
    let leaves = if bytes <= HASHED_IN_PLACE {
        hash_rows(range, &rows)?
    } else {
        // Up to 4 MiB of SHA-256: too long for a thread of the runtime.
        let hashed = tokio::task::spawn_blocking(move || hash_rows(range, &rows)).await;
        hashed.map_err(|_| RecheckError::from(StopReason::TaskDied))??
    };
    check_written(start, &leaves, written)?;
    Ok(leaves)
}

fn hash_rows(range: Range<LeafIndex>, rows: &[StoredEntry]) -> Result<Vec<LeafHash>, StopReason> {
    let mut leaves = Vec::with_capacity(rows.len());
    let mut expected = range.start;
    for row in rows {
        if row.index != expected {
            return Err(StopReason::RowMissing { expected, found: row.index });
        }
        let found = leaf_hash(&row.body);
        if found != row.leaf_hash {
            return Err(StopReason::LeafMismatch {
                index: expected,
                expected: row.leaf_hash,
                found,
            });
        }
        leaves.push(found);
        expected = expected.next();
    }
    if expected == range.end {
        Ok(leaves)
    } else {
        Err(StopReason::RowMissing { expected: range.end, found: expected })
    }
}

/// Compares the rows with the leaf hashes that were computed before anything was stored.
fn check_written(
    first: LeafIndex,
    leaves: &[LeafHash],
    written: &[Written],
) -> Result<(), StopReason> {
    for Written { index, leaf_hash: expected } in written {
        let offset = index.0.checked_sub(first.0).and_then(|offset| usize::try_from(offset).ok());
        let Some(found) = offset.and_then(|offset| leaves.get(offset)) else { continue };
        if found != expected {
            let (index, expected, found) = (*index, *expected, *found);
            return Err(StopReason::LeafMismatch { index, expected, found });
        }
    }
    Ok(())
}

/// Compares the recomputed tree with the store's, by edge and by two proofs.
///
/// Pushing leaves onto an edge is how the store made its root; the proofs of the
/// first and the last leaf reach the same root by the pairwise nodes instead.
fn check_root(tree: &BatchTree, after: &Edge, leaves: &[LeafHash]) -> Result<(), StopReason> {
    let (computed, stored) = (tree.head(), after.head());
    let mismatch = StopReason::RootMismatch {
        size: stored.size,
        computed: computed.root,
        stored: stored.root,
    };
    if tree.after() != after {
        return Err(mismatch);
    }
    let (first, last) = (tree.before().size().end(), LeafIndex(stored.size.0.saturating_sub(1)));
    let ends = [(first, leaves.first()), (last, leaves.last())];
    for (index, leaf) in ends {
        let Some(leaf) = leaf else { continue };
        let path = tree.inclusion_path(index).unwrap_or_default();
        if verify_inclusion(leaf, index, &path, &stored).is_err() {
            return Err(mismatch);
        }
    }
    Ok(())
}

/// Confirms at start that the state row, the stored hashes and the newest bodies agree.
///
/// A crash can leave at most one batch committed and not yet confirmed; the last
/// rows are therefore hashed again, over an edge read from tiles, not from the state row.
///
/// # Errors
/// As [`confirm`].
pub(crate) async fn confirm_tail(
    store: &dyn LogStore,
    log: LogId,
    state: &Edge,
) -> Result<(), RecheckError> {
    /// Two batches.
    const TAIL: u64 = 2 * ROWS_PER_READ;
    let from = stored_edge(store, log, TreeSize(state.size().0.saturating_sub(TAIL))).await?;
    confirm(store, log, &from, state, &[]).await.map(drop)
}

/// Confirms that no row stands where appends will write: found at the first of them, it would be too late to
/// say that the log is ready.
///
/// # Errors
/// As [`confirm`].
pub(crate) async fn confirm_end(store: &dyn LogStore, log: LogId) -> Result<(), RecheckError> {
    // In this order: an append by another process moves the state together with its rows.
    let highest = store.highest_row(log).await?;
    let size = store.state(log).await?.edge.size();
    match highest.filter(|index| !size.contains(*index)) {
        None => Ok(()),
        Some(found) => Err(StopReason::RowBeyond { size, found }.into()),
    }
}

/// Turns a failed confirmation into the reason for stopping, if it is one.
pub(crate) fn stop_reason(error: &RecheckError) -> Arc<StopReason> {
    match error {
        RecheckError::Mismatch(reason) => Arc::clone(reason),
        RecheckError::Store(source) => Arc::new(StopReason::Store(Arc::clone(source))),
    }
}
