//! Tests of the crate as its users see it, with CA hierarchies made by rcgen and certificates
//! made by others.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure")]

// The short name that dependents use.
extern crate x509 as x509;

mod algorithms;
mod authority;
mod chains;
mod issuing;
mod paths;
mod possession;
mod submissions;
mod vectors;
