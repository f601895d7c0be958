use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// A moment in UTC, years 0000 to 9999, written as RFC 3339 with `Z` and 0, 3, 6 or 9 fractional digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The moment `seconds` after 1970-01-01T00:00:00Z; `None` after the year 9999.
    #[must_use]
    pub fn from_unix_seconds(seconds: u64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok().map(Self)
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down; negative before.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Reads RFC 3339 with any offset; `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment =
            OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
        (0..=9999).contains(&moment.year()).then_some(Self(moment))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date(), self.0.time());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, second, nanosecond) = time.as_hms_nano();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match nanosecond {
            0 => Ok(()),
            n if n % 1_000_000 == 0 => write!(f, ".{:03}", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, ".{:06}", n / 1_000),
            n => write!(f, ".{n:09}"),
        }?;
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_the_shortest_of_0_3_6_and_9_fractional_digits() {
        for (read, written) in [
            ("2022-04-13T20:06:15.000Z", "2022-04-13T20:06:15Z"),
            ("2022-04-13T22:06:15.5+02:00", "2022-04-13T20:06:15.500Z"),
            ("2022-04-13T20:06:15.000001Z", "2022-04-13T20:06:15.000001Z"),
            ("2022-04-13T20:06:15.000000001Z", "2022-04-13T20:06:15.000000001Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(read).unwrap().to_string(), written);
        }
    }

    #[test]
    fn rejects_what_is_not_rfc_3339() {
        for text in
            ["", "2022-04-13", "2022-04-13T20:06:15", "1649880375", "0000-01-01T00:00:00+01:00"]
        {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ends_with_the_year_9999() {
        assert_eq!(
            Timestamp::from_unix_seconds(253_402_300_799).unwrap().to_string(),
            "9999-12-31T23:59:59Z"
        );
        assert_eq!(Timestamp::from_unix_seconds(253_402_300_800), None);
        assert_eq!(Timestamp::from_unix_seconds(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn seconds_survive_a_round_trip(seconds in 0..253_402_300_800u64) {
            let moment = Timestamp::from_unix_seconds(seconds).unwrap();
            prop_assert_eq!(u64::try_from(moment.unix_seconds()).unwrap(), seconds);
            let text = serde_json::to_string(&moment).unwrap();
            prop_assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), moment);
        }
    }
}
