use store::{LogStore, StoreError};

/// The tree id of the log called `name`: the stored one, or a random one for a log that is still to be made.
///
/// A tree id is part of the log's origin and of every entry id, so it is drawn once, before the log is made, and
/// read back ever after. Of two processes that make the log at once, the second is refused by
/// [`LogStore::ensure_log`] and finds the right one at its next start.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn tree_id(store: &dyn LogStore, name: &str) -> Result<i64, StoreError> {
    let logs = store.logs().await?;
    let stored = logs.into_iter().find(|log| log.spec.name == name);
    Ok(stored.map_or_else(fresh, |log| log.spec.tree_id))
}

/// Positive: zero in an entry id means that it has no tree id, and upstream's ids have a sign bit.
fn fresh() -> i64 {
    loop {
        let random = i64::from_be_bytes(crypto::random_bytes()) & i64::MAX;
        if random > 0 {
            return random;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_tree_id_is_positive_and_another_each_time() {
        let ids: std::collections::BTreeSet<i64> = (0..100).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.first().is_some_and(|id| *id > 0));
    }
}
