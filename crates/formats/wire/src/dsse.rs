//! DSSE v1 (<https://github.com/secure-systems-lab/dsse>): the envelope, and what its signatures are over.

use serde::{Deserialize, Serialize};

use crate::{
    Base64,
    proto::{is_default, or_default, text},
};

/// Payload type of an in-toto statement.
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A DSSE envelope (`io.intoto.Envelope`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DsseEnvelope {
    /// The signed statement.
    #[serde(deserialize_with = "or_default")]
    pub payload: Base64,
    /// Media type of the payload, part of what is signed.
    #[serde(alias = "payload_type", deserialize_with = "text")]
    pub payload_type: String,
    /// Signatures over the pre-authentication encoding of both.
    #[serde(deserialize_with = "or_default")]
    pub signatures: Vec<DsseSignature>,
}

/// One signature of a DSSE envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DsseSignature {
    /// The signature, ECDSA as DER.
    #[serde(deserialize_with = "or_default")]
    pub sig: Base64,
    /// Unauthenticated hint; not written when empty.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub keyid: String,
}

/// What every [`pae`] begins with, and nothing else that is signed may.
const PAE_BEGINNING: &str = "DSSEv1 ";

/// The pre-authentication encoding: the bytes that are signed.
///
/// `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in decimal ASCII.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    [pae_head(payload_type, payload.len()).as_bytes(), payload].concat()
}

/// A [`pae`] without the payload that ends it, for who hashes a payload without copying it.
#[must_use]
pub fn pae_head(payload_type: &str, payload_len: usize) -> String {
    format!("{PAE_BEGINNING}{} {payload_type} {payload_len} ", payload_type.len())
}

/// Whether bytes begin as every [`pae`] does and, signed as a file, could pass for an envelope's.
///
/// What follows is not looked at: a verifier of envelopes makes the encoding itself, so only bytes
/// with exactly this beginning can ever equal one, and a file that has it by chance is rare.
#[must_use]
pub fn begins_like_pae(bytes: &[u8]) -> bool {
    bytes.starts_with(PAE_BEGINNING.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_example_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn counts_bytes_and_not_characters() {
        assert_eq!(pae("é", "ü".as_bytes()), "DSSEv1 2 é 2 ü".as_bytes());
    }

    #[test]
    fn knows_the_beginning_that_every_encoding_has() {
        for (payload_type, payload) in [("", &b""[..]), ("é", b"x"), (IN_TOTO_PAYLOAD_TYPE, b"{}")]
        {
            assert!(begins_like_pae(&pae(payload_type, payload)));
        }
        for other in ["", "DSSEv1", "DSSEv10 ", "DSSEv1\t", "dssev1 ", " DSSEv1 ", "DSSEv2 "] {
            assert!(!begins_like_pae(other.as_bytes()), "{other}");
        }
    }
}
