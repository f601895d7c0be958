use std::path::Path;

use verify::{
    Artifact, Authority, Check, Conditions, MAX_BUNDLE_LEN, UnverifiedBundle, Verified,
    needs_artifact_bytes, verify,
};

use crate::{Failure, files, subjects::Subject};

/// Reads the bundle of `subject`: the one that was named, or the one beside it.
pub(super) fn bundle_of(
    subject: &Subject,
    named: Option<&Path>,
) -> Result<UnverifiedBundle, Failure> {
    let beside = subject.bundle_path();
    let path = match (named, &beside) {
        (Some(named), _) => named,
        (None, Some(beside)) if beside.exists() => beside,
        (None, Some(beside)) => return Err(Failure::unsigned(&subject.name, beside)),
        (None, None) => {
            let message = format!("`{}` is no file with a bundle beside it", subject.name);
            return Err(Failure::usage(message).advise("give --bundle"));
        }
    };
    read_bundle(path)
}

/// Reads a bundle.
pub(super) fn read_bundle(path: &Path) -> Result<UnverifiedBundle, Failure> {
    // A bundle that is too long is a bad bundle, not a bad command.
    let json = files::read_beginning(path, MAX_BUNDLE_LEN, "bundle")?;
    UnverifiedBundle::parse(&json)
        .map_err(|error| Failure::check(&path.display().to_string(), &error))
}

/// Verifies a bundle for a subject; reads the subject's file only where its digest is not enough.
pub(super) fn verify_subject(
    bundle: &UnverifiedBundle,
    subject: &Subject,
    authority: &Authority<'_>,
    conditions: &Conditions<'_>,
) -> Result<Verified, Failure> {
    let bytes = match &subject.path {
        Some(path) if needs_artifact_bytes(bundle, authority) => Some(subject.read(path)?),
        _ => None,
    };
    let artifact = match &bytes {
        Some(bytes) => Artifact::from_bytes(bytes),
        None => Artifact::from_sha256(subject.sha256).with_beginning(&subject.beginning),
    };
    verify(bundle, &artifact, authority, conditions).map_err(|error| {
        let failure = Failure::check(&subject.name, &error);
        if error.check == Check::Signature && artifact.begins_like_pae() {
            failure.advise(
                "only an archive that holds such a file, or an attestation, can vouch for it",
            )
        } else {
            failure
        }
    })
}
