//! The program as a process: one test binary, so that it is linked once.
#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

mod closed_pipes;
mod dev;
mod event_lines;
mod explain;
mod fsck;
mod harness;
mod inert;
mod issuer;
mod login;
mod serve;
mod token;
