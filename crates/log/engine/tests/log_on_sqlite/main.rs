//! Tests of the log as its users see it, on real SQLite files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, where a panic is the failure"
)]

mod anchors;
mod checkpoint_file;
mod engine;
mod faults;
mod fsck;
mod pages;
mod replicas;
