//! The tests that every adapter passes.
