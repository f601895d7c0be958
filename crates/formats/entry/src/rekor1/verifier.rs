use crypto::{HashAlgorithm, KeyType, PublicKey, SignatureAlgorithm, SignatureError};
use wire::Base64;
use x509_cert::{
    Certificate,
    der::{Decode, Encode, asn1::Uint},
};

use super::chain;
use crate::{EntryError, IndexKeyKind, index_key};

/// Longest PEM text in bytes: what is longer, a body cannot hold.
const MAX_PEM_LEN: usize = super::MAX_BODY_LEN;

/// Most certificates of a chain, as upstream.
const MAX_CHAIN_LEN: usize = 10;

/// A key, bare or in a certificate or a chain of them.
///
/// Of certificates nothing is judged but that a chain is one: validity and issuer are the verifier's.
pub(super) struct Verifier {
    key: PublicKey,
    pem: String,
    names: Vec<(IndexKeyKind, String)>,
}

impl Verifier {
    /// Reads PEM as clients send it: lines of any length, any line ends, text before a block.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, EntryError> {
        if text.len() > MAX_PEM_LEN {
            return Err(EntryError::TooLong { what: "public key", limit: MAX_PEM_LEN });
        }
        let blocks = pem::parse_many(text).map_err(|_| EntryError::Pem)?;
        // The parser stops at a broken block; what it has not read must not go unseen.
        let text = std::str::from_utf8(text).map_err(|_| EntryError::Pem)?;
        if text.matches(BEGIN).count() != blocks.len() {
            return Err(EntryError::Pem);
        }
        match blocks.as_slice() {
            [] => Err(EntryError::Pem),
            [block] if block.tag() == PUBLIC_KEY => Self::from_spki_der(block.contents()),
            blocks if blocks.len() > MAX_CHAIN_LEN => {
                Err(EntryError::TooLong { what: "certificate chain", limit: MAX_CHAIN_LEN })
            }
            blocks if blocks.iter().all(|block| block.tag() == CERTIFICATE) => {
                Self::from_certificates(blocks)
            }
            _ => Err(EntryError::Pem),
        }
    }

    fn from_spki_der(der: &[u8]) -> Result<Self, EntryError> {
        // A key has one spelling, so that its PEM has one too.
        let key = PublicKey::from_spki_der(der)?;
        Ok(Self { pem: key.to_pem(), key, names: Vec::new() })
    }

    fn from_certificates(blocks: &[pem::Pem]) -> Result<Self, EntryError> {
        let certificates = blocks
            .iter()
            .map(|block| Certificate::from_der(block.contents()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| EntryError::Certificate)?;
        chain::check(&certificates)?;
        let leaf = certificates.first().ok_or(EntryError::Pem)?;
        let key = chain::key_of(leaf)?;
        let lf = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let encode = |block: &pem::Pem| {
            pem::encode_config(&pem::Pem::new(CERTIFICATE, block.contents()), lf)
        };
        Ok(Self {
            names: index_key::of_certificate(leaf)?,
            pem: blocks.iter().map(encode).collect(),
            key,
        })
    }

    /// The canonical PEM, in base64 as bodies hold it.
    pub(super) fn pem_base64(&self) -> String {
        Base64::from(self.pem.as_bytes()).encode()
    }

    /// SHA-256 of the canonical PEM, hex: upstream's search key.
    pub(super) fn pem_sha256(&self) -> String {
        hex::encode(crypto::sha256(self.pem.as_bytes()))
    }

    pub(super) fn key_type(&self) -> KeyType {
        self.key.key_type()
    }

    /// Verifies a signature over `digest`, made by `hash`.
    ///
    /// Ed25519 is then Ed25519ph, as upstream has it for hashedrekord.
    pub(super) fn verify_digest(
        &self,
        hash: HashAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), EntryError> {
        let algorithm = algorithm_of(self.key.key_type(), hash)
            .ok_or(EntryError::HashDoesNotFit { hash, key_type: self.key.key_type() })?;
        let verified = self.key.verify_digest(algorithm, digest, signature);
        match verified {
            Err(SignatureError::Mismatch) => {
                let der =
                    der_of_p1363(self.key.key_type(), signature).ok_or(SignatureError::Mismatch)?;
                Ok(self.key.verify_digest(algorithm, digest, &der)?)
            }
            other => Ok(other?),
        }
    }

    /// Verifies a signature by pure Ed25519, which reads the message itself.
    pub(super) fn verify_message(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), EntryError> {
        Ok(self.key.verify_with(SignatureAlgorithm::Ed25519, message, signature)?)
    }

    /// Search keys: both hashes that a key is known by, then the certificate's names.
    ///
    /// Upstream hashes the PEM; SHA-256 of the `SubjectPublicKeyInfo` is the same in all
    /// certificates of a key. Every name is a subject too: Rekor v1 asks for "any name".
    pub(super) fn index_keys(&self) -> Vec<(IndexKeyKind, String)> {
        let pem_hash = (IndexKeyKind::Key, self.pem_sha256());
        let mut keys = vec![pem_hash, index_key::of_key(&self.key)];
        for (kind, name) in &self.names {
            keys.push((*kind, name.clone()));
            keys.push((IndexKeyKind::Subject, name.clone()));
        }
        keys
    }
}

fn algorithm_of(key_type: KeyType, hash: HashAlgorithm) -> Option<SignatureAlgorithm> {
    match (key_type, hash) {
        (KeyType::EcdsaP256, HashAlgorithm::Sha256) => Some(SignatureAlgorithm::EcdsaP256Sha256),
        (KeyType::EcdsaP384, HashAlgorithm::Sha256) => Some(SignatureAlgorithm::EcdsaP384Sha256),
        (KeyType::EcdsaP384, HashAlgorithm::Sha384) => Some(SignatureAlgorithm::EcdsaP384Sha384),
        (KeyType::EcdsaP521, HashAlgorithm::Sha256) => Some(SignatureAlgorithm::EcdsaP521Sha256),
        (KeyType::EcdsaP521, HashAlgorithm::Sha512) => Some(SignatureAlgorithm::EcdsaP521Sha512),
        (KeyType::Ed25519, HashAlgorithm::Sha512) => Some(SignatureAlgorithm::Ed25519ph),
        (KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096, HashAlgorithm::Sha256) => {
            Some(SignatureAlgorithm::RsaPkcs1Sha256)
        }
        _ => None,
    }
}

/// The DER form of an ECDSA signature that is `r || s`, both as long as the field (IEEE P1363).
///
/// `WebCrypto` and JWS libraries sign so. `None` when it has another length.
fn der_of_p1363(key_type: KeyType, signature: &[u8]) -> Option<Vec<u8>> {
    let field_len = match key_type {
        KeyType::EcdsaP256 => 32,
        KeyType::EcdsaP384 => 48,
        KeyType::EcdsaP521 => 66,
        _ => return None,
    };
    let (r, s) = signature.split_at_checked(field_len).filter(|(_, s)| s.len() == field_len)?;
    vec![Uint::new(r).ok()?, Uint::new(s).ok()?].to_der().ok()
}

const BEGIN: &str = "-----BEGIN";

const PUBLIC_KEY: &str = "PUBLIC KEY";

const CERTIFICATE: &str = "CERTIFICATE";
