use crypto::{HashAlgorithm, KeyType, PublicKey, SignatureAlgorithm};
use provenance::Statement;
use wire::{
    bundle::{BundleContent, HashOutput, MessageSignature},
    dsse::{DsseEnvelope, IN_TOTO_PAYLOAD_TYPE, pae},
};

use crate::{Artifact, Cause, Check, UnverifiedBundle, VerifyError, check::Failing};

/// What was signed, once the signature is verified.
pub(crate) struct Signed {
    /// The statement of an attestation; none for a signature over the artifact itself.
    pub(crate) statement: Option<Statement>,
    /// Digest of what is signed, by the hash that Rekor v2 prescribes for the key.
    pub(crate) digest: Vec<u8>,
}

/// Checks that the bundle is about `artifact` and signed by `key`.
pub(crate) fn check(
    bundle: &UnverifiedBundle,
    artifact: &Artifact<'_>,
    key: &PublicKey,
    passed: &mut Vec<Check>,
) -> Result<Signed, VerifyError> {
    let logged = !bundle.log_entries().is_empty();
    match &bundle.bundle.content {
        BundleContent::MessageSignature(message) => {
            check_message(message, artifact, key, logged, passed)
        }
        BundleContent::DsseEnvelope(envelope) => {
            check_key_id(envelope, bundle.key_hint())?;
            check_envelope(envelope, artifact, key, passed)
        }
    }
}

/// The algorithm by which `key` signed a message whose declared digest is by `declared`.
pub(crate) fn message_algorithm(
    key: &PublicKey,
    declared: wire::HashAlgorithm,
    logged: bool,
) -> Option<SignatureAlgorithm> {
    use wire::HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};
    match (key.key_type(), declared) {
        (KeyType::EcdsaP384, Sha2_256) => Some(SignatureAlgorithm::EcdsaP384Sha256),
        (KeyType::EcdsaP521, Sha2_256) => Some(SignatureAlgorithm::EcdsaP521Sha256),
        (KeyType::EcdsaP384, Sha2_384)
        | (KeyType::EcdsaP521, Sha2_512)
        | (KeyType::EcdsaP256 | KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096, Sha2_256) => {
            Some(key.default_algorithm())
        }
        // A log has only the digest to verify by, and so takes only Ed25519ph.
        (KeyType::Ed25519, Sha2_512) if logged => Some(SignatureAlgorithm::Ed25519ph),
        (KeyType::Ed25519, Sha2_256 | Sha2_512) if !logged => Some(SignatureAlgorithm::Ed25519),
        _ => None,
    }
}

fn check_message(
    message: &MessageSignature,
    artifact: &Artifact<'_>,
    key: &PublicKey,
    logged: bool,
    passed: &mut Vec<Check>,
) -> Result<Signed, VerifyError> {
    refuse_encoding(artifact)?;
    let Some(declared) = &message.message_digest else {
        return Err(Check::Digest.failed("the bundle declares none"));
    };
    let digest = check_digest(declared, artifact)?;
    passed.push(Check::Digest);
    let algorithm = message_algorithm(key, declared.algorithm, logged).ok_or_else(|| {
        let reason = "its algorithm does not fit the signer's key";
        Check::Digest.failed_by(Cause::Unsupported, reason)
    })?;
    let signature = message.signature.as_slice();
    if algorithm == SignatureAlgorithm::Ed25519 {
        let bytes = artifact.bytes().ok_or_else(|| {
            let reason = "Ed25519 signs whole artifacts: a digest is not enough";
            Check::Signature.failed_by(Cause::NeedsArtifact, reason)
        })?;
        key.verify_with(algorithm, bytes, signature).failing(Check::Signature)?;
    } else {
        key.verify_digest(algorithm, &digest, signature).failing(Check::Signature)?;
    }
    passed.push(Check::Signature);
    Ok(Signed { statement: None, digest })
}

/// Refuses a file that is what a signature on an attestation is over: whoever signed an attestation
/// would be said to have signed this file.
fn refuse_encoding(artifact: &Artifact<'_>) -> Result<(), VerifyError> {
    if artifact.begins_like_pae() {
        return Err(Check::Signature.failed_by(
            Cause::OtherKind,
            "the file begins like a DSSE pre-authentication encoding (`DSSEv1 `), so the signature \
             may be an attestation's",
        ));
    }
    Ok(())
}

/// Checks the declared digest against the artifact, and gives it.
fn check_digest(declared: &HashOutput, artifact: &Artifact<'_>) -> Result<Vec<u8>, VerifyError> {
    let algorithm = match declared.algorithm {
        wire::HashAlgorithm::Sha2_256 => HashAlgorithm::Sha256,
        wire::HashAlgorithm::Sha2_384 => HashAlgorithm::Sha384,
        wire::HashAlgorithm::Sha2_512 => HashAlgorithm::Sha512,
        other => {
            let reason = format!("algorithm {} is not supported", other.name());
            return Err(Check::Digest.failed_by(Cause::Unsupported, reason));
        }
    };
    let digest = artifact.digest(algorithm).ok_or_else(|| {
        let reason = "the bundle needs another digest than SHA-256";
        Check::Digest.failed_by(Cause::NeedsArtifact, reason)
    })?;
    if declared.digest.as_slice() == digest {
        Ok(digest)
    } else {
        Err(Check::Digest.failed_by(Cause::OtherArtifact, "the bundle is of another artifact"))
    }
}

fn check_envelope(
    envelope: &DsseEnvelope,
    artifact: &Artifact<'_>,
    key: &PublicKey,
    passed: &mut Vec<Check>,
) -> Result<Signed, VerifyError> {
    if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE {
        let reason = format!("payload type `{}` is not in-toto's", envelope.payload_type);
        return Err(Check::Statement.failed_by(Cause::Unsupported, reason));
    }
    let pae = pae(&envelope.payload_type, envelope.payload.as_slice());
    let signature = envelope.signatures.first().map_or(&[][..], |one| one.sig.as_slice());
    key.verify(&pae, signature).failing(Check::Signature)?;
    passed.push(Check::Signature);
    // Signed as it is, so nothing was changed: it is not one that this program takes.
    let statement = Statement::parse(envelope.payload.as_slice())
        .failing_by(Check::Statement, Cause::Unsupported)?;
    passed.push(Check::Statement);
    if !states(&statement, artifact) {
        let reason = "no subject of the statement is this artifact";
        return Err(Check::Digest.failed_by(Cause::OtherArtifact, reason));
    }
    passed.push(Check::Digest);
    let hash = entry::rekor2::KeyDetails::of(key.key_type()).hash();
    Ok(Signed { statement: Some(statement), digest: crypto::digest(hash, &pae) })
}

/// Whether a subject is the artifact: by SHA-256 or, as npm states it, by SHA-512, and by neither
/// another one, as far as the artifact is at hand.
#[must_use]
pub fn states(statement: &Statement, artifact: &Artifact<'_>) -> bool {
    let known = [("sha256", HashAlgorithm::Sha256), ("sha512", HashAlgorithm::Sha512)];
    let states =
        |name: &str| statement.subject().iter().any(|subject| subject.digest.contains_key(name));
    // Hashed once, and only by what is stated: there are thousands of subjects.
    let digests: Vec<(&str, String)> = known
        .into_iter()
        .filter(|(name, _)| states(name))
        .filter_map(|(name, algorithm)| Some((name, hex::encode(artifact.digest(algorithm)?))))
        .collect();
    statement.subject().iter().any(|subject| {
        let verdicts: Vec<bool> = digests
            .iter()
            .filter_map(|(name, digest)| Some(subject.digest.get(*name)? == digest))
            .collect();
        !verdicts.is_empty() && verdicts.into_iter().all(|agrees| agrees)
    })
}

/// A key id is signed by nobody, so it may only repeat what the bundle says of its key.
fn check_key_id(envelope: &DsseEnvelope, hint: Option<&str>) -> Result<(), VerifyError> {
    let foreign = |id: &str| !id.is_empty() && Some(id) != hint;
    if envelope.signatures.iter().any(|one| foreign(&one.keyid)) {
        return Err(
            Check::PublicKey.failed("the envelope's keyid names another key than the bundle")
        );
    }
    Ok(())
}
