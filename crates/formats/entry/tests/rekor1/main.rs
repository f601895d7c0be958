//! The Rekor v1 kinds: entries of public logs made again, requests good and bad, and no input that
//! makes a panic.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its request has failed")]

mod budget;
mod common;
mod envelopes;
mod golden;
mod hashedrekord;
mod robustness;
mod searching;
mod vectors;
