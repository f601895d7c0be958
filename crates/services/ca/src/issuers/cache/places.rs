use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Most callers that wait for issuers, all together: a quarter of the requests that may be under
/// way. When a company's way out breaks, all its issuers are silent at once.
const MAX_WAITING_IN_ALL: usize = 1024;

/// Most callers that wait for one issuer. Nothing of their tokens was verified, and a silent
/// issuer keeps each for ten seconds: they must not take every place of those whose issuers answer.
const MAX_WAITING: usize = 512;

/// Most of them with a signature that a known key does not verify: keys are seldom replaced under
/// their id, and bad signatures cost nothing.
const MAX_DOUBTING: usize = 64;

/// The places of all sources together.
#[derive(Clone)]
pub(in crate::issuers) struct Waiting(Arc<Semaphore>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_WAITING_IN_ALL)))
    }
}

/// Where the callers of one source wait.
pub(super) struct Places {
    waiting: Semaphore,
    doubting: Semaphore,
    in_all: Waiting,
}

/// One of the source's own, and one of all.
pub(super) struct Place<'a> {
    _own: SemaphorePermit<'a>,
    _in_all: SemaphorePermit<'a>,
}

impl Places {
    pub(super) fn new(in_all: Waiting) -> Self {
        let (waiting, doubting) = (Semaphore::new(MAX_WAITING), Semaphore::new(MAX_DOUBTING));
        Self { waiting, doubting, in_all }
    }

    /// A place, if there is one. Whoever brings a bad signature does not take the places of those
    /// without any key.
    pub(super) fn take(&self, doubting: bool) -> Option<Place<'_>> {
        let taken = MAX_WAITING - self.waiting.available_permits() + MAX_DOUBTING
            - self.doubting.available_permits();
        // No source takes more than it leaves: however many are silent, the next one finds places.
        if taken >= self.in_all.0.available_permits() {
            return None;
        }
        let own = if doubting { &self.doubting } else { &self.waiting };
        let (own, in_all) = (own.try_acquire().ok()?, self.in_all.0.try_acquire().ok()?);
        Some(Place { _own: own, _in_all: in_all })
    }
}
