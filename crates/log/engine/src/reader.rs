//! Reading a log: proofs, entries, tiles and search, never beyond the published checkpoint.

use store::{IndexKey, MAX_SEARCH_RESULTS, StoredEntry};
use tlog::{
    Hash, HashRange, ProofPlan, TILE_WIDTH, TileId, TilePath, complete_subtrees,
    encode_bundle_entry,
};

use crate::{Log, ReadError};

/// Entries that one read gives at most; the store's own limit is not lower.
pub const MAX_ENTRIES_PER_READ: u64 = 1024;

impl Log {
    /// Inclusion proof of the leaf at `index` in the tree of `tree_size`. RFC 6962 §2.1.1.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::Proof`] when `index` is not in that tree.
    pub async fn inclusion_path(&self, index: u64, tree_size: u64) -> Result<Vec<Hash>, ReadError> {
        self.within_checkpoint(tree_size)?;
        self.follow(&ProofPlan::inclusion(index, tree_size)?).await
    }

    /// Consistency proof between two sizes of the tree. RFC 6962 §2.1.2.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::Proof`] when the sizes are not in order.
    pub async fn consistency_path(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Vec<Hash>, ReadError> {
        self.within_checkpoint(new_size)?;
        self.follow(&ProofPlan::consistency(old_size, new_size)?).await
    }

    /// Entries from `start` to `end` (exclusive), at most [`MAX_ENTRIES_PER_READ`] of them.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`].
    pub async fn entries(&self, start: u64, end: u64) -> Result<Vec<StoredEntry>, ReadError> {
        self.within_checkpoint(end)?;
        let end = end.min(start.saturating_add(MAX_ENTRIES_PER_READ));
        Ok(self.store.entries(self.record.id, start, end).await?)
    }

    /// The tile at `path`, if the published tree has all of it. C2SP `tlog-tiles`.
    ///
    /// What a path gives never changes: a partial tile is a prefix of the full one, and the full one
    /// is not there before it is full.
    ///
    /// # Errors
    /// [`ReadError::Damaged`], [`ReadError::Store`].
    pub async fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        let size = self.checkpoint().head.size;
        match path {
            TilePath::Hashes { tile: TileId { level, index }, width } => {
                let available = complete_subtrees(size, level);
                let Some((start, end)) = within(available, index, width) else { return Ok(None) };
                let range = HashRange { level, start, end };
                let hashes = self.store.hashes(self.record.id, range).await?;
                Ok(Some(hashes.iter().flat_map(|hash| hash.0).collect()))
            }
            TilePath::Entries { index, width } => {
                let Some((start, end)) = within(size, index, width) else { return Ok(None) };
                self.bundle(start, end).await.map(Some)
            }
        }
    }

    async fn bundle(&self, start: u64, end: u64) -> Result<Vec<u8>, ReadError> {
        let rows = self.entries(start, end).await?;
        let missing = || ReadError::Damaged { index: start + rows.len() as u64 };
        if rows.len() as u64 != end - start {
            return Err(missing());
        }
        let mut content = Vec::with_capacity(rows.iter().map(|row| row.body.len() + 2).sum());
        for row in &rows {
            encode_bundle_entry(&mut content, &row.body).map_err(|_| missing())?;
        }
        Ok(content)
    }

    /// Leaf hashes of published entries that have these keys, the newest first; see
    /// [`store::LogStore::search`].
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub async fn search(&self, keys: &[IndexKey], match_all: bool) -> Result<Vec<Hash>, ReadError> {
        let log = self.record.id;
        let mut indexes = self.store.search(log, keys, match_all, MAX_SEARCH_RESULTS).await?;
        // What is committed and not yet published cannot be proved, so it is not there yet.
        let size = self.checkpoint().head.size;
        indexes.retain(|index| *index < size);
        Ok(self.store.leaf_hashes(log, &indexes).await?)
    }

    /// Index of the entry with that leaf hash, if the published tree has it.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub async fn find_leaf(&self, leaf_hash: &Hash) -> Result<Option<u64>, ReadError> {
        // The checkpoint first: an entry committed between the two is not published yet.
        let size = self.checkpoint().head.size;
        let index = self.store.find_leaf(self.record.id, leaf_hash).await?;
        Ok(index.filter(|index| *index < size))
    }

    fn within_checkpoint(&self, asked: u64) -> Result<(), ReadError> {
        let published = self.checkpoint().head.size;
        if asked > published {
            return Err(ReadError::BeyondCheckpoint { asked, published });
        }
        Ok(())
    }

    async fn follow(&self, plan: &ProofPlan) -> Result<Vec<Hash>, ReadError> {
        let mut hashes = Vec::with_capacity(plan.ranges().len());
        for range in plan.ranges() {
            hashes.push(self.store.hashes(self.record.id, *range).await?);
        }
        Ok(plan.compute(&hashes)?)
    }
}

/// The range of a tile of `width`, if all of it is among the `available` first.
fn within(available: u64, index: u64, width: u16) -> Option<(u64, u64)> {
    let start = index.checked_mul(TILE_WIDTH)?;
    let end = start.checked_add(u64::from(width))?;
    (end <= available).then_some((start, end))
}
