//! The pure part of an append.
