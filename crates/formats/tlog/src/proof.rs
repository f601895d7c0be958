use thiserror::Error;

use crate::{LeafHash, LeafIndex, NodeHash, TreeHead, TreeSize, node_hash};

/// Verifies that `leaf` is the entry at `index` of the tree summarised by `head`.
///
/// `path` runs from the leaf's sibling upward; its length is fixed by
/// `index` (0-based) and `head.size`. RFC 9162 §2.1.3.2.
///
/// # Errors
/// [`ProofError::IndexOutOfRange`], [`ProofError::PathLength`], [`ProofError::RootMismatch`].
pub fn verify_inclusion(
    leaf: &LeafHash,
    index: LeafIndex,
    path: &[NodeHash],
    head: &TreeHead,
) -> Result<(), ProofError> {
    if !head.size.contains(index) {
        return Err(ProofError::IndexOutOfRange { index, tree_size: head.size });
    }
    let mut climb = Climb { node: index.0, last: head.size.0 - 1 };
    let mut root = NodeHash::from(*leaf);
    for sibling in path {
        root = match climb.step()? {
            Side::Left => node_hash(sibling, &root),
            Side::Right => node_hash(&root, sibling),
        };
    }
    climb.finish()?;
    if root == head.root { Ok(()) } else { Err(ProofError::RootMismatch) }
}

/// Verifies that the tree of `new` begins with all the leaves of the tree of `old`.
///
/// RFC 9162 §2.1.4.2. Two equal heads are consistent by an empty path. A proof from size 0 is refused,
/// since it would prove nothing.
///
/// # Errors
/// [`ProofError::Shrunk`], [`ProofError::FromEmptyTree`], [`ProofError::PathLength`],
/// [`ProofError::RootMismatch`].
pub fn verify_consistency(
    old: &TreeHead,
    new: &TreeHead,
    path: &[NodeHash],
) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::Shrunk { old_size: old.size, new_size: new.size });
    }
    let (old_size, new_size) = (old.size.0, new.size.0);
    if old_size == 0 {
        return Err(ProofError::FromEmptyTree);
    }
    if old_size == new_size {
        return match (path.is_empty(), old.root == new.root) {
            (false, _) => Err(ProofError::PathLength),
            (true, false) => Err(ProofError::RootMismatch),
            (true, true) => Ok(()),
        };
    }
    // Below the largest perfect subtree that ends at old.size both trees are the same node.
    let shared = old_size.trailing_zeros();
    let mut climb = Climb { node: (old_size - 1) >> shared, last: (new_size - 1) >> shared };
    let (mut old_root, path) = if old_size.is_power_of_two() {
        (old.root, path)
    } else {
        let (seed, rest) = path.split_first().ok_or(ProofError::PathLength)?;
        (*seed, rest)
    };
    let mut new_root = old_root;
    for sibling in path {
        match climb.step()? {
            Side::Left => {
                old_root = node_hash(sibling, &old_root);
                new_root = node_hash(sibling, &new_root);
            }
            Side::Right => new_root = node_hash(&new_root, sibling),
        }
    }
    climb.finish()?;
    if old_root == old.root && new_root == new.root {
        Ok(())
    } else {
        Err(ProofError::RootMismatch)
    }
}

/// Why a proof was not accepted, or cannot be made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// No such leaf in a tree of that size.
    #[error("leaf {index} is not in a tree of {tree_size} leaves")]
    IndexOutOfRange {
        /// 0-based index of the leaf.
        index: LeafIndex,
        /// Leaves of the tree.
        tree_size: TreeSize,
    },
    /// The newer tree has fewer leaves than the older one.
    #[error("a tree of {new_size} leaves cannot extend one of {old_size}")]
    Shrunk {
        /// Leaves of the older tree.
        old_size: TreeSize,
        /// Leaves of the newer tree.
        new_size: TreeSize,
    },
    /// Every tree extends the empty one; a proof of it says nothing.
    #[error("a consistency proof from the empty tree proves nothing")]
    FromEmptyTree,
    /// Too few or too many hashes.
    #[error("the proof has the wrong number of hashes")]
    PathLength,
    /// The hashes lead to another root.
    #[error("the proof leads to another root hash")]
    RootMismatch,
}

enum Side {
    Left,
    Right,
}

/// The way from a node to the root, in step with the last node of its level (`fn`, `sn` in RFC 9162).
struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    /// Which side the next sibling stands on.
    fn step(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::PathLength);
        }
        let side = if self.node % 2 == 1 || self.node == self.last {
            // A last node without sibling is promoted until it is a right child.
            while self.node.is_multiple_of(2) && self.node != 0 {
                self.node >>= 1;
                self.last >>= 1;
            }
            Side::Left
        } else {
            Side::Right
        };
        self.node >>= 1;
        self.last >>= 1;
        Ok(side)
    }

    fn finish(self) -> Result<(), ProofError> {
        if self.last == 0 { Ok(()) } else { Err(ProofError::PathLength) }
    }
}
