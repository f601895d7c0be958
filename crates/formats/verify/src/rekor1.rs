//! Bodies of Rekor v1 entries, compared with the bundle that holds them.
//!
//! Their bytes are covered by SET and proof. What is left to show is that they are about this
//! artifact, signature and signer: so a body holds nothing but what is compared here.

mod body;

use crypto::{HashAlgorithm, PublicKey};
use wire::{
    Base64,
    bundle::{BundleContent, MessageSignature, TransparencyLogEntry},
    dsse::DsseEnvelope,
};

use crate::{Check, UnverifiedBundle, VerifyError, check::Failing};
use body::{Dsse, DsseSignature, Hash, HashedRekord, Intoto, IntotoSignature, spec_of};

/// Checks that the body of `entry` is about `bundle`, signed by the holder of `key`.
///
/// # Errors
/// [`Check::LogEntry`].
pub(crate) fn check_body(
    entry: &TransparencyLogEntry,
    bundle: &UnverifiedBundle,
    key: &PublicKey,
) -> Result<(), VerifyError> {
    let body = entry.canonicalized_body.as_slice();
    let kind = entry.kind_version.kind.as_str();
    let verifier = match (kind, &bundle.as_wire().content) {
        ("hashedrekord", BundleContent::MessageSignature(message)) => hashedrekord(body, message)?,
        ("dsse", BundleContent::DsseEnvelope(envelope)) => dsse(body, envelope)?,
        ("intoto", BundleContent::DsseEnvelope(envelope)) => intoto(body, envelope)?,
        _ => return Err(Check::LogEntry.failed("its kind is not for what the bundle holds")),
    };
    check_verifier(&verifier, bundle, key)
}

/// Kind `hashedrekord` 0.0.1; gives the PEM of the signer.
fn hashedrekord(body: &[u8], message: &MessageSignature) -> Result<Base64, VerifyError> {
    let HashedRekord { data, signature } = spec_of(body)?;
    let hash = message.message_digest.as_ref().failing(Check::LogEntry)?;
    let algorithm = match hash.algorithm {
        wire::HashAlgorithm::Sha2_256 => "sha256",
        wire::HashAlgorithm::Sha2_384 => "sha384",
        wire::HashAlgorithm::Sha2_512 => "sha512",
        _ => return Err(Check::LogEntry.failed("the digest's algorithm is none of its kind")),
    };
    same(data.hash.is(algorithm, hash.digest.as_slice()), "artifact")?;
    same(signature.content == message.signature, "signature")?;
    Ok(signature.public_key.content)
}

/// Kind `dsse` 0.0.1; gives the PEM of the signer.
///
/// The envelope's hash is of the JSON text that was sent, which no bundle keeps: what that text
/// held is compared instead.
fn dsse(body: &[u8], envelope: &DsseEnvelope) -> Result<Base64, VerifyError> {
    let spec: Dsse = spec_of(body)?;
    check_hashes(&spec.envelope_hash, &spec.payload_hash, envelope)?;
    let [logged] = <[DsseSignature; 1]>::try_from(spec.signatures).map_err(|_| not_one())?;
    same(Some(&logged.signature) == signature_of(envelope), "signature")?;
    Ok(logged.verifier)
}

/// Kind `intoto` 0.0.2, which holds signatures, and the payload where it has one, as base64 of
/// base64; gives the PEM of the signer.
fn intoto(body: &[u8], envelope: &DsseEnvelope) -> Result<Base64, VerifyError> {
    let Intoto { content } = spec_of(body)?;
    check_hashes(&content.hash, &content.payload_hash, envelope)?;
    same(content.envelope.payload_type == envelope.payload_type, "payload type")?;
    let [logged] =
        <[IntotoSignature; 1]>::try_from(content.envelope.signatures).map_err(|_| not_one())?;
    let signature = inner(&logged.sig)?;
    same(Some(&signature) == signature_of(envelope), "signature")?;
    if let Some(payload) = &content.envelope.payload {
        same(inner(payload)? == envelope.payload, "payload")?;
    }
    let keyid = envelope.signatures.first().map_or("", |one| one.keyid.as_str());
    same(logged.keyid.is_empty() || keyid.is_empty() || logged.keyid == keyid, "key id")?;
    Ok(logged.public_key)
}

/// What is base64 inside of base64.
fn inner(outer: &Base64) -> Result<Base64, VerifyError> {
    let text = std::str::from_utf8(outer.as_slice()).failing(Check::LogEntry)?;
    Base64::decode(text).failing(Check::LogEntry)
}

fn check_hashes(
    envelope_hash: &Hash,
    payload_hash: &Hash,
    envelope: &DsseEnvelope,
) -> Result<(), VerifyError> {
    let payload = crypto::digest(HashAlgorithm::Sha256, envelope.payload.as_slice());
    same(payload_hash.is("sha256", &payload), "payload")?;
    same(envelope_hash.algorithm == "sha256", "hash algorithm")
}

fn signature_of(envelope: &DsseEnvelope) -> Option<&Base64> {
    envelope.signatures.first().map(|one| &one.sig)
}

/// Checks that `pem` is of the bundle's certificate or, where it has none, of `key`.
fn check_verifier(
    pem: &Base64,
    bundle: &UnverifiedBundle,
    key: &PublicKey,
) -> Result<(), VerifyError> {
    let pem = std::str::from_utf8(pem.as_slice()).failing(Check::LogEntry)?;
    let is_signer = match bundle.certificates().first() {
        // The log may hold the chain as well; the signer comes first.
        Some(leaf) => {
            x509::from_pem(pem).failing(Check::LogEntry)?.first().is_some_and(|first| first == leaf)
        }
        None => PublicKey::from_pem(pem).failing(Check::LogEntry)?.spki_der() == key.spki_der(),
    };
    same(is_signer, "signer")
}

fn same(same: bool, what: &str) -> Result<(), VerifyError> {
    if same { Ok(()) } else { Err(Check::LogEntry.failed(format!("it is of another {what}"))) }
}

fn not_one() -> VerifyError {
    Check::LogEntry.failed("it has not exactly one signature")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wire::dsse::DsseSignature;

    use super::*;

    fn envelope() -> DsseEnvelope {
        let sig = b"signature".to_vec().into();
        DsseEnvelope {
            payload: b"statement".to_vec().into(),
            payload_type: "application/vnd.in-toto+json".to_owned(),
            signatures: vec![DsseSignature { sig, keyid: String::new() }],
        }
    }

    fn twice(bytes: &[u8]) -> Value {
        let once = Base64(bytes.to_vec()).encode();
        Base64(once.into_bytes()).encode().into()
    }

    fn body(payload: Option<Value>) -> Vec<u8> {
        let hash = |value: String| json!({"algorithm": "sha256", "value": value});
        let signature = json!({"publicKey": "UEVN", "sig": twice(b"signature")});
        let mut envelope =
            json!({"payloadType": "application/vnd.in-toto+json", "signatures": [signature]});
        if let Some(payload) = payload {
            envelope["payload"] = payload;
        }
        let content = json!({
            "envelope": envelope,
            "hash": hash("00".repeat(32)),
            "payloadHash": hash(hex::encode(crypto::sha256(b"statement"))),
        });
        let spec = json!({"content": content});
        json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": spec}).to_string().into_bytes()
    }

    #[test]
    fn takes_an_intoto_body_that_kept_the_very_payload() {
        for payload in [None, Some(twice(b"statement"))] {
            assert_eq!(intoto(&body(payload), &envelope()).unwrap().as_slice(), b"PEM");
        }
    }

    #[test]
    fn rejects_an_intoto_body_with_another_payload() {
        let once = Base64(b"statement".to_vec()).encode();
        for payload in [twice(b"statemenu"), twice(b""), once.into(), "".into()] {
            let error = intoto(&body(Some(payload.clone())), &envelope()).unwrap_err();
            assert_eq!(error.check, Check::LogEntry, "{payload}");
        }
    }
}
