use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moment::UnixMillis;
use signing::Clock;

use super::CtError;
use crate::error::whole_seconds;

/// Failures in a row after which the log is left alone.
const THRESHOLD: u32 = 5;

/// How long it is left alone. Short: callers see 503 all that time.
const PAUSE: Duration = Duration::from_secs(2);

/// Spares callers the wait for a log that does not answer, and the log the load of coming back.
///
/// After [`THRESHOLD`] failures in a row everybody is refused at once for [`PAUSE`]; then one
/// caller may try, while the others wait out another pause. One success closes the circuit.
pub(super) struct Breaker {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    refuse_until: UnixMillis,
}

impl Breaker {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Lets the caller try, or says when to come back.
    pub(super) fn check(&self) -> Result<Attempt<'_>, CtError> {
        let now = self.clock.now_ms();
        let mut state = self.lock();
        if state.failures < THRESHOLD {
            return Ok(Attempt { breaker: self, is_probe: false });
        }
        let left = state.refuse_until.saturating_since(now);
        // More than a whole pause is left only when the clock was set back.
        if !left.is_zero() && left <= PAUSE {
            return Err(CtError::CircuitOpen { retry_after_s: whole_seconds(left) });
        }
        state.refuse_until = now.saturating_add(PAUSE);
        Ok(Attempt { breaker: self, is_probe: true })
    }

    fn failed(&self) {
        let now = self.clock.now_ms();
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= THRESHOLD {
            state.refuse_until = now.saturating_add(PAUSE);
        }
    }

    fn succeeded(&self) {
        self.lock().failures = 0;
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to ask the log. Who goes away without an outcome hands the leave to the next: else callers
/// with a short deadline, one each pause, would keep the circuit open for everybody.
pub(super) struct Attempt<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Attempt<'_> {
    /// The log answered, or failed.
    pub(super) fn ended(mut self, well: bool) {
        self.is_probe = false;
        if well { self.breaker.succeeded() } else { self.breaker.failed() }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.lock().refuse_until = UnixMillis(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use signing::FixedClock;

    use super::*;

    fn breaker_after(failures: u32) -> (Breaker, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(1_800_000_000));
        let breaker = Breaker::new(clock.clone());
        for _ in 0..failures {
            breaker.check().unwrap().ended(false);
        }
        (breaker, clock)
    }

    #[test]
    fn stays_closed_below_the_threshold() {
        let (breaker, _) = breaker_after(THRESHOLD - 1);
        assert!(breaker.check().is_ok());
    }

    #[test]
    fn opens_at_the_threshold_and_says_for_how_long() {
        let (breaker, clock) = breaker_after(THRESHOLD);
        assert!(matches!(breaker.check(), Err(CtError::CircuitOpen { retry_after_s: 2 })));
        clock.advance_ms(1_500);
        assert!(matches!(breaker.check(), Err(CtError::CircuitOpen { retry_after_s: 1 })));
    }

    #[test]
    fn lets_one_caller_try_after_the_pause() {
        let (breaker, clock) = breaker_after(THRESHOLD);
        clock.advance_ms(2_000);
        let first = breaker.check().unwrap();
        assert!(breaker.check().is_err(), "the others wait for the first");
        first.ended(false);
        assert!(breaker.check().is_err());
        clock.advance_ms(2_000);
        breaker.check().unwrap().ended(true);
        assert!(breaker.check().is_ok() && breaker.check().is_ok());
    }

    #[test]
    fn a_caller_that_leaves_does_not_keep_the_circuit_open() {
        let (breaker, clock) = breaker_after(THRESHOLD);
        clock.advance_ms(2_000);
        drop(breaker.check().unwrap());
        let next = breaker.check().unwrap();
        assert!(breaker.check().is_err(), "still one at a time");
        next.ended(true);
        assert!(breaker.check().is_ok());
    }

    #[test]
    fn a_caller_from_before_the_outage_does_not_shorten_the_pause() {
        let (breaker, _) = breaker_after(THRESHOLD - 1);
        let early = breaker.check().unwrap();
        breaker.check().unwrap().ended(false);
        drop(early);
        assert!(breaker.check().is_err());
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let (breaker, _) = breaker_after(THRESHOLD - 1);
        breaker.check().unwrap().ended(true);
        breaker.check().unwrap().ended(false);
        assert!(breaker.check().is_ok());
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let (breaker, clock) = breaker_after(THRESHOLD);
        clock.set(1_700_000_000);
        assert!(breaker.check().is_ok());
    }
}
