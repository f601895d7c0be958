use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use engine::{Log, SubmitError};
use entry::{rekor1, rekor2};
use serde_json::{Value, json};
use store::LogKind;
use thiserror::Error;

use super::new_entry;

/// Gives an empty Rekor log its first entry, so that no client's entry has index 0.
///
/// Go clients (cosign, sigstore-go) leave members out of their bundles that are zero or empty: an entry at index
/// 0 of a tree of size 1 has neither `logIndex` nor `hashes` then, and sigstore-python and others refuse
/// the bundle. The entry is a hashedrekord over the log's origin by a key that nobody keeps. It says true if it
/// made one; a CT log needs none.
///
/// # Errors
/// [`FirstEntryError`]; nothing is lost, the next start tries again.
pub async fn ensure_first_entry(log: &Log) -> Result<bool, FirstEntryError> {
    let kind = log.record().spec.kind;
    if log.checkpoint().head.size.0 > 0 {
        return Ok(false);
    }
    let origin = log.record().spec.origin.as_bytes();
    let key = LocalSigner::generate(KeyType::EcdsaP256, "first entry")
        .map_err(|_| FirstEntryError::Key)?;
    let signature = key.sign_now(origin).map_err(|_| FirstEntryError::Key)?;
    let verified = match kind {
        LogKind::Rekor1 => {
            let request = proposed(origin, &signature, key.public_key());
            rekor1::verify_proposed(request.to_string().as_bytes(), &rekor1::Options::default())?
        }
        LogKind::Rekor2 => {
            let request = request(origin, &signature, key.public_key());
            let options = rekor2::Options { legacy_dsse: false };
            rekor2::verify_request(request.to_string().as_bytes(), &options)?
        }
        LogKind::Ct => return Ok(false),
    };
    log.submit(new_entry(verified)).await?;
    Ok(true)
}

/// As Rekor v1 is asked.
fn proposed(artifact: &[u8], signature: &[u8], key: &PublicKey) -> Value {
    let digest = hex::encode(crypto::sha256(artifact));
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": digest}},
        "signature": {
            "content": STANDARD.encode(signature),
            "publicKey": {"content": STANDARD.encode(key.to_pem())},
        },
    }})
}

/// As Rekor v2 is asked.
fn request(artifact: &[u8], signature: &[u8], key: &PublicKey) -> Value {
    json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(crypto::sha256(artifact)),
        "signature": {
            "content": STANDARD.encode(signature),
            "verifier": {
                "publicKey": {"rawBytes": STANDARD.encode(key.spki_der())},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    }})
}

/// Why an empty log got no first entry.
#[derive(Debug, Error)]
pub enum FirstEntryError {
    /// No key could be made.
    #[error("no key for the first entry of the log")]
    Key,
    /// The entry was refused.
    #[error("the first entry of the log was refused")]
    Entry(#[from] entry::EntryError),
    /// The log did not take it.
    #[error("the log did not take its first entry")]
    Submit(#[from] SubmitError),
}
