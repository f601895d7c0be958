use const_oid::ObjectIdentifier;
use crypto::{HashAlgorithm, digest};
use thiserror::Error;

use crate::{
    der_reader::{DerReader, NULL, NotDer, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE},
    der_writer::{algorithm_identifier, element},
    oid::{ID_SHA256, ID_SHA384, ID_SHA512},
};

/// The digest that is stamped, and the hash function that made it (`MessageImprint`, RFC 3161 §2.4.1).
///
/// SHA-256, SHA-384 and SHA-512 only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageImprint {
    algorithm: HashAlgorithm,
    digest: Vec<u8>,
}

impl MessageImprint {
    /// Takes a digest that was made elsewhere.
    ///
    /// # Errors
    /// [`ImprintError::DigestLength`] when the digest is not one of `algorithm`.
    pub fn new(algorithm: HashAlgorithm, digest: &[u8]) -> Result<Self, ImprintError> {
        let expected = algorithm.output_len();
        if digest.len() != expected {
            return Err(ImprintError::DigestLength { expected, found: digest.len() });
        }
        Ok(Self { algorithm, digest: digest.to_vec() })
    }

    /// Hashes `message`.
    #[must_use]
    pub fn of_message(algorithm: HashAlgorithm, message: &[u8]) -> Self {
        Self { algorithm, digest: digest(algorithm, message) }
    }

    /// The hash function.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest: 32, 48 or 64 bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// DER of the `MessageImprint`; the hash algorithm has no parameters, as RFC 5754 §2 asks.
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let algorithm = algorithm_identifier(&hash_oid(self.algorithm));
        element(SEQUENCE, &[&algorithm, &element(OCTET_STRING, &[&self.digest])])
    }

    /// Reads the content of a `MessageImprint`.
    pub(crate) fn from_content(content: &[u8]) -> Result<Self, ImprintError> {
        let mut fields = DerReader::new(content);
        let algorithm = fields.enter(SEQUENCE)?;
        let digest = fields.content(OCTET_STRING)?;
        fields.finish()?;
        Self::new(read_hash_algorithm(algorithm)?, digest)
    }
}

/// Why a message imprint cannot be stamped.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImprintError {
    /// Of a request, or in a token.
    #[error("the message imprint is not valid DER")]
    Malformed,
    /// SHA-1 and everything else that is not SHA-256, SHA-384 or SHA-512.
    #[error("the hash algorithm of the message imprint is weak or unknown")]
    Algorithm,
    /// The digest is not one of the named hash function.
    #[error("the digest has {found} bytes, its hash algorithm gives {expected}")]
    DigestLength {
        /// Bytes that the hash function gives.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
}

impl From<NotDer> for ImprintError {
    fn from(NotDer: NotDer) -> Self {
        Self::Malformed
    }
}

/// Reads the content of a hash function's `AlgorithmIdentifier`; its parameters are absent or
/// NULL, as both are in use (RFC 5754 §2).
pub(crate) fn read_hash_algorithm(
    mut fields: DerReader<'_>,
) -> Result<HashAlgorithm, ImprintError> {
    let oid = fields.content(OBJECT_IDENTIFIER)?;
    let algorithm = hash_of_oid(oid).ok_or(ImprintError::Algorithm)?;
    if fields.optional(NULL)?.is_some_and(|content| !content.is_empty()) {
        return Err(ImprintError::Malformed);
    }
    fields.finish()?;
    Ok(algorithm)
}

pub(crate) const fn hash_oid(algorithm: HashAlgorithm) -> ObjectIdentifier {
    match algorithm {
        HashAlgorithm::Sha256 => ID_SHA256,
        HashAlgorithm::Sha384 => ID_SHA384,
        HashAlgorithm::Sha512 => ID_SHA512,
    }
}

fn hash_of_oid(oid: &[u8]) -> Option<HashAlgorithm> {
    [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512]
        .into_iter()
        .find(|algorithm| hash_oid(*algorithm).as_bytes() == oid)
}
