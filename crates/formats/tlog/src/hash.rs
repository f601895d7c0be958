use std::fmt;

use thiserror::Error;

use crate::TreeSize;

/// Hash of one leaf: what names an entry. Made of bytes that came, by [`leaf_hash`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct LeafHash(pub [u8; 32]);

/// Hash of a node: of a leaf, an inner node or, as the root hash, of a whole tree.
///
/// Every leaf is a node; no node is taken for a leaf.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct NodeHash(pub [u8; 32]);

/// The size of a tree and its root hash: what a checkpoint or signed tree head commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: TreeSize,
    /// Merkle tree hash over them (RFC 6962 §2.1).
    pub root: NodeHash,
}

/// Hash of a leaf: SHA-256 of `0x00 || body` (RFC 6962 §2.1).
#[must_use]
pub fn leaf_hash(body: &[u8]) -> LeafHash {
    let mut input = Vec::with_capacity(body.len() + 1);
    input.push(0x00);
    input.extend_from_slice(body);
    LeafHash(crypto::sha256(&input))
}

/// Hash of an inner node: SHA-256 of `0x01 || left || right` (RFC 6962 §2.1).
#[must_use]
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    let mut input = [0x01; 65];
    input[1..33].copy_from_slice(&left.0);
    input[33..].copy_from_slice(&right.0);
    NodeHash(crypto::sha256(&input))
}

/// Root of the tree without leaves: SHA-256 of the empty string.
#[must_use]
pub fn empty_root() -> NodeHash {
    NodeHash(crypto::sha256(b""))
}

/// Root over leaf hashes, or over nodes of one height, straight from the recursive definition of RFC 6962 §2.1.
///
/// A second routine beside [`crate::Edge`], for re-checking what the first one made.
#[must_use]
pub fn root_of<H: Copy + Into<NodeHash>>(hashes: &[H]) -> NodeHash {
    match hashes {
        [] => empty_root(),
        [hash] => (*hash).into(),
        hashes => {
            let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

impl From<LeafHash> for NodeHash {
    fn from(leaf: LeafHash) -> Self {
        Self(leaf.0)
    }
}

macro_rules! hash_of_32_bytes {
    ($($name:ident),*) => {$(
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = HashLengthError;

            fn try_from(bytes: &[u8]) -> Result<Self, HashLengthError> {
                bytes.try_into().map(Self).map_err(|_| HashLengthError { found: bytes.len() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

hash_of_32_bytes!(LeafHash, NodeHash);

/// A hash must have 32 bytes.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a SHA-256 hash has 32 bytes, not {found}")]
pub struct HashLengthError {
    /// Bytes that came.
    pub found: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_the_empty_tree_and_leaf_as_rfc_6962_does() {
        assert_eq!(
            empty_root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            leaf_hash(b"").to_string(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn refuses_hashes_of_another_length() {
        assert_eq!(NodeHash::try_from([0u8; 31].as_slice()), Err(HashLengthError { found: 31 }));
    }
}
