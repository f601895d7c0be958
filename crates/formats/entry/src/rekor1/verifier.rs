use crypto::{HashAlgorithm, KeyType, PublicKey, SignatureAlgorithm, SignatureError};
use wire::Base64;
use x509_cert::{Certificate, der::Decode};

use super::chain;
use crate::{Budget, EntryError, IndexKeyKind, Signer, form, index_key};

/// Longest PEM text in bytes, of all verifiers of an entry together: what is longer, a body cannot hold.
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
    /// The first of its certificates, DER.
    leaf: Option<Vec<u8>>,
}

/// A verifier whose certificates may still be no chain: nothing of it was verified.
struct Unchecked {
    verifier: Verifier,
    certificates: Vec<Certificate>,
}

impl Verifier {
    /// Reads PEM as clients send it: lines of any length, any line ends, text before a block.
    pub(super) fn from_pem(text: &[u8], budget: &mut Budget) -> Result<Self, EntryError> {
        let mut verifiers = Self::all_from_pem(&[text], budget)?;
        verifiers.pop().ok_or(EntryError::Pem)
    }

    /// Reads the verifiers of one entry. Certificates are counted before one is read, and every
    /// verifier is read before a signature in a chain is verified.
    pub(super) fn all_from_pem(
        texts: &[impl AsRef<[u8]>],
        budget: &mut Budget,
    ) -> Result<Vec<Self>, EntryError> {
        if texts.iter().map(|text| text.as_ref().len()).sum::<usize>() > MAX_PEM_LEN {
            return Err(EntryError::TooLong { what: "public key", limit: MAX_PEM_LEN });
        }
        let texts = texts.iter().map(Text::read).collect::<Result<Vec<_>, _>>()?;
        budget.require(texts.iter().map(|text| text.blocks.saturating_sub(1)).sum())?;
        let unchecked = texts.iter().map(Unchecked::parse).collect::<Result<Vec<_>, _>>()?;
        let checked = unchecked.into_iter().map(|unchecked| {
            chain::check(&unchecked.certificates, budget)?;
            Ok(unchecked.verifier)
        });
        checked.collect()
    }

    /// The search key of that PEM: no signature of a chain is verified, for an entry of a chain that is none
    /// is nowhere to be found.
    pub(super) fn sha256_of_pem(text: &[u8]) -> Result<String, EntryError> {
        if text.len() > MAX_PEM_LEN {
            return Err(EntryError::TooLong { what: "public key", limit: MAX_PEM_LEN });
        }
        Ok(Unchecked::parse(&Text::read(&text)?)?.verifier.pem_sha256())
    }

    fn from_spki_der(der: &[u8]) -> Result<Self, EntryError> {
        // A key has one spelling, so that its PEM has one too.
        let key = PublicKey::from_spki_der(der)?;
        Ok(Self { pem: key.to_pem(), key, names: Vec::new(), leaf: None })
    }

    fn from_leaf(leaf: &Certificate, blocks: &[pem::Pem]) -> Result<Self, EntryError> {
        let lf = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let encode = |block: &pem::Pem| {
            pem::encode_config(&pem::Pem::new(CERTIFICATE, block.contents()), lf)
        };
        Ok(Self {
            key: chain::key_of(leaf)?,
            names: index_key::of_certificate(leaf)?,
            pem: blocks.iter().map(encode).collect(),
            leaf: blocks.first().map(|block| block.contents().to_vec()),
        })
    }

    /// The key.
    pub(super) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whose signature it verifies.
    pub(super) fn signer(&self) -> Signer {
        Signer { key: self.key.clone(), certificate: self.leaf.clone() }
    }

    /// The canonical PEM, in base64 as bodies hold it.
    pub(super) fn pem_base64(&self) -> String {
        Base64::from(self.pem.as_bytes()).encode()
    }

    /// SHA-256 of the canonical PEM, hex: upstream's search key.
    pub(super) fn pem_sha256(&self) -> String {
        hex::encode(crypto::sha256(self.pem.as_bytes()))
    }

    /// Verifies a signature over `digest`, made by `hash`, in the one form that it has.
    ///
    /// Ed25519 is then Ed25519ph, as upstream has it for hashedrekord.
    pub(super) fn verify_digest(
        &self,
        (hash, digest): (HashAlgorithm, &[u8]),
        signature: &[u8],
        budget: &mut Budget,
    ) -> Result<(), EntryError> {
        let key_type = self.key.key_type();
        let algorithm =
            algorithm_of(key_type, hash).ok_or(EntryError::HashDoesNotFit { hash, key_type })?;
        let signature = form::read(key_type, signature).ok_or(SignatureError::Mismatch)?;
        budget.spend(self.key.as_authority_key())?;
        Ok(self.key.verify_digest(algorithm, digest, &signature)?)
    }

    /// Verifies a signature by pure Ed25519, which reads the message itself.
    pub(super) fn verify_message(
        &self,
        message: &[u8],
        signature: &[u8],
        budget: &mut Budget,
    ) -> Result<(), EntryError> {
        budget.spend_over(self.key.as_authority_key(), message.len())?;
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

/// PEM whose blocks are counted and not yet read.
struct Text<'a> {
    text: &'a str,
    blocks: usize,
}

impl<'a> Text<'a> {
    fn read(text: &'a impl AsRef<[u8]>) -> Result<Self, EntryError> {
        let text = std::str::from_utf8(text.as_ref()).map_err(|_| EntryError::Pem)?;
        match text.matches(BEGIN).count() {
            0 => Err(EntryError::Pem),
            blocks @ 1..=MAX_CHAIN_LEN => Ok(Self { text, blocks }),
            _ => Err(EntryError::TooLong { what: "certificate chain", limit: MAX_CHAIN_LEN }),
        }
    }
}

impl Unchecked {
    fn parse(Text { text, blocks: count }: &Text<'_>) -> Result<Self, EntryError> {
        let blocks = pem::parse_many(text).map_err(|_| EntryError::Pem)?;
        // The parser stops at a broken block; what it has not read must not go unseen.
        if blocks.len() != *count {
            return Err(EntryError::Pem);
        }
        match blocks.as_slice() {
            [block] if block.tag() == PUBLIC_KEY => {
                let verifier = Verifier::from_spki_der(block.contents())?;
                Ok(Self { verifier, certificates: Vec::new() })
            }
            blocks if blocks.iter().all(|block| block.tag() == CERTIFICATE) => {
                let certificates = blocks
                    .iter()
                    .map(|block| Certificate::from_der(block.contents()))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|_| EntryError::Certificate)?;
                let leaf = certificates.first().ok_or(EntryError::Pem)?;
                Ok(Self { verifier: Verifier::from_leaf(leaf, blocks)?, certificates })
            }
            _ => Err(EntryError::Pem),
        }
    }
}

const BEGIN: &str = "-----BEGIN";

const PUBLIC_KEY: &str = "PUBLIC KEY";

const CERTIFICATE: &str = "CERTIFICATE";
