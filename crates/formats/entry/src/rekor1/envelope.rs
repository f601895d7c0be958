//! A DSSE envelope whose members are text, and whether its signatures verify.

use std::{borrow::Cow, cell::OnceCell};

use crypto::{HashAlgorithm, Hasher, KeyType};
use wire::{Base64, dsse};

use super::{hashedrekord::MAX_SIGNATURE_LEN, statement, verifier::Verifier};
use crate::{EntryError, IndexKeyKind};

/// Most signatures, and most verifiers, of an envelope, as Rekor v2 had it. Clients send one. Every
/// pair may cost a verification: a hundred of P-521 take about a tenth of a second.
pub(super) const MAX_SIGNATURES: usize = 10;

/// What the signatures of an envelope sign, encoded and hashed once for all of them.
pub(super) struct Message<'a> {
    payload_type: &'a str,
    payload: Vec<u8>,
    encoding: OnceCell<Vec<u8>>,
    sha256: OnceCell<Vec<u8>>,
    sha384: OnceCell<Vec<u8>>,
    sha512: OnceCell<Vec<u8>>,
}

impl<'a> Message<'a> {
    /// Decodes the payload of an envelope.
    pub(super) fn new(payload_type: &'a str, payload: &str) -> Result<Self, EntryError> {
        let payload = decode(payload, "envelope.payload")?;
        let (encoding, sha256, sha384, sha512) = Default::default();
        Ok(Self { payload_type, payload, encoding, sha256, sha384, sha512 })
    }

    /// SHA-256 of the decoded payload.
    pub(super) fn payload_hash(&self) -> [u8; 32] {
        crypto::sha256(&self.payload)
    }

    /// Search keys: the digests that the payload names, if it is an in-toto statement.
    pub(super) fn named_digests(&self) -> impl Iterator<Item = (IndexKeyKind, String)> + use<> {
        let digests = statement::digests(self.payload_type, &self.payload);
        digests.into_iter().map(|digest| (IndexKeyKind::Hash, digest))
    }

    /// Verifies one signature by one key: pure Ed25519, else SHA-256 as upstream, or the hash of the
    /// key's curve, by which newer clients sign.
    fn verify(&self, verifier: &Verifier, signature: &[u8]) -> bool {
        let by = |hash| verifier.verify_digest(hash, self.digest(hash), signature).is_ok();
        match verifier.key_type() {
            KeyType::Ed25519 => verifier.verify_message(self.encoding(), signature).is_ok(),
            KeyType::EcdsaP384 => by(HashAlgorithm::Sha256) || by(HashAlgorithm::Sha384),
            KeyType::EcdsaP521 => by(HashAlgorithm::Sha256) || by(HashAlgorithm::Sha512),
            KeyType::EcdsaP256 | KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => {
                by(HashAlgorithm::Sha256)
            }
        }
    }

    fn digest(&self, hash: HashAlgorithm) -> &[u8] {
        let cell = match hash {
            HashAlgorithm::Sha256 => &self.sha256,
            HashAlgorithm::Sha384 => &self.sha384,
            HashAlgorithm::Sha512 => &self.sha512,
        };
        cell.get_or_init(|| {
            let mut hasher = Hasher::new(hash);
            hasher.update(dsse::pae_head(self.payload_type, self.payload.len()).as_bytes());
            hasher.update(&self.payload);
            hasher.finish()
        })
    }

    /// The whole encoding; a second copy of the payload, which hashing does not need.
    fn encoding(&self) -> &[u8] {
        self.encoding.get_or_init(|| dsse::pae(self.payload_type, &self.payload))
    }
}

/// The base64 of one signature of an envelope, as it came, and what it is.
pub(super) struct Signature<'a> {
    pub(super) text: Cow<'a, str>,
    bytes: Vec<u8>,
}

impl<'a> Signature<'a> {
    pub(super) fn new(text: Cow<'a, str>) -> Result<Self, EntryError> {
        let bytes = decode(&text, "envelope.signatures.sig")?;
        if bytes.len() > MAX_SIGNATURE_LEN {
            return Err(EntryError::TooLong { what: "signature", limit: MAX_SIGNATURE_LEN });
        }
        Ok(Self { text, bytes })
    }
}

/// For each signature, in order, the first of `verifiers` that verifies it.
///
/// No signature may be left without one, and no verifier without a signature: whoever reads the log
/// would take it for a signer. Both lists are short: [`check_count`].
pub(super) fn match_verifiers<'v>(
    message: &Message<'_>,
    signatures: &[Signature<'_>],
    verifiers: &'v [Verifier],
) -> Result<Vec<&'v Verifier>, EntryError> {
    let mut used = vec![false; verifiers.len()];
    let mut matched = Vec::with_capacity(signatures.len());
    for signature in signatures {
        let mut candidates = verifiers.iter().zip(&mut used);
        let (verifier, used) = candidates
            .find(|(verifier, _)| message.verify(verifier, &signature.bytes))
            .ok_or(EntryError::NoVerifierFits(verifiers.len()))?;
        *used = true;
        matched.push(verifier);
    }
    if used.contains(&false) { Err(EntryError::UnusedVerifier) } else { Ok(matched) }
}

/// That a list has one to [`MAX_SIGNATURES`] elements.
pub(super) fn check_count(count: usize, what: &'static str) -> Result<(), EntryError> {
    match count {
        0 => Err(EntryError::Missing(what)),
        1..=MAX_SIGNATURES => Ok(()),
        _ => Err(EntryError::TooLong { what, limit: MAX_SIGNATURES }),
    }
}

/// Decodes base64 that is logged or hashed as it came: either alphabet, but padded and on one line.
fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, EntryError> {
    if text.len().is_multiple_of(4)
        && let Ok(bytes) = Base64::decode_line(text)
    {
        return if bytes.is_empty() { Err(EntryError::Missing(what)) } else { Ok(bytes.0) };
    }
    Err(EntryError::NotBase64(what))
}
