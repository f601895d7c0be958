//! hashedrekord 0.0.1: a signature over a digest. What a client's "sign a file" becomes.

use crypto::HashAlgorithm;
use serde::Deserialize;
use serde_json::value::RawValue;
use wire::Base64;

use super::{
    entry_of,
    proposed::{Hash, Text, parse_part, required, required_bytes},
    verifier::Verifier,
};
use crate::{Budget, EntryError, VerifiedEntry, index_key};

pub(super) const KIND: &str = "hashedrekord";

pub(super) const VERSION: &str = "0.0.1";

/// Longest signature in bytes: RSA-4096 takes 512.
pub(super) const MAX_SIGNATURE_LEN: usize = 1024;

#[derive(Deserialize)]
struct Spec<'a> {
    #[serde(borrow)]
    signature: Option<Signature<'a>>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    public_key: Option<Key<'a>>,
}

#[derive(Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    hash: Option<Hash<'a>>,
}

/// Verifies the signature over the digest; Ed25519 keys as Ed25519ph.
pub(super) fn verify(spec: &RawValue, budget: &mut Budget) -> Result<VerifiedEntry, EntryError> {
    let spec: Spec<'_> = parse_part(spec)?;
    let signature = spec.signature.ok_or(EntryError::Missing("spec.signature"))?;
    let key = signature.public_key.ok_or(EntryError::Missing("spec.signature.publicKey"))?;
    let hash = spec.data.and_then(|data| data.hash).ok_or(EntryError::Missing("spec.data.hash"))?;
    let signature = required_bytes(signature.content, "spec.signature.content")?;
    if signature.len() > MAX_SIGNATURE_LEN {
        return Err(EntryError::TooLong { what: "signature", limit: MAX_SIGNATURE_LEN });
    }
    let key = required_bytes(key.content, "spec.signature.publicKey.content")?;
    let name = required(hash.algorithm, "spec.data.hash.algorithm")?;
    let value = required(hash.value, "spec.data.hash.value")?;

    let algorithm = hash_of_name(&name)?;
    let digest = digest_of_hex(algorithm, &value)?;
    let verifier = Verifier::from_pem(&key, budget)?;
    verifier.verify_digest((algorithm, &digest), &signature, budget)?;
    let keys = [index_key::of_digest(&digest)].into_iter().chain(verifier.index_keys());
    entry_of(KIND, VERSION, body(&name, &value, &signature, &verifier), keys, &[&verifier])
}

/// The hash value keeps the case of its digits, as upstream has it.
fn body(algorithm: &str, value: &str, signature: &[u8], verifier: &Verifier) -> String {
    format!(
        concat!(
            r#"{{"apiVersion":"{version}","kind":"{kind}","spec":{{"#,
            r#""data":{{"hash":{{"algorithm":"{algorithm}","value":"{value}"}}}},"#,
            r#""signature":{{"content":"{signature}","publicKey":{{"content":"{key}"}}}}}}}}"#
        ),
        version = VERSION,
        kind = KIND,
        algorithm = algorithm,
        value = value,
        signature = Base64::from(signature),
        key = verifier.pem_base64(),
    )
}

fn hash_of_name(name: &str) -> Result<HashAlgorithm, EntryError> {
    match name {
        "sha256" => Ok(HashAlgorithm::Sha256),
        "sha384" => Ok(HashAlgorithm::Sha384),
        "sha512" => Ok(HashAlgorithm::Sha512),
        other => Err(EntryError::unsupported_hash(other)),
    }
}

fn digest_of_hex(algorithm: HashAlgorithm, value: &str) -> Result<Vec<u8>, EntryError> {
    let digits = algorithm.output_len() * 2;
    hex::decode(value)
        .ok()
        .filter(|digest| digest.len() == algorithm.output_len())
        .ok_or(EntryError::HashValue { digits })
}
