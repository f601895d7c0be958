//! The transparency log on SQLite.
