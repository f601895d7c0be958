//! dsse 0.0.1: an envelope, of which only hashes, signatures and their keys are logged.

use std::fmt::Write;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use wire::rekor1::first;

use super::{
    entry_of,
    envelope::{MAX_SIGNATURES, Message, Signature, check_count, match_verifiers},
    proposed::{Text, parse, parse_part, required, required_bytes},
    verifier::Verifier,
};
use crate::{Budget, EntryError, VerifiedEntry, index_key};

pub(super) const KIND: &str = "dsse";

pub(super) const VERSION: &str = "0.0.1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    proposed_content: Option<ProposedContent<'a>>,
    envelope_hash: Option<IgnoredAny>,
    payload_hash: Option<IgnoredAny>,
    signatures: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ProposedContent<'a> {
    #[serde(borrow)]
    envelope: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "first::<{ MAX_SIGNATURES + 1 }, _, _>")]
    verifiers: Vec<Text<'a>>,
}

/// The JSON that the envelope is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    payload_type: Option<Text<'a>>,
    #[serde(borrow)]
    payload: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "first::<{ MAX_SIGNATURES + 1 }, _, _>")]
    signatures: Vec<EnvelopeSignature<'a>>,
}

#[derive(Deserialize)]
struct EnvelopeSignature<'a> {
    #[serde(borrow)]
    sig: Option<Text<'a>>,
}

/// Verifies every signature of the envelope by some verifier.
pub(super) fn verify(spec: &RawValue, budget: &mut Budget) -> Result<VerifiedEntry, EntryError> {
    let spec: Spec<'_> = parse_part(spec)?;
    if spec.envelope_hash.is_some() || spec.payload_hash.is_some() || spec.signatures.is_some() {
        return Err(EntryError::Unexpected("spec.envelopeHash, payloadHash or signatures"));
    }
    let proposed = spec.proposed_content.ok_or(EntryError::Missing("spec.proposedContent"))?;
    let envelope = required(proposed.envelope, "spec.proposedContent.envelope")?;
    let verifiers = read_verifiers(proposed.verifiers, budget)?;
    verify_envelope(&envelope, &verifiers, budget, |message, signatures, verifiers| {
        let hashes = [message.payload_hash(), crypto::sha256(envelope.as_bytes())];
        let keys = hashes.iter().map(|hash| index_key::of_digest(hash));
        let keys = keys.chain(verifiers.iter().flat_map(|verifier| verifier.index_keys()));
        let body = body(&hashes, signatures, verifiers);
        entry_of(KIND, VERSION, body, keys.chain(message.named_digests()), verifiers)
    })
}

/// Reads an envelope, verifies all its signatures, and gives them to `then`, sorted and without
/// repetition, with the verifier of each.
///
/// Of `verifiers` there are one to [`MAX_SIGNATURES`].
pub(super) fn verify_envelope<T>(
    json: &str,
    verifiers: &[Verifier],
    budget: &mut Budget,
    then: impl FnOnce(&Message<'_>, &[Signature<'_>], &[&Verifier]) -> Result<T, EntryError>,
) -> Result<T, EntryError> {
    let envelope: Envelope<'_> = parse(json.as_bytes())?;
    let payload_type = required(envelope.payload_type, "envelope.payloadType")?;
    let payload = required(envelope.payload, "envelope.payload")?;
    check_count(envelope.signatures.len(), "envelope.signatures")?;
    let texts = envelope.signatures.into_iter().enumerate();
    let mut signatures = texts
        .map(|(at, signature)| {
            Signature::new(required(signature.sig, "envelope.signatures.sig")?, at)
        })
        .collect::<Result<Vec<_>, _>>()?;
    signatures.sort_by(|one, other| one.text.cmp(&other.text));
    signatures.dedup_by(|one, other| one.text == other.text);
    let message = Message::new(&payload_type, &payload)?;
    let matched = match_verifiers(&message, &signatures, verifiers, budget)?;
    then(&message, &signatures, &matched)
}

fn read_verifiers(
    verifiers: Vec<Text<'_>>,
    budget: &mut Budget,
) -> Result<Vec<Verifier>, EntryError> {
    check_count(verifiers.len(), "spec.proposedContent.verifiers")?;
    let texts = verifiers.into_iter();
    let texts = texts.map(|text| required_bytes(Some(text), "spec.proposedContent.verifiers"));
    Verifier::all_from_pem(&texts.collect::<Result<Vec<_>, _>>()?, budget)
}

fn body(
    [payload_hash, envelope_hash]: &[[u8; 32]; 2],
    signatures: &[Signature<'_>],
    verifiers: &[&Verifier],
) -> String {
    let mut list = String::new();
    for (signature, verifier) in signatures.iter().zip(verifiers) {
        let comma = if list.is_empty() { "" } else { "," };
        let (signature, verifier) = (&signature.text, verifier.pem_base64());
        // Invariant: writing to a `String` cannot fail.
        let _ = write!(list, r#"{comma}{{"signature":"{signature}","verifier":"{verifier}"}}"#);
    }
    format!(
        concat!(
            r#"{{"apiVersion":"{version}","kind":"{kind}","spec":{{"#,
            r#""envelopeHash":{{"algorithm":"sha256","value":"{envelope_hash}"}},"#,
            r#""payloadHash":{{"algorithm":"sha256","value":"{payload_hash}"}},"#,
            r#""signatures":[{list}]}}}}"#
        ),
        version = VERSION,
        kind = KIND,
        envelope_hash = hex::encode(envelope_hash),
        payload_hash = hex::encode(payload_hash),
        list = list,
    )
}
