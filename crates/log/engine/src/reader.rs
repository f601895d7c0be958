//! Reading a log: proofs, entries and stored hashes, never beyond the published checkpoint.

use store::StoredEntry;
use tlog::{Hash, HashRange, ProofPlan, complete_subtrees};

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

    /// Stored hashes: roots of the perfect subtrees of 256^level leaves.
    ///
    /// # Errors
    /// [`ReadError::BeyondCheckpoint`] when the published tree does not have them all.
    pub async fn hashes(&self, range: HashRange) -> Result<Vec<Hash>, ReadError> {
        let published = complete_subtrees(self.checkpoint().head.size, range.level);
        if range.end > published {
            return Err(ReadError::BeyondCheckpoint { asked: range.end, published });
        }
        Ok(self.store.hashes(self.record.id, range).await?)
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
