//! What a protocol signs of an entry once its index and time are known: Rekor v1's SET.

use store::{StoreError, TimestampSignature};

use crate::Log;

impl Log {
    /// Stores signatures beside their entries. The first of an entry stays.
    ///
    /// They are no part of the tree: what is lost here is signed again, and forks nothing.
    ///
    /// # Errors
    /// Those of [`store::LogStore::put_timestamp_signatures`].
    pub async fn put_timestamp_signatures(
        &self,
        signatures: &[TimestampSignature],
    ) -> Result<(), StoreError> {
        self.store.put_timestamp_signatures(self.record.id, signatures).await
    }
}
