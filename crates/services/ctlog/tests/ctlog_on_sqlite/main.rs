//! Tests of the CT log as its users see it, on real SQLite files.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure")]

mod chains;
mod fsck;
