//! The countersign signing and verification client.
