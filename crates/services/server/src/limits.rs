//! How much one caller may write: rates with bursts, and quotas of a day.
//!
//! `governor` decides and tells the time of the next permit; its own stores keep every key that was ever seen, so the
//! store is ours: [`Bounded`].

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::Request;
use governor::{
    NotUntil, Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos,
    state::StateStore,
};
use metrics::counter;
use tokio::time::Instant;
use tracing::warn;

use crate::{CallerAddress, Failure, body, shares::Prefix};

/// Most callers that are remembered of one limit: 3 MiB. Who has written nothing for as long as its burst takes to come
/// back need not be.
const MAX_KEYS: usize = 1 << 16;

/// Bytes in the unit that quotas of bytes are counted in.
const KIB: u64 = 1024;

/// What a body without a declared length counts for: what an entry of a log can hold.
const UNDECLARED: u64 = 64 * KIB;

const DAY: Duration = Duration::from_hours(24);

/// Longest time in which a burst comes back.
const LONGEST_BURST: Duration = Duration::from_hours(365 * 24);

/// Shortest time between two lines of the log about one limit.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// What one caller may write; nothing bounds it where nothing is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// How often.
    pub rate: Option<Rate>,
    /// How often in a day.
    pub writes_per_day: Option<NonZeroU32>,
    /// How much in a day, in MiB of requests.
    pub mib_per_day: Option<NonZeroU32>,
}

/// A rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Between two permits; not zero.
    pub interval: Duration,
    /// How many at once, after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    /// Its burst, so long that the times of `governor`, 64 bits of nanoseconds, hold it.
    fn bounded(self) -> NonZeroU32 {
        let most = LONGEST_BURST.as_nanos() / self.interval.as_nanos().max(1);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        NonZeroU32::new(most).map_or(NonZeroU32::MIN, |most| most.min(self.burst))
    }
}

impl Allowance {
    /// Whether it bounds anything.
    #[must_use]
    pub fn is_some(&self) -> bool {
        *self != Self::default()
    }
}

/// Too much was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// Whose limit it is: `peer`, `issuer` or `subject`.
    pub by: &'static str,
    /// When the next write may be made, in whole seconds from now.
    pub retry_after_s: u64,
}

/// The limits of one service for callers of one sort.
pub(crate) struct Limits<K: Copy + Eq + Hash> {
    service: String,
    by: &'static str,
    rate: Option<Limiter<K>>,
    writes: Option<Limiter<K>>,
    kibibytes: Option<Limiter<K>>,
    refused: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl<K: Copy + Eq + Hash> Limits<K> {
    fn new(service: &str, by: &'static str, allowance: &Allowance) -> Self {
        Self::by_clock(service, by, (allowance, MAX_KEYS, Ticks::real()))
    }

    fn by_clock(
        service: &str,
        by: &'static str,
        (allowance, most, ticks): (&Allowance, usize, Ticks),
    ) -> Self {
        let limiter = |quota| RateLimiter::new(quota, Bounded::new(most), ticks.clone());
        let in_a_day = |number: NonZeroU32| {
            let interval = DAY / number.get();
            Quota::with_period(interval).map(|quota| limiter(quota.allow_burst(number)))
        };
        let rate = allowance.rate.and_then(|rate| {
            Quota::with_period(rate.interval)
                .map(|quota| limiter(quota.allow_burst(rate.bounded())))
        });
        let kibibytes = |mib: NonZeroU32| mib.saturating_mul(NonZeroU32::MIN.saturating_add(1023));
        Self {
            service: service.to_owned(),
            by,
            rate,
            writes: allowance.writes_per_day.and_then(in_a_day),
            kibibytes: allowance.mib_per_day.map(kibibytes).and_then(in_a_day),
            refused: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }

    /// Counts a write of `bytes` by `key`, or says when it may come again.
    ///
    /// What comes back soonest is taken first: who is refused by the rate has used nothing of its day.
    fn take(&self, key: K, bytes: u64) -> Result<(), Limited> {
        let one = NonZeroU32::MIN;
        let kibibytes = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        let kibibytes = NonZeroU32::new(kibibytes).unwrap_or(one);
        let all = [(&self.rate, one), (&self.writes, one), (&self.kibibytes, kibibytes)];
        for (limiter, cells) in all {
            if let Some(limiter) = limiter {
                take(limiter, &key, cells).map_err(|wait| self.refusal(wait))?;
            }
        }
        Ok(())
    }

    fn refusal(&self, wait: Duration) -> Limited {
        counter!("countersign_rate_limited_total", "service" => self.service.clone(), "by" => self.by)
            .increment(1);
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.tell();
        let rounded_up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Limited { by: self.by, retry_after_s: rounded_up.max(1) }
    }

    /// One line for many: whoever writes too much would fill the log as well.
    fn tell(&self) {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < BETWEEN_LINES) {
            return;
        }
        *told = Some(Instant::now());
        let refused = self.refused.swap(0, Ordering::Relaxed);
        warn!(service = %self.service, limit.by = self.by, limit.refused = refused,
            "writes are refused: more than the configured limits allow");
    }
}

type Limiter<K> = RateLimiter<K, Bounded<K>, Ticks, NoOpMiddleware<Duration>>;

/// What is longer than a whole day's quota takes all of it: it would never fit else.
fn take<K: Copy + Eq + Hash>(
    limiter: &Limiter<K>,
    key: &K,
    cells: NonZeroU32,
) -> Result<(), Duration> {
    let wait = |not: NotUntil<Duration>| not.wait_time_from(limiter.clock().now());
    match limiter.check_key_n(key, cells) {
        Ok(taken) => taken.map_err(wait),
        Err(governor::InsufficientCapacity(most)) => {
            let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
            limiter.check_key_n(key, most).map_or(Ok(()), |taken| taken.map_err(wait))
        }
    }
}

/// The time since a limit was made. Not of the wall: a clock that is set changes nothing.
#[derive(Clone)]
struct Ticks(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Ticks {
    fn real() -> Self {
        let begun = Instant::now();
        Self(Arc::new(move || begun.elapsed()))
    }
}

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        (self.0)()
    }
}

/// What is known of callers: of each the time at which its burst will have come back, which is later the more it wrote.
///
/// When it is full the half is forgotten that wrote least. So a crowd of addresses costs no more than this memory and
/// locks nobody out: a newcomer is always taken as one that wrote nothing, and who wrote most stays known. Whom the
/// crowd makes forgotten has a new burst; that it could have had by another address.
struct Bounded<K> {
    known: Mutex<HashMap<K, Nanos>>,
    most: usize,
}

impl<K: Copy + Eq + Hash> Bounded<K> {
    fn new(most: usize) -> Self {
        Self { known: Mutex::default(), most }
    }
}

impl<K: Copy + Eq + Hash> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, next) = decide(known.get(key).copied())?;
        if known.len() >= self.most && !known.contains_key(key) {
            forget_half(&mut known);
        }
        known.insert(*key, next);
        Ok(outcome)
    }
}

fn forget_half<K: Copy + Eq + Hash>(known: &mut HashMap<K, Nanos>) {
    let mut times: Vec<u64> = known.values().map(|time| time.as_u64()).collect();
    let middle = times.len() / 2;
    if middle < times.len() {
        let (_, middle, _) = times.select_nth_unstable(middle);
        let middle = *middle;
        known.retain(|_, time| time.as_u64() > middle);
    }
}

/// How much one peer may write to a service. In the extensions of a request; without it nothing is bounded.
///
/// A peer is an address, or 64 bits of IPv6; behind trusted proxies it is the caller that they name.
#[derive(Clone)]
pub struct PeerLimits(Arc<Limits<Prefix>>);

impl PeerLimits {
    /// Of the service that metrics and the log call `service`.
    #[must_use]
    pub fn new(service: &str, allowance: &Allowance) -> Self {
        Self(Arc::new(Limits::new(service, "peer", allowance)))
    }
}

/// Counts a request that writes on what its peer may write, before its body is read.
///
/// # Errors
/// [`Failure::RateLimited`]; the body is read past then.
pub async fn within_limits(request: Request) -> Result<Request, Failure> {
    let extensions = request.extensions();
    let (limits, caller) = (extensions.get::<PeerLimits>(), extensions.get::<CallerAddress>());
    let (Some(PeerLimits(limits)), Some(CallerAddress(address))) = (limits, caller) else {
        return Ok(request);
    };
    let length = body::declared_length(request.headers()).unwrap_or(UNDECLARED);
    match limits.take(Prefix::of(*address), length) {
        Ok(()) => Ok(request),
        Err(Limited { retry_after_s, .. }) => {
            body::discard_body(request).await;
            Err(Failure::RateLimited { retry_after_s })
        }
    }
}

/// How much one identity may write: by its issuer, and by its name at that issuer. Only of identities that were
/// verified: who could choose one would use up that of somebody else.
#[derive(Default)]
pub struct IdentityLimits {
    issuer: Option<Limits<Key>>,
    subject: Option<Limits<Key>>,
}

/// A hash of names: they may be long, and there may be many.
type Key = [u8; 16];

impl IdentityLimits {
    /// Of the service that metrics and the log call `service`.
    #[must_use]
    pub fn new(service: &str, per_issuer: &Allowance, per_subject: &Allowance) -> Self {
        let of = |by, allowance: &Allowance| {
            allowance.is_some().then(|| Limits::new(service, by, allowance))
        };
        Self { issuer: of("issuer", per_issuer), subject: of("subject", per_subject) }
    }

    /// Whether they bound anything.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.issuer.is_some() || self.subject.is_some()
    }

    /// Counts a write of `bytes` in the name of `subject`. That one's limit is taken from first: who is refused by it
    /// uses up nothing of the others of its issuer.
    ///
    /// # Errors
    /// [`Limited`].
    pub fn take(&self, issuer: &str, subject: &str, bytes: u64) -> Result<(), Limited> {
        if let Some(limits) = &self.subject {
            limits.take(key(&[issuer, subject]), bytes)?;
        }
        match &self.issuer {
            Some(limits) => limits.take(key(&[issuer]), bytes),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for IdentityLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (issuer, subject) = (self.issuer.is_some(), self.subject.is_some());
        f.debug_struct("IdentityLimits")
            .field("issuer", &issuer)
            .field("subject", &subject)
            .finish()
    }
}

fn key(names: &[&str]) -> Key {
    let mut hashed = Vec::new();
    for name in names {
        hashed.extend(crypto::sha256(name.as_bytes()));
    }
    let digest = crypto::sha256(&hashed);
    let mut key = Key::default();
    key.copy_from_slice(digest.split_at(size_of::<Key>()).0);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(number)
    }

    fn rate(interval: Duration, burst: u32) -> Allowance {
        let rate = Rate { interval, burst: number(burst).unwrap() };
        Allowance { rate: Some(rate), ..Allowance::default() }
    }

    /// Limits by a clock that the test sets, in milliseconds.
    fn limits(allowance: Allowance, most: usize) -> (Limits<u64>, Arc<AtomicU64>) {
        let time = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&time);
        let ticks = Ticks(Arc::new(move || Duration::from_millis(read.load(Ordering::Relaxed))));
        (Limits::by_clock("test", "peer", (&allowance, most, ticks)), time)
    }

    fn wait(limits: &Limits<u64>, key: u64) -> Option<u64> {
        limits.take(key, 1).err().map(|limited| limited.retry_after_s)
    }

    #[test]
    fn a_burst_is_let_in_at_once_and_the_rest_at_the_rate_that_is_told() {
        let (limits, time) = limits(rate(Duration::from_secs(10), 3), 100);
        assert_eq!([(); 4].map(|()| wait(&limits, 1)), [None, None, None, Some(10)]);
        assert_eq!(wait(&limits, 2), None, "another one's");
        time.store(9_001, Ordering::Relaxed);
        assert_eq!(wait(&limits, 1), Some(1), "whole seconds, and never too early");
        time.store(10_000, Ordering::Relaxed);
        assert_eq!([(); 2].map(|()| wait(&limits, 1)), [None, Some(10)]);
    }

    #[test]
    fn no_burst_is_too_large_for_the_times_of_the_library() {
        let (limits, _) = limits(rate(Duration::from_hours(24), u32::MAX), 100);
        assert!((0..365).all(|_| wait(&limits, 1).is_none()));
        assert!(wait(&limits, 1).is_some());
    }

    #[test]
    fn a_quota_of_a_day_comes_back_piece_by_piece() {
        let allowance = Allowance { writes_per_day: number(24), ..Allowance::default() };
        let (limits, time) = limits(allowance, 100);
        assert!((0..24).all(|_| wait(&limits, 1).is_none()));
        assert_eq!(wait(&limits, 1), Some(3600));
        time.store(3_600_000, Ordering::Relaxed);
        assert_eq!([(); 2].map(|()| wait(&limits, 1)), [None, Some(3600)]);
    }

    #[test]
    fn a_quota_of_bytes_counts_what_is_sent() {
        let allowance = Allowance { mib_per_day: number(1), ..Allowance::default() };
        let (limits, _) = limits(allowance, 100);
        assert!(limits.take(1, 1000 << 10).is_ok());
        assert!(limits.take(1, 24 << 10).is_ok());
        assert!(limits.take(1, 1).is_err());
        // Longer than the quota of a day: all of it, once.
        assert!(limits.take(2, 5 << 20).is_ok());
        assert!(limits.take(2, 1).is_err());
    }

    #[test]
    fn who_is_refused_by_the_rate_uses_nothing_of_its_day() {
        let allowance = Allowance { writes_per_day: number(2), ..rate(Duration::from_secs(1), 1) };
        let (limits, time) = limits(allowance, 100);
        assert!(wait(&limits, 1).is_none());
        assert!((0..100).all(|_| wait(&limits, 1) == Some(1)));
        time.store(1_000, Ordering::Relaxed);
        assert!(wait(&limits, 1).is_none());
        time.store(2_000, Ordering::Relaxed);
        assert!(wait(&limits, 1).unwrap() > 3600);
    }

    /// A network of 48 bits has 65,536 of 64.
    #[test]
    fn a_crowd_of_addresses_fills_no_memory_locks_nobody_out_and_hides_nobody_who_wrote_much() {
        let (limits, time) = limits(rate(Duration::from_hours(1), 5), 64);
        let greedy = 1;
        while wait(&limits, greedy).is_none() {}
        for number in 1_000..11_000 {
            time.fetch_add(1, Ordering::Relaxed);
            assert_eq!(wait(&limits, number), None, "a newcomer is let in");
        }
        assert!(wait(&limits, greedy).is_some(), "who wrote most is remembered");
    }

    #[test]
    fn a_store_holds_no_more_than_it_may() {
        let store = Bounded::new(64);
        for number in 0..10_000_u64 {
            let decide = |_: Option<Nanos>| Ok::<_, ()>(((), Nanos::from(number % 97)));
            store.measure_and_replace(&number, decide).unwrap();
            assert!(store.known.lock().unwrap().len() <= 64);
        }
    }

    #[test]
    fn a_subject_that_writes_too_much_uses_up_nothing_of_its_issuer() {
        let limits = IdentityLimits::new(
            "test",
            &rate(Duration::from_hours(1), 3),
            &rate(Duration::from_hours(1), 1),
        );
        assert!(limits.take("https://i.example", "one", 1).is_ok());
        for _ in 0..10 {
            let limited = limits.take("https://i.example", "one", 1).unwrap_err();
            assert_eq!(limited.by, "subject");
        }
        assert!(limits.take("https://i.example", "two", 1).is_ok());
        assert!(limits.take("https://i.example", "three", 1).is_ok());
        assert_eq!(limits.take("https://i.example", "four", 1).unwrap_err().by, "issuer");
        assert!(limits.take("https://other.example", "one", 1).is_ok(), "another's of that name");
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }
}
