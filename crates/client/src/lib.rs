//! The client: signs and attests files, and verifies what was signed.
//!
//! The binary `countersign` is this library behind a command line. It knows the
//! wire of Fulcio v2, Rekor v2 and RFC 3161, in-toto and SLSA by the pure
//! crates, and never a server crate.
//!
//! It refuses to: trust a service because its URL was given, write a bundle
//! that it has not verified itself, leave half of its output behind, start a
//! runtime or touch the network in order to verify.
//!
//! - [`cli`]: the command line, as types.
//! - [`run`]: one command, from its arguments to its [`Report`] or [`Failure`].
//! - [`World`]: clock, variables and standard input, read once in `main`.

pub mod cli;
mod commands;
mod failure;
mod files;
mod keys;
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
