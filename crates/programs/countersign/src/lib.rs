//! The client: signs and attests files, and verifies what was signed.
//!
//! The binary `countersign` is this library behind a command line. It knows the
//! wire of Fulcio v2, Rekor v1 and v2 and RFC 3161, in-toto and SLSA by the
//! pure crates, TUF by tough, and never a server crate.
//!
//! It refuses to: trust a service because its URL was given, sign as a file what
//! means something else, write a bundle that it has not verified itself, put one
//! in the place of what it signed, leave half of its output behind, start a
//! runtime or touch the network in order to verify (but to renew pinned trust
//! that has expired).
//!
//! - [`cli`]: the command line, as types.
//! - [`run`]: one command, from its arguments to its [`Report`] or [`Failure`].
//! - [`output`]: the one writer, which makes text of others inert.
//! - [`trust`]: whom to trust: files, and what was pinned by TUF.
//! - [`World`]: clock, variables and standard input, read once in `main`.

pub mod cli;
mod commands;
mod failure;
mod files;
mod keys;
pub mod output;
mod progress;
mod report;
pub mod services;
pub mod signing;
mod subjects;
mod token;
pub mod trust;
mod world;

pub use commands::run;
pub use failure::{Exit, Failure};
pub use report::{Report, SignedFile, VerifiedFile};
pub use world::World;
