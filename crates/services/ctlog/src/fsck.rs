//! What only a CT log knows of its rows.

use crypto::PublicKey;
use ct::TimestampedEntry;
use engine::EntryRules;
use store::{DedupHash, StoredEntry};
use tlog::LeafHash;

use crate::service::dedup_hash;

/// What fsck checks of the entries of a CT log.
#[derive(Clone, Copy, Debug, Default)]
pub struct CtRules;

impl EntryRules for CtRules {
    fn dedup_hash(&self, body: &[u8], _leaf_hash: LeafHash) -> Option<DedupHash> {
        TimestampedEntry::of_leaf(body).map(|leaf| dedup_hash(&leaf.entry))
    }

    /// Whether the stored SCT is the log's.
    ///
    /// It signs the bytes of the leaf: RFC 6962 §3.2 and §3.4 differ in the names of two zeros only.
    fn is_timestamp_signed(&self, row: &StoredEntry, public_key: Option<&PublicKey>) -> bool {
        public_key.is_some_and(|key| key.verify(&row.body, &row.timestamp_signature).is_ok())
    }
}
