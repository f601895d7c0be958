//! Trust files, the TUF repository, and how both are served.
#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

mod anchors;
mod common;
mod files;
mod generations;
mod lints;
mod served;
mod tuf;
