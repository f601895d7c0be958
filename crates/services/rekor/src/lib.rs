//! The Rekor transparency log service: v1 and v2, each a service on one [`engine::Log`].
//!
//! Rekor v1 (as `sigstore/rekor`) and v2 (`rekor-tiles`). The engine sequences, proves and signs
//! checkpoints; here entries are verified, and answered as each protocol has it.
//!
//! It refuses to: sequence what it has not verified, give out a timestamp that does not verify.
//!
//! - [`Rekor1`]: SETs, entry ids and search of v1.
//! - [`http`]: both as routers.
//! - Beside them what both share: what the log stores of a verified entry, and [`ensure_first_entry`].

mod first_entry;
pub mod http;
mod new_entry;
mod v1;

pub use first_entry::{FirstEntryError, ensure_first_entry};
pub use v1::{Rekor1, Rekor1Error, Rekor1Rules, tree_id};
