use crate::{
    LeafIndex, NodeHash, ProofError, TILE_WIDTH, TreeSize, edge::fold, empty_root, node_hash,
};

/// Height of a tile: 8 levels of the tree.
const TILE_HEIGHT: u32 = 8;

/// Consecutive stored hashes: level `level`, indexes `start..end`.
///
/// The stored hash `n` of level `L` is the root over leaves `n * 256^L .. (n + 1) * 256^L`;
/// at level 0 these are the leaf hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// Tile level, 0 to 7.
    pub level: u8,
    /// First index.
    pub start: u64,
    /// One past the last index; within the same tile as `start`.
    pub end: u64,
}

/// A proof, or a root, to be computed from stored hashes in two phases, so that reading may be asynchronous.
///
/// Every range lies in one tile, and each tile is asked for once.
#[derive(Clone, Debug)]
pub struct ProofPlan {
    /// One per hash of the result; folded as the edge of a tree is.
    parts: Vec<Vec<Node>>,
    ranges: Vec<HashRange>,
}

impl ProofPlan {
    /// Plans the inclusion proof of the leaf at `index` in the tree of the first `tree_size` leaves (RFC 6962 §2.1.1).
    ///
    /// # Errors
    /// [`ProofError::IndexOutOfRange`].
    pub fn inclusion(index: LeafIndex, tree_size: TreeSize) -> Result<Self, ProofError> {
        if !tree_size.contains(index) {
            return Err(ProofError::IndexOutOfRange { index, tree_size });
        }
        let mut parts = Vec::new();
        let (mut start, mut end) = (0, tree_size.0);
        while end - start > 1 {
            let middle = start + split(end - start);
            if index.0 < middle {
                parts.push(perfect_subtrees(middle, end));
                end = middle;
            } else {
                parts.push(perfect_subtrees(start, middle));
                start = middle;
            }
        }
        parts.reverse();
        Ok(Self::of(parts))
    }

    /// Plans the consistency proof between the trees of the first `old_size` and `new_size` leaves (RFC 6962 §2.1.2).
    ///
    /// Empty when `old_size` is 0 or both are equal.
    ///
    /// # Errors
    /// [`ProofError::Shrunk`].
    pub fn consistency(old_size: TreeSize, new_size: TreeSize) -> Result<Self, ProofError> {
        if old_size > new_size {
            return Err(ProofError::Shrunk { old_size, new_size });
        }
        let (old_size, new_size) = (old_size.0, new_size.0);
        let mut parts = Vec::new();
        let (mut start, mut end) = (0, new_size);
        while old_size != end && old_size != 0 {
            let middle = start + split(end - start);
            if old_size <= middle {
                parts.push(perfect_subtrees(middle, end));
                end = middle;
            } else {
                parts.push(perfect_subtrees(start, middle));
                start = middle;
            }
        }
        // The verifier knows the old root already when the shared subtree is the whole old tree.
        if start != 0 {
            parts.push(perfect_subtrees(start, end));
        }
        parts.reverse();
        Ok(Self::of(parts))
    }

    /// Plans the root over the first `tree_size` leaves; [`ProofPlan::compute`] gives that one hash.
    #[must_use]
    pub fn root(tree_size: TreeSize) -> Self {
        Self::of(vec![perfect_subtrees(0, tree_size.0)])
    }

    /// What to read. All of it exists in a tree of the planned size.
    #[must_use]
    pub fn ranges(&self) -> &[HashRange] {
        &self.ranges
    }

    /// Computes the result; `hashes[i]` are the stored hashes of `ranges()[i]`.
    ///
    /// # Errors
    /// [`ProofError::PathLength`] when a hash that was asked for is missing.
    pub fn compute(&self, hashes: &[Vec<NodeHash>]) -> Result<Vec<NodeHash>, ProofError> {
        self.parts
            .iter()
            .map(|part| {
                let roots: Option<Vec<NodeHash>> =
                    part.iter().map(|node| self.subtree_root(node, hashes)).collect();
                let roots = roots.ok_or(ProofError::PathLength)?;
                Ok(fold(&roots).unwrap_or_else(empty_root))
            })
            .collect()
    }

    fn of(parts: Vec<Vec<Node>>) -> Self {
        let mut ranges: Vec<HashRange> = Vec::new();
        for range in parts.iter().flatten().map(Node::stored) {
            let same_tile = |other: &&mut HashRange| {
                other.level == range.level && other.start / TILE_WIDTH == range.start / TILE_WIDTH
            };
            if let Some(known) = ranges.iter_mut().find(same_tile) {
                known.start = known.start.min(range.start);
                known.end = known.end.max(range.end);
            } else {
                ranges.push(range);
            }
        }
        Self { parts, ranges }
    }

    fn subtree_root(&self, node: &Node, hashes: &[Vec<NodeHash>]) -> Option<NodeHash> {
        let wanted = node.stored();
        let position = self.ranges.iter().position(|range| {
            range.level == wanted.level && range.start <= wanted.start && wanted.end <= range.end
        })?;
        let offset = wanted.start - self.ranges.get(position)?.start;
        let first = usize::try_from(offset).ok()?;
        let last = usize::try_from(offset + (wanted.end - wanted.start)).ok()?;
        perfect_root(hashes.get(position)?.get(first..last)?)
    }
}

/// A perfect subtree: the leaves `index << height .. (index + 1) << height`.
#[derive(Clone, Copy, Debug)]
struct Node {
    height: u32,
    index: u64,
}

impl Node {
    /// The stored hashes whose perfect tree is this node.
    fn stored(&self) -> HashRange {
        let inside = self.height % TILE_HEIGHT;
        let level = self.height / TILE_HEIGHT;
        HashRange {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            start: self.index << inside,
            end: (self.index + 1) << inside,
        }
    }
}

/// The largest power of two smaller than `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The leaves `start..end` as perfect subtrees, largest first; `start` is aligned to the first.
fn perfect_subtrees(start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut position = start;
    for height in (0..u64::BITS).rev() {
        if (end - start) >> height & 1 == 1 {
            nodes.push(Node { height, index: position >> height });
            position += 1 << height;
        }
    }
    nodes
}

/// Root over `2^k` hashes; `None` for no hashes.
fn perfect_root(hashes: &[NodeHash]) -> Option<NodeHash> {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.as_chunks::<2>().0.iter().map(|[l, r]| node_hash(l, r)).collect();
    }
    level.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LeafHash, TreeHead, leaf_hash, root_of, verify_consistency, verify_inclusion};

    fn leaves(count: u64) -> Vec<LeafHash> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    fn slice<H: Copy>(hashes: &[H], start: u64, end: u64) -> Vec<H> {
        hashes[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].to_vec()
    }

    /// The stored hashes of a whole tree, level by level.
    fn stored(leaves: &[LeafHash]) -> Vec<Vec<NodeHash>> {
        let above: Vec<NodeHash> =
            leaves.as_chunks::<256>().0.iter().map(|tile| root_of(tile)).collect();
        let top: Vec<NodeHash> =
            above.as_chunks::<256>().0.iter().map(|tile| root_of(tile)).collect();
        vec![leaves.iter().map(|leaf| NodeHash::from(*leaf)).collect(), above, top]
    }

    fn compute(plan: &ProofPlan, stored: &[Vec<NodeHash>]) -> Vec<NodeHash> {
        let read: Vec<Vec<NodeHash>> = plan
            .ranges()
            .iter()
            .map(|range| slice(&stored[usize::from(range.level)], range.start, range.end))
            .collect();
        plan.compute(&read).unwrap()
    }

    fn head(leaves: &[LeafHash], size: u64) -> TreeHead {
        TreeHead { size: TreeSize(size), root: root_of(&slice(leaves, 0, size)) }
    }

    #[test]
    fn proves_inclusion_at_every_size_up_to_a_small_tree() {
        let leaves = leaves(40);
        let stored = stored(&leaves);
        for size in 1..=40 {
            let head = head(&leaves, size);
            for index in 0..size {
                let path =
                    compute(&ProofPlan::inclusion(LeafIndex(index), head.size).unwrap(), &stored);
                let leaf = leaves[usize::try_from(index).unwrap()];
                verify_inclusion(&leaf, LeafIndex(index), &path, &head).unwrap();
            }
        }
    }

    #[test]
    fn proves_consistency_between_all_pairs_of_sizes() {
        let leaves = leaves(40);
        let stored = stored(&leaves);
        for new_size in 1..=40 {
            for old_size in 1..=new_size {
                let plan = ProofPlan::consistency(TreeSize(old_size), TreeSize(new_size)).unwrap();
                let path = compute(&plan, &stored);
                verify_consistency(&head(&leaves, old_size), &head(&leaves, new_size), &path)
                    .unwrap();
            }
        }
    }

    #[test]
    fn works_across_tile_levels() {
        let leaves = leaves(66_000);
        let stored = stored(&leaves);
        for size in [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000] {
            let head = head(&leaves, size);
            assert_eq!(compute(&ProofPlan::root(head.size), &stored), [head.root]);
            for index in [0, 1, size / 2, size - 1] {
                let plan = ProofPlan::inclusion(LeafIndex(index), head.size).unwrap();
                assert!(plan.ranges().len() <= 8, "{} reads", plan.ranges().len());
                let leaf = leaves[usize::try_from(index).unwrap()];
                verify_inclusion(&leaf, LeafIndex(index), &compute(&plan, &stored), &head).unwrap();
            }
            for old in [1, 2, 255, 256, 300, 65_536] {
                let Ok(plan) = ProofPlan::consistency(TreeSize(old), head.size) else {
                    continue;
                };
                verify_consistency(&self::head(&leaves, old), &head, &compute(&plan, &stored))
                    .unwrap();
            }
        }
    }

    #[test]
    fn gives_the_empty_root_for_no_leaves() {
        assert_eq!(ProofPlan::root(TreeSize(0)).compute(&[]).unwrap(), [empty_root()]);
    }

    #[test]
    fn refuses_impossible_plans() {
        assert_eq!(
            ProofPlan::inclusion(LeafIndex(5), TreeSize(5)).unwrap_err(),
            ProofError::IndexOutOfRange { index: LeafIndex(5), tree_size: TreeSize(5) }
        );
        assert_eq!(
            ProofPlan::consistency(TreeSize(6), TreeSize(5)).unwrap_err(),
            ProofError::Shrunk { old_size: TreeSize(6), new_size: TreeSize(5) }
        );
    }

    #[test]
    fn says_so_when_hashes_are_missing() {
        let plan = ProofPlan::inclusion(LeafIndex(0), TreeSize(2)).unwrap();
        assert_eq!(plan.compute(&[]), Err(ProofError::PathLength));
        assert_eq!(plan.compute(&[vec![]]), Err(ProofError::PathLength));
    }

    #[test]
    fn needs_nothing_for_trees_of_the_same_size() {
        assert!(
            ProofPlan::consistency(TreeSize(7), TreeSize(7))
                .unwrap()
                .compute(&[])
                .unwrap()
                .is_empty()
        );
        assert!(
            ProofPlan::consistency(TreeSize(0), TreeSize(7))
                .unwrap()
                .compute(&[])
                .unwrap()
                .is_empty()
        );
    }
}
