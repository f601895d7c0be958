//! Makes certain that what is visible will stay.
//!
//! A read shows also what was committed while the server gave up waiting for its
//! synchronous standby; at a failover it is gone. A commit that the store confirms
//! vouches for all that was committed before it, so one is made, without entries.

use log_store::{Batch, LogId, LogStore, StoreError};
use tlog::Edge;

/// The log's right edge, durable wherever the store has to have it.
///
/// `minimum_size` is the size that was seen: a smaller log is a rollback.
///
/// # Errors
/// As [`LogStore::append`]; [`StoreError::Unreplicated`] while the standby does not confirm.
pub(super) async fn vouched_edge(
    store: &dyn LogStore,
    log: LogId,
    now: u64,
    minimum_size: u64,
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
