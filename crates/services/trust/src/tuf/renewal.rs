//! What is signed anew, and in which order it goes to disk.

use std::{collections::HashMap, num::NonZeroU64};

use bytes::Bytes;
use moment::UnixSeconds;
use signing::CpuPool;
use tough::{
    TargetName,
    schema::{
        Hashes, Metafile, Role, RoleKeys, RoleType, Root, Snapshot, Targets, Timestamp,
        decoded::Decoded,
    },
};

use super::{
    TufError,
    role::{Document, Lifetime, RoleKey, SPEC_VERSION, next_version, nothing_extra},
    state::{ROOT, State, TIMESTAMP, path, target_path},
};
use crate::targets::Target;

/// The keys of a repository, each for two roles.
pub(super) struct Keys {
    /// Root and targets.
    pub(super) root: RoleKey,
    /// Snapshot and timestamp.
    pub(super) online: RoleKey,
}

/// Files in the order in which they must become durable; those of a group may do so in any.
pub(super) type Writes = Vec<Vec<(String, Bytes)>>;

/// Brings a state up to date.
pub(super) struct Renewal<'a> {
    pub(super) keys: &'a Keys,
    pub(super) targets: &'a [Target],
    pub(super) cpu: &'a CpuPool,
    pub(super) now: UnixSeconds,
}

impl Renewal<'_> {
    /// Signs what is missing, due, or signed by keys that the newest root does not name.
    ///
    /// Numbered files come first and the timestamp after all that it leads to: a reader
    /// of the directory, or of what a kill left of it, finds each file that is named.
    pub(super) async fn of(&self, mut state: State) -> Result<(State, Writes), TufError> {
        let mut writes = vec![Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        let [roots, numbered, timestamp, newest_root] = writes.as_mut_slice() else {
            return Err(TufError::OutOfRange);
        };
        if let Some(root) = self.root(&state).await? {
            // From here on the root's successor needs the keys that it names.
            roots.push((path("root", root.version()), root.bytes.clone()));
            newest_root.push((ROOT.to_owned(), root.bytes.clone()));
            state.roots.push(root);
        }
        let due = self.due(&state).await;
        if let Some(targets) = self.targets(&state, due.targets).await? {
            let files = self.targets.iter().map(|t| (file_name(t), t.content.clone()));
            state.contents.extend(files);
            let files =
                self.targets.iter().map(|t| (target_path(&file_name(t)), t.content.clone()));
            numbered.extend(files);
            numbered.push((path("targets", targets.version()), targets.bytes.clone()));
            state.targets.push(targets);
        }
        if let Some(snapshot) = self.snapshot(&state, due.snapshot).await? {
            numbered.push((path("snapshot", snapshot.version()), snapshot.bytes.clone()));
            state.snapshots.push(snapshot);
        }
        if let Some(signed) = self.timestamp(&state, due.timestamp).await? {
            timestamp.push((TIMESTAMP.to_owned(), signed.bytes.clone()));
            state.timestamp = Some(signed);
        }
        state.prune(self.now);
        Ok((state, writes))
    }

    /// A new root, signed by the key of the one before, which is its own.
    async fn root(&self, state: &State) -> Result<Option<Document<Root>>, TufError> {
        let signer = &self.keys.root;
        let newest = state.roots.last();
        if newest.is_some_and(|newest| !names(newest, RoleType::Root, signer)) {
            return Err(TufError::RootKey { key_id: signer.name().to_owned() });
        }
        let current = |root: &Document<Root>| {
            names(root, RoleType::Targets, &self.keys.root)
                && names(root, RoleType::Snapshot, &self.keys.online)
                && names(root, RoleType::Timestamp, &self.keys.online)
                && !root.is_due(Lifetime::ROOT, self.now)
        };
        if newest.is_some_and(current) {
            return Ok(None);
        }
        if state.roots.len() >= State::MAX_ROOTS {
            return Err(TufError::OutOfRange);
        }
        let root = self.unsigned_root(next_version([newest.map_or(0, Document::version), 0])?)?;
        // Clients that know the one before must accept it, and those who are given it must know its key.
        let mut under: Vec<Root> =
            newest.map(|newest| newest.signed.signed.clone()).into_iter().collect();
        under.push(root.clone());
        signer.sign(root, under).await.map(Some)
    }

    fn unsigned_root(&self, version: NonZeroU64) -> Result<Root, TufError> {
        let role_keys = |key: &RoleKey| RoleKeys {
            keyids: vec![key.id.clone()],
            threshold: NonZeroU64::MIN,
            _extra: nothing_extra(),
        };
        let keys = [&self.keys.root, &self.keys.online];
        Ok(Root {
            spec_version: SPEC_VERSION.to_owned(),
            consistent_snapshot: true,
            version,
            expires: Lifetime::ROOT.expires(self.now)?,
            keys: keys.into_iter().map(|key| (key.id.clone(), key.key.clone())).collect(),
            roles: HashMap::from([
                (RoleType::Root, role_keys(&self.keys.root)),
                (RoleType::Targets, role_keys(&self.keys.root)),
                (RoleType::Snapshot, role_keys(&self.keys.online)),
                (RoleType::Timestamp, role_keys(&self.keys.online)),
            ]),
            _extra: nothing_extra(),
        })
    }

    async fn targets(
        &self,
        state: &State,
        due: bool,
    ) -> Result<Option<Document<Targets>>, TufError> {
        let newest = state.targets.last();
        let wanted = self.targets.iter().map(target).collect::<Result<HashMap<_, _>, _>>()?;
        let changed = newest.is_none_or(|newest| newest.signed.signed.targets != wanted);
        if !changed && !due {
            return Ok(None);
        }
        let version = newest.map_or(0, Document::version);
        let targets = Targets {
            spec_version: SPEC_VERSION.to_owned(),
            version: next_version([version, state.highest_seen.targets])?,
            expires: Lifetime::TARGETS.expires(self.now)?,
            targets: wanted,
            delegations: None,
            _extra: nothing_extra(),
        };
        self.sign(targets, &self.keys.root, state).await.map(Some)
    }

    async fn snapshot(
        &self,
        state: &State,
        due: bool,
    ) -> Result<Option<Document<Snapshot>>, TufError> {
        let (newest, targets) = (state.snapshots.last(), state.targets.last());
        let meta = HashMap::from_iter(targets.map(|t| ("targets.json".to_owned(), metafile(t))));
        let changed = newest.is_none_or(|newest| newest.signed.signed.meta != meta);
        if !changed && !due {
            return Ok(None);
        }
        let version = newest.map_or(0, Document::version);
        let version = next_version([version, state.highest_seen.snapshot])?;
        let expires = Lifetime::SNAPSHOT.expires(self.now)?;
        let mut snapshot = Snapshot::new(SPEC_VERSION.to_owned(), version, expires);
        snapshot.meta = meta;
        self.sign(snapshot, &self.keys.online, state).await.map(Some)
    }

    async fn timestamp(
        &self,
        state: &State,
        due: bool,
    ) -> Result<Option<Document<Timestamp>>, TufError> {
        let (newest, snapshot) = (state.timestamp.as_ref(), state.snapshots.last());
        let meta = HashMap::from_iter(snapshot.map(|s| ("snapshot.json".to_owned(), metafile(s))));
        let changed = newest.is_none_or(|newest| newest.signed.signed.meta != meta);
        if !changed && !due {
            return Ok(None);
        }
        let version = next_version([newest.map_or(0, Document::version), 0])?;
        let expires = Lifetime::TIMESTAMP.expires(self.now)?;
        let mut timestamp = Timestamp::new(SPEC_VERSION.to_owned(), version, expires);
        timestamp.meta = meta;
        self.sign(timestamp, &self.keys.online, state).await.map(Some)
    }

    /// What is due by time, or because a killed rotation left it under an older root's key.
    async fn due(&self, state: &State) -> Due {
        let (now, root) = (self.now, state.roots.last().cloned());
        let (targets, snapshot) = (state.targets.last().cloned(), state.snapshots.last().cloned());
        let timestamp = state.timestamp.clone();
        let due = move || Due {
            targets: is_due(targets.as_ref(), root.as_ref(), (Lifetime::TARGETS, now)),
            snapshot: is_due(snapshot.as_ref(), root.as_ref(), (Lifetime::SNAPSHOT, now)),
            timestamp: is_due(timestamp.as_ref(), root.as_ref(), (Lifetime::TIMESTAMP, now)),
        };
        self.cpu.run_next(due).await
    }

    async fn sign<T>(&self, role: T, key: &RoleKey, state: &State) -> Result<Document<T>, TufError>
    where
        T: Role + Clone + Send + 'static,
    {
        let under = state.roots.last().map(|root| root.signed.signed.clone());
        key.sign(role, under.into_iter().collect()).await
    }
}

/// Which of the newest documents must be signed anew, whatever they say.
struct Due {
    targets: bool,
    snapshot: bool,
    timestamp: bool,
}

fn is_due<T: Role + Clone>(
    newest: Option<&Document<T>>,
    root: Option<&Document<Root>>,
    (lifetime, now): (Lifetime, UnixSeconds),
) -> bool {
    newest.is_none_or(|newest| {
        newest.is_due(lifetime, now) || root.is_none_or(|root| !newest.is_signed_under(root))
    })
}

/// Whether `root` has this key, and no other, for a role.
fn names(root: &Document<Root>, role: RoleType, key: &RoleKey) -> bool {
    let root = &root.signed.signed;
    root.roles.get(&role).is_some_and(|role| role.keyids == [key.id.clone()])
        && root.keys.get(&key.id) == Some(&key.key)
}

fn metafile<T: Role + Clone>(document: &Document<T>) -> Metafile {
    Metafile {
        length: u64::try_from(document.bytes.len()).ok(),
        hashes: Some(hashes(&document.bytes)),
        version: document.signed.signed.version(),
        _extra: nothing_extra(),
    }
}

/// One digest only: of several, clients disagree which one names the file.
fn hashes(content: &[u8]) -> Hashes {
    Hashes { sha256: Decoded::from(crypto::sha256(content).to_vec()), _extra: nothing_extra() }
}

fn target(target: &Target) -> Result<(TargetName, tough::schema::Target), TufError> {
    let name = TargetName::new(&target.name);
    let name = name.map_err(|_| TufError::TargetName(target.name.clone()))?;
    let custom = target.custom.clone().map(|custom| ("sigstore".to_owned(), custom));
    let described = tough::schema::Target {
        length: u64::try_from(target.content.len()).map_err(|_| TufError::OutOfRange)?,
        hashes: hashes(&target.content),
        custom: custom.into_iter().collect(),
        _extra: nothing_extra(),
    };
    Ok((name, described))
}

fn file_name(target: &Target) -> String {
    format!("{}.{}", hex::encode(crypto::sha256(&target.content)), target.name)
}
