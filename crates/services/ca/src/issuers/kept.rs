//! Keys of issuers on disk: a CA that starts while a provider is down goes on with what it knew.
//!
//! What is read back is believed as little as possible: it must be of this very source, not older
//! than keys may be, and not from the future. It is a cache: losing it costs nothing but that.

use std::{
    cmp::Reverse,
    collections::HashSet,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use moment::UnixMillis;
use serde::{Deserialize, Serialize};

use super::{
    discovery::{KeySource, MAX_DOCUMENT_LEN},
    jwks::KeySet,
};

/// Longest file: a document whose every byte is escaped, and what is around it.
const MAX_LEN: usize = 6 * MAX_DOCUMENT_LEN + 4096;

/// Most files that are looked at: those of every source, and of each pattern's issuers.
const MAX_FILES: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    issuer: String,
    /// What the keys depended on when they were fetched.
    source_sha256: String,
    fetched_at_ms: u64,
    /// The JWK Set as it came.
    keys: String,
}

const VERSION: u32 = 1;

/// The directory of the kept keys.
#[derive(Clone, Debug)]
pub(super) struct KeysDir {
    path: PathBuf,
    /// This process's user, by what it owns.
    uid: u32,
}

/// Checks the place where keys of issuers would be kept, as a start does, and makes nothing: a
/// directory that is missing would belong to whoever checks.
///
/// # Errors
/// In words: no directory can be there, it is a symbolic link, it is another user's or open to all,
/// or this user cannot write to it.
pub fn check_keys_dir(path: &Path) -> Result<(), String> {
    let explain = |place: &Path, error: &io::Error| {
        let made = if place == path { "" } else { " cannot be made in it" };
        format!("{}{made}: {error}", place.display())
    };
    let mut place = path;
    loop {
        match refuse_link(place, place == path) {
            Err(error) if error.kind() == ErrorKind::NotFound => match place.parent() {
                // What is missing is made below the first that is there.
                Some(parent) if parent != Path::new("") => place = parent,
                _ => return Ok(()),
            },
            Err(error) => return Err(explain(place, &error)),
            Ok(()) => {
                let usable = probe(place)
                    .and_then(|uid| if place == path { refuse_open(place, uid) } else { Ok(()) });
                return usable.map_err(|error| explain(place, &error));
            }
        }
    }
}

/// Refuses what is no directory, and a link where `here`: whoever may change where it leads could
/// bring keys of their own.
fn refuse_link(path: &Path, here: bool) -> io::Result<()> {
    if here && fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other(
            "is a symbolic link, which is not followed: whoever may change it could bring keys of \
             their own; remove it, or name the place itself",
        ));
    }
    let is_directory = fs::metadata(path)?.is_dir();
    if is_directory { Ok(()) } else { Err(io::Error::from(ErrorKind::NotADirectory)) }
}

/// Writes to `directory`; the user that did.
fn probe(directory: &Path) -> io::Result<u32> {
    // Of a new name and file: what is there may be a link to somebody's, or another process's.
    let name = format!(".writable-{}", hex::encode(crypto::random_bytes::<8>()));
    let probe = directory.join(name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
    let uid = file.metadata()?.uid();
    remove_if_present(&probe)?;
    Ok(uid)
}

/// Refuses a directory that is somebody else's, or that everybody can write to: they could put
/// back what was forgotten on order, or hide it.
fn refuse_open(directory: &Path, own: u32) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    if ![own, 0].contains(&metadata.uid()) {
        return Err(io::Error::other(format!(
            "belongs to user {}, and must be of user {own}, whom the CA runs as",
            metadata.uid()
        )));
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(io::Error::other("everybody can write to it: run `chmod o-w` on it"));
    }
    Ok(())
}

impl KeysDir {
    /// Makes the directory where it is missing, for its owner alone.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        refuse_link(path, true)?;
        let uid = probe(path)?;
        refuse_open(path, uid)?;
        Ok(Self { uid, path: path.to_owned() })
    }

    /// Where the keys of `source` are.
    pub(super) fn file_of(&self, source: &KeySource) -> PathBuf {
        let text = format!("{}\n{:?}", source.issuer(), source.location());
        self.path.join(format!("{}.json", hex::encode(crypto::sha256(text.as_bytes()))))
    }

    /// Keeps what was fetched at `fetched_at`. A crash leaves the old file or the new one, or
    /// one that cannot be read: nothing waits for the disk.
    pub(super) fn write(
        &self,
        source: &KeySource,
        set: &KeySet,
        fetched_at: UnixMillis,
    ) -> io::Result<()> {
        let fingerprint = source.fingerprint().map_err(io::Error::other)?;
        let kept = Kept {
            version: VERSION,
            issuer: source.issuer().to_owned(),
            source_sha256: hex::encode(fingerprint),
            fetched_at_ms: fetched_at.0,
            keys: String::from_utf8_lossy(set.document()).into_owned(),
        };
        let path = self.file_of(source);
        let unfinished = path.with_extension("new");
        // A left-over could have another mode.
        remove_if_present(&unfinished)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(&kept)?)?;
        fs::rename(&unfinished, &path)
    }

    /// What was kept of `source`, if it may still be used at `now`, and when it was fetched.
    pub(super) fn read(
        &self,
        source: &KeySource,
        now: UnixMillis,
        max_age: Duration,
    ) -> Option<(KeySet, UnixMillis)> {
        let kept = self.read_file(&self.file_of(source))?;
        let same = kept.version == VERSION
            && kept.issuer == source.issuer()
            && kept.source_sha256 == hex::encode(source.fingerprint().ok()?);
        // A clock that was set back cannot tell how old they are.
        let fetched_at = UnixMillis(kept.fetched_at_ms);
        let age = now.checked_since(fetched_at)?;
        let set = KeySet::parse(kept.keys.as_bytes()).ok().filter(|set| !set.is_empty())?;
        (same && age < max_age).then_some((set, fetched_at))
    }

    pub(super) fn forget(&self, source: &KeySource) -> io::Result<()> {
        remove_if_present(&self.file_of(source))
    }

    /// The issuers of which something is kept, those that were fetched last first.
    pub(super) fn issuers(&self) -> Vec<String> {
        let mut kept: Vec<Kept> =
            self.files().iter().filter_map(|path| self.read_file(path)).collect();
        kept.sort_by_key(|kept| Reverse(kept.fetched_at_ms));
        kept.into_iter().map(|kept| kept.issuer).collect()
    }

    /// Removes what no configured source would use.
    pub(super) fn prune(&self, used: &HashSet<PathBuf>) {
        for path in self.files().iter().filter(|path| !used.contains(*path)) {
            let _ = fs::remove_file(path);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_suffix(".json").is_some_and(|digest| digest.len() == 64)
        };
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        paths.filter(ours).take(MAX_FILES).collect()
    }

    /// Reads a file that only this user can have written; a link is not followed.
    fn read_file(&self, path: &Path) -> Option<Kept> {
        let entry = fs::symlink_metadata(path).ok()?;
        if !entry.is_file() || entry.mode() & 0o022 != 0 || entry.uid() != self.uid {
            return None;
        }
        let file = fs::File::open(path).ok()?;
        let opened = file.metadata().ok()?;
        // What was put in its place meanwhile was not looked at.
        if (opened.dev(), opened.ino()) != (entry.dev(), entry.ino()) {
            return None;
        }
        let mut content = Vec::new();
        let limit = u64::try_from(MAX_LEN).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut content).ok()?;
        wire::json::from_slice(&content).ok()
    }
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
