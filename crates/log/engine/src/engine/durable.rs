//! Makes certain that what is visible will stay.
//!
//! A read shows also what was committed while the server gave up waiting for its
//! synchronous standby; at a failover it is gone. A commit that the store confirms
//! covers all that was committed before it, so one is made, without entries.

use std::time::Duration;

use moment::UnixSeconds;
use store::{Batch, LogId, LogStore, StoreError};
use tlog::{Edge, TreeSize};

/// The log's right edge, durable wherever the store has to have it.
///
/// `minimum_size` is the size that was seen: a smaller log is a rollback.
///
/// # Errors
/// As [`LogStore::append`]; [`StoreError::Unreplicated`] when the server gave up waiting for its standby,
/// [`StoreError::OutcomeUnknown`] when we did: Postgres itself waits at a commit without any limit.
pub(super) async fn durable_edge(
    store: &dyn LogStore,
    log: LogId,
    now: UnixSeconds,
    minimum_size: TreeSize,
) -> Result<Edge, StoreError> {
    tokio::time::timeout(COMMIT_TIME, committed_edge(store, log, now, minimum_size))
        .await
        .unwrap_or_else(|late| Err(StoreError::OutcomeUnknown { source: late.into() }))
}

/// Longest append. Adapters limit their statements to less, so this is for lost connections and lost standbys.
pub(super) const COMMIT_TIME: Duration = Duration::from_secs(10);

async fn committed_edge(
    store: &dyn LogStore,
    log: LogId,
    now: UnixSeconds,
    minimum_size: TreeSize,
) -> Result<Edge, StoreError> {
    let nothing = Batch { entries: Vec::new(), now, minimum_size };
    match store.append(log, &nothing).await {
        Ok(appended) => Ok(appended.after),
        // It takes no append, but its state row can be frozen once more, and nothing follows.
        Err(StoreError::Frozen) => {
            store.freeze(log).await?;
            Ok(store.state(log).await?.edge)
        }
        Err(error) => Err(error),
    }
}

/// Longest attempt at reading back.
const READ_TIME: Duration = Duration::from_secs(5);

/// Limits a read of the store; what takes too long counts as unavailable.
pub(super) async fn in_time<T, E: From<StoreError>>(
    read: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(READ_TIME, read)
        .await
        .unwrap_or_else(|late| Err(StoreError::Unavailable { source: late.into() }.into()))
}
