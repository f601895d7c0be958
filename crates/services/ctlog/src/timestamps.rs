//! The times that a CT log signs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moment::UnixMillis;
use signing::{Clock, ClockFault};
use store::MAX_CLOCK_GAP;

/// Times of SCTs and tree heads: none is before one that was given out.
pub(super) struct Timestamps {
    clock: Arc<dyn Clock>,
    latest_ms: AtomicU64,
}

impl Timestamps {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest_ms: AtomicU64::new(0) }
    }

    /// What the clock says, which may go back.
    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now_ms()
    }

    /// A time to sign: the clock's, unless it went backwards, or `least`; then the latest one.
    ///
    /// # Errors
    /// [`ClockFault`]: the clock jumped, or is far behind what was signed, which would be signed again and again
    /// until that time has come.
    pub(super) fn next(&self, least: UnixMillis) -> Result<UnixMillis, ClockFault> {
        if let Some(fault) = self.clock.fault() {
            return Err(fault);
        }
        let now = self.now();
        let latest = UnixMillis(self.latest_ms.load(Ordering::Relaxed)).max(least);
        if let Some(fault) =
            ClockFault::of_gap(now.to_seconds(), latest.to_seconds(), MAX_CLOCK_GAP)
        {
            return Err(fault);
        }
        let now = now.max(least);
        Ok(UnixMillis(self.latest_ms.fetch_max(now.0, Ordering::Relaxed)).max(now))
    }
}

#[cfg(test)]
mod tests {
    use signing::FixedClock;

    use super::*;

    #[test]
    fn a_small_step_back_repeats_the_latest_time_and_a_large_one_signs_none() {
        let clock = Arc::new(FixedClock::at(10_000));
        let timestamps = Timestamps::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let next = || timestamps.next(UnixMillis(0));
        assert_eq!(next(), Ok(UnixMillis(10_000_000)));
        clock.set(9_940);
        assert_eq!(next(), Ok(UnixMillis(10_000_000)));
        clock.set(9_939);
        assert!(matches!(next(), Err(ClockFault::Behind { .. })));
        clock.set(10_001);
        assert_eq!(next(), Ok(UnixMillis(10_001_000)), "well again by itself");
    }

    #[test]
    fn no_time_is_signed_while_the_clock_is_where_it_jumped() {
        let clock = Arc::new(FixedClock::at(10_000));
        let timestamps = Timestamps::new(Arc::clone(&clock) as Arc<dyn Clock>);
        clock.jump(40 * 86_400);
        assert!(matches!(timestamps.next(UnixMillis(0)), Err(ClockFault::Jumped { .. })));
        clock.jump(-40 * 86_400);
        assert_eq!(timestamps.next(UnixMillis(0)), Ok(UnixMillis(10_000_000)), "nothing is left");
    }
}
