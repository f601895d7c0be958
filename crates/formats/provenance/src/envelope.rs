use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{PublicKey, SignatureError, Unsigned};
use serde::Serialize;
use thiserror::Error;

use crate::{IN_TOTO_PAYLOAD_TYPE, Statement, StatementError};

/// What every [`pae`] begins with, and nothing else that is signed may.
const PAE_BEGINNING: &str = "DSSEv1 ";

/// DSSE v1 pre-authentication encoding: the bytes that are signed.
///
/// `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in decimal ASCII.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_len, payload_len) = (payload_type.len(), payload.len());
    let mut encoded =
        format!("{PAE_BEGINNING}{type_len} {payload_type} {payload_len} ").into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// Whether bytes begin as every [`pae`] does and, signed as a file, could pass for an envelope's.
///
/// What follows is not looked at: a verifier of envelopes makes the encoding itself, so only bytes
/// with exactly this beginning can ever equal one, and a file that has it by chance is rare.
#[must_use]
pub fn begins_like_pae(bytes: &[u8]) -> bool {
    bytes.starts_with(PAE_BEGINNING.as_bytes())
}

/// A statement that somebody else wrote down, with the very bytes that say it.
#[derive(Clone, Debug)]
pub struct GivenStatement {
    statement: Statement,
    json: Vec<u8>,
}

impl GivenStatement {
    /// Reads a statement to be signed as it is.
    ///
    /// # Errors
    /// Those of [`Statement::parse`].
    pub fn parse(json: Vec<u8>) -> Result<Self, StatementError> {
        let statement = Statement::parse(&json)?;
        Ok(Self { statement, json })
    }

    /// What it says.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
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

    /// Takes the bytes of `given` as they are.
    #[must_use]
    pub fn of_given(given: &GivenStatement) -> Self {
        let payload = given.json.clone();
        let pae = pae(IN_TOTO_PAYLOAD_TYPE, &payload);
        Self { payload, pae }
    }
}

impl Unsigned for UnsignedEnvelope {
    type Signed = Envelope;
    type Error = EnvelopeError;

    const KIND: &'static str = "envelope";

    fn bytes_to_sign(&self) -> &[u8] {
        &self.pae
    }

    /// # Errors
    /// [`EnvelopeError::Signature`]: the signer holds another key than it shows.
    fn with_signature(self, signature: &[u8], key: &PublicKey) -> Result<Envelope, EnvelopeError> {
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
    fn knows_the_beginning_that_every_encoding_has() {
        for (payload_type, payload) in [("", &b""[..]), ("é", b"x"), (IN_TOTO_PAYLOAD_TYPE, b"{}")]
        {
            assert!(begins_like_pae(&pae(payload_type, payload)));
        }
        for other in ["", "DSSEv1", "DSSEv10 ", "DSSEv1\t", "dssev1 ", " DSSEv1 ", "DSSEv2 "] {
            assert!(!begins_like_pae(other.as_bytes()), "{other}");
        }
    }

    /// Spaced and ordered as nothing here writes it, with a final line end.
    const GIVEN: &str = "{ \"subject\": [{\"digest\":{\"sha256\":\"00\"},\"name\":\"a\"}],\n \
        \"predicate\":{\"b\":1.50,\"a\":\"\\u0041\"}, \"predicateType\":\"https://example.com/p\", \
        \"_type\":\"https://in-toto.io/Statement/v1\", \"later\":true }\n";

    #[test]
    fn signs_a_given_statement_byte_for_byte() {
        let given = GivenStatement::parse(GIVEN.into()).unwrap();
        assert_eq!(given.statement().predicate_type(), "https://example.com/p");
        let unsigned = UnsignedEnvelope::of_given(&given);
        assert_eq!(unsigned.bytes_to_sign(), pae(IN_TOTO_PAYLOAD_TYPE, GIVEN.as_bytes()));
        let signer = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
        let signature = signer.sign_now(unsigned.bytes_to_sign()).unwrap();
        let envelope = unsigned.with_signature(&signature, signer.public_key()).unwrap();
        assert_eq!(envelope.payload, GIVEN.as_bytes());
    }

    #[test]
    fn refuses_a_given_statement_that_says_something_twice() {
        for (once, twice) in [
            ("\"later\":true", "\"later\":true,\"later\":true"),
            ("\"name\":\"a\"", "\"name\":\"a\",\"name\":\"b\""),
            ("\"sha256\":\"00\"", "\"sha256\":\"00\",\"sha256\":\"01\""),
            ("\"b\":1.50", "\"b\":[{\"c\":1,\"c\":2}]"),
            ("\"b\":1.50", "\"a\":1.50"),
        ] {
            let error = GivenStatement::parse(GIVEN.replace(once, twice).into()).unwrap_err();
            assert!(matches!(error, StatementError::Json(_)), "{twice}");
        }
        for (good, bad) in [("Statement/v1", "Statement/v9"), ("[{", "{["), ("}\n", "}\nx")] {
            GivenStatement::parse(GIVEN.replace(good, bad).into()).unwrap_err();
        }
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
