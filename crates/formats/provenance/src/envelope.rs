use crypto::{PublicKey, SignatureError, Unsigned};
use thiserror::Error;
use wire::dsse::{DsseEnvelope, DsseSignature, IN_TOTO_PAYLOAD_TYPE, pae};

use crate::{Statement, StatementError};

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
    type Signed = DsseEnvelope;
    type Error = EnvelopeError;

    const KIND: &'static str = "envelope";

    fn bytes_to_sign(&self) -> &[u8] {
        &self.pae
    }

    /// # Errors
    /// [`EnvelopeError::Signature`]: the signer holds another key than it shows.
    fn with_signature(
        self,
        signature: &[u8],
        key: &PublicKey,
    ) -> Result<DsseEnvelope, EnvelopeError> {
        key.verify(&self.pae, signature)?;
        // One: consumers differ in what several mean.
        let signature = DsseSignature { sig: signature.to_vec().into(), keyid: String::new() };
        Ok(DsseEnvelope {
            payload: self.payload.into(),
            payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
            signatures: vec![signature],
        })
    }
}

/// Why an envelope was not finished.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// A key slot that holds another key than it names; the envelope is not made.
    #[error("the signer gave a signature that its own key does not verify")]
    Signature(#[from] SignatureError),
}

#[cfg(test)]
mod tests {
    use crypto::{KeyType, LocalSigner, Signer};
    use serde_json::json;

    use super::*;
    use crate::ResourceDescriptor;

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
        assert_eq!(envelope.payload.as_slice(), GIVEN.as_bytes());
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
        assert_eq!(Statement::parse(envelope.payload.as_slice()).unwrap(), statement);
        assert_eq!(envelope.payload_type, IN_TOTO_PAYLOAD_TYPE);
        assert_eq!(envelope.signatures[0].sig.as_slice(), signature);
    }
}
