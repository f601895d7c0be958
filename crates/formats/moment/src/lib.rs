//! Moments in Unix time: seconds and milliseconds, that nobody takes one for the other.
//!
//! CT signs milliseconds, Rekor v1 and a log's entries have seconds, and a clock gives both. As two types the
//! compiler tells them apart, and from the indexes and sizes beside them. A crate of its own, since the crates that
//! need them have no other below them all. It knows no clock and no calendar. How long something takes is a
//! [`Duration`]; only a protocol and a configuration file have such as numbers, with a unit in their names.

use std::{fmt, time::Duration};

/// Whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct UnixSeconds(pub u64);

/// Whole milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct UnixMillis(pub u64);

impl UnixSeconds {
    /// The last moment there is.
    pub const MAX: Self = Self(u64::MAX);

    /// The second that is `since_epoch` after 1970; parts of a second are left out.
    #[must_use]
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self(since_epoch.as_secs())
    }

    /// How long after 1970 it is.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// The first millisecond of this second; the last moment there is, where that is out of range.
    #[must_use]
    pub const fn to_millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(1000))
    }

    /// So many whole seconds later, or the last moment there is.
    #[must_use]
    pub const fn saturating_add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(length.as_secs()))
    }

    /// So many whole seconds earlier, or 1970.
    #[must_use]
    pub const fn saturating_sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(length.as_secs()))
    }

    /// How long ago `earlier` was, seen from here; nothing, where it is not earlier.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl UnixMillis {
    /// The millisecond that is `since_epoch` after 1970; parts of one are left out.
    #[must_use]
    pub fn from_epoch(since_epoch: Duration) -> Self {
        Self(whole_millis(since_epoch))
    }

    /// The second that it is in.
    #[must_use]
    pub const fn to_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }

    /// So many whole milliseconds later, or the last moment there is.
    #[must_use]
    pub fn saturating_add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(length)))
    }

    /// How long ago `earlier` was, seen from here; nothing, where it is not earlier.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How long ago `earlier` was, seen from here; `None` where it is later: a clock was set back.
    #[must_use]
    pub fn checked_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_millis)
    }
}

/// A length of time in milliseconds, at most as many as a moment can have.
fn whole_millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_a_thousand_milliseconds_and_is_rounded_down_to() {
        assert_eq!(UnixSeconds(7).to_millis(), UnixMillis(7_000));
        assert_eq!(UnixMillis(7_999).to_seconds(), UnixSeconds(7));
        assert_eq!(UnixSeconds(u64::MAX).to_millis(), UnixMillis(u64::MAX));
    }

    #[test]
    fn moves_by_lengths_of_time_and_stays_in_range() {
        let length = Duration::from_millis(2_999);
        assert_eq!(UnixSeconds(7).saturating_add(length), UnixSeconds(9));
        assert_eq!(UnixSeconds(7).saturating_sub(length), UnixSeconds(5));
        assert_eq!(UnixMillis(7).saturating_add(length), UnixMillis(3_006));
        assert_eq!(UnixSeconds(1).saturating_sub(length), UnixSeconds(0));
        assert_eq!(UnixSeconds::MAX.saturating_add(length), UnixSeconds::MAX);
        assert_eq!(UnixMillis(7).saturating_add(Duration::MAX), UnixMillis(u64::MAX));
    }

    #[test]
    fn tells_how_long_ago_another_was() {
        assert_eq!(UnixSeconds(9).saturating_since(UnixSeconds(7)), Duration::from_secs(2));
        assert_eq!(UnixSeconds(7).saturating_since(UnixSeconds(9)), Duration::ZERO);
        assert_eq!(UnixMillis(9).saturating_since(UnixMillis(7)), Duration::from_millis(2));
        assert_eq!(UnixMillis(9).checked_since(UnixMillis(7)), Some(Duration::from_millis(2)));
        assert_eq!(UnixMillis(7).checked_since(UnixMillis(7)), Some(Duration::ZERO));
        assert_eq!(UnixMillis(7).checked_since(UnixMillis(9)), None);
        let length = Duration::from_millis(7_999);
        assert_eq!(UnixSeconds::from_epoch(length).since_epoch(), Duration::from_secs(7));
        assert_eq!(UnixMillis::from_epoch(length), UnixMillis(7_999));
    }

    #[test]
    fn is_written_as_the_number() {
        assert_eq!(format!("{} {}", UnixSeconds(7), UnixMillis(8)), "7 8");
    }
}
