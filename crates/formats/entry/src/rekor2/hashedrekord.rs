use crypto::HashAlgorithm;
use wire::{Base64, rekor2::HashedRekordRequest};

use super::Verifier;
use crate::{Budget, EntryError, VerifiedEntry, index_key};

/// Kind of every entry of a Rekor v2 log.
pub const KIND: &str = "hashedrekord";

/// Version of every entry of a Rekor v2 log.
pub const VERSION: &str = "0.0.2";

/// Longest signature in bytes: RSA-4096 takes 512.
const MAX_SIGNATURE_LEN: usize = 1024;

/// Verifies a request's signature over its digest.
pub(super) fn verify(
    request: &HashedRekordRequest,
    budget: &mut Budget,
) -> Result<VerifiedEntry, EntryError> {
    let signature = request.signature.as_ref().ok_or(EntryError::Missing("signature"))?;
    let verifier = signature.verifier.as_ref().ok_or(EntryError::Missing("signature.verifier"))?;
    if request.digest.is_empty() {
        return Err(EntryError::Missing("digest"));
    }
    check_signature_len(&signature.content)?;
    let verifier = Verifier::from_wire(verifier)?;
    let (digest, signature) = (request.digest.as_slice(), signature.content.as_slice());
    verifier.verify(digest, signature, budget)?;
    Ok(of_verified(digest, signature, &verifier))
}

/// A signature is there, and not longer than any algorithm gives.
pub(super) fn check_signature_len(signature: &Base64) -> Result<(), EntryError> {
    match signature.0.len() {
        0 => Err(EntryError::Missing("signature.content")),
        1..=MAX_SIGNATURE_LEN => Ok(()),
        _ => Err(EntryError::TooLong { what: "signature", limit: MAX_SIGNATURE_LEN }),
    }
}

/// The entry of a signature that `verifier` has verified.
pub(super) fn of_verified(digest: &[u8], signature: &[u8], verifier: &Verifier) -> VerifiedEntry {
    let mut index_keys = vec![index_key::of_digest(digest)];
    index_keys.extend(verifier.index_keys());
    let signers = vec![verifier.signer()];
    let body = canonical_body(digest, signature, verifier);
    VerifiedEntry::new(KIND, VERSION, body, (index_keys, signers))
}

/// The canonical body of a hashedrekord 0.0.2, for logging it and for rebuilding its leaf.
///
/// RFC 8785 (JCS) of a value whose members are all ASCII without escapes: members
/// sorted by name, no white space. One other byte, and no verifier finds the leaf.
#[must_use]
pub fn canonical_body(digest: &[u8], signature: &[u8], verifier: &Verifier) -> Vec<u8> {
    let algorithm = match verifier.key_details().hash() {
        HashAlgorithm::Sha256 => wire::HashAlgorithm::Sha2_256,
        HashAlgorithm::Sha384 => wire::HashAlgorithm::Sha2_384,
        HashAlgorithm::Sha512 => wire::HashAlgorithm::Sha2_512,
    };
    format!(
        concat!(
            r#"{{"apiVersion":"{version}","kind":"{kind}","spec":{{"hashedRekordV002":{{"#,
            r#""data":{{"algorithm":"{algorithm}","digest":"{digest}"}},"#,
            r#""signature":{{"content":"{signature}","verifier":{{"#,
            r#""keyDetails":"{key_details}","{member}":{{"rawBytes":"{der}"}}}}}}}}}}}}"#
        ),
        version = VERSION,
        kind = KIND,
        algorithm = algorithm.name(),
        digest = Base64::from(digest),
        signature = Base64::from(signature),
        key_details = verifier.key_details().name(),
        member = verifier.member_name(),
        der = Base64::from(verifier.der()),
    )
    .into_bytes()
}
