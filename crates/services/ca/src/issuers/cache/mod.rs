mod error;
mod known;
mod places;
mod upkeep;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use identity::JwsAlgorithm;
use metrics::counter;
use moment::UnixSeconds;
use signing::Clock;
use tokio::sync::watch;
use tracing::{error, info, warn};

pub use self::error::KeysError;
pub(super) use self::places::Waiting;
use self::{
    known::{Age, Fetches, Known, Started},
    places::Places,
};
use super::{KeySource, SourceError, VerifyingKey, health::Series, jwks::KeySet, kept::KeysDir};
use crate::{OidcConfig, error::whole_seconds};

/// Shortest time between two fetches while no keys are known at all: a service
/// that starts before its issuer must not wait out the long interval.
const FIRST_KEYS_INTERVAL: Duration = Duration::from_secs(1);

/// How far the clock of a provider may be behind ours when its key's replacement
/// is looked for; `iat` has whole seconds besides. Whoever is told "not" gives up for good.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// The keys of one issuer, fetched when needed and kept.
///
/// At most one fetch runs at a time, as a task of its own: callers that give up do not break it
/// off. Old keys are renewed in the background; keys twice as old are waited for. While the issuer
/// does not answer, its last good keys count. Unknown key ids cause at most one fetch an interval.
pub(crate) struct IssuerKeys {
    source: KeySource,
    context: Context,
    known: watch::Sender<Known>,
    fetches: Mutex<Fetches>,
    places: Places,
    /// Whether its keys are kept for the next start.
    kept: AtomicBool,
}

/// What all sources of keys work with.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) settings: OidcConfig,
    /// The CA's name.
    pub(super) ca: String,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where fetched keys are kept for the next start.
    pub(super) keys_dir: Option<KeysDir>,
    pub(super) waiting: Waiting,
    pub(super) series: Series,
}

/// Why an issuer is asked although keys of it may be known.
#[derive(Clone, Copy)]
pub(crate) struct Doubt {
    /// The token's `iat`. Keys that were fetched later would have its key.
    pub(crate) issued_at: Option<UnixSeconds>,
    /// A known key does not verify the token's signature; it may have been replaced.
    pub(crate) has_key: bool,
}

impl IssuerKeys {
    pub(crate) fn new(source: KeySource, context: Context) -> Self {
        Self {
            source,
            places: Places::new(context.waiting.clone()),
            context,
            kept: AtomicBool::new(false),
            known: watch::Sender::new(Known::default()),
            fetches: Mutex::default(),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        self.source.issuer()
    }

    /// The known keys with which a token of this `kid` and `alg` may be signed. Empty when there is
    /// none, or when they are so old that the issuer must be asked first.
    pub(crate) fn at_hand(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Vec<VerifyingKey> {
        let known = self.known.borrow().clone();
        match self.age_of(&known) {
            Age::Fresh => {}
            Age::Aging => drop(self.start_fetch(&known)),
            // The issuer failed the last time: its callers need not wait for it every time.
            Age::Old if known.failure.is_some() => drop(self.start_fetch(&known)),
            Age::None | Age::Old | Age::TooOld => return Vec::new(),
        }
        known.candidates(key_id, algorithm)
    }

    /// The keys with which a token may be signed that those at hand do not verify; never empty.
    /// Asks the issuer, unless that was done a moment ago.
    pub(crate) async fn renewed(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
        doubt: Doubt,
    ) -> Result<Vec<VerifyingKey>, KeysError> {
        let known = self.known.borrow().clone();
        let place = self.places.take(doubt.has_key).ok_or(KeysError::TooManyWaiting)?;
        let asked = self.fetch_and_wait(&known).await;
        drop(place);
        let known = self.known.borrow().clone();
        let old = matches!(self.age_of(&known), Age::None | Age::TooOld);
        let found = known.candidates(key_id, algorithm);
        let untried = !doubt.has_key && !found.is_empty();
        if old || !(untried || asked || self.is_final(&known, doubt)) {
            let retry_after_s = self.retry_after_s(&known);
            return Err(match known.failure {
                Some(source) => KeysError::Unavailable { source, retry_after_s },
                None => KeysError::NotYetAgain { retry_after_s },
            });
        }
        if found.is_empty() { Err(KeysError::UnknownKey) } else { Ok(found) }
    }

    /// Whether the known keys were fetched so long after the token was made that its own must be
    /// among them. The token is unverified: who lies is told "not" in place of "not yet".
    fn is_final(&self, known: &Known, doubt: Doubt) -> bool {
        // A key that replaces another is published before it is used, by the provider's clock; a new
        // one perhaps a little later.
        let delay = if doubt.has_key { CLOCKS_DIFFER } else { self.interval(known) };
        let issued_at = doubt.issued_at.map(UnixSeconds::to_millis);
        issued_at.is_some_and(|at| at.saturating_add(delay) <= known.fetched_at)
    }

    fn age_of(&self, known: &Known) -> Age {
        if known.keys.is_none() {
            return Age::None;
        }
        // A clock that was set back cannot tell.
        let Some(age) = self.context.clock.now_ms().checked_since(known.fetched_at) else {
            return Age::Old;
        };
        let refresh_after = self.context.settings.refresh_after();
        let keep_last_good = self.context.settings.keep_last_good();
        if known.restored && age < keep_last_good {
            // What an older copy of the directory holds may have been forgotten on order since.
            Age::Old
        } else if age < refresh_after {
            Age::Fresh
        } else if age < refresh_after.saturating_mul(2) {
            Age::Aging
        } else if age < keep_last_good {
            Age::Old
        } else {
            Age::TooOld
        }
    }

    /// Waits for the fetch that runs or that may be started now, and tells whether it gave keys;
    /// returns at once when none may.
    async fn fetch_and_wait(self: &Arc<Self>, known: &Known) -> bool {
        match self.start_fetch(known) {
            Some(number) => self.ended(number).await,
            None => false,
        }
    }

    /// Waits for the end of a fetch, and tells whether it gave keys.
    async fn ended(&self, number: u64) -> bool {
        let mut changes = self.known.subscribe();
        // Two documents, each with its own time-out, and a little for the scheduler.
        let longest = self.context.settings.timeout() * 2 + Duration::from_millis(500);
        let ended = changes.wait_for(|known| known.ended >= number);
        matches!(tokio::time::timeout(longest, ended).await, Ok(Ok(known)) if known.failure.is_none())
    }

    /// Starts a fetch unless one runs or the last one is too recent. The number of the fetch to
    /// wait for, if there is one.
    fn start_fetch(self: &Arc<Self>, known: &Known) -> Option<u64> {
        let now = self.context.clock.now_ms();
        let mut fetches = self.lock();
        if let Some(number) = fetches.running() {
            return Some(number);
        }
        if fetches.wait(now, self.interval(known)).is_some() {
            return None;
        }
        fetches.started += 1;
        fetches.last_start = Some(now);
        let number = fetches.started;
        let started = Started { number, forgotten: known.forgotten };
        fetches.tasks.spawn(Arc::clone(self).fetch(started));
        Some(number)
    }

    /// Shortest time between two fetches.
    fn interval(&self, known: &Known) -> Duration {
        match known.keys {
            None => FIRST_KEYS_INTERVAL,
            Some(_) => self.context.settings.min_refresh_interval(),
        }
    }

    /// Whole seconds until a fetch may start; at least 1.
    fn retry_after_s(&self, known: &Known) -> u64 {
        let wait = self.lock().wait(self.context.clock.now_ms(), self.interval(known));
        whole_seconds(wait.unwrap_or_default()).max(1)
    }

    async fn fetch(self: Arc<Self>, Started { number, forgotten }: Started) {
        let outcome = self.source.fetch().await.map(Arc::new);
        let now = self.context.clock.now_ms();
        self.record(&outcome);
        let mut taken = None;
        let withdrawn = matches!(&outcome, Ok(keys) if keys.is_empty());
        self.known.send_modify(|known| {
            known.ended = number;
            match outcome {
                Ok(_) if withdrawn => {
                    known.drop_keys();
                    known.failure = Some(Arc::new(SourceError::Withdrawn));
                }
                Ok(_) if known.forgotten != forgotten => {}
                Ok(keys) => {
                    taken = Some(Arc::clone(&keys));
                    known.keys = Some(keys);
                    known.fetched_at = now;
                    known.restored = false;
                    known.failure = None;
                }
                Err(error) => known.failure = Some(Arc::new(error)),
            }
        });
        self.show();
        if withdrawn && let Err(error) = self.forget_kept() {
            warn!(oidc.issuer = self.source.issuer(), %error, "kept keys of the issuer are still there");
        }
        if let Some(keys) = taken
            && self.kept.load(Ordering::Relaxed)
        {
            // Its end is not waited for: what is not written is fetched again.
            tokio::task::spawn_blocking(move || self.write(&keys, now, forgotten));
        }
    }

    fn record(&self, outcome: &Result<Arc<KeySet>, SourceError>) {
        let issuer = self.source.issuer();
        match outcome {
            Ok(keys) if keys.is_empty() => warn!(
                oidc.issuer = issuer,
                "the issuer publishes an empty set of keys: those that were known count no more"
            ),
            Ok(keys) => {
                if keys.has_private() {
                    warn!(
                        oidc.issuer = issuer,
                        "the issuer publishes the private half of a key, which is not believed: \
                         whoever reads it could sign"
                    );
                }
                info!(oidc.issuer = issuer, "fetched the issuer's keys");
            }
            Err(error) if error.is_permanent() => error!(
                oidc.issuer = issuer,
                error = error as &dyn std::error::Error,
                advice = error.advice(),
                "could not fetch the issuer's keys, and will not until {}",
                error.ends_when()
            ),
            Err(error) => warn!(
                oidc.issuer = issuer,
                error = error as &dyn std::error::Error,
                advice = error.advice(),
                "could not fetch the issuer's keys"
            ),
        }
        if let Err(error) = outcome {
            // Issuers of a pattern are named by tokens: they are not told apart here.
            let ca = self.context.ca.clone();
            counter!("countersign_ca_issuer_fetch_failures_total", "reason" => error.reason(), "ca" => ca)
                .increment(1);
        }
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
