//! Promises: what a protocol signs of an entry once its index and time are known.

use bytes::Bytes;
use store::StoreError;

use crate::Log;

impl Log {
    /// Stores promises beside the entries of these indexes. The first of an entry stays.
    ///
    /// They are no part of the tree: what is lost here is signed again, and forks nothing.
    ///
    /// # Errors
    /// Those of [`store::LogStore::put_promises`].
    pub async fn put_promises(&self, promises: &[(u64, Bytes)]) -> Result<(), StoreError> {
        self.store.put_promises(self.record.id, promises).await
    }
}
