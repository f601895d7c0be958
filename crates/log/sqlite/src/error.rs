//! What SQLite's errors mean for a log.

use store::StoreError;

/// An error before the commit: nothing was written.
pub(crate) fn unavailable(error: sqlx::Error) -> StoreError {
    match code(&error) {
        // No other writer was first: whoever writes has locked the file before it read where to write.
        Some(UNIQUE | PRIMARY_KEY) => StoreError::Corrupt {
            what: format!("a row stands where an append wants to write: {error}"),
        },
        Some(code) if [CORRUPT, NOT_A_DATABASE, CONSTRAINT].contains(&primary(code)) => {
            StoreError::Corrupt { what: error.to_string() }
        }
        _ => StoreError::Unavailable { source: error.into() },
    }
}

/// An error of the commit itself.
///
/// SQLite rolls back when it can say that it failed; but a failed write or sync of the WAL says nothing of what a
/// recovery will find there.
pub(crate) fn at_commit(error: sqlx::Error) -> StoreError {
    match code(&error).map(primary) {
        Some(BUSY | FULL | READ_ONLY) => StoreError::Unavailable { source: error.into() },
        Some(CONSTRAINT) => StoreError::Corrupt { what: error.to_string() },
        _ => StoreError::OutcomeUnknown { source: error.into() },
    }
}

fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn primary(extended: u32) -> u32 {
    extended & 0xff
}

// Result codes of SQLite, the last two extended.
const BUSY: u32 = 5;
const READ_ONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CONSTRAINT: u32 = 19;
const NOT_A_DATABASE: u32 = 26;
const PRIMARY_KEY: u32 = 1555;
const UNIQUE: u32 = 2067;
