//! What is known of the store and of the clock, from their last uses.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moment::UnixSeconds;
use signing::{Clock, ClockFault};
use store::{MAX_CLOCK_GAP, StoreError};
use thiserror::Error;

use super::{Log, durable::durable_edge};

/// Why a log cannot take entries now although it runs.
#[derive(Clone, Debug, Error)]
pub enum LogTrouble {
    /// Reading or writing failed the last time.
    #[error("the log's store is unavailable")]
    Store(#[source] Arc<StoreError>),
    /// The time of an entry would be wrong.
    #[error(transparent)]
    Clock(ClockFault),
}

/// The last uses of a log's store, and the latest time that is in it.
pub(super) struct Health {
    store: Mutex<LastUse>,
    /// Unix seconds.
    latest: AtomicU64,
}

#[derive(Default)]
struct LastUse {
    written: Option<Instant>,
    failure: Option<Arc<StoreError>>,
    /// Reads in a row that failed. One is any network's.
    reads_failed: u32,
}

impl Health {
    /// How old the last write may be before one is tried. Each trial is a commit of one row.
    const IDLE: Duration = Duration::from_secs(30);

    pub(super) fn new(latest: UnixSeconds) -> Self {
        Self { store: Mutex::default(), latest: AtomicU64::new(latest.0) }
    }

    /// A commit ended. What says that the store is there, as a conflict does, is no failure of it.
    pub(super) fn note_write<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match outcome {
            Ok(done) => {
                *self.lock() = LastUse { written: Some(Instant::now()), ..LastUse::default() };
                Ok(done)
            }
            Err(error) => Err(self.note_failure(error)),
        }
    }

    /// A read ended. One that went well does not say that the store can be written to; one that failed has a
    /// commit tried, and is believed with the next one that fails.
    pub(super) fn note_read<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let failed = outcome.as_ref().is_err_and(|error| failure(error).is_some());
        let reads_failed = {
            let mut last = self.lock();
            last.reads_failed = if failed { last.reads_failed.saturating_add(1) } else { 0 };
            last.reads_failed
        };
        outcome.map_err(|error| if reads_failed > 1 { self.note_failure(error) } else { error })
    }

    pub(super) fn note_latest(&self, time: UnixSeconds) {
        self.latest.fetch_max(time.0, Ordering::Relaxed);
    }

    /// The latest time that is known to be in the log.
    pub(super) fn latest(&self) -> UnixSeconds {
        UnixSeconds(self.latest.load(Ordering::Relaxed))
    }

    fn note_failure(&self, error: StoreError) -> StoreError {
        if let Some(words) = failure(&error) {
            self.lock().failure = Some(Arc::new(words));
        }
        error
    }

    fn is_due(&self) -> bool {
        let last = self.lock();
        let failed = last.failure.is_some() || last.reads_failed > 0;
        failed || last.written.is_none_or(|at| at.elapsed() >= Self::IDLE)
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, LastUse> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same failure once more: its words are what is kept, as whoever waits for it needs the error itself.
fn failure(error: &StoreError) -> Option<StoreError> {
    let source = match error {
        StoreError::Unavailable { source } | StoreError::OutcomeUnknown { source } => {
            source.to_string()
        }
        StoreError::Unreplicated => error.to_string(),
        _ => return None,
    };
    Some(StoreError::Unavailable { source: source.into() })
}

impl Log {
    /// Why it takes no entries now, as far as is known from its last uses; see also [`Log::ready`].
    #[must_use]
    pub fn trouble(&self) -> Option<LogTrouble> {
        if self.is_frozen() {
            // It needs no time, and is read as long as it can be.
            return None;
        }
        let failure = self.health.lock().failure.clone();
        failure.map(LogTrouble::Store).or_else(|| self.clock_fault().map(LogTrouble::Clock))
    }

    /// Why no time may be signed now: a jump of the clock, or an entry from far ahead of it.
    #[must_use]
    pub fn clock_fault(&self) -> Option<ClockFault> {
        let gap = || ClockFault::of_gap(self.clock.now(), self.health.latest(), MAX_CLOCK_GAP);
        self.clock.fault().or_else(gap)
    }

    /// The clock that gives `integrated_at`.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Commits nothing, to learn whether anything can be committed, if nothing was for a while or the last use
    /// failed; to be called every few seconds. What comes of it is in [`Log::trouble`].
    pub async fn try_store_if_idle(&self) {
        if self.is_frozen() || !self.health.is_due() {
            return;
        }
        let (store, now, seen) =
            (self.store.as_ref(), self.clock.now(), self.checkpoint().head.size);
        let tried = durable_edge(store, self.record.id, now, seen).await;
        // What else is wrong with it, the batcher finds.
        let _ = self.health.note_write(tried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Result<(), StoreError> {
        Err(StoreError::Unavailable { source: "away".into() })
    }

    #[test]
    fn one_failed_read_has_a_commit_tried_and_two_are_believed() {
        let health = Health::new(UnixSeconds(0));
        let is_well = || health.lock().failure.is_none();
        health.note_write(Ok(())).unwrap();
        assert!(!health.is_due());
        health.note_read(away()).unwrap_err();
        assert!(is_well() && health.is_due());
        health.note_read(Ok(())).unwrap();
        assert!(is_well() && !health.is_due());
        for _ in 0..2 {
            health.note_read(away()).unwrap_err();
        }
        assert!(!is_well());
        health.note_read(Ok(())).unwrap();
        assert!(!is_well(), "it can be read, which says nothing of writing");
        health.note_write(Ok(())).unwrap();
        assert!(is_well() && !health.is_due());
        health.note_write(away()).unwrap_err();
        assert!(!is_well(), "a write is believed at once");
    }
}
