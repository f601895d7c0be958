//! The Rekor v2 kinds: real requests, golden bundles, and no input that makes a panic.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its request has failed")]

mod common;
mod golden;
mod requests;
mod robustness;
