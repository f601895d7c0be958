//! Bodies of Rekor v1 entries, compared with the bundle that they vouch for.
//!
//! Their bytes are covered by promise and proof. What is left to show is that they are about this
//! artifact, signature and signer: so a body holds nothing but what is compared here.

use crypto::{HashAlgorithm, PublicKey};
use serde::Deserialize;
use wire::{
    Base64,
    bundle::{BundleContent, DsseEnvelope, MessageSignature, TransparencyLogEntry},
};

use crate::{Check, UnverifiedBundle, VerifyError, check::Failing};

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
    let Spec { data, signature }: Spec = spec_of(body)?;
    let hash = message.message_digest.as_ref().failing(Check::LogEntry)?;
    let algorithm = match hash.algorithm {
        wire::HashAlgorithm::Sha2_256 => "sha256",
        wire::HashAlgorithm::Sha2_384 => "sha384",
        wire::HashAlgorithm::Sha2_512 => "sha512",
        _ => return Err(Check::LogEntry.failed("the digest's algorithm is none of its kind")),
    };
    same(data.hash.is(algorithm, hash.digest.as_slice()), "artifact")?;
    same(signature.content == message.signature, "signature")?;
    return Ok(signature.public_key.content);

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Spec {
        data: Data,
        signature: Signature,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Data {
        hash: Hash,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Signature {
        content: Base64,
        public_key: Pem,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pem {
        content: Base64,
    }
}

/// Kind `dsse` 0.0.1; gives the PEM of the signer.
///
/// The envelope's hash is of the JSON text that was sent, which no bundle keeps: what that text
/// held is compared instead.
fn dsse(body: &[u8], envelope: &DsseEnvelope) -> Result<Base64, VerifyError> {
    let spec: Spec = spec_of(body)?;
    check_hashes(&spec.envelope_hash, &spec.payload_hash, envelope)?;
    let [logged] = <[Signature; 1]>::try_from(spec.signatures).map_err(|_| not_one())?;
    same(Some(&logged.signature) == signature_of(envelope), "signature")?;
    return Ok(logged.verifier);

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Spec {
        envelope_hash: Hash,
        payload_hash: Hash,
        signatures: Vec<Signature>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Signature {
        signature: Base64,
        verifier: Base64,
    }
}

/// Kind `intoto` 0.0.2, which holds signatures as base64 of base64; gives the PEM of the signer.
fn intoto(body: &[u8], envelope: &DsseEnvelope) -> Result<Base64, VerifyError> {
    let Spec { content }: Spec = spec_of(body)?;
    check_hashes(&content.hash, &content.payload_hash, envelope)?;
    same(content.envelope.payload_type == envelope.payload_type, "payload type")?;
    let [logged] = <[Signature; 1]>::try_from(content.envelope.signatures).map_err(|_| not_one())?;
    let inner = std::str::from_utf8(logged.sig.as_slice()).failing(Check::LogEntry)?;
    let signature = Base64::decode(inner).failing(Check::LogEntry)?;
    same(Some(&signature) == signature_of(envelope), "signature")?;
    let keyid = envelope.signatures.first().map_or("", |one| one.keyid.as_str());
    same(logged.keyid.is_empty() || keyid.is_empty() || logged.keyid == keyid, "key id")?;
    return Ok(logged.public_key);

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Spec {
        content: Content,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Content {
        envelope: Envelope,
        hash: Hash,
        payload_hash: Hash,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Envelope {
        payload_type: String,
        signatures: Vec<Signature>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Signature {
        #[serde(default)]
        keyid: String,
        public_key: Base64,
        sig: Base64,
    }
}

/// A digest as v1 bodies hold it, hex in whatever case it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hash {
    algorithm: String,
    value: String,
}

impl Hash {
    fn is(&self, algorithm: &str, digest: &[u8]) -> bool {
        self.algorithm == algorithm && self.value.eq_ignore_ascii_case(&hex::encode(digest))
    }
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

/// The `spec` of a body; kind and version were compared by [`crate::log`].
fn spec_of<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, VerifyError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Body<T> {
        #[serde(rename = "apiVersion")]
        _api_version: String,
        #[serde(rename = "kind")]
        _kind: String,
        spec: T,
    }
    let body: Body<T> = serde_json::from_slice(body).failing(Check::LogEntry)?;
    Ok(body.spec)
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
        Some(leaf) => x509::from_pem(pem).failing(Check::LogEntry)?.first().is_some_and(|first| first == leaf),
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
