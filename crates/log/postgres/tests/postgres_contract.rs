//! The contract of the log's store, on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use crate::support::database;

store::log_store_contract!(database);
