use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{PublicKey, SignatureError};
use serde::Serialize;
use thiserror::Error;

use crate::{IN_TOTO_PAYLOAD_TYPE, Statement, StatementError};

/// DSSE v1 pre-authentication encoding: the bytes that are signed.
///
/// `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in decimal ASCII.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// A statement on its way to be signed.
#[derive(Debug)]
pub struct UnsignedEnvelope {
    payload: Vec<u8>,
    pae: Vec<u8>,
}

impl UnsignedEnvelope {
    /// Encodes `statement` once; these bytes are what is signed and what is kept.
    ///
    /// # Errors
    /// [`StatementError::Json`].
    pub fn new(statement: &Statement) -> Result<Self, StatementError> {
        let payload = statement.to_json()?;
        let pae = pae(IN_TOTO_PAYLOAD_TYPE, &payload);
        Ok(Self { payload, pae })
    }

    /// The exact bytes to sign.
    #[must_use]
    pub fn bytes_to_sign(&self) -> &[u8] {
        &self.pae
    }

    /// Finishes the envelope, after it has verified `signature` with `key`.
    ///
    /// # Errors
    /// [`EnvelopeError::Signature`]: the signer holds another key than it shows.
    pub fn with_signature(
        self,
        signature: &[u8],
        key: &PublicKey,
    ) -> Result<Envelope, EnvelopeError> {
        key.verify(&self.pae, signature)?;
        Ok(Envelope {
            payload: self.payload,
            payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature { sig: signature.to_vec() }],
        })
    }
}

/// A signed statement, DSSE v1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The statement's bytes.
    #[serde(serialize_with = "as_base64")]
    pub payload: Vec<u8>,
    /// [`IN_TOTO_PAYLOAD_TYPE`].
    pub payload_type: String,
    /// Exactly one: consumers differ in what several mean.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature over the [`pae`] of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvelopeSignature {
    /// The signature; ECDSA as DER.
    #[serde(serialize_with = "as_base64")]
    pub sig: Vec<u8>,
}

/// Why an envelope was not finished.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// The signature is not of the given key.
    #[error("the signer gave a signature that its own key does not verify")]
    Signature(#[from] SignatureError),
}

fn as_base64<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use crypto::{KeyType, LocalSigner, Signer};
    use serde_json::json;

    use super::*;
    use crate::ResourceDescriptor;

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
    fn finishes_with_the_signers_own_signature_alone() {
        let statement = Statement::new(
            vec![ResourceDescriptor::with_sha256("a", &[7; 32])],
            "https://example.com/p",
            json!({}),
        )
        .unwrap();
        let signer = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
        let other = LocalSigner::generate(KeyType::EcdsaP256, "other").unwrap();
        let unsigned = UnsignedEnvelope::new(&statement).unwrap();
        let signature = signer.sign_now(unsigned.bytes_to_sign()).unwrap();
        assert!(
            UnsignedEnvelope::new(&statement)
                .unwrap()
                .with_signature(&signature, other.public_key())
                .is_err()
        );
        let envelope = unsigned.with_signature(&signature, signer.public_key()).unwrap();
        assert_eq!(Statement::parse(&envelope.payload).unwrap(), statement);
        let json = serde_json::to_value(&envelope).unwrap();
        assert_eq!(json["payloadType"], IN_TOTO_PAYLOAD_TYPE);
        assert_eq!(json["signatures"][0]["sig"], STANDARD.encode(&signature));
    }
}
