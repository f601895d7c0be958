//! The countersignd binary.
