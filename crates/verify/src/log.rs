use entry::rekor2;
use tlog::{Hash, SignedNote};
use wire::bundle::{InclusionProof, TransparencyLogEntry};

use crate::{
    Check, SigningTime, TimeSource, Trust, UnverifiedBundle, VerifyError, bundle::is_rekor_v2,
    check::Failing, promise, rekor1, trust::TrustedLog,
};

/// Longest inclusion path: a tree of 2^64 leaves.
const MAX_PATH_LEN: usize = 64;

/// Where a log showed the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedAt {
    /// Origin line of the checkpoint, or the log's host where there is none (bundle 0.1).
    pub origin: String,
    /// 0-based; of all shards together in Rekor v1.
    pub index: u64,
    /// Size of the tree that the checkpoint is of; none where there is no checkpoint.
    pub tree_size: Option<u64>,
}

/// What a log entry must be about.
pub(crate) struct Logged<'a> {
    pub(crate) bundle: &'a UnverifiedBundle,
    /// Key or certificate.
    pub(crate) verifier: &'a rekor2::Verifier,
    /// Digest of what is signed, by the hash that Rekor v2 prescribes for the key.
    pub(crate) digest: &'a [u8],
}

/// Checks an entry against the logs of `trust`.
pub(crate) fn check_entry(
    entry: &TransparencyLogEntry,
    logged: &Logged<'_>,
    trust: &Trust,
    passed: &mut Vec<Check>,
) -> Result<LoggedAt, VerifyError> {
    let log = trusted_log(entry, trust)?;
    let index = u64::try_from(entry.log_index).failing(Check::LogEntry)?;
    check_body(entry, logged)?;
    passed.push(Check::LogEntry);
    if entry.inclusion_promise.is_some() {
        promise::check(entry, log)?;
        passed.push(Check::InclusionPromise);
    }
    let Some(proof) = &entry.inclusion_proof else {
        return Ok(LoggedAt { origin: log.host.clone(), index, tree_size: None });
    };
    let leaf = tlog::leaf_hash(entry.canonicalized_body.as_slice());
    let checkpoint = check_checkpoint(proof, log, is_rekor_v2(entry))?;
    passed.push(Check::Checkpoint);
    if head_of(proof)? != checkpoint.head {
        return Err(Check::InclusionProof.failed("size or root is not the checkpoint's"));
    }
    if is_rekor_v2(entry) && proof.log_index != entry.log_index {
        return Err(Check::InclusionProof.failed("its index is not the entry's"));
    }
    check_inclusion(&leaf, proof, &checkpoint.head)?;
    passed.push(Check::InclusionProof);
    Ok(LoggedAt { origin: checkpoint.origin, index, tree_size: Some(checkpoint.head.size) })
}

/// Checks that the entry's log was to be trusted at every signing time.
pub(crate) fn check_log_at(
    entry: &TransparencyLogEntry,
    trust: &Trust,
    times: &[SigningTime],
) -> Result<(), VerifyError> {
    let log = trusted_log(entry, trust)?;
    match times.iter().find(|time| !log.window.contains(time.at)) {
        None => Ok(()),
        Some(time) => {
            Err(Check::LogEntry.failed(format!("the log was not to be trusted at {}", time.at)))
        }
    }
}

/// The time that a v1 log promised, which [`check_entry`] verifies with the promise.
pub(crate) fn promised_time(
    entry: &TransparencyLogEntry,
    now: u64,
) -> Result<Option<SigningTime>, VerifyError> {
    if entry.inclusion_promise.is_none() {
        return Ok(None);
    }
    let at = u64::try_from(entry.integrated_time).failing(Check::InclusionPromise)?;
    if at == 0 || at > now {
        return Err(Check::InclusionPromise.failed("the promised time is absent or in the future"));
    }
    Ok(Some(SigningTime { at, source: TimeSource::Log }))
}

fn trusted_log<'a>(
    entry: &TransparencyLogEntry,
    trust: &'a Trust,
) -> Result<&'a TrustedLog, VerifyError> {
    trust
        .log(entry.log_id.key_id.as_slice())
        .ok_or_else(|| Check::LogEntry.failed("the entry is of a log that is not trusted"))
}

/// Checks kind and version, and that the body is about the bundle; of v2 every byte.
fn check_body(entry: &TransparencyLogEntry, logged: &Logged<'_>) -> Result<(), VerifyError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        api_version: String,
        kind: String,
    }
    let of = &entry.kind_version;
    let known = [
        ("hashedrekord", "0.0.1"),
        ("hashedrekord", "0.0.2"),
        ("dsse", "0.0.1"),
        ("intoto", "0.0.2"),
    ];
    if !known.contains(&(of.kind.as_str(), of.version.as_str())) {
        return Err(
            Check::LogEntry.failed(format!("kind {}/{} is not supported", of.kind, of.version))
        );
    }
    let body = entry.canonicalized_body.as_slice();
    let head: Head = wire::json::from_slice(body).failing(Check::LogEntry)?;
    if head.kind != of.kind || head.api_version != of.version {
        return Err(Check::LogEntry.failed("kind or version is not the body's"));
    }
    if !is_rekor_v2(entry) {
        return rekor1::check_body(entry, logged.bundle, logged.verifier.public_key());
    }
    let signature = logged.bundle.signature();
    let expected = rekor2::canonical_body(logged.digest, signature, logged.verifier);
    if body == expected {
        Ok(())
    } else {
        Err(Check::LogEntry.failed("the logged entry is not of this artifact, signature and key"))
    }
}

/// Checks the log's signature on the checkpoint, and that key name and origin are the log's.
///
/// A v2 log is named by its host. A v1 log may have been named before it got its host, so its key
/// must be named as its origin is, which the signature covers.
fn check_checkpoint(
    proof: &InclusionProof,
    log: &TrustedLog,
    v2: bool,
) -> Result<tlog::Checkpoint, VerifyError> {
    let Some(envelope) = &proof.checkpoint else {
        return Err(Check::Checkpoint.failed("the inclusion proof has none"));
    };
    let note: SignedNote = envelope.envelope.parse().failing(Check::Checkpoint)?;
    let origin = note.text.lines().next().unwrap_or_default();
    let name = if v2 { Some(log.host.as_str()) } else { v1_host(origin) };
    let foreign =
        || Check::Checkpoint.failed(format!("origin `{origin}` is not of log `{}`", log.host));
    let name = name.ok_or_else(foreign)?;
    let checkpoint =
        note.verified_checkpoint(&log.key, name, &log.id).failing(Check::Checkpoint)?;
    if v2 && checkpoint.origin != log.host { Err(foreign()) } else { Ok(checkpoint) }
}

/// The host in a v1 origin, `<host> - <tree id>`.
fn v1_host(origin: &str) -> Option<&str> {
    let (host, tree) = origin.split_once(" - ")?;
    (!tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

fn head_of(proof: &InclusionProof) -> Result<tlog::TreeHead, VerifyError> {
    Ok(tlog::TreeHead {
        size: u64::try_from(proof.tree_size).failing(Check::InclusionProof)?,
        root: Hash::try_from(proof.root_hash.as_slice()).failing(Check::InclusionProof)?,
    })
}

fn check_inclusion(
    leaf: &Hash,
    proof: &InclusionProof,
    head: &tlog::TreeHead,
) -> Result<(), VerifyError> {
    if proof.hashes.len() > MAX_PATH_LEN {
        return Err(Check::InclusionProof.failed("the path is too long"));
    }
    let path = proof.hashes.iter().map(|hash| Hash::try_from(hash.as_slice()));
    let path: Vec<Hash> = path.collect::<Result<_, _>>().failing(Check::InclusionProof)?;
    let index = u64::try_from(proof.log_index).failing(Check::InclusionProof)?;
    tlog::verify_inclusion(leaf, index, &path, head).failing(Check::InclusionProof)
}
