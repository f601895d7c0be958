//! Writes SETs to the store, in groups, off the answer path.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use engine::Log;
use store::{StoreError, TimestampSignature};
use tlog::LeafIndex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// SETs on their way into the store, by leaf index.
///
/// A full one forgets: a SET that was not kept is signed again at the next read.
#[derive(Default)]
pub(super) struct Keeper {
    sets: Mutex<Sets>,
    arrived: Notify,
}

#[derive(Default)]
struct Sets {
    waiting: BTreeMap<LeafIndex, Bytes>,
    /// The group that was written last, for those who read the store just before.
    written: BTreeMap<LeafIndex, Bytes>,
}

impl Sets {
    fn of(&self, index: LeafIndex) -> Option<&Bytes> {
        self.waiting.get(&index).or_else(|| self.written.get(&index))
    }
}

impl Keeper {
    /// SETs that may wait: 2 MiB of them, and two seconds' work of a fast machine.
    pub(super) const CAPACITY: usize = 16_384;
    /// SETs of one write.
    const GROUP: usize = 4096;
    /// Between two writes. Each is a commit beside the log's own, and SQLite has one writer; a crash
    /// loses no more than what any reader can have signed again.
    const PAUSE: Duration = Duration::from_millis(500);
    /// Longest write: one that hangs must not hold up the end of the process.
    const STORE_TIME: Duration = Duration::from_secs(2);

    /// Takes a SET to be kept, and gives the one that is kept: the first of its entry.
    pub(super) fn keep(&self, index: LeafIndex, set: Bytes) -> Bytes {
        let mut sets = self.lock();
        if let Some(first) = sets.of(index) {
            return first.clone();
        }
        if sets.waiting.len() >= Self::CAPACITY {
            metrics::counter!("countersign_log_promises_dropped_total").increment(1);
            return set;
        }
        sets.waiting.insert(index, set.clone());
        drop(sets);
        self.arrived.notify_one();
        set
    }

    /// The SET of an entry that is not stored yet, or only just.
    pub(super) fn fresh(&self, index: LeafIndex) -> Option<Bytes> {
        self.lock().of(index).cloned()
    }

    /// Works until `shutdown`, and then writes what is left, as far as the store takes it.
    pub(super) async fn run(self: Arc<Self>, log: Arc<Log>, shutdown: CancellationToken) {
        loop {
            let rested = match self.write(&log).await {
                Wrote::Nothing => shutdown.run_until_cancelled(self.arrived.notified()).await,
                Wrote::Group | Wrote::Failed => {
                    shutdown.run_until_cancelled(tokio::time::sleep(Self::PAUSE)).await
                }
            };
            if rested.is_none() {
                break;
            }
        }
        while matches!(self.write(&log).await, Wrote::Group) {}
    }

    /// Writes one group. What failed stays, and is written again.
    async fn write(&self, log: &Log) -> Wrote {
        let group: Vec<TimestampSignature> = {
            let sets = self.lock();
            sets.waiting
                .iter()
                .take(Self::GROUP)
                .map(|(index, set)| TimestampSignature { index: *index, signature: set.clone() })
                .collect()
        };
        if group.is_empty() {
            return Wrote::Nothing;
        }
        let written = log.put_timestamp_signatures(&group);
        let written = tokio::time::timeout(Self::STORE_TIME, written)
            .await
            .unwrap_or_else(|late| Err(StoreError::Unavailable { source: late.into() }));
        if let Err(error) = written {
            tracing::warn!(log.name = %log.record().spec.name, error = %error, log.sets = group.len(),
                "timestamps of entries cannot be stored yet");
            return Wrote::Failed;
        }
        let mut sets = self.lock();
        for kept in &group {
            sets.waiting.remove(&kept.index);
        }
        sets.written = group.into_iter().map(|kept| (kept.index, kept.signature)).collect();
        Wrote::Group
    }

    /// A panic elsewhere cannot leave the maps half-changed, so a poisoned lock is usable.
    fn lock(&self) -> MutexGuard<'_, Sets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of one group.
enum Wrote {
    Nothing,
    Group,
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_first_timestamp_of_an_entry_to_everyone() {
        let keeper = Keeper::default();
        assert_eq!(keeper.keep(LeafIndex(7), "first".into()), "first");
        assert_eq!(keeper.keep(LeafIndex(7), "second".into()), "first");
        assert_eq!(keeper.fresh(LeafIndex(7)).unwrap(), "first");
        assert_eq!(keeper.fresh(LeafIndex(8)), None);
    }

    #[test]
    fn forgets_what_it_has_no_room_for() {
        let keeper = Keeper::default();
        for index in 0..Keeper::CAPACITY as u64 {
            keeper.keep(LeafIndex(index), "set".into());
        }
        assert_eq!(keeper.keep(LeafIndex(u64::MAX), "one more".into()), "one more");
        assert_eq!(keeper.fresh(LeafIndex(u64::MAX)), None);
        assert_eq!(keeper.keep(LeafIndex(0), "again".into()), "set");
    }
}
