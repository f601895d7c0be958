//! The transparency log on PostgreSQL.

use log_store::StoreError;

/// The log's store in schema `log` of a PostgreSQL database.
pub struct PostgresLogStore;

impl PostgresLogStore {
    /// Connects and migrates the schema.
    ///
    /// # Errors
    /// [`StoreError::UnsafeDatabase`] when the server may lose commits; [`StoreError::Unavailable`].
    #[expect(clippy::unused_async, reason = "the body follows")]
    pub async fn connect(_url: &str) -> Result<Self, StoreError> {
        Err(StoreError::Unavailable { source: "not built yet".into() })
    }
}
