use std::fmt;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Bytes that JSON carries as base64.
///
/// Written in the standard alphabet with padding. Read by one rule wherever a protocol's JSON has
/// bytes, in requests of every service, in searches and in answers: the standard or the URL-safe
/// alphabet (never both in one value), padded or not, with line ends anywhere (RFC 2045 §6.8; Go's
/// decoder, and with it every upstream server, skips CR and LF and nothing else); bits that no byte
/// uses must be zero.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Base64(pub Vec<u8>);

/// The text is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not valid base64")]
pub struct NotBase64;

impl Base64 {
    /// Reads base64 text, on one line or many.
    ///
    /// # Errors
    /// [`NotBase64`].
    pub fn decode(text: &str) -> Result<Self, NotBase64> {
        if text.contains(LINE_ENDS) {
            return Self::decode_line(&text.replace(LINE_ENDS, ""));
        }
        Self::decode_line(text)
    }

    /// Reads base64 text that has no line ends: where the text itself is signed, hashed or logged,
    /// and another spelling of the same bytes would be another text.
    ///
    /// # Errors
    /// [`NotBase64`].
    pub fn decode_line(text: &str) -> Result<Self, NotBase64> {
        let engine = if text.contains(['-', '_']) { &LENIENT_URL_SAFE } else { &LENIENT_STANDARD };
        engine.decode(text).map(Self).map_err(|_| NotBase64)
    }

    /// The bytes as padded standard base64.
    #[must_use]
    pub fn encode(&self) -> String {
        BASE64_STANDARD.encode(&self.0)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are no bytes, which protobuf does not distinguish from "not set".
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const LINE_ENDS: [char; 2] = ['\r', '\n'];

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const LENIENT_STANDARD: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const LENIENT_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

impl From<Vec<u8>> for Base64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Base64 {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Base64 {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes.to_vec())
    }
}

impl AsRef<[u8]> for Base64 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({self})")
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a base64 string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64, E> {
                Base64::decode(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_both_alphabets_with_and_without_padding() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(Base64::decode(text).unwrap().0, [0xfb, 0xff], "{text}");
        }
    }

    #[test]
    fn rejects_mixed_alphabets_stray_bits_and_white_space() {
        for text in [
            "+_8=",
            "-/8=",
            "+/9=",
            "A",
            "AA==A",
            "AA AA",
            "AAA= ",
            "AAA=\t",
            "=",
            "AA===",
            "é",
            "+_8\n=",
            "AA\n A",
            "AA\u{85}A=",
            "AA\u{2028}A=",
            "AA\u{b}A=",
            "+/9=\n",
        ] {
            assert_eq!(Base64::decode(text), Err(NotBase64), "{text}");
            assert_eq!(Base64::decode_line(text), Err(NotBase64), "{text}");
        }
    }

    #[test]
    fn skips_line_ends_where_the_text_is_not_what_counts() {
        for text in ["+/8=\n", "+/8=\r\n", "\n+/8", "+\n/\r8\n=", "+\r/8=", "-_\n8"] {
            assert_eq!(Base64::decode(text).unwrap().0, [0xfb, 0xff], "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str::<Base64>(&json).unwrap().0, [0xfb, 0xff], "{text:?}");
            assert_eq!(Base64::decode_line(text), Err(NotBase64), "{text:?}");
        }
    }

    #[test]
    fn rejects_json_that_is_not_a_string() {
        for json in ["1", "null", "[1]", "{}", "true"] {
            serde_json::from_str::<Base64>(json).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn bytes_survive_a_round_trip(bytes: Vec<u8>) {
            let text = serde_json::to_string(&Base64(bytes.clone())).unwrap();
            prop_assert_eq!(serde_json::from_str::<Base64>(&text).unwrap().0, bytes);
        }

        #[test]
        fn arbitrary_text_makes_no_panic(text: String) {
            let _ = Base64::decode(&text);
        }
    }
}
