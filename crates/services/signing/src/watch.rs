//! Whether the clock may be believed: a time that is signed cannot be taken back.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use moment::{UnixMillis, UnixSeconds};
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::{Clock, SystemClock};

/// How far the clock may leave the time that this machine has counted since the process began.
///
/// Verifiers let a time be a minute ahead of theirs, so what is within it harms nobody.
pub const MAX_CLOCK_JUMP: Duration = Duration::from_mins(1);

/// What is compared follows the clock by one part in so many of the time that went by: leap seconds and the small
/// steps of time services do not add up to a jump in years, and steps of a minute each minute do.
///
/// NTP's slewing needs none of it: the kernel slews both clocks alike.
const FOLLOWED: u32 = 1000;

/// From one comparison to the next, at least.
const LOOK: Duration = Duration::from_secs(1);

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
/// A jump is told while it lasts: a clock that comes back is believed again. A hypervisor that stops a machine and
/// then sets its clock right makes one too: the machine has not counted that time. Which of the two readings is right
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

/// The clock as it is expected to be, by the one that nobody sets.
#[derive(Debug)]
pub(crate) struct Watch(Mutex<Both>);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Both {
    wall: UnixMillis,
    steady: Duration,
}

impl Watch {
    pub(crate) fn begin(wall: UnixMillis) -> Self {
        Self(Mutex::new(Both { wall, steady: steady() }))
    }

    pub(crate) fn fault(&self, wall: UnixMillis) -> Option<ClockFault> {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut believed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        believed.look(Both { wall, steady: steady() })
    }
}

impl Both {
    /// Compares, and follows a clock that is within what is allowed.
    fn look(&mut self, now: Self) -> Option<ClockFault> {
        let elapsed = now.steady.saturating_sub(self.steady);
        let expected = self.wall.saturating_add(elapsed);
        let (wall, ahead) = (now.wall, now.wall > expected);
        let by = Duration::from_millis(wall.0.abs_diff(expected.0));
        if by > MAX_CLOCK_JUMP {
            return Some(ClockFault::Jumped { by, ahead });
        }
        let step = u64::try_from(by.min(elapsed / FOLLOWED).as_millis()).unwrap_or_default();
        // Less than a millisecond waits until it is one. Also a clock that has not moved is looked at from here on: what it
        // may have moved by in all the time before is no allowance.
        if step > 0 || elapsed >= LOOK {
            let wall = expected.0;
            let wall = if ahead { wall.saturating_add(step) } else { wall.saturating_sub(step) };
            *self = Self { wall: UnixMillis(wall), steady: now.steady };
        }
        None
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

    fn begun() -> Both {
        Both { wall: UnixMillis(START_MS), steady: Duration::ZERO }
    }

    /// Both clocks so long after the start, with the wall's moved.
    fn after(steady: Duration, moved_ms: i64) -> Both {
        let wall = UnixMillis(START_MS).saturating_add(steady).0.saturating_add_signed(moved_ms);
        Both { wall: UnixMillis(wall), steady }
    }

    #[test]
    fn a_clock_that_stood_right_for_a_day_is_allowed_no_more_than_on_the_first() {
        let mut believed = begun();
        for hour in 1..=24 {
            assert_eq!(believed.look(after(hour * HOUR, 0)), None);
        }
        let soon = 24 * HOUR + Duration::from_secs(1);
        assert_eq!(believed.look(after(soon, 59_000)), None);
        believed.look(after(soon + Duration::from_secs(1), 118_000)).unwrap();
    }

    fn after_an_hour(moved_s: i64) -> Option<ClockFault> {
        begun().look(after(HOUR, moved_s * 1000))
    }

    #[test]
    fn a_clock_that_left_the_machines_own_count_is_told_in_both_directions() {
        for moved_s in [0, 60, -60] {
            assert_eq!(after_an_hour(moved_s), None, "{moved_s}");
        }
        let by = Duration::from_secs(61);
        assert_eq!(after_an_hour(61), Some(ClockFault::Jumped { by, ahead: true }));
        assert_eq!(after_an_hour(-61), Some(ClockFault::Jumped { by, ahead: false }));
    }

    #[test]
    fn after_a_year_a_jump_is_told_as_on_the_first_day() {
        let (mut believed, day) = (begun(), 24 * HOUR);
        for days in 1..366 {
            assert_eq!(believed.look(after(day * days, 0)), None);
        }
        let by = Duration::from_secs(61);
        let jumped = believed.look(after(day * 366, 61_000));
        assert_eq!(jumped, Some(ClockFault::Jumped { by, ahead: true }));
        assert_eq!(believed.look(after(day * 366, 0)), None, "back");
    }

    #[test]
    fn small_steps_do_not_add_up_to_a_jump_in_years_and_large_ones_do_in_minutes() {
        for second in [1, -1] {
            let mut believed = begun();
            // A second each hour, looked at each second for two of them and then each hour.
            for at in (1..7200).map(Duration::from_secs).chain((2..9000).map(|hour| HOUR * hour)) {
                let hours = i64::try_from(at.as_secs() / 3600).unwrap();
                assert_eq!(believed.look(after(at, second * hours * 1000)), None, "{at:?}");
            }
        }
        let mut believed = begun();
        let minutely =
            |minute: u32| (Duration::from_mins(minute.into()), i64::from(minute) * 59_000);
        let told = (1..10).find(|minute| {
            let (at, moved_ms) = minutely(*minute);
            believed.look(after(at, moved_ms)).is_some()
        });
        assert_eq!(told, Some(2));
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
