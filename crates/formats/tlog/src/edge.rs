use thiserror::Error;

use crate::{LeafHash, LeafIndex, NodeHash, TreeHead, TreeSize, empty_root, node_hash};

/// The right edge of a tree: roots of the perfect subtrees that make it up, largest first.
///
/// A compact range from 0. It holds all that appending needs, at most 64 hashes whatever the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: TreeSize,
    nodes: Vec<NodeHash>,
}

impl Edge {
    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// Subtree roots, one for each bit set in [`Edge::size`], largest subtree first.
    #[must_use]
    pub fn nodes(&self) -> &[NodeHash] {
        &self.nodes
    }

    /// Appends a leaf, given by its leaf hash; or a perfect subtree, in a tree of which each leaf is one.
    pub fn push(&mut self, leaf: impl Into<NodeHash>) {
        let mut node = leaf.into();
        for _ in 0..self.size.0.trailing_ones() {
            // Each trailing one is a subtree of the same height as `node`: the two become one.
            if let Some(left) = self.nodes.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.nodes.push(node);
        self.size.0 += 1;
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: fold(&self.nodes).unwrap_or_else(empty_root) }
    }

    /// The nodes, 32 bytes each, largest subtree first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.nodes.iter().flat_map(|node| node.0).collect()
    }

    /// Reads what [`Edge::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`EdgeError`] when the number of nodes is not the number of bits set in `size`.
    pub fn from_bytes(size: TreeSize, bytes: &[u8]) -> Result<Self, EdgeError> {
        let (chunks, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || u32::try_from(chunks.len()) != Ok(size.0.count_ones()) {
            return Err(EdgeError { size, found: bytes.len() });
        }
        Ok(Self { size, nodes: chunks.iter().map(|chunk| NodeHash(*chunk)).collect() })
    }
}

/// The stored edge does not fit the size of the tree.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the edge of a tree of {size} leaves cannot have {found} bytes")]
pub struct EdgeError {
    /// Size of the tree.
    pub size: TreeSize,
    /// Bytes that came.
    pub found: usize,
}

/// A tree's right edge and a batch of leaves appended to it, with every node that the batch touched.
///
/// Proves each appended leaf in the grown tree without reading anything:
/// a sibling to the left of the batch is always a node of the old edge.
#[derive(Clone, Debug)]
pub struct BatchTree {
    before: Edge,
    after: Edge,
    /// `levels[k]` holds the complete nodes of height `k` from index `before.size >> k` on.
    levels: Vec<Vec<NodeHash>>,
}

impl BatchTree {
    /// Appends `leaves` (leaf hashes) to `edge`.
    #[must_use]
    pub fn new(edge: Edge, leaves: Vec<LeafHash>) -> Self {
        let mut after = edge.clone();
        for leaf in &leaves {
            after.push(*leaf);
        }
        let mut levels: Vec<Vec<NodeHash>> = vec![leaves.into_iter().map(NodeHash::from).collect()];
        while let Some(children) = levels.last()
            && !children.is_empty()
        {
            let height = levels.len() - 1;
            levels.push(parents(&edge, height, children));
        }
        Self { before: edge, after, levels }
    }

    /// The edge before the batch.
    #[must_use]
    pub fn before(&self) -> &Edge {
        &self.before
    }

    /// The edge after the batch.
    #[must_use]
    pub fn after(&self) -> &Edge {
        &self.after
    }

    /// Size and root after the batch.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.after.head()
    }

    /// Inclusion proof of the leaf at `index` in the tree of [`BatchTree::head`].
    ///
    /// `None` when the leaf is not of this batch.
    #[must_use]
    pub fn inclusion_path(&self, index: LeafIndex) -> Option<Vec<NodeHash>> {
        if self.before.size.contains(index) || !self.after.size.contains(index) {
            return None;
        }
        let (index, size) = (index.0, self.after.size.0);
        let mut path = Vec::new();
        let mut height = 0;
        while height < 64 && (1u64 << height) < size {
            let sibling = (index >> height) ^ 1;
            // Siblings wholly beyond the tree do not exist: the node is promoted as it is.
            if let Some(start) = sibling.checked_shl(height).filter(|start| *start < size) {
                let complete = start.checked_add(1 << height).is_some_and(|end| end <= size);
                path.push(if complete {
                    self.node(height, sibling)?
                } else {
                    self.ragged_root(start)?
                });
            }
            height += 1;
        }
        Some(path)
    }

    /// The complete node of `height` at `index`, of the batch or of the old edge.
    fn node(&self, height: u32, index: u64) -> Option<NodeHash> {
        let first = self.before.size.0 >> height;
        match index.checked_sub(first) {
            Some(offset) => {
                self.levels.get(height as usize)?.get(usize::try_from(offset).ok()?).copied()
            }
            None if index + 1 == first => edge_node(&self.before, height),
            None => None,
        }
    }

    /// Root over the leaves from `start` (aligned to the missing subtree) to the end of the tree.
    fn ragged_root(&self, start: u64) -> Option<NodeHash> {
        let inside = (self.after.size.0 - start).count_ones() as usize;
        let first = self.after.nodes.len().checked_sub(inside)?;
        fold(self.after.nodes.get(first..)?)
    }
}

/// Nodes of `height + 1` from the nodes of `height` in `children`, which begin at `edge.size >> height`.
fn parents(edge: &Edge, height: usize, children: &[NodeHash]) -> Vec<NodeHash> {
    let height = u32::try_from(height).unwrap_or(u32::MAX);
    let first = edge.size.0.checked_shr(height).unwrap_or(0);
    let mut nodes = Vec::with_capacity(children.len() / 2 + 1);
    let mut rest = children;
    if first % 2 == 1
        && let Some((right, others)) = children.split_first()
        && let Some(left) = edge_node(edge, height)
    {
        nodes.push(node_hash(&left, right));
        rest = others;
    }
    nodes.extend(rest.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)));
    nodes
}

/// The subtree of `height` in the edge, when the tree's size has that bit.
fn edge_node(edge: &Edge, height: u32) -> Option<NodeHash> {
    if edge.size.0.checked_shr(height)? & 1 == 0 {
        return None;
    }
    let larger = edge.size.0.checked_shr(height + 1).unwrap_or(0).count_ones();
    edge.nodes.get(larger as usize).copied()
}

/// Root over perfect subtrees in order, each smaller than the one before; `None` for none.
pub(crate) fn fold(nodes: &[NodeHash]) -> Option<NodeHash> {
    let (last, larger) = nodes.split_last()?;
    Some(larger.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// How many perfect subtrees of 256^`level` leaves a tree of `size` leaves has: the stored hashes of that level.
#[must_use]
pub fn complete_subtrees(size: TreeSize, level: u8) -> u64 {
    size.0.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{leaf_hash, root_of, verify_inclusion};

    fn leaves(count: u64) -> Vec<LeafHash> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    fn edge_of(leaves: &[LeafHash]) -> Edge {
        let mut edge = Edge::default();
        for leaf in leaves {
            edge.push(*leaf);
        }
        edge
    }

    #[test]
    fn agrees_with_the_recursive_definition() {
        let leaves = leaves(600);
        for size in 0..=leaves.len() {
            assert_eq!(edge_of(&leaves[..size]).head().root, root_of(&leaves[..size]), "{size}");
        }
    }

    #[test]
    fn survives_a_round_trip_through_bytes() {
        for size in [0, 1, 2, 3, 255, 256, 257] {
            let edge = edge_of(&leaves(size));
            assert_eq!(Edge::from_bytes(TreeSize(size), &edge.to_bytes()), Ok(edge));
        }
    }

    #[test]
    fn refuses_an_edge_that_does_not_fit_its_size() {
        let bytes = edge_of(&leaves(3)).to_bytes();
        Edge::from_bytes(TreeSize(4), &bytes).unwrap_err();
        Edge::from_bytes(TreeSize(3), &bytes[..63]).unwrap_err();
    }

    #[test]
    fn proves_nothing_outside_the_batch() {
        let tree = BatchTree::new(edge_of(&leaves(5)), leaves(2));
        assert_eq!(tree.inclusion_path(LeafIndex(4)), None);
        assert_eq!(tree.inclusion_path(LeafIndex(7)), None);
    }

    proptest! {
        #[test]
        fn proves_every_leaf_of_every_batch(old in 0u64..700, fresh in 1u64..300) {
            let all = leaves(old + fresh);
            let (before, batch) = all.split_at(usize::try_from(old).unwrap());
            let tree = BatchTree::new(edge_of(before), batch.to_vec());
            let head = tree.head();
            prop_assert_eq!(head.root, root_of(&all));
            for (index, leaf) in (old..).map(LeafIndex).zip(batch) {
                let path = tree.inclusion_path(index).unwrap();
                verify_inclusion(leaf, index, &path, &head).unwrap();
            }
        }
    }
    #[test]
    fn counts_subtrees_when_they_are_complete() {
        for (size, level, count) in [
            (255, 0, 255),
            (255, 1, 0),
            (256, 1, 1),
            (65_535, 2, 0),
            (65_536, 2, 1),
            (u64::MAX, 8, 0),
        ] {
            assert_eq!(complete_subtrees(TreeSize(size), level), count, "{size} {level}");
        }
    }
}
