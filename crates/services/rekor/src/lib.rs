//! The Rekor transparency log service: v1 and v2, each a service on one [`engine::Log`].
//!
//! Rekor v1 (as `sigstore/rekor`) and v2 (`rekor-tiles`). The engine sequences, proves and signs
//! checkpoints; here entries are verified, and answered as each protocol has it.
//!
//! It refuses to: sequence what it has not verified, or of whom it may not ([`Writers`]), give out a timestamp that does not verify.
//!
//! - [`Rekor1`]: the use cases of v1: entries with SETs, entry ids, search.
//! - [`Rekor2`]: the use case of v2.
//! - [`Writers`], [`Doorkeeper`]: who may write.
//! - [`http`]: both as routers, which read and write HTTP and no more.
//! - `entries`: what both share: what the log stores of a verified entry, [`ensure_first_entry`], [`OnDuplicate`].

mod entries;
pub mod http;
mod v1;
mod v2;
mod writers;

pub use entry::Signer;

pub use entries::{FirstEntryError, OnDuplicate, ensure_first_entry};
pub use v1::{Rekor1, Rekor1Error, Rekor1Options, Rekor1Parts, Rekor1Rules, tree_id};
pub use v2::{Rekor2, Rekor2Error, Rekor2Options};
pub use writers::{Doorkeeper, WriterRefusal, Writers};
