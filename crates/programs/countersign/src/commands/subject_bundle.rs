use std::path::{Path, PathBuf};

use verify::{
    Artifact, Check, Conditions, ExpectedSigner, MAX_BUNDLE_LEN, UnverifiedBundle, Verified,
    needs_artifact_bytes, verify,
};

use crate::{Failure, files, subjects::Subject};

/// Reads the bundle of `subject`: the one that was named, or the one beside it.
pub(super) fn bundle_of(
    subject: &Subject,
    named: Option<&Path>,
) -> Result<UnverifiedBundle, Failure> {
    read_bundle(&path_of(subject, named)?)
}

/// The text of the bundle of `subject`.
pub(super) fn bundle_json(subject: &Subject, named: Option<&Path>) -> Result<Vec<u8>, Failure> {
    read_json(&path_of(subject, named)?)
}

/// Reads a bundle.
pub(super) fn read_bundle(path: &Path) -> Result<UnverifiedBundle, Failure> {
    parse_bundle(&path.display().to_string(), &read_json(path)?)
}

/// Reads what `name` holds.
pub(super) fn parse_bundle(name: &str, json: &[u8]) -> Result<UnverifiedBundle, Failure> {
    UnverifiedBundle::parse(json).map_err(|error| Failure::check(name, &error))
}

fn read_json(path: &Path) -> Result<Vec<u8>, Failure> {
    // A bundle that is too long is a bad bundle, not a bad command.
    files::read_beginning(path, MAX_BUNDLE_LEN, "bundle")
}

fn path_of(subject: &Subject, named: Option<&Path>) -> Result<PathBuf, Failure> {
    match (named, subject.bundle_path()) {
        (Some(named), _) => Ok(named.to_owned()),
        (None, Some(beside)) if beside.exists() => Ok(beside),
        (None, Some(beside)) => Err(Failure::unsigned(&subject.name, &beside)),
        (None, None) => {
            let message = format!("`{}` is no file with a bundle beside it", subject.name);
            Err(Failure::usage(message).advise("give --bundle"))
        }
    }
}

/// Verifies a bundle for a subject; reads the subject's file only where its digest is not enough.
pub(super) fn verify_subject(
    bundle: &UnverifiedBundle,
    subject: &Subject,
    expected: &ExpectedSigner<'_>,
    conditions: &Conditions<'_>,
) -> Result<Verified, Failure> {
    let bytes = match &subject.path {
        Some(path) if needs_artifact_bytes(bundle, expected) => Some(subject.read(path)?),
        _ => None,
    };
    let artifact = match &bytes {
        Some(bytes) => Artifact::from_bytes(bytes),
        None => subject.artifact(),
    };
    verify(bundle, &artifact, expected, conditions).map_err(|error| {
        let failure = Failure::check(&subject.name, &error);
        if error.check == Check::Signature && artifact.begins_like_pae() {
            failure.advise(
                "only an archive that holds such a file, or an attestation, can speak of it",
            )
        } else {
            failure
        }
    })
}
