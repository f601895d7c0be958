//! The transparency log on SQLite: one file, one process, one writer.

use std::path::Path;

use log_store::StoreError;

/// The log's store in one SQLite file.
pub struct SqliteLogStore;

impl SqliteLogStore {
    /// Opens the database, creating and migrating it as needed.
    ///
    /// # Errors
    /// [`StoreError::AlreadyOpen`] when another process has it; [`StoreError::Unavailable`].
    #[expect(clippy::unused_async, reason = "the body follows")]
    pub async fn open(_path: &Path) -> Result<Self, StoreError> {
        Err(StoreError::Unavailable { source: "not built yet".into() })
    }
}
