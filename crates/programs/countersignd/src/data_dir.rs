use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde::{Serialize, de::DeserializeOwned};
use server::bounded;
use tempfile::{NamedTempFile, PersistError};

use crate::{locked::Locked, token::LastStart};

/// The directory in which `countersignd dev` keeps everything.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    /// Absolute: it is told to clients, who run elsewhere.
    root: PathBuf,
}

impl DataDir {
    /// Makes the directory where it is missing.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let make = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        let explain = || format!("cannot make the data directory {}", path.display());
        make(path).with_context(explain)?;
        let data_dir = Self::open(path)?;
        refuse_writable_by_all(&data_dir.root)?;
        for inner in [KEYS, CERTIFICATES, CHECKPOINTS] {
            let inner = data_dir.root.join(inner);
            make(&inner).with_context(explain)?;
            refuse_writable_by_all(&inner)?;
        }
        Ok(data_dir)
    }

    /// Takes a directory that is there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let root = path.canonicalize().with_context(|| {
            let path = path.display();
            format!("no data directory {path}: has `countersignd dev` run with it, or `init`?")
        })?;
        Ok(Self { root })
    }

    /// Makes this process the only one that serves the directory, until the lock is dropped.
    pub(crate) fn lock(&self) -> anyhow::Result<Locked> {
        try_lock(&self.root.join("dev.lock"))?.with_context(|| {
            format!("another countersignd runs on {}; stop it first", self.root.display())
        })
    }

    /// The directory itself, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The PKCS#8 private key of that name.
    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.root.join(KEYS).join(format!("{name}.pem"))
    }

    /// The certificate chain of that name, lowest first.
    pub(crate) fn chain_file(&self, name: &str) -> PathBuf {
        self.root.join(CERTIFICATES).join(format!("{name}.pem"))
    }

    /// The last signed checkpoint of the log of that name.
    pub(crate) fn checkpoint_file(&self, log: &str) -> PathBuf {
        self.checkpoints().join(log)
    }

    /// The last signed checkpoints.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.join(CHECKPOINTS)
    }

    /// The tree id of the Rekor v1 log, as the database has it.
    pub(crate) fn tree_id_file(&self) -> PathBuf {
        self.root.join("rekor1-tree-id")
    }

    /// SQLite's file of the logs.
    pub(crate) fn log_database(&self) -> PathBuf {
        self.root.join("log.db")
    }

    /// The published files.
    pub(crate) fn trust_dir(&self) -> PathBuf {
        self.root.join("trust")
    }

    /// The TUF repository.
    pub(crate) fn tuf_dir(&self) -> PathBuf {
        self.root.join("tuf")
    }

    /// There while every service answers.
    pub(crate) fn ready_file(&self) -> PathBuf {
        self.root.join("ready.json")
    }

    /// What the last start chose, for `token` and the next start.
    pub(crate) fn last_start_file(&self) -> PathBuf {
        self.root.join(LastStart::FILE)
    }
}

/// Locks a file, which is made where it is missing; `None` where another process has it.
pub(crate) fn try_lock(path: &Path) -> anyhow::Result<Option<Locked>> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    options
        .open(path)
        .and_then(Locked::try_new)
        .with_context(|| format!("cannot lock {}", path.display()))
}

/// Like [`try_lock`] for a directory that is there: no file is left, which could be another user's.
pub(crate) fn try_lock_directory(path: &Path) -> anyhow::Result<Option<Locked>> {
    File::open(path)
        .and_then(Locked::try_new)
        .with_context(|| format!("cannot lock {}", path.display()))
}

/// Refuses a directory in which everybody could put keys, certificates or checkpoints of theirs.
fn refuse_writable_by_all(directory: &Path) -> anyhow::Result<()> {
    if directory.metadata()?.permissions().mode() & 0o002 != 0 {
        bail!("everybody can write to {}: run `chmod o-w` on it", directory.display());
    }
    Ok(())
}

/// Fetched keys of issuers, below a directory of the CA, or of the logs.
pub(crate) const ISSUER_KEYS: &str = "issuer-keys";

const KEYS: &str = "keys";
const CERTIFICATES: &str = "certificates";
const CHECKPOINTS: &str = "checkpoints";

/// Longest file of these, in bytes: the longest are lists of a few certificates.
const MAX_LEN: usize = 16 << 20;

/// Reads a file that may not be there.
pub(crate) fn read_if_present(path: &Path) -> anyhow::Result<Option<String>> {
    match bounded::read_regular(path, MAX_LEN).and_then(bounded::text) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Reads a JSON file that may not be there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let Some(text) = read_if_present(path)? else { return Ok(None) };
    let explain = || format!("{} is not what countersignd wrote", path.display());
    serde_json::from_str(&text).map(Some).with_context(explain)
}

/// Replaces a JSON file at once.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    replace(path, &text, Access::Everybody)
}

/// Who may read a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// Mode 0600.
    Owner,
    /// Mode 0644.
    Everybody,
}

/// Replaces or makes a file, durably and at once: after a crash it is the old or the new one, whole.
///
/// The half-written one has a name of its own, so that nobody can have put it there and no other
/// process writes it; [`remove_unfinished`] removes what a crash leaves.
pub(crate) fn replace(path: &Path, content: &[u8], access: Access) -> anyhow::Result<()> {
    write(path, content, access, |unfinished| unfinished.persist(path))
}

/// Makes a file as [`replace`] does, and never replaces one: two processes cannot both have made it.
pub(crate) fn create(path: &Path, content: &[u8], access: Access) -> anyhow::Result<()> {
    write(path, content, access, |unfinished| unfinished.persist_noclobber(path))
}

fn write(
    path: &Path,
    content: &[u8],
    access: Access,
    place: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> anyhow::Result<()> {
    let mode = match access {
        Access::Owner => 0o600,
        Access::Everybody => 0o644,
    };
    let write = || -> io::Result<()> {
        let directory = directory_of(path);
        let (prefix, suffix) = unfinished(path);
        let mut file =
            tempfile::Builder::new().prefix(&prefix).suffix(suffix).tempfile_in(directory)?;
        file.write_all(content)?;
        // Not as it is made: the umask would take from it, and services of other users would not start.
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        place(file).map_err(|failed| failed.error)?;
        // Durable from here: the name is on the disk too.
        File::open(directory)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Begin and end of the names that a file has while it is written.
fn unfinished(path: &Path) -> (OsString, &'static str) {
    let mut begin = OsString::from(".");
    begin.push(path.file_name().unwrap_or_default());
    begin.push(".");
    (begin, ".new")
}

/// Removes what a killed process left of a file's making. The caller is the only one that makes it.
pub(crate) fn remove_unfinished(path: &Path) -> io::Result<()> {
    let (begin, end) = unfinished(path);
    let entries = match fs::read_dir(directory_of(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(begin.as_encoded_bytes()) && bytes.ends_with(end.as_bytes()) {
            remove_if_present(&directory_of(path).join(&name))?;
        }
    }
    Ok(())
}

/// Makes an empty file that only its owner may read, unless there is one.
///
/// For databases: they take an empty file as a new one, and give their others its mode.
pub(crate) fn make_private(path: &Path) -> anyhow::Result<()> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map(drop).with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn replaces_files_with_the_mode_asked_for_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        replace(&path, b"secret", Access::Owner).unwrap();
        assert_eq!(mode(&path), 0o600);
        replace(&path, b"public", Access::Everybody).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("public", 0o644));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_is_never_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        create(&path, b"first", Access::Owner).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(create(&path, b"second", Access::Owner).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    /// Two processes wrote one half of a key each, and whoever may write to the directory had a link there.
    #[test]
    fn what_is_half_written_has_a_name_that_nobody_knows_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "untouched").unwrap();
        std::os::unix::fs::symlink(&elsewhere, directory.path().join("key.pem.new")).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                let path = &path;
                scope.spawn(move || replace(path, &[writer; 4096], Access::Owner).unwrap());
            }
        });
        let content = fs::read(&path).unwrap();
        assert!(content.len() == 4096 && content.iter().all(|byte| *byte == content[0]));
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "untouched");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_a_killed_process_left_of_a_file_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        for name in [".ca.pem.Ab3.new", ".ca.pem.new", "ca.pem", ".tsa.pem.Ab3.new", ".ca.pem.Ab3"]
        {
            fs::write(directory.path().join(name), "").unwrap();
        }
        remove_unfinished(&path).unwrap();
        let entries = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".ca.pem.Ab3", ".tsa.pem.Ab3.new", "ca.pem"]);
        remove_unfinished(&directory.path().join("none/ca.pem")).unwrap();
    }

    /// Keys and chains of a configuration are read so: a start hung for ever.
    #[test]
    fn a_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let (done, answer) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(read_if_present(&pipe)));
        let error = answer.recv_timeout(std::time::Duration::from_secs(5)).unwrap().unwrap_err();
        assert!(format!("{error:#}").contains("pipe: it is not a file"), "{error:#}");
    }

    #[test]
    fn is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = DataDir::create(&directory.path().join("a/b")).unwrap();
        let lock = data_dir.lock().unwrap();
        let error = data_dir.lock().unwrap_err();
        assert!(error.to_string().contains("another countersignd runs"), "{error}");
        drop(lock);
        data_dir.lock().unwrap();
    }

    #[test]
    fn refuses_directories_that_everybody_can_write_to() {
        let directory = tempfile::tempdir().unwrap();
        for open_to_all in ["", "keys", "certificates", "checkpoints"] {
            let path = directory.path().join(open_to_all);
            DataDir::create(directory.path()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
            let error = DataDir::create(directory.path()).unwrap_err();
            assert!(error.to_string().contains("chmod o-w"), "{error:#}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    #[test]
    fn says_which_directory_is_missing() {
        let error = DataDir::open(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
