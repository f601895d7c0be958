//! The times that a CT log signs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moment::UnixMillis;
use signing::{Clock, ClockFault};
use store::MAX_CLOCK_GAP;

/// Times of SCTs and tree heads: none is before one of its kind that was given out, and no head before an SCT.
///
/// A head of a clock that was ahead must not hold up certificates, so SCTs do not mind heads.
pub(super) struct Timestamps {
    clock: Arc<dyn Clock>,
    latest_sct_ms: AtomicU64,
    latest_head_ms: AtomicU64,
}

impl Timestamps {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest_sct_ms: AtomicU64::new(0), latest_head_ms: AtomicU64::new(0) }
    }

    /// What the clock says, which may go back.
    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now_ms()
    }

    /// A time for an SCT: the clock's, unless it went backwards; then the latest one.
    ///
    /// # Errors
    /// [`ClockFault`]: the clock jumped, or is far behind what was signed, which would be signed again and again
    /// until that time has come.
    pub(super) fn of_sct(&self) -> Result<UnixMillis, ClockFault> {
        self.next(&self.latest_sct_ms, UnixMillis(0))
    }

    /// The same for a tree head whose SCTs have `least` at most.
    ///
    /// # Errors
    /// [`ClockFault`].
    pub(super) fn of_head(&self, least: UnixMillis) -> Result<UnixMillis, ClockFault> {
        let latest_sct = UnixMillis(self.latest_sct_ms.load(Ordering::Relaxed));
        self.next(&self.latest_head_ms, least.max(latest_sct))
    }

    fn next(&self, latest_ms: &AtomicU64, least: UnixMillis) -> Result<UnixMillis, ClockFault> {
        if let Some(fault) = self.clock.fault() {
            return Err(fault);
        }
        let now = self.now();
        let latest = UnixMillis(latest_ms.load(Ordering::Relaxed)).max(least);
        let gap = ClockFault::of_gap(now.to_seconds(), latest.to_seconds(), MAX_CLOCK_GAP);
        if let Some(fault) = gap {
            return Err(fault);
        }
        let now = now.max(least);
        Ok(UnixMillis(latest_ms.fetch_max(now.0, Ordering::Relaxed)).max(now))
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
        let next = || timestamps.of_sct();
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
        assert!(matches!(timestamps.of_sct(), Err(ClockFault::Jumped { .. })));
        clock.jump(-40 * 86_400);
        assert_eq!(timestamps.of_sct(), Ok(UnixMillis(10_000_000)), "nothing is left");
    }

    #[test]
    fn a_head_from_ahead_holds_up_no_sct_and_no_head_is_before_an_sct() {
        let clock = Arc::new(FixedClock::at(20_000));
        let timestamps = Timestamps::new(Arc::clone(&clock) as Arc<dyn Clock>);
        timestamps.of_head(UnixMillis(0)).unwrap();
        clock.set(10_000);
        assert_eq!(timestamps.of_sct(), Ok(UnixMillis(10_000_000)));
        assert!(matches!(timestamps.of_head(UnixMillis(0)), Err(ClockFault::Behind { .. })));

        let timestamps = Timestamps::new(Arc::clone(&clock) as Arc<dyn Clock>);
        timestamps.of_sct().unwrap();
        clock.set(9_950);
        assert_eq!(timestamps.of_head(UnixMillis(0)), Ok(UnixMillis(10_000_000)));
    }
}
