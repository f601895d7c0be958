//! `GeneralizedTime` as RFC 3161 §2.4.2 wants it: UTC, ending in `Z`, DER fractions.

use der::{Decode, asn1::GeneralizedTime};
use moment::UnixSeconds;

use crate::der_writer::element;

/// Content octets of a whole second, `YYYYMMDDHHMMSSZ`.
pub(crate) const GENERALIZED_TIME_LEN: usize = 15;

/// Encodes; `None` after the year 9999.
pub(crate) fn encode(second: UnixSeconds) -> Option<[u8; GENERALIZED_TIME_LEN]> {
    let time = der::DateTime::from_unix_duration(second.since_epoch()).ok()?;
    let mut text = [b'Z'; GENERALIZED_TIME_LEN];
    let [century, year] = [time.year() / 100, time.year() % 100].map(two_digit);
    let fields =
        [century, year, time.month(), time.day(), time.hour(), time.minutes(), time.seconds()];
    for (pair, field) in text.chunks_exact_mut(2).zip(fields) {
        pair.copy_from_slice(&[b'0' + field / 10, b'0' + field % 10]);
    }
    Some(text)
}

/// A part of a year that is below 100.
fn two_digit(part: u16) -> u8 {
    let [_, low] = part.to_be_bytes();
    low
}

/// Decodes, rounded down; `None` when it is not DER.
///
/// A fraction is allowed, as other authorities than ours write one: at least one digit, no
/// zero at its end.
pub(crate) fn decode(content: &[u8]) -> Option<UnixSeconds> {
    let (whole, rest) = content.split_at_checked(GENERALIZED_TIME_LEN - 1)?;
    match rest {
        b"Z" => {}
        [b'.', fraction @ .., b'1'..=b'9', b'Z'] if fraction.iter().all(u8::is_ascii_digit) => {}
        _ => return None,
    }
    let der = element(crate::der_reader::GENERALIZED_TIME, &[whole, b"Z"]);
    let time = GeneralizedTime::from_der(&der).ok()?;
    Some(UnixSeconds::from_epoch(time.to_unix_duration()))
}

#[cfg(test)]
mod tests {
    use der::Encode;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_der_fractions_and_rounds_down() {
        for text in ["20260604174329Z", "20260604174329.5Z", "20260604174329.000001Z"] {
            assert_eq!(decode(text.as_bytes()), Some(UnixSeconds(1_780_595_009)), "{text}");
        }
    }

    #[test]
    fn rejects_times_that_are_not_der() {
        for text in [
            "",
            "Z",
            "260604174329Z",
            "20260604174329",
            "202606041743Z",
            "20260604174329.Z",
            "20260604174329.120Z",
            "20260604174329.0Z",
            "20260604174329,5Z",
            "20260604174329+0000",
            "20261304174329Z",
            "20260604174329ZZ",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn ends_with_the_year_9999() {
        assert_eq!(encode(UnixSeconds(253_402_300_799)).unwrap(), *b"99991231235959Z");
        assert_eq!(encode(UnixSeconds(253_402_300_800)), None);
        assert_eq!(encode(UnixSeconds(0)).unwrap(), *b"19700101000000Z");
    }

    proptest! {
        #[test]
        fn encodes_as_the_der_crate_does(seconds in 0u64..253_402_300_800) {
            let second = UnixSeconds(seconds);
            let text = encode(second).unwrap();
            let theirs = GeneralizedTime::from_unix_duration(second.since_epoch()).unwrap();
            prop_assert_eq!(&text[..], &theirs.to_der().unwrap()[2..]);
            prop_assert_eq!(decode(&text), Some(second));
        }
    }
}
