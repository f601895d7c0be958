//! A repository in memory, and how it is read from disk.

use std::collections::BTreeMap;

use bytes::Bytes;
use moment::UnixSeconds;
use serde::de::DeserializeOwned;
use tough::schema::{Metafile, Role, Root, Snapshot, Targets, Timestamp};
use tracing::warn;

use super::{
    Damage, TufError,
    directory::{Directory, TARGETS},
    role::{Document, Lifetime},
};

/// Everything that is served. Empty before the first start.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// All of them, from version 1.
    pub(super) roots: Vec<Document<Root>>,
    /// The newest last; before it what clients with an older timestamp may still ask for.
    pub(super) targets: Vec<Document<Targets>>,
    /// As `targets`.
    pub(super) snapshots: Vec<Document<Snapshot>>,
    pub(super) timestamp: Option<Document<Timestamp>>,
    /// Target files by their name on disk, `<sha256>.<name>`.
    pub(super) contents: BTreeMap<String, Bytes>,
    /// Versions that a killed renewal used up; they are not used again.
    pub(super) highest_seen: HighestSeen,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HighestSeen {
    pub(super) targets: u64,
    pub(super) snapshot: u64,
}

impl State {
    /// Most roots: python-tuf, go-tuf and tuf-js walk 256 steps from the root they were given.
    pub(super) const MAX_ROOTS: usize = 256;

    /// Most versions kept of snapshot and targets, however fast they change.
    const MAX_KEPT: usize = 32;

    /// Drops what no client asks for any more.
    pub(super) fn prune(&mut self, now: UnixSeconds) {
        drop_replaced(&mut self.targets, Lifetime::TARGETS, now);
        drop_replaced(&mut self.snapshots, Lifetime::SNAPSHOT, now);
        let named: Vec<String> = self.targets.iter().flat_map(file_names).collect();
        self.contents.retain(|name, _| named.contains(name));
    }

    /// Every file by its path, `root.json` among them.
    pub(super) fn files(&self) -> BTreeMap<String, Bytes> {
        let mut files: BTreeMap<String, Bytes> = self
            .contents
            .iter()
            .map(|(name, content)| (target_path(name), content.clone()))
            .collect();
        files.extend(
            self.roots.iter().map(|root| (path("root", root.version()), root.bytes.clone())),
        );
        files.extend(self.targets.iter().map(|t| (path("targets", t.version()), t.bytes.clone())));
        files.extend(
            self.snapshots.iter().map(|s| (path("snapshot", s.version()), s.bytes.clone())),
        );
        files.extend(self.timestamp.iter().map(|t| (TIMESTAMP.to_owned(), t.bytes.clone())));
        files.extend(self.roots.last().map(|root| (ROOT.to_owned(), root.bytes.clone())));
        files
    }
}

/// The one metadata file whose name says no version; written last of all that is signed.
pub(super) const TIMESTAMP: &str = "timestamp.json";

/// The newest root once more. On disk it says that a first start was completed.
pub(super) const ROOT: &str = "root.json";

/// Path of a numbered metadata file.
pub(super) fn path(role: &str, version: u64) -> String {
    format!("{version}.{role}.json")
}

/// Path of a target file.
pub(super) fn target_path(name: &str) -> String {
    format!("{TARGETS}{name}")
}

/// The version in a numbered file's name.
pub(super) fn version_in(name: &str, role: &str) -> Option<u64> {
    let version =
        name.strip_suffix(".json")?.strip_suffix(role)?.strip_suffix('.')?.parse().ok()?;
    (path(role, version) == name).then_some(version)
}

/// Names of a targets version's files.
fn file_names(targets: &Document<Targets>) -> impl Iterator<Item = String> + '_ {
    targets
        .signed
        .signed
        .targets
        .iter()
        .map(|(name, target)| format!("{}.{}", hex::encode(&target.hashes.sha256), name.resolved()))
}

/// Keeps the newest, and the others while somebody may hold a timestamp that leads to them.
fn drop_replaced<T: Role + Clone>(
    all: &mut Vec<Document<T>>,
    lifetime: Lifetime,
    now: UnixSeconds,
) {
    let replaced_at = |index: usize| all.get(index + 1).map(|next| next.signed_at(lifetime));
    let wanted = |index: usize| {
        let since = replaced_at(index).map(|at| now.saturating_since(at));
        since.is_none_or(|since| since <= Lifetime::GRACE)
    };
    let beyond = all.len().saturating_sub(State::MAX_KEPT);
    let keep: Vec<bool> = (0..all.len()).map(|index| index >= beyond && wanted(index)).collect();
    let mut keep = keep.into_iter();
    all.retain(|_| keep.next().unwrap_or(true));
}

/// Reads what is on disk, and checks every signature and digest on the way from the roots to the files.
pub(super) fn load(directory: &Directory) -> Result<State, TufError> {
    let names = directory.names("")?;
    let highest = |role| names.iter().filter_map(|name| version_in(name, role)).max().unwrap_or(0);
    let has = |name: &str| names.iter().any(|present| present == name);
    let damaged = |damage| Err(directory.damaged(damage));

    let highest_seen = HighestSeen { targets: highest("targets"), snapshot: highest("snapshot") };
    let roots = load_roots(directory, highest("root"))?;
    if roots.is_empty() {
        let begun = highest_seen.targets > 0 || highest_seen.snapshot > 0;
        if begun || has(TIMESTAMP) || has(ROOT) || !directory.names(TARGETS)?.is_empty() {
            return damaged(Damage::Missing(path("root", 1)));
        }
        return Ok(State::default());
    }
    if !has(TIMESTAMP) {
        // A first start that was killed leaves one root and first versions: nobody has seen them.
        let first = roots.len() == 1 && highest_seen.targets <= 1 && highest_seen.snapshot <= 1;
        if first && !has(ROOT) {
            return Ok(State { roots, ..State::default() });
        }
        return damaged(Damage::Missing(TIMESTAMP.to_owned()));
    }
    let mut state = State { roots, highest_seen, ..State::default() };
    Loading { directory, state: &mut state }.newest()?;
    Loading { directory, state: &mut state }.replaced(&names);
    Ok(state)
}

/// Every root, each signed by itself and by the one before.
fn load_roots(directory: &Directory, newest: u64) -> Result<Vec<Document<Root>>, TufError> {
    if usize::try_from(newest).map_or(true, |newest| newest > State::MAX_ROOTS) {
        return Err(directory.damaged(Damage::TooManyRoots));
    }
    let mut roots: Vec<Document<Root>> = Vec::new();
    for version in 1..=newest {
        let name = path("root", version);
        let root: Document<Root> = parse(directory, &name, directory.require(&name)?)?;
        let signed = root.is_signed_under(&root)
            && roots.last().is_none_or(|previous| root.is_signed_under(previous));
        if !signed {
            return Err(directory.damaged(Damage::Unsigned(name)));
        }
        if root.version() != version {
            return Err(directory.damaged(Damage::Mismatch(name)));
        }
        roots.push(root);
    }
    Ok(roots)
}

fn parse<T>(directory: &Directory, name: &str, bytes: Bytes) -> Result<Document<T>, TufError>
where
    T: Role + Clone + DeserializeOwned,
{
    Document::parse(bytes).ok_or_else(|| directory.damaged(Damage::Unreadable(name.to_owned())))
}

struct Loading<'a> {
    directory: &'a Directory,
    state: &'a mut State,
}

impl Loading<'_> {
    /// From the timestamp down to the files. What is missing or wrong is damage.
    fn newest(&mut self) -> Result<(), TufError> {
        let timestamp = self.signed(TIMESTAMP, self.directory.require(TIMESTAMP)?)?;
        let snapshot = self.named_by(&timestamp, "snapshot", |t: &Timestamp| &t.meta)?;
        let targets: Document<Targets> =
            self.named_by(&snapshot, "targets", |s: &Snapshot| &s.meta)?;
        for (name, target) in file_names(&targets).zip(targets.signed.signed.targets.values()) {
            let content = self.directory.require(&target_path(&name))?;
            if crypto::sha256(&content)[..] != target.hashes.sha256[..] {
                return self.damaged(Damage::Mismatch(target_path(&name)));
            }
            self.state.contents.insert(name, content);
        }
        self.state.timestamp = Some(timestamp);
        self.state.snapshots = vec![snapshot];
        self.state.targets = vec![targets];
        Ok(())
    }

    /// The file of `role` that `above` names.
    fn named_by<A, T>(
        &self,
        above: &Document<A>,
        role: &str,
        meta: impl Fn(&A) -> &std::collections::HashMap<String, Metafile>,
    ) -> Result<Document<T>, TufError>
    where
        T: Role + Clone + DeserializeOwned,
    {
        let Some(named) = meta(&above.signed.signed).get(&format!("{role}.json")) else {
            return self.damaged(Damage::Missing(format!("{role}.json")));
        };
        let name = path(role, named.version.get());
        let bytes = self.directory.require(&name)?;
        let digest = named.hashes.as_ref().map(|hashes| hashes.sha256.to_vec());
        if digest.is_none_or(|digest| digest != crypto::sha256(&bytes)) {
            return self.damaged(Damage::Mismatch(name));
        }
        let document: Document<T> = self.signed(&name, bytes)?;
        if document.version() != named.version.get() {
            return self.damaged(Damage::Mismatch(name));
        }
        Ok(document)
    }

    /// Metadata that some root names the keys of: after a killed rotation not yet the newest.
    fn signed<T>(&self, name: &str, bytes: Bytes) -> Result<Document<T>, TufError>
    where
        T: Role + Clone + DeserializeOwned,
    {
        let document: Document<T> = parse(self.directory, name, bytes)?;
        if self.state.roots.iter().any(|root| document.is_signed_under(root)) {
            return Ok(document);
        }
        self.damaged(Damage::Unsigned(name.to_owned()))
    }

    /// Older versions, as far as they are whole: they only help clients in the middle of an update.
    fn replaced(&mut self, names: &[String]) {
        let targets = self.older("targets", names, |state: &State| &state.targets);
        let snapshots = self.older("snapshot", names, |state: &State| &state.snapshots);
        for name in targets.iter().flat_map(file_names) {
            if let Ok(Some(content)) = self.directory.read(&target_path(&name)) {
                self.state.contents.insert(name, content);
            }
        }
        self.state.targets.splice(0..0, targets);
        self.state.snapshots.splice(0..0, snapshots);
    }

    fn older<T>(
        &self,
        role: &str,
        names: &[String],
        newest: impl Fn(&State) -> &Vec<Document<T>>,
    ) -> Vec<Document<T>>
    where
        T: Role + Clone + DeserializeOwned,
    {
        let newest = newest(self.state).last().map_or(0, Document::version);
        let versions = names.iter().filter_map(|name| version_in(name, role));
        let mut versions: Vec<u64> = versions.filter(|version| *version < newest).collect();
        versions.sort_unstable();
        let beyond = versions.len().saturating_sub(State::MAX_KEPT);
        let read = |version: &u64| {
            let name = path(role, *version);
            let read = self.directory.require(&name).and_then(|bytes| self.signed(&name, bytes));
            read.inspect_err(|error| warn!(tuf.file = name, %error, "not served")).ok()
        };
        versions.iter().skip(beyond).filter_map(read).collect()
    }

    fn damaged<T>(&self, damage: Damage) -> Result<T, TufError> {
        Err(self.directory.damaged(damage))
    }
}
