//! Tests of Rekor v1 and v2 as their users see them, on real SQLite files.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, where a panic is the failure"
)]

mod tiles;
mod v1;
mod v2;
mod writers;
