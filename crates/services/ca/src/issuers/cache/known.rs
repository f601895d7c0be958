use std::{sync::Arc, time::Duration};

use identity::JwsAlgorithm;
use moment::UnixMillis;
use tokio::task::JoinSet;

use crate::issuers::{KeyName, SourceError, VerifyingKey, jwks::KeySet};

/// What is known after some number of fetches.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) keys: Option<Arc<KeySet>>,
    pub(super) fetched_at: UnixMillis,
    /// They are of an earlier start: since then one may have been withdrawn or forgotten.
    pub(super) restored: bool,
    /// Fetches that ended, well or not.
    pub(super) ended: u64,
    pub(super) failure: Option<Arc<SourceError>>,
    /// How often everything was forgotten: what was asked for before does not count any more.
    pub(super) forgotten: u64,
}

#[derive(Default)]
pub(super) struct Fetches {
    pub(super) tasks: JoinSet<()>,
    pub(super) started: u64,
    pub(super) last_start: Option<UnixMillis>,
}

impl Fetches {
    /// The number of the fetch that is under way.
    pub(super) fn running(&mut self) -> Option<u64> {
        while self.tasks.try_join_next().is_some() {}
        (!self.tasks.is_empty()).then_some(self.started)
    }

    /// How long no fetch may start; `None` when one may.
    pub(super) fn wait(&self, now: UnixMillis, interval: Duration) -> Option<Duration> {
        // A clock that was set back must not stop fetching: an earlier now counts as long after.
        let elapsed = now.checked_since(self.last_start?)?;
        interval.checked_sub(elapsed).filter(|wait| !wait.is_zero())
    }
}

impl Known {
    /// What was known counts no more, nor does an answer to an earlier question.
    pub(super) fn drop_keys(&mut self) {
        self.keys = None;
        self.restored = false;
        self.forgotten += 1;
    }

    pub(super) fn names(&self) -> Vec<KeyName> {
        self.keys.as_ref().map(|keys| keys.names()).unwrap_or_default()
    }

    pub(super) fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Vec<VerifyingKey> {
        self.keys.as_ref().map(|keys| keys.candidates(key_id, algorithm)).unwrap_or_default()
    }
}

/// What a fetch was started as.
#[derive(Clone, Copy)]
pub(super) struct Started {
    /// By which its callers wait for it.
    pub(super) number: u64,
    /// [`Known::forgotten`] of then.
    pub(super) forgotten: u64,
}

/// How old the known keys are.
pub(super) enum Age {
    /// No keys were ever fetched.
    None,
    /// Used as they are.
    Fresh,
    /// Used, and renewed in the background.
    Aging,
    /// Renewed first; used when that fails.
    Old,
    /// Not used any more.
    TooOld,
}
