use moment::UnixSeconds;
use thiserror::Error;
use tlog::{LeafHash, LeafIndex, NodeHash, TreeSize};

/// One thing that is wrong with a stored log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Finding {
    /// A body does not have the leaf hash stored with it.
    #[error("entry {index}: the body has leaf hash {computed}, {stored} is stored")]
    LeafHash {
        /// Index of the entry.
        index: LeafIndex,
        /// As stored.
        stored: LeafHash,
        /// From the body.
        computed: LeafHash,
    },
    /// An entry is missing; nothing after it was checked.
    #[error("entry {index} is missing")]
    EntryMissing {
        /// Index of the entry.
        index: LeafIndex,
    },
    /// An entry is there that the log's state does not count; the next append would collide with it.
    #[error("entry {index} is beyond the end that the log's state gives")]
    EntryBeyondEnd {
        /// Index of the entry.
        index: LeafIndex,
    },
    /// An entry's deduplication hash is not that of its body, or does not lead to it.
    #[error("entry {index} cannot be found by its deduplication hash")]
    DedupHash {
        /// Index of the entry.
        index: LeafIndex,
    },
    /// The signature of the entry's SCT or SET is not one of this log, or missing where it must be.
    #[error("entry {index}: the stored timestamp signature is not this log's")]
    TimestampSignature {
        /// Index of the entry.
        index: LeafIndex,
    },
    /// The body is not one of the entries that the log takes.
    #[error("entry {index}: the body is not an entry of kind {kind:?}")]
    Body {
        /// Index of the entry.
        index: LeafIndex,
        /// As stored beside the body.
        kind: String,
    },
    /// The tree id is not that of the origin.
    #[error("tree id {tree_id} is not the one in origin {origin:?}")]
    TreeId {
        /// As stored.
        tree_id: i64,
        /// As stored.
        origin: String,
    },
    /// Time goes backwards.
    #[error("entry {index} was integrated before the one in front of it")]
    Time {
        /// Index of the entry.
        index: LeafIndex,
    },
    /// A stored hash is not the root of its subtree.
    #[error("stored hash {index} of level {level} is {stored}, {computed} is right")]
    StoredHash {
        /// Tile level.
        level: u8,
        /// Index within the level.
        index: u64,
        /// As stored.
        stored: NodeHash,
        /// Recomputed.
        computed: NodeHash,
    },
    /// Stored hashes are missing.
    #[error("stored hashes {start}..{end} of level {level} are missing")]
    StoredHashesMissing {
        /// Tile level.
        level: u8,
        /// First index.
        start: u64,
        /// End, exclusive.
        end: u64,
    },
    /// A tree head has another root than its entries.
    #[error("the tree head of size {size} has root {stored}, {computed} is right")]
    TreeHead {
        /// Tree size.
        size: TreeSize,
        /// As stored.
        stored: NodeHash,
        /// Recomputed.
        computed: NodeHash,
    },
    /// The log's size has no tree head.
    #[error("size {size} has no tree head")]
    TreeHeadMissing {
        /// Tree size.
        size: TreeSize,
    },
    /// The state row is not the right edge of the entries.
    #[error("the log's state says root {stored} at size {size}, {computed} is right")]
    Edge {
        /// Tree size.
        size: TreeSize,
        /// As stored.
        stored: NodeHash,
        /// Recomputed.
        computed: NodeHash,
    },
    /// The state row has another time than the last entry.
    #[error("the log's state says that time {stored} was last, the last entry has {found}")]
    LastTime {
        /// As stored.
        stored: UnixSeconds,
        /// Of the last entry.
        found: UnixSeconds,
    },
}
