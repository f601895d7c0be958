//! Reading a log: proofs, entries, tiles and search, never beyond the published checkpoint.
//!
//! What that covers is given as it is. What it does not cover another process may have published already, so before it is
//! said not to be there, the store is asked: [`Log::checkpoint_reaching`].

use std::{collections::VecDeque, fmt, ops::Range, sync::Arc};

use store::{EntryLen, IndexKey, SearchPage, StoredEntry};
use tlog::{
    HashRange, LeafHash, LeafIndex, NodeHash, ProofPlan, TILE_WIDTH, TileId, TilePath, TreeSize,
    bundle_entry_len, encode_bundle_entry,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Log, ReadError};

/// Entries that one read gives at most; the store's own limit is not lower.
pub const MAX_ENTRIES_PER_READ: u64 = 1024;

impl Log {
    /// Inclusion proof of the leaf at `index` in the tree of `tree_size`. RFC 6962 §2.1.1.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::NotCurrent`], [`ReadError::Proof`] when `index` is not in that tree.
    pub async fn inclusion_path(
        &self,
        index: LeafIndex,
        tree_size: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        self.within_checkpoint(tree_size).await?;
        self.follow(&ProofPlan::inclusion(index, tree_size)?).await
    }

    /// Consistency proof between two sizes of the tree. RFC 6962 §2.1.2.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::NotCurrent`], [`ReadError::Proof`] when the sizes are not in order.
    pub async fn consistency_path(
        &self,
        old_size: TreeSize,
        new_size: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        self.within_checkpoint(new_size).await?;
        self.follow(&ProofPlan::consistency(old_size, new_size)?).await
    }

    /// Entries of `range`, at most [`MAX_ENTRIES_PER_READ`] of them from its start.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::NotCurrent`].
    pub async fn entries(&self, range: Range<LeafIndex>) -> Result<Vec<StoredEntry>, ReadError> {
        let Range { start, end } = range;
        self.within_checkpoint(TreeSize(end.0)).await?;
        let most = LeafIndex(start.0.saturating_add(MAX_ENTRIES_PER_READ));
        Ok(self.store.entries(self.record.id, start..end.min(most)).await?)
    }

    /// The same in pages, each of which is read when it is asked for.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::NotCurrent`].
    pub async fn pages(
        self: &Arc<Self>,
        range: Range<LeafIndex>,
        page_len: usize,
    ) -> Result<Pages, ReadError> {
        self.within_checkpoint(TreeSize(range.end.0)).await?;
        Ok(Pages { log: Arc::clone(self), rest: range, page_len, lengths: VecDeque::new() })
    }

    /// The tile at `path`, if the published tree has all of it. C2SP `tlog-tiles`.
    ///
    /// What a path gives never changes: a partial tile is a prefix of the full one, and the full one
    /// is not there before it is full.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Store`], [`ReadError::NotCurrent`].
    pub async fn tile(
        self: &Arc<Self>,
        path: TilePath,
        page_len: usize,
    ) -> Result<Option<Tile>, ReadError> {
        match path {
            TilePath::Hashes { tile: TileId { level, index }, width } => {
                let Some(Range { start, end }) = places(index, width) else { return Ok(None) };
                let Some(size) = size_with_subtrees(end, level) else { return Ok(None) };
                if self.checkpoint_reaching(size).await?.head.size < size {
                    return Ok(None);
                }
                let range = HashRange { level, start, end };
                let hashes = self.store.hashes(self.record.id, range).await?;
                Ok(Some(Tile::Hashes(hashes.iter().flat_map(|hash| hash.0).collect())))
            }
            TilePath::Entries { index, width } => {
                let Some(Range { start, end }) = places(index, width) else { return Ok(None) };
                let pages = self.pages(LeafIndex(start)..LeafIndex(end), page_len).await;
                match pages {
                    Err(ReadError::BeyondCheckpoint { .. }) => Ok(None),
                    pages => Ok(Some(Tile::Entries(Bundle(pages?)))),
                }
            }
        }
    }

    /// Leaf hashes of published entries that have these keys, the newest first, as many as `page` asks for; see
    /// [`store::LogStore::search`].
    ///
    /// # Errors
    /// [`ReadError::Store`], [`ReadError::NotCurrent`].
    pub async fn search(
        &self,
        keys: &[IndexKey],
        match_all: bool,
        page: SearchPage,
    ) -> Result<Vec<LeafHash>, ReadError> {
        let log = self.record.id;
        // What is committed and not yet published cannot be proved, so it is not there yet, and takes no place.
        let published = self.latest_checkpoint().await?.head.size.end();
        let below = page.below.map_or(published, |below| below.min(published));
        let page = SearchPage { below: Some(below), ..page };
        let indexes = self.store.search(log, keys, match_all, page).await?;
        Ok(self.store.leaf_hashes(log, &indexes).await?)
    }

    /// Index of the entry with that leaf hash, if the published tree has it.
    ///
    /// # Errors
    /// [`ReadError::Store`], [`ReadError::NotCurrent`].
    pub async fn find_leaf(&self, leaf_hash: &LeafHash) -> Result<Option<LeafIndex>, ReadError> {
        // What the store has not, nobody has been told of.
        let found = self.store.find_leaf(self.record.id, leaf_hash).await?;
        let Some(index) = found else { return Ok(None) };
        let published = self.checkpoint_reaching(TreeSize(index.next().0)).await?.head.size;
        Ok(Some(index).filter(|index| published.contains(*index)))
    }

    async fn within_checkpoint(&self, asked: TreeSize) -> Result<(), ReadError> {
        let published = self.checkpoint_reaching(asked).await?.head.size;
        if asked > published {
            return Err(ReadError::BeyondCheckpoint { asked, published });
        }
        Ok(())
    }

    async fn follow(&self, plan: &ProofPlan) -> Result<Vec<NodeHash>, ReadError> {
        let mut hashes = Vec::with_capacity(plan.ranges().len());
        for range in plan.ranges() {
            hashes.push(self.store.hashes(self.record.id, *range).await?);
        }
        Ok(plan.compute(&hashes)?)
    }
}

/// What a tile's path gives.
#[derive(Debug)]
pub enum Tile {
    /// At most 8 KiB.
    Hashes(Vec<u8>),
    /// With the longest entries 16 MiB, so it is never held whole.
    Entries(Bundle),
}

/// An entry bundle that is encoded as it is read.
#[derive(Debug)]
pub struct Bundle(Pages);

impl Bundle {
    /// Bytes of all of it.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub async fn content_len(&mut self) -> Result<u64, ReadError> {
        self.0.know_lengths().await?;
        Ok(self.0.lengths.iter().map(|length| bundle_entry_len(length.body) as u64).sum())
    }

    /// The next bytes, or none at its end.
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(rows) = self.0.next().await? else { return Ok(None) };
        let mut content =
            Vec::with_capacity(rows.iter().map(|row| bundle_entry_len(row.body.len())).sum());
        for row in &rows {
            encode_bundle_entry(&mut content, &row.body)
                .map_err(|_| ReadError::Damaged { index: row.index })?;
        }
        Ok(Some(content))
    }
}

/// How many lengths are looked up at once: a bundle has as many entries.
const LENGTHS_AT_ONCE: u64 = TILE_WIDTH;

/// A range of entries, read page by page.
pub struct Pages {
    log: Arc<Log>,
    rest: Range<LeafIndex>,
    page_len: usize,
    /// Of the entries at the start of the rest, as many as are known.
    lengths: VecDeque<EntryLen>,
}

impl fmt::Debug for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pages").field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl Pages {
    /// The next entries in their order: as many as make a page and at least one; none at the end.
    ///
    /// Their lengths are read before them, so nobody who writes entries of many lengths makes a reader read or hold
    /// more than it gives.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when one is missing, [`ReadError::Store`].
    pub async fn next(&mut self) -> Result<Option<Vec<StoredEntry>>, ReadError> {
        let Range { start, end } = self.rest;
        if start >= end {
            return Ok(None);
        }
        let log = Arc::clone(&self.log);
        let _turn = Turn::wait(&log.pages).await;
        self.know_lengths().await?;
        let fitting = fitting(&self.lengths, self.page_len);
        self.lengths.drain(..fitting.min(self.lengths.len()));
        let next = LeafIndex(start.0.saturating_add(fitting as u64));
        let rows = self.log.store.entries(self.log.record.id, start..next).await?;
        if rows.len() != fitting {
            let index = LeafIndex(start.0.saturating_add(rows.len() as u64));
            return Err(ReadError::Damaged { index });
        }
        self.rest.start = next;
        Ok(Some(rows))
    }

    /// Reads the next lengths, unless some are known.
    async fn know_lengths(&mut self) -> Result<(), ReadError> {
        let Range { start, end } = self.rest;
        if self.lengths.is_empty() && start < end {
            let most = LeafIndex(start.0.saturating_add(LENGTHS_AT_ONCE));
            let lengths = self.log.store.entry_lengths(self.log.record.id, start..end.min(most));
            self.lengths = lengths.await?.into();
        }
        Ok(())
    }
}

/// A page's turn at the database, until it is dropped.
///
/// Whoever waits for pages leaves half of SQLite's connections to those who write, or ask for one entry or a proof. In
/// the order of their coming, first among those of one log, then with those of the others: who asks for many pages of
/// one log is two among those who wait.
struct Turn<'a> {
    _of_log: Option<SemaphorePermit<'a>>,
    _of_all: Option<SemaphorePermit<'static>>,
}

impl<'a> Turn<'a> {
    async fn wait(of_log: &'a Semaphore) -> Self {
        // An error would mean that the semaphore was closed, which nobody does.
        let first = of_log.acquire().await.ok();
        Self { _of_log: first, _of_all: ALL_PAGES.acquire().await.ok() }
    }
}

/// Pages of all logs that are read at once: half of what SQLite has in connections that read.
static ALL_PAGES: Semaphore = Semaphore::const_new(PAGES_AT_ONCE);

/// The same of one log.
pub(crate) const PAGES_AT_ONCE: usize = 2;

/// How many of the first entries are no longer than a page together; at least one.
fn fitting(lengths: &VecDeque<EntryLen>, page_len: usize) -> usize {
    let mut sum = 0usize;
    let within = lengths.iter().take_while(|length| {
        sum = sum.saturating_add(length.total());
        sum <= page_len
    });
    within.count().max(1)
}

/// The smallest tree that has so many complete subtrees of that level; `None` where no tree has.
fn size_with_subtrees(count: u64, level: u8) -> Option<TreeSize> {
    TILE_WIDTH.checked_pow(level.into())?.checked_mul(count).map(TreeSize)
}

/// What the first `width` places of the tile at `index` hold, counted over all tiles of its level.
fn places(index: u64, width: u16) -> Option<Range<u64>> {
    let start = index.checked_mul(TILE_WIDTH)?;
    Some(start..start.checked_add(u64::from(width))?)
}
