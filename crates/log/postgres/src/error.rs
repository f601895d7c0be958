//! What Postgres' errors mean for a log. Codes: PostgreSQL documentation, appendix A.

use store::StoreError;

/// An error before `COMMIT` was sent: nothing was written.
pub(crate) fn unavailable(error: sqlx::Error) -> StoreError {
    match code(&error).as_deref() {
        Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED | UNIQUE_VIOLATION) => StoreError::Conflict,
        Some(code) if code.starts_with(INTEGRITY) || code.starts_with(DAMAGED) => {
            StoreError::Corrupt { what: error.to_string() }
        }
        _ => StoreError::Unavailable { source: error.into() },
    }
}

/// An error of an append's rows, under the lock of the log's state: nothing was written.
///
/// Nobody else writes rows of the log meanwhile, and where they go was read under that lock. So a row that is there
/// already is not another replica's, which was first: no append made it.
pub(crate) fn at_write(error: sqlx::Error) -> StoreError {
    match code(&error).as_deref() {
        Some(UNIQUE_VIOLATION) => StoreError::Corrupt {
            what: format!("a row stands where an append wants to write: {error}"),
        },
        _ => unavailable(error),
    }
}

/// An error after `COMMIT` was sent.
///
/// Only an answer that says so means that it was rolled back. Neither a lost connection nor the farewell of a server
/// that shuts down does: it says farewell also while it waits for its standby, after committing.
pub(crate) fn at_commit(error: sqlx::Error) -> StoreError {
    match code(&error).as_deref() {
        Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED) => StoreError::Conflict,
        Some(code) if code.starts_with(INTEGRITY) => {
            StoreError::Corrupt { what: error.to_string() }
        }
        _ => StoreError::OutcomeUnknown { source: error.into() },
    }
}

/// The server does not believe who asks: a password that is wrong, or was once right. Poolers say it in their own code.
pub(crate) fn is_refused(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code.starts_with(AUTHORIZATION) || code == OF_A_POOLER)
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";
const UNIQUE_VIOLATION: &str = "23505";
// Classes: the first two digits.
const INTEGRITY: &str = "23";
const DAMAGED: &str = "XX";
const AUTHORIZATION: &str = "28";
const OF_A_POOLER: &str = "08P01";
