//! Tests of the log as its users see it, on real SQLite files.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, where a panic is the failure"
)]

// The short name that dependents use.
extern crate engine as translog;

mod certificates;
mod checkpoint_file;
mod ct;
mod engine;
mod faults;
mod fsck;
mod rekor1;
mod rekor2;
mod requests;
mod support;
mod tampering;
mod tiles;
