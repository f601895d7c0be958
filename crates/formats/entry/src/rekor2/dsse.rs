//! `dsseRequestV002`: verified over the pre-authentication encoding and logged as the hashedrekord
//! that newer clients send for the same envelope. Stored as kind `dsse` it would be refused by
//! cosign 3.1, sigstore-python 4.5 and sigstore-rust.

use std::collections::HashMap;

use crypto::HashAlgorithm;
use wire::{
    dsse::{DsseEnvelope, pae},
    rekor2::DsseRequest,
};

use super::{Verifier, hashedrekord};
use crate::{Budget, EntryError, VerifiedEntry};

/// Most verifiers of a request, as upstream had it; clients send one.
const MAX_VERIFIERS: usize = 10;

/// Verifies the envelope's one signature by the first verifier, in the request's order, that fits.
pub(super) fn verify(
    request: &DsseRequest,
    budget: &mut Budget,
) -> Result<VerifiedEntry, EntryError> {
    let envelope = request.envelope.as_ref().ok_or(EntryError::Missing("envelope"))?;
    let [signature] = envelope.signatures.as_slice() else {
        return Err(EntryError::SignatureCount(envelope.signatures.len()));
    };
    hashedrekord::check_signature_len(&signature.sig)?;
    let message = pre_authentication_encoding(envelope)?;
    let verifiers = parse_verifiers(request)?;
    // Hashed once for all verifiers that sign by that hash: there are three.
    let mut digests: HashMap<HashAlgorithm, Vec<u8>> = HashMap::new();
    for verifier in &verifiers {
        let hash = verifier.key_details().hash();
        let digest = digests.entry(hash).or_insert_with(|| crypto::digest(hash, &message));
        match verifier.verify(digest, signature.sig.as_slice(), budget) {
            Ok(()) => {
                return Ok(hashedrekord::of_verified(digest, signature.sig.as_slice(), verifier));
            }
            Err(EntryError::Signature(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Err(EntryError::NoVerifierFits(verifiers.len()))
}

fn parse_verifiers(request: &DsseRequest) -> Result<Vec<Verifier>, EntryError> {
    match request.verifiers.len() {
        0 => Err(EntryError::Missing("verifiers")),
        1..=MAX_VERIFIERS => request.verifiers.iter().map(Verifier::from_wire).collect(),
        _ => Err(EntryError::TooLong { what: "verifiers", limit: MAX_VERIFIERS }),
    }
}

/// What the signature is over; an envelope without a payload or a type for it is none.
fn pre_authentication_encoding(envelope: &DsseEnvelope) -> Result<Vec<u8>, EntryError> {
    let (payload_type, payload) = (&envelope.payload_type, envelope.payload.as_slice());
    if payload.is_empty() {
        return Err(EntryError::Missing("envelope.payload"));
    }
    if payload_type.is_empty() {
        return Err(EntryError::Missing("envelope.payloadType"));
    }
    Ok(pae(payload_type, payload))
}
