use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use identity::{IssuerConfig, JwsAlgorithm};
use moment::UnixMillis;
use tokio::sync::Semaphore;

use super::{
    IssuerKeys, KeysError, VerifyingKey,
    cache::{Context, Doubt},
    discovery::{KeySource, SourceError},
};
use crate::error::whole_seconds;

/// Issuers of one pattern whose tokens became certificates: only these are kept through a flood.
/// A key set has some 5 KiB, so a pattern holds little more than a megabyte.
const MAX_GRANTED: usize = 256;

/// Issuers that were asked for keys, and whose tokens became nothing yet.
const MAX_TRIED: usize = 64;

/// Issuers that gave no keys, remembered so that they are not asked for every token.
const MAX_FAILED: usize = 1024;

/// How long such an issuer is not asked again.
const FAILED_FOR: Duration = Duration::from_mins(1);

/// New issuers that may be asked in a row, and the time in which one more may be: whoever sends
/// made-up tokens can have one discovery document a second fetched from the pattern's hosts.
const NEW_BURST: u32 = 16;
const NEW_INTERVAL: Duration = Duration::from_secs(1);

/// Most callers that wait for issuers without a certificate yet, all together.
const MAX_WAITING: usize = 64;

/// The keys of all issuers of one pattern. The names come from tokens that nobody has verified, so
/// what those can cost is bounded, and takes nothing from the issuers that are known to be good.
pub(crate) struct PatternKeys {
    template: KeySource,
    context: Context,
    state: Mutex<State>,
    waiting: Semaphore,
}

#[derive(Default)]
struct State {
    granted: Recent<Arc<IssuerKeys>>,
    tried: Recent<Arc<IssuerKeys>>,
    failed: Recent<Failed>,
    /// When the next new issuer would be due if each took its whole interval.
    next_new: UnixMillis,
}

#[derive(Clone)]
struct Failed {
    again_at: UnixMillis,
    error: Arc<SourceError>,
}

impl PatternKeys {
    pub(crate) fn new(template: KeySource, context: Context) -> Self {
        Self { template, context, state: Mutex::default(), waiting: Semaphore::new(MAX_WAITING) }
    }

    /// As [`IssuerKeys::at_hand`]: asks nobody new.
    pub(crate) fn at_hand(
        &self,
        iss: &str,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Vec<VerifyingKey> {
        let known = self.lock().known(iss);
        known.map(|keys| keys.at_hand(key_id, algorithm)).unwrap_or_default()
    }

    /// As [`IssuerKeys::renewed`], within the limits of the pattern.
    pub(crate) async fn renewed(
        &self,
        iss: &str,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
        doubt: Doubt,
    ) -> Result<Vec<VerifyingKey>, KeysError> {
        let granted = self.lock().granted.get(iss);
        if let Some(keys) = granted {
            return keys.renewed(key_id, algorithm, doubt).await;
        }
        let keys = self.begin(iss)?;
        let _place = self.waiting.try_acquire().map_err(|_| KeysError::TooManyWaiting)?;
        let outcome = keys.renewed(key_id, algorithm, doubt).await;
        if let Err(KeysError::Unavailable { source, .. }) = &outcome {
            self.note_failure(iss, source);
        }
        outcome
    }

    /// Remembers that a token of `iss` became a certificate.
    pub(crate) fn note_granted(&self, iss: &str) {
        let mut state = self.lock();
        let Some(keys) = state.tried.take(iss) else { return };
        let pushed_out = state.granted.put(iss, Arc::clone(&keys), MAX_GRANTED);
        drop(state);
        if let Some(pushed_out) = pushed_out {
            pushed_out.retire();
        }
        keys.keep();
    }

    /// Takes up the issuers whose keys an earlier start has kept: they need not compete with
    /// made-up ones for their first question.
    pub(super) fn restore(&self, is_of: impl Fn(&str) -> bool) {
        let Some(directory) = &self.context.keys_dir else { return };
        let issuers = directory.issuers().into_iter().filter(|iss| is_of(iss)).take(MAX_GRANTED);
        for iss in issuers {
            let Ok(source) = self.template.of(&iss) else { continue };
            let keys = Arc::new(IssuerKeys::new(source, self.context.clone()));
            keys.restore();
            if keys.health().age.is_some() {
                self.lock().granted.put(&iss, keys, MAX_GRANTED);
            }
        }
    }

    /// The same of `known`, of a CA that went on until now, if they are of the pattern and its sources.
    pub(super) fn take_over(&self, known: &[Arc<IssuerKeys>], is_of: impl Fn(&str) -> bool) {
        for old in known.iter().filter(|old| is_of(old.issuer())) {
            let Ok(source) = self.template.of(old.issuer()) else { continue };
            let keys = Arc::new(IssuerKeys::new(source, self.context.clone()));
            if old.has_source_of(&keys) {
                keys.take_over(old);
                self.lock().granted.put(old.issuer(), keys, MAX_GRANTED);
            }
        }
    }

    /// Those whose tokens became certificates.
    pub(super) fn granted(&self) -> Vec<Arc<IssuerKeys>> {
        self.lock().granted.values()
    }

    /// All that are known, for an order to ask them now, and the one at `url` if it is of the
    /// pattern. To forget, those too of which something is on disk for whatever reason. Failures are
    /// forgotten: it may be their end that made somebody ask.
    pub(super) fn to_refresh(
        &self,
        pattern: &IssuerConfig,
        url: Option<&str>,
        forget: bool,
    ) -> Vec<Arc<IssuerKeys>> {
        let mut named: Vec<String> = url.map(str::to_owned).into_iter().collect();
        if let Some(directory) = self.context.keys_dir.as_ref().filter(|_| forget) {
            named.extend(directory.issuers());
        }
        let mut state = self.lock();
        state.failed = Recent::default();
        let known = [state.granted.values(), state.tried.values()].concat();
        drop(state);
        named.retain(|iss| pattern.is_of(iss) && !known.iter().any(|keys| keys.issuer() == iss));
        named.dedup();
        let unknown = named.iter().filter_map(|iss| self.template.of(iss).ok());
        let unknown = unknown.map(|of| Arc::new(IssuerKeys::new(of, self.context.clone())));
        known.into_iter().chain(unknown).collect()
    }

    /// The keys of an issuer that has granted nothing yet, if it may be asked now.
    fn begin(&self, iss: &str) -> Result<Arc<IssuerKeys>, KeysError> {
        let now = self.context.clock.now_ms();
        let mut state = self.lock();
        if let Some(failed) = state.failed.get(iss)
            && let Some(wait) = failed.again_at.checked_since(now)
            // A clock that was set back must not keep an issuer out.
            && !wait.is_zero()
            && wait <= FAILED_FOR
        {
            let retry_after_s = whole_seconds(wait);
            return Err(KeysError::Unavailable { source: failed.error, retry_after_s });
        }
        if let Some(keys) = state.tried.get(iss) {
            return Ok(keys);
        }
        let burst = NEW_INTERVAL * NEW_BURST;
        // Likewise.
        let due = if state.next_new > now.saturating_add(burst) { now } else { state.next_new };
        if due.saturating_since(now) > NEW_INTERVAL * (NEW_BURST - 1) {
            return Err(KeysError::TooManyNew);
        }
        state.next_new = due.max(now).saturating_add(NEW_INTERVAL);
        let source = self.template.of(iss).map_err(|error| KeysError::Unavailable {
            source: Arc::new(error),
            retry_after_s: whole_seconds(FAILED_FOR),
        })?;
        let keys = Arc::new(IssuerKeys::new(source, self.context.clone()));
        state.tried.put(iss, Arc::clone(&keys), MAX_TRIED);
        Ok(keys)
    }

    fn note_failure(&self, iss: &str, error: &Arc<SourceError>) {
        let again_at = self.context.clock.now_ms().saturating_add(FAILED_FOR);
        let mut state = self.lock();
        state.tried.take(iss);
        state.failed.put(iss, Failed { again_at, error: Arc::clone(error) }, MAX_FAILED);
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn known(&mut self, iss: &str) -> Option<Arc<IssuerKeys>> {
        self.granted.get(iss).or_else(|| self.tried.get(iss))
    }
}

/// A map of bounded size that forgets what was not asked for the longest.
struct Recent<V> {
    entries: HashMap<String, (u64, V)>,
    uses: u64,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), uses: 0 }
    }
}

impl<V: Clone> Recent<V> {
    fn get(&mut self, key: &str) -> Option<V> {
        self.uses += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.uses;
        Some(value.clone())
    }

    fn values(&self) -> Vec<V> {
        self.entries.values().map(|(_, value)| value.clone()).collect()
    }

    fn take(&mut self, key: &str) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// Gives what had to make room.
    fn put(&mut self, key: &str, value: V, limit: usize) -> Option<V> {
        let mut pushed_out = None;
        if self.entries.len() >= limit && !self.entries.contains_key(key) {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                pushed_out = self.take(&oldest);
            }
        }
        self.uses += 1;
        self.entries.insert(key.to_owned(), (self.uses, value));
        pushed_out
    }
}

#[cfg(test)]
#[path = "../../tests/service/gauges.rs"]
#[expect(dead_code, reason = "shared with the tests of the service, which use all of it")]
mod gauges;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signing::FixedClock;

    use super::*;
    use crate::{
        OidcConfig,
        fetch::Clients,
        issuers::{cache::Waiting, health::Series},
    };

    #[test]
    fn gauges_of_an_issuer_that_had_to_make_room_have_no_value() {
        let gauges = gauges::Gauges::default();
        let _recording = metrics::set_default_local_recorder(&gauges);
        let config: IssuerConfig = serde_json::from_value(json!({
            "url_pattern": "https://i.example/*", "type": "email", "open_to_all": true,
            "audiences": ["sigstore"]
        }))
        .unwrap();
        let timeout = Duration::from_secs(1);
        let source = KeySource::new(&config, timeout, &mut Clients::new(timeout)).unwrap();
        let clock = Arc::new(FixedClock::at(1_790_000_000));
        let context = Context {
            settings: OidcConfig::default(),
            ca: String::new(),
            clock: clock.clone(),
            keys_dir: None,
            waiting: Waiting::default(),
            series: Series::default(),
        };
        let pattern = PatternKeys::new(source, context);
        let shown = || gauges.of("countersign_ca_issuer_keys https://i.example/0");
        for number in 0..=MAX_GRANTED {
            let iss = format!("https://i.example/{number}");
            drop(pattern.begin(&iss).unwrap());
            pattern.note_granted(&iss);
            assert_eq!(shown(), if number < MAX_GRANTED { "0" } else { "NaN" }, "{number}");
            clock.advance_ms(1_000);
        }
    }
}
