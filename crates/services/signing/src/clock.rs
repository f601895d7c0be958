use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use moment::{UnixMillis, UnixSeconds};
use tracing::warn;

use crate::{ClockFault, watch::Watch};

/// The only source of the time of day in services. One process has one.
pub trait Clock: Send + Sync + 'static {
    /// This millisecond.
    fn now_ms(&self) -> UnixMillis;

    /// This second.
    fn now(&self) -> UnixSeconds {
        self.now_ms().to_seconds()
    }

    /// Why its time may not be signed now; `None` where nothing is known against it.
    fn fault(&self) -> Option<ClockFault> {
        None
    }

    /// This second, for whoever signs it.
    ///
    /// # Errors
    /// [`ClockFault`].
    fn to_sign(&self) -> Result<UnixSeconds, ClockFault> {
        self.fault().map_or_else(|| Ok(self.now()), Err)
    }
}

/// The operating system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> UnixMillis {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that all others replace")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        // A machine that believes to be before 1970 gets 1970: every certificate
        // check then fails closed, which a panic at each request would not improve.
        let since_epoch = since_epoch.unwrap_or_default();
        UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The system's clock moved by the seconds that a file holds; for tests only.
///
/// The file is read again when the last reading is a second old. While it is
/// missing or not a whole number, the last good offset stays (0 at first), so
/// that a writer caught half-way moves nothing. A move of the file is no fault of the clock, unless `jump` stands
/// behind the seconds: then it is one that nobody meant.
#[derive(Debug)]
pub struct OffsetClock {
    file: PathBuf,
    offset_ms: AtomicI64,
    is_jump: AtomicBool,
    watch: Watch,
    last_reading: Mutex<Instant>,
}

impl OffsetClock {
    /// How old a reading of the file may become before it is read again.
    const READING_LIFETIME: Duration = Duration::from_secs(1);

    /// Reads the offset from `file` now and again each second.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        let clock = Self {
            file: file.into(),
            offset_ms: AtomicI64::new(0),
            is_jump: AtomicBool::new(false),
            watch: Watch::begin(SystemClock.now_ms()),
            last_reading: Mutex::new(Instant::now()),
        };
        clock.read_offset();
        clock
    }

    fn refresh(&self) {
        let mut last_reading = self.last_reading.lock().unwrap_or_else(PoisonError::into_inner);
        if last_reading.elapsed() >= Self::READING_LIFETIME {
            *last_reading = Instant::now();
            self.read_offset();
        }
    }

    fn read_offset(&self) {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let jump = text.trim().strip_suffix("jump");
        let seconds = jump.unwrap_or(&text).trim().parse::<i64>();
        let offset_ms = seconds.ok().and_then(|seconds| seconds.checked_mul(1000));
        if let Some(offset_ms) = offset_ms {
            self.offset_ms.store(offset_ms, Ordering::Relaxed);
            self.is_jump.store(jump.is_some(), Ordering::Relaxed);
        } else {
            warn!(file = %self.file.display(), "no whole seconds in the clock offset file");
        }
    }
}

impl Clock for OffsetClock {
    fn now_ms(&self) -> UnixMillis {
        self.refresh();
        let offset_ms = self.offset_ms.load(Ordering::Relaxed);
        UnixMillis(SystemClock.now_ms().0.saturating_add_signed(offset_ms))
    }

    fn fault(&self) -> Option<ClockFault> {
        let now = self.now_ms();
        let is_jump = self.is_jump.load(Ordering::Relaxed);
        self.watch.fault(if is_jump { now } else { SystemClock.now_ms() })
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct FixedClock {
    now_ms: AtomicU64,
    /// How far it is from where it was set, by a jump.
    jumped_s: AtomicI64,
}

impl FixedClock {
    /// Stands at `seconds` of Unix time.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        let now_ms = AtomicU64::new(seconds.saturating_mul(1000));
        Self { now_ms, jumped_s: AtomicI64::new(0) }
    }

    /// Moves forward by `milliseconds`.
    pub fn advance_ms(&self, milliseconds: u64) {
        self.now_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Moves to `seconds` of Unix time, also backwards.
    pub fn set(&self, seconds: u64) {
        self.now_ms.store(seconds.saturating_mul(1000), Ordering::Relaxed);
    }

    /// Jumps by `seconds`, which is its fault until it has jumped back.
    pub fn jump(&self, seconds: i64) {
        self.jumped_s.fetch_add(seconds, Ordering::Relaxed);
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        let jumped_ms = now_ms.saturating_add_signed(seconds.saturating_mul(1000));
        self.now_ms.store(jumped_ms, Ordering::Relaxed);
    }
}

impl Clock for FixedClock {
    fn now_ms(&self) -> UnixMillis {
        UnixMillis(self.now_ms.load(Ordering::Relaxed))
    }

    fn fault(&self) -> Option<ClockFault> {
        let jumped_s = self.jumped_s.load(Ordering::Relaxed);
        let by = Duration::from_secs(jumped_s.unsigned_abs());
        (jumped_s != 0).then_some(ClockFault::Jumped { by, ahead: jumped_s > 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs_by(clock: &OffsetClock, seconds: i64) -> bool {
        let expected = SystemClock.now_ms().0.saturating_add_signed(seconds * 1000);
        clock.now_ms().0.abs_diff(expected) < 1_000
    }

    /// Makes the last reading old without waiting for it.
    fn age(clock: &OffsetClock) {
        *clock.last_reading.lock().unwrap() =
            Instant::now().checked_sub(OffsetClock::READING_LIFETIME).unwrap();
    }

    #[test]
    fn moves_by_the_seconds_in_the_file_and_reads_them_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "3600\n").unwrap();
        let clock = OffsetClock::new(file.path());
        assert!(differs_by(&clock, 3600));

        std::fs::write(&file, "-7200").unwrap();
        assert!(differs_by(&clock, 3600), "a fresh reading is kept");
        age(&clock);
        assert!(differs_by(&clock, -7200));
    }

    #[test]
    fn keeps_the_last_good_offset_when_the_file_is_missing_or_garbage() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "60").unwrap();
        let clock = OffsetClock::new(file.path());
        for garbage in ["", "soon", "9223372036854775807"] {
            std::fs::write(&file, garbage).unwrap();
            age(&clock);
            assert!(differs_by(&clock, 60));
        }
        file.close().unwrap();
        age(&clock);
        assert!(differs_by(&clock, 60));
    }

    #[test]
    fn a_move_is_no_fault_unless_it_is_said_to_be_a_jump() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "3456000").unwrap();
        let clock = OffsetClock::new(file.path());
        assert_eq!(clock.fault(), None);
        std::fs::write(&file, "3456000 jump").unwrap();
        age(&clock);
        assert!(clock.to_sign().is_err() && differs_by(&clock, 3_456_000));
        std::fs::write(&file, "0 jump").unwrap();
        age(&clock);
        assert_eq!(clock.fault(), None, "it came back");
    }

    #[test]
    fn stands_still_until_it_is_moved() {
        let clock = FixedClock::at(1_700_000_000);
        assert_eq!(
            (clock.now(), clock.now_ms().0),
            (UnixSeconds(1_700_000_000), 1_700_000_000_000)
        );
        clock.advance_ms(1_999);
        assert_eq!(clock.now(), UnixSeconds(1_700_000_001));
        clock.set(5);
        assert_eq!(clock.now_ms(), UnixMillis(5_000));
    }
}
