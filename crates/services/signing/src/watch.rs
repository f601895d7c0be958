//! Whether the clock may be believed: a time that is signed cannot be taken back.

use std::time::Duration;

use moment::{UnixMillis, UnixSeconds};
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::{Clock, SystemClock};

/// How far the clock may leave the time that this machine has counted since the process began.
///
/// Verifiers let a time be a minute ahead of theirs, so what is within it harms nobody. NTP steps a clock once
/// at boot and slews it afterwards, by 500 ppm at most; twice that is allowed beside.
pub const MAX_CLOCK_JUMP: Duration = Duration::from_mins(1);

/// One part in so many of the time since the start is allowed beside [`MAX_CLOCK_JUMP`].
const SLEW: u32 = 1000;

/// Why the clock's time is not signed. The words are for anybody, and say how to go on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ClockFault {
    /// It left the time that the machine counts by itself: one of the two readings is wrong.
    #[error(
        "the clock jumped {} s {} while the service ran: set it right; if it is right now, start the service anew",
        .by.as_secs(), if *.ahead { "ahead" } else { "back" }
    )]
    Jumped {
        /// How far.
        by: Duration,
        /// Towards the future.
        ahead: bool,
    },
    /// It is earlier than a time that was signed already: it is behind now, or it was ahead then.
    #[error(
        "the clock is {} s behind the latest time that was signed: set it right; if it was ahead then, wait, or \
         end this log and begin the next one",
        .by.as_secs()
    )]
    Behind {
        /// How far.
        by: Duration,
    },
}

impl ClockFault {
    /// In one word, for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Jumped { .. } => "jumped",
            Self::Behind { .. } => "behind",
        }
    }

    /// Of a clock that shows `now` where `latest` was signed, and may be behind by `gap`.
    #[must_use]
    pub fn of_gap(now: UnixSeconds, latest: UnixSeconds, gap: Duration) -> Option<Self> {
        let by = latest.saturating_since(now);
        (by > gap).then_some(Self::Behind { by })
    }
}

/// The operating system's clock, compared with the one that nobody sets.
///
/// A jump is told while it lasts: a clock that comes back is believed again. Which of the two readings is right
/// only people know, so nothing but a new start makes another one the truth.
#[derive(Debug)]
pub struct WatchedClock {
    watch: Watch,
}

impl WatchedClock {
    /// Believes the clock as it is now.
    #[must_use]
    pub fn new() -> Self {
        Self { watch: Watch::begin(SystemClock.now_ms()) }
    }
}

impl Default for WatchedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for WatchedClock {
    fn now_ms(&self) -> UnixMillis {
        SystemClock.now_ms()
    }

    fn fault(&self) -> Option<ClockFault> {
        self.watch.fault(SystemClock.now_ms())
    }
}

/// Both clocks at one moment.
#[derive(Debug)]
pub(crate) struct Watch {
    wall: UnixMillis,
    steady: Duration,
}

impl Watch {
    pub(crate) fn begin(wall: UnixMillis) -> Self {
        Self { wall, steady: steady() }
    }

    pub(crate) fn fault(&self, wall: UnixMillis) -> Option<ClockFault> {
        self.fault_after(steady().saturating_sub(self.steady), wall)
    }

    fn fault_after(&self, elapsed: Duration, wall: UnixMillis) -> Option<ClockFault> {
        let expected = self.wall.saturating_add(elapsed);
        let ahead = wall > expected;
        let by = Duration::from_millis(wall.0.abs_diff(expected.0));
        let allowed = MAX_CLOCK_JUMP.saturating_add(elapsed / SLEW);
        (by > allowed).then_some(ClockFault::Jumped { by, ahead })
    }
}

/// Time since the machine was started. It goes on while a laptop sleeps, which `Instant` does not: waking up is
/// no jump.
fn steady() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_790_000_000_000;
    const HOUR: Duration = Duration::from_hours(1);

    fn after_an_hour(moved_s: i64) -> Option<ClockFault> {
        let watch = Watch { wall: UnixMillis(START_MS), steady: Duration::ZERO };
        let wall = (START_MS + 3_600_000).saturating_add_signed(moved_s * 1000);
        watch.fault_after(HOUR, UnixMillis(wall))
    }

    #[test]
    fn a_clock_that_left_the_machines_own_count_is_told_in_both_directions() {
        // An hour allows 3.6 s beside the minute.
        for moved_s in [0, 63, -63] {
            assert_eq!(after_an_hour(moved_s), None, "{moved_s}");
        }
        let by = Duration::from_secs(64);
        assert_eq!(after_an_hour(64), Some(ClockFault::Jumped { by, ahead: true }));
        assert_eq!(after_an_hour(-64), Some(ClockFault::Jumped { by, ahead: false }));
    }

    #[test]
    fn the_words_say_how_to_go_on() {
        let forty_days = after_an_hour(40 * 86_400).unwrap().to_string();
        assert!(forty_days.starts_with("the clock jumped 3456000 s ahead"), "{forty_days}");
        assert!(forty_days.ends_with("start the service anew"), "{forty_days}");
    }

    #[test]
    fn a_gap_is_told_beyond_what_is_allowed() {
        let (now, gap) = (UnixSeconds(1000), Duration::from_mins(1));
        assert_eq!(ClockFault::of_gap(now, UnixSeconds(1060), gap), None);
        let by = Duration::from_secs(61);
        assert_eq!(
            ClockFault::of_gap(now, UnixSeconds(1061), gap),
            Some(ClockFault::Behind { by })
        );
    }

    #[test]
    fn the_clock_of_this_machine_is_believed_at_the_start() {
        assert_eq!(WatchedClock::new().fault(), None);
    }
}
