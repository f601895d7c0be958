use crypto::{HashAlgorithm, PublicKey, Unsigned as _};
use provenance::{Statement, UnsignedEnvelope};
use verify::Artifact;
use wire::bundle::{BundleContent, HashOutput, MessageSignature};

use super::{Payload, SigningError};

/// A payload on its way to be signed: shows the exact bytes, takes only its signer's signature.
pub(super) enum Unsigned<'a> {
    Artifact(&'a [u8]),
    Envelope(UnsignedEnvelope),
}

impl<'a> Unsigned<'a> {
    pub(super) fn new(payload: Payload<'a>) -> Result<Self, SigningError> {
        Ok(match payload {
            Payload::Artifact(bytes) => Self::Artifact(bytes),
            Payload::Statement(statement) => Self::Envelope(UnsignedEnvelope::new(statement)?),
            Payload::Given(given) => Self::Envelope(UnsignedEnvelope::of_given(given)),
        })
    }

    pub(super) fn bytes_to_sign(&self) -> &[u8] {
        match self {
            Self::Artifact(bytes) => bytes,
            Self::Envelope(envelope) => envelope.bytes_to_sign(),
        }
    }

    /// The bundle's content, once `signature` is verified with `key`.
    pub(super) fn with_signature(
        self,
        signature: &[u8],
        key: &PublicKey,
    ) -> Result<BundleContent, SigningError> {
        match self {
            Self::Artifact(bytes) => {
                key.verify(bytes, signature)?;
                Ok(BundleContent::MessageSignature(MessageSignature {
                    message_digest: Some(message_digest(bytes, key)),
                    signature: signature.to_vec().into(),
                }))
            }
            Self::Envelope(envelope) => {
                Ok(BundleContent::DsseEnvelope(envelope.with_signature(signature, key)?))
            }
        }
    }
}

/// The digest by the hash of the key's signatures, which lets verifiers do with it alone;
/// SHA-256 for Ed25519, which hashes by itself.
fn message_digest(bytes: &[u8], key: &PublicKey) -> HashOutput {
    let hash = key.default_algorithm().hash().unwrap_or(HashAlgorithm::Sha256);
    let algorithm = match hash {
        HashAlgorithm::Sha256 => wire::HashAlgorithm::Sha2_256,
        HashAlgorithm::Sha384 => wire::HashAlgorithm::Sha2_384,
        HashAlgorithm::Sha512 => wire::HashAlgorithm::Sha2_512,
    };
    HashOutput { algorithm, digest: crypto::digest(hash, bytes).into() }
}

/// What the finished bundle must be about: of a statement, the first subject that has a digest.
pub(super) fn artifact_of(payload: Payload<'_>) -> Result<Artifact<'_>, SigningError> {
    let statement = match payload {
        Payload::Artifact(bytes) => return Ok(Artifact::from_bytes(bytes)),
        Payload::Statement(statement) => statement,
        Payload::Given(given) => given.statement(),
    };
    first_subject(statement).ok_or(SigningError::SubjectDigest)
}

fn first_subject(statement: &Statement) -> Option<Artifact<'static>> {
    statement.subject().iter().find_map(|subject| {
        let digest = |name: &str| hex::decode(subject.digest.get(name)?).ok();
        let sha256 = digest("sha256").and_then(|digest| digest.try_into().ok());
        let sha512 = digest("sha512").and_then(|digest| digest.try_into().ok());
        sha256.map(Artifact::from_sha256).or_else(|| sha512.map(Artifact::from_sha512))
    })
}
