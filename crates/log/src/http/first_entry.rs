use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer};
use serde_json::json;
use thiserror::Error;

use super::new_entry;
use crate::{Log, SubmitError};

/// Gives an empty Rekor v2 log its first entry, so that no client's entry has index 0.
///
/// Go clients (cosign, sigstore-go) leave members out of their bundles that are zero or empty: an entry at index
/// 0 of a tree of size 1 has neither `logIndex` nor `hashes` then, and sigstore-python and others refuse
/// the bundle. The entry is a hashedrekord over the log's origin by a key that nobody keeps. It says true if it made one.
///
/// # Errors
/// [`FirstEntryError`]; nothing is lost, the next start tries again.
pub async fn ensure_first_entry(log: &Log) -> Result<bool, FirstEntryError> {
    if log.checkpoint().head.size > 0 {
        return Ok(false);
    }
    let origin = log.record().spec.origin.as_bytes();
    let key = LocalSigner::generate(KeyType::EcdsaP256, "first entry")
        .map_err(|_| FirstEntryError::Key)?;
    let signature = key.sign(origin).await.map_err(|_| FirstEntryError::Key)?;
    let request = json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(crypto::sha256(origin)),
        "signature": {
            "content": STANDARD.encode(signature),
            "verifier": {
                "publicKey": {"rawBytes": STANDARD.encode(key.public_key().spki_der())},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    }});
    let options = entry::rekor2::Options { legacy_dsse: false };
    let verified = entry::rekor2::verify_request(request.to_string().as_bytes(), &options)?;
    log.submit(new_entry(verified)).await?;
    Ok(true)
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
