//! intoto 0.0.1 and 0.0.2: the envelopes of older clients, logged without their payload.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::{Base64, rekor1::first};

use super::{
    dsse::verify_envelope,
    entry_of,
    envelope::{MAX_SIGNATURES, Message, Signature, check_count},
    proposed::{Hash, Text, parse_part, quoted, required, required_bytes},
    verifier::Verifier,
};
use crate::{Budget, EntryError, VerifiedEntry, index_key};

pub(super) const KIND: &str = "intoto";

pub(super) const VERSION_1: &str = "0.0.1";

pub(super) const VERSION_2: &str = "0.0.2";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec1<'a> {
    #[serde(borrow)]
    content: Option<Content1<'a>>,
    #[serde(borrow)]
    public_key: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Content1<'a> {
    #[serde(borrow)]
    envelope: Option<Text<'a>>,
}

/// Verifies every signature of the envelope, which is JSON in a string, by the one key.
///
/// Hashes that the client sends are ignored, as upstream does.
pub(super) fn verify_1(spec: &RawValue, budget: &mut Budget) -> Result<VerifiedEntry, EntryError> {
    let spec: Spec1<'_> = parse_part(spec)?;
    let content = spec.content.ok_or(EntryError::Missing("spec.content"))?;
    let envelope = required(content.envelope, "spec.content.envelope")?;
    let key = required_bytes(spec.public_key, "spec.publicKey")?;
    let verifiers = [Verifier::from_pem(&key, budget)?];
    verify_envelope(&envelope, &verifiers, budget, |message, _, _| {
        let [verifier] = &verifiers;
        let hashes = [message.payload_hash(), crypto::sha256(envelope.as_bytes())];
        let keys = hashes.iter().map(|hash| index_key::of_digest(hash));
        let keys = keys.chain(verifier.index_keys()).chain(message.named_digests());
        entry_of(KIND, VERSION_1, body_1(&hashes, verifier), keys, &[verifier])
    })
}

fn body_1([payload_hash, envelope_hash]: &[[u8; 32]; 2], verifier: &Verifier) -> String {
    format!(
        concat!(
            r#"{{"apiVersion":"{version}","kind":"{kind}","spec":{{"content":{{"#,
            r#""hash":{{"algorithm":"sha256","value":"{envelope_hash}"}},"#,
            r#""payloadHash":{{"algorithm":"sha256","value":"{payload_hash}"}}}},"#,
            r#""publicKey":"{key}"}}}}"#
        ),
        version = VERSION_1,
        kind = KIND,
        envelope_hash = hex::encode(envelope_hash),
        payload_hash = hex::encode(payload_hash),
        key = verifier.pem_base64(),
    )
}

#[derive(Deserialize)]
struct Spec2<'a> {
    #[serde(borrow)]
    content: Option<Content2<'a>>,
}

#[derive(Deserialize)]
struct Content2<'a> {
    #[serde(borrow)]
    envelope: Option<Envelope2<'a>>,
    #[serde(borrow)]
    hash: Option<Hash<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope2<'a> {
    #[serde(borrow)]
    payload_type: Option<Text<'a>>,
    /// Base64 of the envelope's own base64.
    #[serde(borrow)]
    payload: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "first::<{ MAX_SIGNATURES + 1 }, _, _>")]
    signatures: Vec<Signature2<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature2<'a> {
    #[serde(borrow)]
    keyid: Option<Text<'a>>,
    /// Base64 of the envelope's own base64.
    #[serde(borrow)]
    sig: Option<Text<'a>>,
    #[serde(borrow)]
    public_key: Option<Text<'a>>,
}

/// Verifies every signature of the envelope, which is an object here, each with its key.
///
/// The hash is the client's word: of what JSON it is, nobody but the client can know. Nobody signed
/// it, so the entry is not found by it either, as upstream has it.
pub(super) fn verify_2(spec: &RawValue, budget: &mut Budget) -> Result<VerifiedEntry, EntryError> {
    let spec: Spec2<'_> = parse_part(spec)?;
    let content = spec.content.ok_or(EntryError::Missing("spec.content"))?;
    let envelope = content.envelope.ok_or(EntryError::Missing("spec.content.envelope"))?;
    let hash = checked_hash(content.hash)?;
    let payload_type = required(envelope.payload_type, "envelope.payloadType")?;
    let payload = required_text(envelope.payload, "envelope.payload")?;
    check_count(envelope.signatures.len(), "envelope.signatures")?;
    let signatures =
        envelope.signatures.into_iter().map(Signed::read).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<_> = signatures.iter().map(|signed| &signed.public_key).collect();
    let verifiers = Verifier::all_from_pem(&keys, budget)?;

    let message = Message::new(&payload_type, &payload)?;
    budget.require(signatures.len())?;
    for (signed, verifier) in signatures.iter().zip(&verifiers) {
        // With one verifier for one signature, the one is the other's.
        if !message.verify(verifier, signed.signature.bytes(), budget)? {
            return Err(EntryError::NoVerifierFits(1));
        }
    }
    let payload_hash = message.payload_hash();
    let of_verifiers = verifiers.iter().flat_map(Verifier::index_keys);
    let keys = [index_key::of_digest(&payload_hash)].into_iter().chain(of_verifiers);
    let keys = keys.chain(message.named_digests());
    let body = body_2(&payload_type, &signatures, &hash, &payload_hash);
    entry_of(KIND, VERSION_2, body, keys, &verifiers.iter().collect::<Vec<_>>())
}

/// A signature of the envelope, with the key that came with it.
struct Signed<'a> {
    keyid: Option<Text<'a>>,
    signature: Signature<'a>,
    /// As it came: upstream keeps it so in this kind alone.
    public_key: Vec<u8>,
}

impl<'a> Signed<'a> {
    fn read(raw: Signature2<'a>) -> Result<Self, EntryError> {
        let signature = required_text(raw.sig, "envelope.signatures.sig")?;
        let public_key = required_bytes(raw.public_key, "envelope.signatures.publicKey")?;
        Ok(Self {
            keyid: raw.keyid.filter(|keyid| !keyid.0.is_empty()),
            signature: Signature::new(signature.into(), 0)?,
            public_key,
        })
    }

    fn write(&self, list: &mut String) {
        list.push_str(if list.is_empty() { "{" } else { ",{" });
        if let Some(keyid) = &self.keyid {
            // Invariant: writing to a `String` cannot fail.
            let _ = write!(list, r#""keyid":{},"#, quoted(&keyid.0));
        }
        let key = Base64::from(self.public_key.as_slice());
        let sig = Base64::from(self.signature.text.as_bytes());
        let _ = write!(list, r#""publicKey":"{key}","sig":"{sig}"}}"#);
    }
}

fn body_2(
    payload_type: &str,
    signatures: &[Signed<'_>],
    hash: &str,
    payload_hash: &[u8; 32],
) -> String {
    let mut list = String::new();
    for signed in signatures {
        signed.write(&mut list);
    }
    format!(
        concat!(
            r#"{{"apiVersion":"{version}","kind":"{kind}","spec":{{"content":{{"#,
            r#""envelope":{{"payloadType":{payload_type},"signatures":[{list}]}},"#,
            r#""hash":{{"algorithm":"sha256","value":"{hash}"}},"#,
            r#""payloadHash":{{"algorithm":"sha256","value":"{payload_hash}"}}}}}}}}"#
        ),
        version = VERSION_2,
        kind = KIND,
        payload_type = quoted(payload_type),
        list = list,
        hash = hash,
        payload_hash = hex::encode(payload_hash),
    )
}

/// The hex of a SHA-256, in the case it came in.
fn checked_hash(hash: Option<Hash<'_>>) -> Result<String, EntryError> {
    let hash = hash.ok_or(EntryError::Missing("spec.content.hash"))?;
    let algorithm = required(hash.algorithm, "spec.content.hash.algorithm")?;
    if algorithm != "sha256" {
        return Err(EntryError::unsupported_hash(&algorithm));
    }
    let value = required(hash.value, "spec.content.hash.value")?;
    if value.len() == SHA256_DIGITS && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(value.into_owned())
    } else {
        Err(EntryError::HashValue { digits: SHA256_DIGITS })
    }
}

/// The base64 text in base64 text.
fn required_text(text: Option<Text<'_>>, what: &'static str) -> Result<String, EntryError> {
    String::from_utf8(required_bytes(text, what)?).map_err(|_| EntryError::NotBase64(what))
}

const SHA256_DIGITS: usize = 64;
