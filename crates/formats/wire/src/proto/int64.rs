use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A 64-bit integer that JSON carries as a decimal string, because readers hold numbers as doubles.
///
/// Read from a string or an integer number. The string must be the one that would be
/// written: no sign `+`, no leading zero, no white space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Int64(pub i64);

/// The number does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the number is negative or above 2^63 - 1")]
pub struct OutOfRange;

impl TryFrom<u64> for Int64 {
    type Error = OutOfRange;

    fn try_from(value: u64) -> Result<Self, OutOfRange> {
        i64::try_from(value).map(Self).map_err(|_| OutOfRange)
    }
}

impl TryFrom<Int64> for u64 {
    type Error = OutOfRange;

    fn try_from(value: Int64) -> Result<Self, OutOfRange> {
        u64::try_from(value.0).map_err(|_| OutOfRange)
    }
}

impl fmt::Display for Int64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl de::Visitor<'_> for Number {
            type Value = Int64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer, as a decimal string or a number")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Int64, E> {
                Ok(Int64(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Int64, E> {
                Int64::try_from(value).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Int64, E> {
                match text.parse() {
                    Ok(value) if Int64(value).to_string() == text => Ok(Int64(value)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_strings_and_numbers() {
        for json in ["\"42\"", "42"] {
            assert_eq!(serde_json::from_str::<Int64>(json).unwrap(), Int64(42));
        }
        assert_eq!(serde_json::from_str::<Int64>("-1").unwrap(), Int64(-1));
    }

    #[test]
    fn rejects_other_spellings_and_numbers_out_of_range() {
        let refused = [
            "\"+1\"",
            "\"01\"",
            "\" 1\"",
            "\"-0\"",
            "\"\"",
            "\"1e3\"",
            "1.5",
            "null",
            "true",
            "[1]",
            "9223372036854775808",
            "\"9223372036854775808\"",
        ];
        for json in refused {
            serde_json::from_str::<Int64>(json).expect_err(json);
        }
    }

    #[test]
    fn negative_numbers_are_no_size() {
        assert_eq!(u64::try_from(Int64(-1)), Err(OutOfRange));
        assert_eq!(Int64::try_from(u64::MAX), Err(OutOfRange));
        assert_eq!(Int64::try_from(9), Ok(Int64(9)));
    }

    proptest! {
        #[test]
        fn every_integer_survives_a_round_trip_as_a_string(value: i64) {
            let text = serde_json::to_string(&Int64(value)).unwrap();
            prop_assert_eq!(&text, &format!("\"{value}\""));
            prop_assert_eq!(serde_json::from_str::<Int64>(&text).unwrap(), Int64(value));
        }
    }
}
