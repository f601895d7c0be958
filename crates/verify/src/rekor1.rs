//! Bodies of Rekor v1 entries, compared with the bundle that they vouch for.
//!
//! Their bytes are covered by promise and proof. What is left to show is that they are about this
//! artifact, signature and signer: so a body holds nothing but what is compared here.

mod body;

use crypto::{HashAlgorithm, PublicKey};
use wire::{
    Base64,
    bundle::{BundleContent, DsseEnvelope, MessageSignature, TransparencyLogEntry},
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

/// Kind `intoto` 0.0.2, which holds signatures as base64 of base64; gives the PEM of the signer.
fn intoto(body: &[u8], envelope: &DsseEnvelope) -> Result<Base64, VerifyError> {
    let Intoto { content } = spec_of(body)?;
    check_hashes(&content.hash, &content.payload_hash, envelope)?;
    same(content.envelope.payload_type == envelope.payload_type, "payload type")?;
    let [logged] =
        <[IntotoSignature; 1]>::try_from(content.envelope.signatures).map_err(|_| not_one())?;
    let inner = std::str::from_utf8(logged.sig.as_slice()).failing(Check::LogEntry)?;
    let signature = Base64::decode(inner).failing(Check::LogEntry)?;
    same(Some(&signature) == signature_of(envelope), "signature")?;
    let keyid = envelope.signatures.first().map_or("", |one| one.keyid.as_str());
    same(logged.keyid.is_empty() || keyid.is_empty() || logged.keyid == keyid, "key id")?;
    Ok(logged.public_key)
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
