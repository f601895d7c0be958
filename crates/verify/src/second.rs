//! The second verifier: `sigstore-verify`, another team's code over the same bytes.
//!
//! Its releases break often; nothing of it is seen outside this file.

use crypto::{HashAlgorithm, KeyType, PublicKey};
use sigstore_verify::{
    Error, PublicKeyVerificationPolicy, TransparencyLogError, VerificationPolicy, Verifier,
    trust_root::TrustedRoot,
    types::{
        self, ArtifactDigest, Bundle, DerPublicKey,
        HashAlgorithm::{Sha2256, Sha2512},
    },
};
use wire::bundle::BundleContent;

use crate::{
    Artifact, Check, Trust, UnverifiedBundle, VerifyError, bundle::is_rekor_v2, check::Failing,
};

/// Checks the bundle once more; `certificate` tells whether the signer is one or a bare key.
///
/// Left out where that verifier is known to lack an algorithm ([`can`]); what it would compare is
/// compared by [`crate::log`] in any case.
pub(crate) fn check(
    bundle: &UnverifiedBundle,
    artifact: &Artifact<'_>,
    key: &PublicKey,
    certificate: bool,
    trust: &Trust,
) -> Result<bool, VerifyError> {
    if !can(bundle, key) {
        return Ok(false);
    }
    let root = serde_json::to_string(trust.root()).failing(Check::SecondVerifier)?;
    let root = TrustedRoot::from_json(&root).failing(Check::SecondVerifier)?;
    let verifier = Verifier::new(&root).failing(Check::SecondVerifier)?;
    let parsed = Bundle::from_json(bundle.json()).failing(Check::SecondVerifier)?;
    let artifact = their_artifact(artifact)?;
    let verified = if certificate {
        verifier.verify(artifact, &parsed, &VerificationPolicy::any_identity())
    } else {
        let key = DerPublicKey::new(key.spki_der().to_vec());
        let policy = PublicKeyVerificationPolicy::new(key);
        let unlogged = bundle.log_entry().is_none();
        let policy = if unlogged { policy.skip_tlog_unsafe() } else { policy };
        verifier.verify(artifact, &parsed, &policy)
    };
    verified.map(|_| true).map_err(|error| {
        let check = check_of(&error);
        check.failed(error)
    })
}

/// Whether that verifier knows key and digest: of Rekor v2 entries ECDSA P-256 alone, of v1 all but
/// P-521, with SHA-256 alone where the entry is of an artifact.
fn can(bundle: &UnverifiedBundle, key: &PublicKey) -> bool {
    if bundle.log_entry().is_none_or(is_rekor_v2) {
        return key.key_type() == KeyType::EcdsaP256;
    }
    let sha256 = match &bundle.as_wire().content {
        BundleContent::MessageSignature(message) => message
            .message_digest
            .as_ref()
            .is_some_and(|digest| digest.algorithm == wire::HashAlgorithm::Sha2_256),
        BundleContent::DsseEnvelope(_) => true,
    };
    sha256 && key.key_type() != KeyType::EcdsaP521
}

fn their_artifact<'a>(artifact: &Artifact<'a>) -> Result<types::Artifact<'a>, VerifyError> {
    if let Some(bytes) = artifact.bytes() {
        return Ok(types::Artifact::from_blob(bytes));
    }
    let known = [(HashAlgorithm::Sha256, Sha2256), (HashAlgorithm::Sha512, Sha2512)];
    let digest = known.into_iter().find_map(|(ours, theirs)| {
        let digest = artifact.digest(ours)?;
        ArtifactDigest::new(theirs, digest).ok()
    });
    Ok(types::Artifact::from_digest(digest.failing(Check::Digest)?))
}

/// The check of ours that an error of theirs belongs to.
fn check_of(error: &Error) -> Check {
    match error {
        Error::SignatureInvalid(_) => Check::Signature,
        Error::ArtifactMismatch(_) => Check::Digest,
        Error::Certificate(_) => Check::Certificate,
        Error::Timestamp(_) => Check::Timestamp,
        Error::TransparencyLog(TransparencyLogError::InclusionProof(_)) => Check::InclusionProof,
        Error::TransparencyLog(TransparencyLogError::InclusionPromise(_)) => {
            Check::InclusionPromise
        }
        Error::TransparencyLog(TransparencyLogError::Checkpoint(_)) => Check::Checkpoint,
        Error::TransparencyLog(_) => Check::LogEntry,
        Error::InvalidBundle(_) | Error::Bundle(_) | Error::Types(_) => Check::Format,
        _ => Check::SecondVerifier,
    }
}
