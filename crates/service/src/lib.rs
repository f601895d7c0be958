//! What every Countersign HTTP service shares.
