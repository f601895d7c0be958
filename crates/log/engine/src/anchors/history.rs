//! Whether a tree that somebody else had signed is of the history that this process is about to sign.

use store::{LogId, LogStore, StoreError};
use tlog::{
    Edge, HashRange, NodeHash, ProofPlan, TreeHead, TreeSize, empty_root, verify_consistency,
};

use crate::{RecheckError, engine::recheck::stored_edge};

/// A log's entries up to the tree that is to be published.
#[derive(Clone, Copy)]
pub(crate) struct History<'a> {
    pub(crate) store: &'a dyn LogStore,
    pub(crate) log: LogId,
    /// Of the tree that was published last.
    pub(crate) before: &'a Edge,
    /// Of the one that is to be.
    pub(crate) after: &'a Edge,
}

/// What another signed tree is to a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kin {
    /// One of its trees.
    Same,
    /// Another one of that size.
    Fork,
    /// The database does not reach so far.
    Beyond,
}

impl History<'_> {
    /// What `signed` is to it: by leaf hashes from a confirmed edge on, or by a proof where these are many. They lead to
    /// its root or do not, whatever database they are from.
    pub(crate) async fn kin(&self, signed: TreeHead) -> Result<Kin, RecheckError> {
        let Self { before, after, .. } = *self;
        if signed.size < before.size() {
            // From before this process: compared as at its start.
            let then = stored_edge(self.store, self.log, signed.size).await?;
            return Ok(if then.head() == signed { Kin::Same } else { Kin::Fork });
        }
        let (from, to) =
            if signed.size < after.size() { (before, after.head()) } else { (after, signed) };
        if to.size.0 - from.size().0 > LEAVES {
            let (old, new) =
                if signed.size < to.size { (signed, to) } else { (from.head(), signed) };
            return self.proved(old, new).await;
        }
        let mut edge = from.clone();
        let mut is_met = edge.size() != signed.size || edge.head() == signed;
        while edge.size() < to.size && is_met {
            let leaves = match self.leaves(edge.size(), to.size).await {
                Err(StoreError::OutOfRange { .. }) => return Ok(Kin::Beyond),
                leaves => leaves?,
            };
            for leaf in leaves {
                edge.push(leaf);
                is_met &= edge.size() != signed.size || edge.head() == signed;
            }
        }
        Ok(if is_met && edge.head() == to { Kin::Same } else { Kin::Fork })
    }

    /// By a consistency proof, RFC 6962 §2.1.2. The empty tree is in every history.
    async fn proved(&self, old: TreeHead, new: TreeHead) -> Result<Kin, RecheckError> {
        if old.size == TreeSize(0) {
            return Ok(if old.root == empty_root() { Kin::Same } else { Kin::Fork });
        }
        let Ok(plan) = ProofPlan::consistency(old.size, new.size) else { return Ok(Kin::Fork) };
        let mut hashes = Vec::with_capacity(plan.ranges().len());
        for range in plan.ranges() {
            match self.store.hashes(self.log, *range).await {
                Err(StoreError::OutOfRange { .. }) => return Ok(Kin::Beyond),
                found => hashes.push(found?),
            }
        }
        let path = plan.compute(&hashes);
        let is_proved = path.is_ok_and(|path| verify_consistency(&old, &new, &path).is_ok());
        Ok(if is_proved { Kin::Same } else { Kin::Fork })
    }

    /// Leaf hashes of the next entries.
    async fn leaves(&self, from: TreeSize, to: TreeSize) -> Result<Vec<NodeHash>, StoreError> {
        let end = to.0.min(from.0.saturating_add(LEAVES));
        self.store.hashes(self.log, HashRange { level: 0, start: from.0, end }).await
    }
}

/// Of one reading; for more than these a proof has fewer hashes.
const LEAVES: u64 = 256;
