//! A log with its key, clock and database file, for the tests of the engine and of the services on it.
//!
//! - [`LogDir`], [`Running`]: what outlives a running log, and the log.
//! - [`Tampering`], [`Lie`]: a store that fails and lies on demand.
//! - [`damage`]: changes its file behind the back of all triggers.
//! - [`cpu`], [`Flood`]: threads for computing, and too much work for them.
//! - [`get`], [`post`], [`send`], [`hostile_bodies`]: requests to a router.
//! - [`Authority`], [`bulky`], [`for_names`]: certificates.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure")]
#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]
#![expect(clippy::must_use_candidate, reason = "what a test does not use it does not call")]

mod certificates;
mod cpu;
mod damage;
mod log;
mod requests;
mod tampering;

pub use certificates::{Authority, bulky, for_names};
pub use cpu::{Flood, cpu};
pub use damage::damage;
pub use log::{LogDir, NOW, ORIGIN, Running, TILES_ORIGIN, TREE_ID, body, copy_database, entry};
pub use requests::{Answer, get, hostile_bodies, post, send};
pub use tampering::{Lie, Tampering, unavailable};
