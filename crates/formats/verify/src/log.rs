use entry::rekor2;
use moment::UnixSeconds;
use tlog::{LeafHash, LeafIndex, NodeHash, Rekor1Origin, SignedNote, TreeSize};
use wire::bundle::{InclusionProof, TransparencyLogEntry};

use crate::{
    Cause, Check, InstanceKind, SigningTime, TimeSource, Trust, UnverifiedBundle, VerifyError,
    bundle::is_rekor_v2,
    check::{Failing, rfc3339},
    rekor1, set,
    timestamp::{Told, check_not_future},
    trust::TrustedLog,
};

/// Longest inclusion path: a tree of 2^64 leaves.
const MAX_PATH_LEN: usize = 64;

/// Where a log showed the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedAt {
    /// Origin line of the checkpoint, or the log's host where there is none (bundle 0.1).
    pub origin: String,
    /// 0-based; of all shards together in Rekor v1.
    pub index: LeafIndex,
    /// Size of the tree that the checkpoint is of; none where there is no checkpoint.
    pub tree_size: Option<TreeSize>,
}

/// What a log entry must be about.
pub(crate) struct Logged<'a> {
    pub(crate) bundle: &'a UnverifiedBundle,
    /// Key or certificate.
    pub(crate) verifier: &'a rekor2::Verifier,
    /// Digest of what is signed, by the hash that Rekor v2 prescribes for the key.
    pub(crate) digest: &'a [u8],
}

/// What the log entries of a bundle prove.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// One for each trusted log.
    pub(crate) logged: Vec<LoggedAt>,
    /// Integrated times of Rekor v1, each under a SET.
    pub(crate) times: Vec<SigningTime>,
    /// How many entries are of logs that the trusted root does not list.
    pub(crate) unknown: usize,
}

/// Checks every entry of the bundle against the logs of `trust`.
///
/// One of a trusted log must hold, and is not outweighed by others. One of a log that is not listed
/// proves nothing; where nothing else does, the caller says so.
pub(crate) fn check(
    logged: &Logged<'_>,
    trust: &Trust,
    now: UnixSeconds,
    passed: &mut Vec<Check>,
) -> Result<Shown, VerifyError> {
    let mut shown = Shown::default();
    let mut seen = Vec::new();
    for entry in logged.bundle.log_entries() {
        let Some(log) = trust.log(entry.log_id.key_id.as_slice()) else {
            shown.unknown += 1;
            continue;
        };
        let at = check_entry(entry, logged, log, passed)?;
        shown.times.extend(integrated_time(entry, now)?);
        // One log, listed under two ids.
        if !seen.contains(&log.key.spki_der()) {
            seen.push(log.key.spki_der());
            shown.logged.push(at);
        }
    }
    Ok(shown)
}

/// The error that there are entries, and not one is of a listed log.
pub(crate) fn all_unknown(trust: &Trust) -> VerifyError {
    let reason = "the entry is of a log that is not trusted";
    trust.lacks(InstanceKind::Log, Check::LogEntry, reason)
}

/// Checks that the logs were to be trusted at every signing time; at `now` where nothing proves
/// one, or else whoever leaves a timestamp out could call on a log that ended.
pub(crate) fn check_at_times(
    bundle: &UnverifiedBundle,
    trust: &Trust,
    times: &[SigningTime],
    now: UnixSeconds,
) -> Result<(), VerifyError> {
    let mut times: Vec<UnixSeconds> = times.iter().map(|time| time.at).collect();
    if times.is_empty() {
        times.push(now);
    }
    let ids = bundle.log_entries().iter().map(|entry| entry.log_id.key_id.as_slice());
    for log in ids.filter_map(|id| trust.log(id)) {
        if let Some(at) = times.iter().find(|at| !log.window.contains(**at)) {
            let reason = format!("the log was not to be trusted at {}", rfc3339(*at));
            return Err(Check::LogEntry.failed_by(Cause::OutsideValidity, reason));
        }
    }
    Ok(())
}

fn check_entry(
    entry: &TransparencyLogEntry,
    logged: &Logged<'_>,
    log: &TrustedLog,
    passed: &mut Vec<Check>,
) -> Result<LoggedAt, VerifyError> {
    let index = LeafIndex(u64::try_from(entry.log_index).failing(Check::LogEntry)?);
    check_body(entry, logged)?;
    pass(passed, Check::LogEntry);
    if entry.inclusion_promise.is_some() {
        set::check(entry, log)?;
        pass(passed, Check::Set);
    }
    let without_head = LoggedAt { origin: log.host.clone(), index, tree_size: None };
    let Some(proof) = &entry.inclusion_proof else { return Ok(without_head) };
    let leaf = tlog::leaf_hash(entry.canonicalized_body.as_slice());
    if proof.checkpoint.is_none() {
        // Bundle 0.1: nobody signed this root, so the proof proves nothing that the SET does
        // not; but what is written must be true of itself.
        check_inclusion(&leaf, proof, &head_of(proof)?)?;
        return Ok(without_head);
    }
    let checkpoint = check_checkpoint(proof, log, is_rekor_v2(entry))?;
    pass(passed, Check::Checkpoint);
    if head_of(proof)? != checkpoint.head {
        return Err(Check::InclusionProof.failed("size or root is not the checkpoint's"));
    }
    if is_rekor_v2(entry) && proof.log_index != entry.log_index {
        return Err(Check::InclusionProof.failed("its index is not the entry's"));
    }
    check_inclusion(&leaf, proof, &checkpoint.head)?;
    pass(passed, Check::InclusionProof);
    Ok(LoggedAt { origin: checkpoint.origin, index, tree_size: Some(checkpoint.head.size) })
}

/// Notes a check that several entries pass, once.
fn pass(passed: &mut Vec<Check>, check: Check) {
    if !passed.contains(&check) {
        passed.push(check);
    }
}

/// The time that a v1 log signed; the SET itself is verified.
fn integrated_time(
    entry: &TransparencyLogEntry,
    now: UnixSeconds,
) -> Result<Option<SigningTime>, VerifyError> {
    if entry.inclusion_promise.is_none() {
        return Ok(None);
    }
    let at = UnixSeconds(u64::try_from(entry.integrated_time).failing(Check::Set)?);
    if at == UnixSeconds(0) {
        return Err(Check::Set.failed("the integrated time is absent"));
    }
    check_not_future(Check::Set, Told { at, now })?;
    Ok(Some(SigningTime { at, source: TimeSource::Log }))
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
        let reason = format!("kind {}/{} is not supported", of.kind, of.version);
        return Err(Check::LogEntry.failed_by(Cause::Unsupported, reason));
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
    if v2 && log.host.is_empty() {
        let reason =
            "the trusted root gives no URL of the log, whose host is a Rekor v2 log's name";
        return Err(Check::Checkpoint.failed_by(Cause::NoUsableTrust, reason));
    }
    let foreign = || {
        let reason =
            format!("it is of log `{origin}`, which the trusted root knows as `{}`", log.host);
        Check::Checkpoint.failed_by(Cause::OtherInstance, reason)
    };
    // A signed origin is told from a changed one by the signature, but not by the trusted root.
    if v2 && origin != log.host {
        return Err(foreign());
    }
    let name = if v2 {
        Some(log.host.as_str())
    } else {
        Rekor1Origin::parse(origin).map(|origin| origin.host)
    };
    let name = name.ok_or_else(foreign)?;
    note.verified_checkpoint(&log.key, name, &log.id).failing(Check::Checkpoint)
}

fn head_of(proof: &InclusionProof) -> Result<tlog::TreeHead, VerifyError> {
    Ok(tlog::TreeHead {
        size: TreeSize(u64::try_from(proof.tree_size).failing(Check::InclusionProof)?),
        root: NodeHash::try_from(proof.root_hash.as_slice()).failing(Check::InclusionProof)?,
    })
}

fn check_inclusion(
    leaf: &LeafHash,
    proof: &InclusionProof,
    head: &tlog::TreeHead,
) -> Result<(), VerifyError> {
    if proof.hashes.len() > MAX_PATH_LEN {
        return Err(Check::InclusionProof.failed("the path is too long"));
    }
    let path = proof.hashes.iter().map(|hash| NodeHash::try_from(hash.as_slice()));
    let path: Vec<NodeHash> = path.collect::<Result<_, _>>().failing(Check::InclusionProof)?;
    let index = LeafIndex(u64::try_from(proof.log_index).failing(Check::InclusionProof)?);
    tlog::verify_inclusion(leaf, index, &path, head).failing(Check::InclusionProof)
}
