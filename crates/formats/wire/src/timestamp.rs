//! The JSON request of the timestamp authority; its answer is DER.
//!
//! Unknown members are ignored, as upstream does.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::{
    Base64,
    proto::{is_default, or_default},
};

/// Body of `POST /api/v1/timestamp` with `Content-Type: application/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JsonRequest {
    /// Digest to be timestamped.
    #[serde(deserialize_with = "or_default")]
    pub artifact_hash: Base64,
    /// `sha256`, `sha384` or `sha512` in any case.
    #[serde(deserialize_with = "or_default")]
    pub hash_algorithm: String,
    /// Whether the token shall hold the signing certificate.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub certificates: bool,
    /// Returned in the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
    /// Dotted policy; empty for any.
    #[serde(
        rename = "tsaPolicyOID",
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub tsa_policy_oid: String,
}

/// A non-negative integer of up to [`Nonce::MAX_DIGITS`] digits, in JSON a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// Most decimal digits: what a body of 1024 bytes can hold beside its other members.
    pub const MAX_DIGITS: usize = 1024;

    /// A nonce from its big-endian bytes.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Self {
        Self(bytes.iter().copied().skip_while(|&byte| byte == 0).collect())
    }

    /// Big-endian bytes without leading zeros; none for 0.
    #[must_use]
    pub fn as_be_bytes(&self) -> &[u8] {
        &self.0
    }

    fn from_decimal(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // Little-endian while growing: times ten, plus the digit.
        let mut bytes: Vec<u8> = Vec::new();
        for digit in text.bytes() {
            let mut carry = digit - b'0';
            for byte in &mut bytes {
                let [high, low] = (u16::from(*byte) * 10 + u16::from(carry)).to_be_bytes();
                *byte = low;
                carry = high;
            }
            if carry > 0 {
                bytes.push(carry);
            }
        }
        bytes.reverse();
        Some(Self(bytes))
    }

    fn to_decimal(&self) -> String {
        // Little-endian decimal digits: times 256, plus the byte.
        let mut digits: Vec<u8> = vec![0];
        for &byte in &self.0 {
            let mut carry = u16::from(byte);
            for digit in &mut digits {
                let value = u16::from(*digit) * 256 + carry;
                *digit = u8::try_from(value % 10).unwrap_or_default();
                carry = value / 10;
            }
            while carry > 0 {
                digits.push(u8::try_from(carry % 10).unwrap_or_default());
                carry /= 10;
            }
        }
        digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_decimal())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_decimal(raw.get())
            .ok_or_else(|| de::Error::custom("the nonce is not a non-negative integer"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Result<JsonRequest, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn reads_the_request_of_sigstore_js() {
        let request = read(r#"{"artifactHash":"AAEC","hashAlgorithm":"sha256"}"#).unwrap();
        assert_eq!(request.artifact_hash.0, [0, 1, 2]);
        assert_eq!(request.hash_algorithm, "sha256");
        assert!(!request.certificates);
        assert_eq!(request.nonce, None);
    }

    #[test]
    fn reads_every_member_and_ignores_others() {
        let json = r#"{"artifactHash":"","hashAlgorithm":"SHA512","certificates":true,
            "nonce":340282366920938463463374607431768211456,"tsaPolicyOID":"1.2.3","more":[]}"#;
        let request = read(json).unwrap();
        assert_eq!(request.nonce.unwrap().as_be_bytes(), [&[1][..], &[0; 16]].concat());
        assert_eq!(request.tsa_policy_oid, "1.2.3");
        assert!(request.certificates);
    }

    #[test]
    fn null_members_are_unset() {
        let json = r#"{"artifactHash":null,"hashAlgorithm":null,"certificates":null,"nonce":null,"tsaPolicyOID":null}"#;
        assert_eq!(read(json).unwrap(), JsonRequest::default());
    }

    #[test]
    fn rejects_nonces_that_are_no_natural_number() {
        for nonce in ["-1", "1.0", "1e3", "\"1\"", "[1]", &"9".repeat(Nonce::MAX_DIGITS + 1)] {
            read(&format!(r#"{{"nonce":{nonce}}}"#)).expect_err(nonce);
        }
    }

    #[test]
    fn zero_has_no_bytes() {
        assert_eq!(read(r#"{"nonce":0}"#).unwrap().nonce, Some(Nonce::from_be_bytes(&[0, 0])));
    }

    proptest! {
        #[test]
        fn nonces_of_any_size_survive_a_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let request = JsonRequest { nonce: Some(Nonce::from_be_bytes(&bytes)), ..Default::default() };
            let text = serde_json::to_string(&request).unwrap();
            prop_assert_eq!(read(&text).unwrap(), request);
        }

        #[test]
        fn nonces_have_the_value_of_their_digits(number: u128) {
            let nonce = read(&format!(r#"{{"nonce":{number}}}"#)).unwrap().nonce;
            prop_assert_eq!(nonce, Some(Nonce::from_be_bytes(&number.to_be_bytes())));
        }
    }
}
