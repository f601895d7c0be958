//! Which schema a database has, and which one a program knows.

use thiserror::Error;

/// Why a program does not use a database as it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaMismatch {
    /// Nothing was made in it yet.
    #[error("the database has no logs: run `countersignd init`, unless this is the wrong database")]
    NotMade,
    /// Of a program before this one.
    #[error(
        "the database has schema {found}, and this program needs {known}: take a backup, then run `countersignd init`, \
         which brings it up to date"
    )]
    Older {
        /// Newest version in the database.
        found: i64,
        /// Newest version of the program.
        known: i64,
    },
    /// Of a program after this one.
    #[error(
        "the database has schema {found}, of a newer countersignd, and this program knows {known}: run the newer one, \
         or restore the backup from before it"
    )]
    Newer {
        /// Newest version in the database.
        found: i64,
        /// Newest version of the program.
        known: i64,
    },
}

/// Compares the newest version that was applied to a database with the newest that a program has.
///
/// # Errors
/// [`SchemaMismatch`].
pub fn check_schema(found: Option<i64>, known: i64) -> Result<(), SchemaMismatch> {
    match found {
        None => Err(SchemaMismatch::NotMade),
        Some(found) if found < known => Err(SchemaMismatch::Older { found, known }),
        Some(found) if found > known => Err(SchemaMismatch::Newer { found, known }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_schema_is_refused_with_what_to_do() {
        assert_eq!(check_schema(Some(2), 2), Ok(()));
        for (found, words) in [
            (None, "run `countersignd init`"),
            (Some(1), "schema 1, and this program needs 2: take a backup"),
            (Some(3), "run the newer one"),
        ] {
            let said = check_schema(found, 2).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
