//! The verifier as its users see it: bundles in, verdicts with their causes out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chains;
mod cross_protocol;
mod evidence;
mod keys;
mod oracle;
mod rekor1;
mod support;
mod vectors;
