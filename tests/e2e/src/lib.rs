//! End-to-end tests of the Countersign binaries.
//!
//! `cargo xtask test` builds the programs, starts PostgreSQL and says where both are by
//! `COUNTERSIGN_BIN_DIR` and `DATABASE_URL`. Everything here is a real process on loopback.

mod client;
mod database;
mod hex;
mod ports;
mod services;
mod stack;
mod tiles;

pub use client::Client;
pub use database::Database;
pub use hex::{hex, unhex};
pub use ports::free_port;
pub use services::{Services, countersignd};
pub use stack::{Said, Stack, binaries, said};
pub use tiles::{bundle_path, bundled_entries};
