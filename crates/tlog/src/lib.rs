//! RFC 6962 Merkle trees, tiles, proofs, checkpoints and signed notes.
