//! What only a protocol knows of its entries.

use crypto::PublicKey;
use store::{DedupHash, LogSpec, StoredEntry};
use tlog::LeafHash;

/// What a protocol says of its log and of each entry; the tree above them is the same for all.
///
/// Without a method of its own a protocol knows entries by their leaf hashes, signs no times, and takes any body.
pub trait EntryRules: Send + Sync {
    /// Whether the log's tree id is the one that its origin says.
    fn names_its_tree(&self, _spec: &LogSpec) -> bool {
        true
    }

    /// By what an entry with this body, of this leaf hash, is known when it comes again; `None` for a
    /// body that is none.
    fn dedup_hash(&self, _body: &[u8], leaf_hash: LeafHash) -> Option<DedupHash> {
        Some(leaf_hash.into())
    }

    /// Whether the timestamp signature beside the entry is the log's. There is no key when what is stored is none.
    fn is_timestamp_signed(&self, _row: &StoredEntry, _public_key: Option<&PublicKey>) -> bool {
        true
    }

    /// Whether the body is an entry of the kind that is stored beside it.
    fn is_entry(&self, _row: &StoredEntry) -> bool {
        true
    }
}

/// The rules of a log that only has leaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leaves;

impl EntryRules for Leaves {}
