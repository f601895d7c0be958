//! A DSSE envelope whose members are text, and whether its signatures verify.

use std::{borrow::Cow, cell::OnceCell};

use crypto::{HashAlgorithm, Hasher, KeyType, SignatureError};
use wire::{Base64, dsse};

use super::{hashedrekord::MAX_SIGNATURE_LEN, statement, verifier::Verifier};
use crate::{Budget, EntryError, IndexKeyKind, form};

/// Most signatures, and most verifiers, of an envelope, as Rekor v2 had it. Clients send one.
pub(super) const MAX_SIGNATURES: usize = 10;

/// What the signatures of an envelope sign, encoded and hashed once for all of them.
pub(super) struct Message<'a> {
    payload_type: &'a str,
    payload: Vec<u8>,
    encoding: OnceCell<Vec<u8>>,
    sha256: OnceCell<Vec<u8>>,
    sha384: OnceCell<Vec<u8>>,
    sha512: OnceCell<Vec<u8>>,
    /// Whether the first signer of P-384 or P-521 that is known signed by the hash of its curve.
    by_curve: OnceCell<bool>,
}

impl<'a> Message<'a> {
    /// Decodes the payload of an envelope.
    pub(super) fn new(payload_type: &'a str, payload: &str) -> Result<Self, EntryError> {
        let payload = decode(payload, "envelope.payload")?;
        let (encoding, sha256, sha384, sha512, by_curve) = Default::default();
        Ok(Self { payload_type, payload, encoding, sha256, sha384, sha512, by_curve })
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
    ///
    /// Nothing in a signature tells its hash. Mostly one client made all of them, so the hash that verified the
    /// first is the likely one of those after it.
    pub(super) fn verify(
        &self,
        verifier: &Verifier,
        signature: &[u8],
        budget: &mut Budget,
    ) -> Result<bool, EntryError> {
        Ok(self.verify_likely(verifier, signature, budget)?
            || self.verify_otherwise(verifier, signature, budget)?)
    }

    /// By the likely hash, and by both as long as none is likelier.
    fn verify_likely(
        &self,
        verifier: &Verifier,
        signature: &[u8],
        budget: &mut Budget,
    ) -> Result<bool, EntryError> {
        let key_type = verifier.key().key_type();
        if key_type == KeyType::Ed25519 {
            return Ok(form::is_of(key_type, signature)
                && verified(verifier.verify_message(self.encoding(), signature, budget))?);
        }
        let Some(of_curve) = hash_of_curve(key_type) else {
            return self.verify_by(HashAlgorithm::Sha256, verifier, signature, budget);
        };
        for (hash, is_of_curve) in [(HashAlgorithm::Sha256, false), (of_curve, true)] {
            if self.by_curve.get().is_none_or(|decided| *decided == is_of_curve)
                && self.verify_by(hash, verifier, signature, budget)?
            {
                // Set before, it is the same.
                let _ = self.by_curve.set(is_of_curve);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// By the hash that is not the likely one.
    fn verify_otherwise(
        &self,
        verifier: &Verifier,
        signature: &[u8],
        budget: &mut Budget,
    ) -> Result<bool, EntryError> {
        match (hash_of_curve(verifier.key().key_type()), self.by_curve.get()) {
            (Some(_), Some(true)) => {
                self.verify_by(HashAlgorithm::Sha256, verifier, signature, budget)
            }
            (Some(of_curve), Some(false)) => self.verify_by(of_curve, verifier, signature, budget),
            (None, _) | (_, None) => Ok(false),
        }
    }

    fn verify_by(
        &self,
        hash: HashAlgorithm,
        verifier: &Verifier,
        signature: &[u8],
        budget: &mut Budget,
    ) -> Result<bool, EntryError> {
        verified(verifier.verify_digest((hash, self.digest(hash)), signature, budget))
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

/// The hash beside SHA-256 by which keys of that type may have signed.
const fn hash_of_curve(key_type: KeyType) -> Option<HashAlgorithm> {
    match key_type {
        KeyType::EcdsaP384 => Some(HashAlgorithm::Sha384),
        KeyType::EcdsaP521 => Some(HashAlgorithm::Sha512),
        KeyType::EcdsaP256
        | KeyType::Ed25519
        | KeyType::Rsa2048
        | KeyType::Rsa3072
        | KeyType::Rsa4096 => None,
    }
}

/// What is wrong with a signature is that it is another's; what is wrong with the request stays an error.
fn verified(result: Result<(), EntryError>) -> Result<bool, EntryError> {
    match result {
        Ok(()) => Ok(true),
        Err(EntryError::Signature(SignatureError::Mismatch)) => Ok(false),
        Err(other) => Err(other),
    }
}

/// The base64 of one signature of an envelope, as it came, and what it is.
pub(super) struct Signature<'a> {
    pub(super) text: Cow<'a, str>,
    bytes: Vec<u8>,
    /// Which one of the envelope's it is.
    position: usize,
}

impl<'a> Signature<'a> {
    pub(super) fn new(text: Cow<'a, str>, position: usize) -> Result<Self, EntryError> {
        let bytes = decode(&text, "envelope.signatures.sig")?;
        if bytes.len() > MAX_SIGNATURE_LEN {
            return Err(EntryError::TooLong { what: "signature", limit: MAX_SIGNATURE_LEN });
        }
        Ok(Self { text, bytes, position })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// For each signature, in order, the one of `verifiers` that verifies it.
///
/// No signature may be left without one, and no verifier without a signature: whoever reads the log
/// would take it for a signer. So there are no more verifiers than signatures, and none is there twice.
/// Both lists are short: [`check_count`]. All verifiers are tried by the likely hash before one is tried by the other:
/// signers of one client cost no more for those of two.
pub(super) fn match_verifiers<'v>(
    message: &Message<'_>,
    signatures: &[Signature<'_>],
    verifiers: &'v [Verifier],
    budget: &mut Budget,
) -> Result<Vec<&'v Verifier>, EntryError> {
    budget.require(signatures.len())?;
    if verifiers.len() > signatures.len() || has_key_twice(verifiers) {
        return Err(EntryError::UnusedVerifier);
    }
    let mut used = vec![false; verifiers.len()];
    let mut matched = Vec::with_capacity(signatures.len());
    for signature in signatures {
        let order = in_likely_order(signature.position, &used);
        let in_order = || order.iter().filter_map(|at| Some((*at, verifiers.get(*at)?)));
        let mut found = None;
        for (at, verifier) in in_order() {
            if message.verify_likely(verifier, signature.bytes(), budget)? {
                found = Some((at, verifier));
                break;
            }
        }
        if found.is_none() {
            for (at, verifier) in in_order() {
                if message.verify_otherwise(verifier, signature.bytes(), budget)? {
                    found = Some((at, verifier));
                    break;
                }
            }
        }
        let (at, verifier) = found.ok_or(EntryError::NoVerifierFits(verifiers.len()))?;
        if let Some(used) = used.get_mut(at) {
            *used = true;
        }
        matched.push(verifier);
    }
    if used.contains(&false) { Err(EntryError::UnusedVerifier) } else { Ok(matched) }
}

/// Which verifiers to try for a signature: the one that stands where it stands in the envelope, as clients
/// write both lists; then those that have verified none, then the others, by which one signer signs twice.
fn in_likely_order(position: usize, used: &[bool]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..used.len()).collect();
    // Stable: among equals the request's order stays.
    order.sort_by_key(|at| (*at != position, used.get(*at).copied()));
    order
}

fn has_key_twice(verifiers: &[Verifier]) -> bool {
    let mut earlier = verifiers.iter().enumerate();
    earlier
        .any(|(at, verifier)| verifiers.iter().take(at).any(|other| other.key() == verifier.key()))
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
