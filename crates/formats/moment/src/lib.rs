//! Moments in Unix time: seconds and milliseconds, that nobody takes one for the other.
//!
//! CT signs milliseconds, Rekor v1 and a log's entries have seconds, and a clock gives both. As two types the
//! compiler tells them apart, and from the indexes and sizes beside them. A crate of its own, since the crates that
//! need them have no other below them all. It knows no clock and no calendar, and no durations: those are numbers
//! with a unit in their names.

use std::fmt;

/// Whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct UnixSeconds(pub u64);

/// Whole milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct UnixMillis(pub u64);

impl UnixSeconds {
    /// The first millisecond of this second; the last moment there is, where that is out of range.
    #[must_use]
    pub const fn to_millis(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(1000))
    }
}

impl UnixMillis {
    /// The second that it is in.
    #[must_use]
    pub const fn to_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }
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
    fn is_written_as_the_number() {
        assert_eq!(format!("{} {}", UnixSeconds(7), UnixMillis(8)), "7 8");
    }
}
