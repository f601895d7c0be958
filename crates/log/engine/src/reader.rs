//! Reading a log: proofs, entries, tiles and search, never beyond the published checkpoint.

use std::ops::Range;

use store::{IndexKey, MAX_SEARCH_RESULTS, StoredEntry};
use tlog::{
    HashRange, LeafHash, LeafIndex, NodeHash, ProofPlan, TILE_WIDTH, TileId, TilePath, TreeSize,
    complete_subtrees, encode_bundle_entry,
};

use crate::{Log, ReadError};

/// Entries that one read gives at most; the store's own limit is not lower.
pub const MAX_ENTRIES_PER_READ: u64 = 1024;

impl Log {
    /// Inclusion proof of the leaf at `index` in the tree of `tree_size`. RFC 6962 §2.1.1.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::Proof`] when `index` is not in that tree.
    pub async fn inclusion_path(
        &self,
        index: LeafIndex,
        tree_size: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        self.within_checkpoint(tree_size)?;
        self.follow(&ProofPlan::inclusion(index, tree_size)?).await
    }

    /// Consistency proof between two sizes of the tree. RFC 6962 §2.1.2.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`], [`ReadError::Proof`] when the sizes are not in order.
    pub async fn consistency_path(
        &self,
        old_size: TreeSize,
        new_size: TreeSize,
    ) -> Result<Vec<NodeHash>, ReadError> {
        self.within_checkpoint(new_size)?;
        self.follow(&ProofPlan::consistency(old_size, new_size)?).await
    }

    /// Entries of `range`, at most [`MAX_ENTRIES_PER_READ`] of them from its start.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`].
    pub async fn entries(&self, range: Range<LeafIndex>) -> Result<Vec<StoredEntry>, ReadError> {
        let Range { start, end } = range;
        self.within_checkpoint(TreeSize(end.0))?;
        let most = LeafIndex(start.0.saturating_add(MAX_ENTRIES_PER_READ));
        Ok(self.store.entries(self.record.id, start..end.min(most)).await?)
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
                let places = places(index, width).filter(|places| places.end <= available);
                let Some(Range { start, end }) = places else { return Ok(None) };
                let range = HashRange { level, start, end };
                let hashes = self.store.hashes(self.record.id, range).await?;
                Ok(Some(hashes.iter().flat_map(|hash| hash.0).collect()))
            }
            TilePath::Entries { index, width } => {
                let places = places(index, width).filter(|places| places.end <= size.0);
                let Some(Range { start, end }) = places else { return Ok(None) };
                self.bundle(LeafIndex(start)..LeafIndex(end)).await.map(Some)
            }
        }
    }

    async fn bundle(&self, range: Range<LeafIndex>) -> Result<Vec<u8>, ReadError> {
        let rows = self.entries(range.clone()).await?;
        let end = LeafIndex(range.start.0 + rows.len() as u64);
        let missing = || ReadError::Damaged { index: end };
        if end != range.end {
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
    pub async fn search(
        &self,
        keys: &[IndexKey],
        match_all: bool,
    ) -> Result<Vec<LeafHash>, ReadError> {
        let log = self.record.id;
        let mut indexes = self.store.search(log, keys, match_all, MAX_SEARCH_RESULTS).await?;
        // What is committed and not yet published cannot be proved, so it is not there yet.
        let size = self.checkpoint().head.size;
        indexes.retain(|index| size.contains(*index));
        Ok(self.store.leaf_hashes(log, &indexes).await?)
    }

    /// Index of the entry with that leaf hash, if the published tree has it.
    ///
    /// # Errors
    /// [`ReadError::Store`].
    pub async fn find_leaf(&self, leaf_hash: &LeafHash) -> Result<Option<LeafIndex>, ReadError> {
        // The checkpoint first: an entry committed between the two is not published yet.
        let size = self.checkpoint().head.size;
        let index = self.store.find_leaf(self.record.id, leaf_hash).await?;
        Ok(index.filter(|index| size.contains(*index)))
    }

    fn within_checkpoint(&self, asked: TreeSize) -> Result<(), ReadError> {
        let published = self.checkpoint().head.size;
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

/// What the first `width` places of the tile at `index` hold, counted over all tiles of its level.
fn places(index: u64, width: u16) -> Option<Range<u64>> {
    let start = index.checked_mul(TILE_WIDTH)?;
    Some(start..start.checked_add(u64::from(width))?)
}
