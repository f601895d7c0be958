//! RFC 6962 Merkle trees, tiles, proofs, checkpoints and signed notes.
//!
//! The arithmetic of a transparency log and nothing else: no storage, no clock,
//! no network. Specifications: RFC 6962 and RFC 9162 (hashes and proofs), C2SP
//! `tlog-tiles`, `tlog-checkpoint` and `signed-note`, and the key-id rules of
//! Rekor v1 and v2, which differ.
//!
//! It refuses to: accept a proof of any other length than its tree demands,
//! give a partial tile's root, parse a note with control characters.
//!
//! - `position`: [`LeafIndex`], [`TreeSize`].
//! - `hash`: [`LeafHash`], [`NodeHash`], [`leaf_hash`], [`node_hash`].
//! - `edge`: [`Edge`] (a compact range from 0) and [`BatchTree`], which proves what it appends.
//! - `proof`: [`verify_inclusion`], [`verify_consistency`].
//! - `plan`: [`ProofPlan`], proofs from stored hashes in two phases: say what to read, then compute.
//! - `tile`: [`TileId`], [`TilePath`], entry bundles.
//! - `note`, `checkpoint`, `origin`: [`SignedNote`], [`Checkpoint`], [`UnsignedCheckpoint`], [`Rekor1Origin`].

mod checkpoint;
mod edge;
mod hash;
mod note;
mod origin;
mod plan;
mod position;
mod proof;
mod tile;

pub use checkpoint::{Checkpoint, CheckpointError, UnsignedCheckpoint};
pub use edge::{BatchTree, Edge, EdgeError, complete_subtrees};
pub use hash::{
    HashLengthError, LeafHash, NodeHash, TreeHead, empty_root, leaf_hash, node_hash, root_of,
};
pub use note::{KeyIdKind, NoteError, NoteSignature, SignedNote, log_key_id};
pub use origin::Rekor1Origin;
pub use plan::{HashRange, ProofPlan};
pub use position::{LeafIndex, TreeSize};
pub use proof::{ProofError, verify_consistency, verify_inclusion};
pub use tile::{
    EntryTooLong, MAX_ENTRY_LEN, TILE_WIDTH, TileId, TilePath, TilePathError, bundle_entry_len,
    encode_bundle_entry, tile_root,
};
