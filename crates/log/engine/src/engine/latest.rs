//! The latest tree of a log that several processes write to.

use std::{sync::Arc, time::Duration};

use store::StoreError;
use tlog::TreeSize;

use super::{Log, PublishedCheckpoint, outcome::unavailable};
use crate::{ReadError, SubmitError};

impl Log {
    /// A signed checkpoint that is not older than any that a process of this log had given out before this call.
    ///
    /// Where other processes may write, the store is asked, once for many callers; what they wrote is published here
    /// first. A log that is alone, and one that is frozen, has it already.
    ///
    /// # Errors
    /// [`ReadError::NotCurrent`] when that cannot be known, or not be published here, now: an older tree would be
    /// one that shrank.
    pub async fn latest_checkpoint(&self) -> Result<Arc<PublishedCheckpoint>, ReadError> {
        if !self.store.is_shared() || self.is_frozen() {
            return Ok(self.checkpoint());
        }
        let latest = async {
            let size = self.turns.ask().await?;
            self.published_with(size).await
        };
        let late = |late| Err(unavailable(StoreError::Unavailable { source: Box::new(late) }));
        let latest = tokio::time::timeout(PATIENCE, latest).await.unwrap_or_else(late);
        latest.map_err(ReadError::NotCurrent)
    }

    /// The published checkpoint, if it has `size` entries: what it covers never changes, so nobody is asked. Else the
    /// latest one, which may have fewer all the same.
    ///
    /// # Errors
    /// As [`Log::latest_checkpoint`].
    pub async fn checkpoint_reaching(
        &self,
        size: TreeSize,
    ) -> Result<Arc<PublishedCheckpoint>, ReadError> {
        let published = self.checkpoint();
        if published.head.size >= size { Ok(published) } else { self.latest_checkpoint().await }
    }

    /// The published checkpoint, once it has `size` entries: the batcher is told that somebody waits.
    async fn published_with(
        &self,
        size: TreeSize,
    ) -> Result<Arc<PublishedCheckpoint>, SubmitError> {
        let has_them = |published: &Arc<PublishedCheckpoint>| published.head.size >= size;
        let mut published = self.published.clone();
        let now = self.checkpoint();
        if has_them(&now) {
            return Ok(now);
        }
        let looked = self.queue.look_for(size);
        tokio::select! {
            // First: what is published is there, however the look for it ended.
            biased;
            Ok(found) = published.wait_for(has_them) => Ok(Arc::clone(&found)),
            outcome = looked => Err(match outcome {
                Ok(Err(error)) => error,
                // It was seen, and is not there any more.
                Ok(Ok(())) => SubmitError::OutcomeUnknown,
                Err(_) => self.queue.closed().unwrap_or(SubmitError::ShuttingDown),
            }),
        }
    }
}

/// Longest wait of a reader. A question that is not answered takes 5 s, a batch that is not kept 3 s.
const PATIENCE: Duration = Duration::from_secs(8);
