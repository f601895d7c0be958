use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use identity::JwsAlgorithm;
use service::Clock;
use thiserror::Error;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{info, warn};

use super::{KeySource, VerifyingKey, discovery::SourceError, jwks::KeySet};
use crate::OidcConfig;

/// Shortest time between two fetches while no keys are known at all, in milliseconds: a service
/// that starts before its issuer must not wait out the long interval.
const FIRST_KEYS_INTERVAL_MS: u64 = 1_000;

/// Most callers that wait for one issuer. Nothing of their tokens was verified, and a silent
/// issuer keeps each for ten seconds: they must not take every place of those whose issuers answer.
const MAX_WAITING: usize = 512;

/// The keys of one issuer, fetched when needed and kept.
///
/// At most one fetch runs at a time, as a task of its own: callers that give up do not break it
/// off. Old keys are renewed in the background; keys twice as old are waited for. While the issuer
/// does not answer, its last good keys count. Unknown key ids cause at most one fetch an interval.
pub(crate) struct IssuerKeys {
    source: Arc<KeySource>,
    settings: OidcConfig,
    clock: Arc<dyn Clock>,
    known: watch::Sender<Known>,
    fetches: Mutex<Fetches>,
    waiting: Semaphore,
}

/// What is known after some number of fetches.
#[derive(Clone, Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    fetched_at_ms: u64,
    /// Fetches that ended, well or not.
    ended: u64,
    failure: Option<Arc<SourceError>>,
}

#[derive(Default)]
struct Fetches {
    tasks: JoinSet<()>,
    started: u64,
    last_start_ms: Option<u64>,
}

impl IssuerKeys {
    pub(crate) fn new(source: KeySource, settings: OidcConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            source: Arc::new(source),
            settings,
            clock,
            known: watch::Sender::new(Known::default()),
            fetches: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// The keys with which a token of this `kid` and `alg` may be signed; never empty.
    pub(crate) async fn candidates(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Result<Vec<VerifyingKey>, KeysError> {
        let known = self.known.borrow().clone();
        let found = known.candidates(key_id, algorithm);
        match self.age_of(&known) {
            Age::Fresh if !found.is_empty() => return Ok(found),
            Age::Aging if !found.is_empty() => {
                self.start_fetch(&known);
                return Ok(found);
            }
            // The issuer failed the last time: its callers need not wait for it every time.
            Age::Old if !found.is_empty() && known.failure.is_some() => {
                self.start_fetch(&known);
                return Ok(found);
            }
            _ => {}
        }
        let place = self.waiting.try_acquire().map_err(|_| KeysError::TooManyWaiting)?;
        self.fetch_and_wait(&known).await;
        drop(place);
        let known = self.known.borrow().clone();
        if matches!(self.age_of(&known), Age::None | Age::TooOld) {
            return Err(known.failure.map_or(KeysError::NotYetAgain, KeysError::Unavailable));
        }
        let found = known.candidates(key_id, algorithm);
        if found.is_empty() { Err(KeysError::UnknownKey) } else { Ok(found) }
    }

    fn age_of(&self, known: &Known) -> Age {
        if known.keys.is_none() {
            return Age::None;
        }
        let age_ms = self.clock.now_ms().saturating_sub(known.fetched_at_ms);
        let refresh_after_ms = self.settings.refresh_after_s.saturating_mul(1000);
        if age_ms < refresh_after_ms {
            Age::Fresh
        } else if age_ms < refresh_after_ms.saturating_mul(2) {
            Age::Aging
        } else if age_ms < self.settings.keep_last_good_s.saturating_mul(1000) {
            Age::Old
        } else {
            Age::TooOld
        }
    }

    /// Waits for the fetch that runs or that may be started now; returns at once when none may.
    async fn fetch_and_wait(self: &Arc<Self>, known: &Known) {
        let mut changes = self.known.subscribe();
        let Some(number) = self.start_fetch(known) else { return };
        // Two documents, each with its own time-out, and a little for the scheduler.
        let longest = Duration::from_millis(self.settings.timeout_ms.saturating_mul(2) + 500);
        let _ =
            tokio::time::timeout(longest, changes.wait_for(|known| known.ended >= number)).await;
    }

    /// Starts a fetch unless one runs or the last one is too recent. The number of the fetch to
    /// wait for, if there is one.
    fn start_fetch(self: &Arc<Self>, known: &Known) -> Option<u64> {
        let now_ms = self.clock.now_ms();
        let mut fetches = self.lock();
        while fetches.tasks.try_join_next().is_some() {}
        if !fetches.tasks.is_empty() {
            return Some(fetches.started);
        }
        let interval_ms = match known.keys {
            None => FIRST_KEYS_INTERVAL_MS,
            Some(_) => self.settings.min_refresh_interval_s.saturating_mul(1000),
        };
        // A clock that was set back must not stop fetching: an earlier now counts as long after.
        let elapsed = |start: u64| now_ms.checked_sub(start).unwrap_or(u64::MAX);
        if fetches.last_start_ms.is_some_and(|start| elapsed(start) < interval_ms) {
            return None;
        }
        fetches.started += 1;
        fetches.last_start_ms = Some(now_ms);
        let number = fetches.started;
        fetches.tasks.spawn(Arc::clone(self).fetch(number));
        Some(number)
    }

    async fn fetch(self: Arc<Self>, number: u64) {
        let outcome = self.source.fetch().await;
        let now_ms = self.clock.now_ms();
        match &outcome {
            Ok(_) => info!(oidc.issuer = self.source.issuer(), "fetched the issuer's keys"),
            Err(error) => warn!(
                oidc.issuer = self.source.issuer(),
                error = error as &dyn std::error::Error,
                "could not fetch the issuer's keys"
            ),
        }
        self.known.send_modify(|known| {
            known.ended = number;
            match outcome {
                Ok(keys) => {
                    known.keys = Some(Arc::new(keys));
                    known.fetched_at_ms = now_ms;
                    known.failure = None;
                }
                Err(error) => known.failure = Some(Arc::new(error)),
            }
        });
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn candidates(&self, key_id: Option<&str>, algorithm: JwsAlgorithm) -> Vec<VerifyingKey> {
        self.keys.as_ref().map(|keys| keys.candidates(key_id, algorithm)).unwrap_or_default()
    }
}

enum Age {
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

/// Why there is no key to verify a token with.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The issuer's keys are known, and none fits.
    #[error("the issuer publishes no key of this id and algorithm")]
    UnknownKey,
    /// The issuer's keys could not be fetched.
    #[error("the issuer's keys could not be fetched")]
    Unavailable(#[source] Arc<SourceError>),
    /// The last attempt is too recent for another.
    #[error("the issuer's keys are not known, and were asked for a moment ago")]
    NotYetAgain,
    /// The issuer is slow, and many wait for it already.
    #[error("too many requests wait for the issuer's keys")]
    TooManyWaiting,
}
