//! End-to-end tests of the Countersign binaries.
