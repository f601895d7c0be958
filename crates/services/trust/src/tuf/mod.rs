//! The TUF repository: the trust documents under signatures that renew themselves.
//!
//! Metadata and its signatures follow the TUF specification 1.0 by the structures of
//! tough; how long they count and when they are renewed is in docs/adr/0010.
//! Everything is served from memory; the disk is what a restart, or a mirror, reads.
//!
//! It refuses to: go on from a damaged directory, make a second root where clients may
//! know a first one, and publish what does not verify under its own newest root.

mod directory;
mod error;
mod published;
mod renewal;
mod role;
mod state;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use crypto::Signer;
use moment::UnixSeconds;
use signing::{Clock, CpuPool, SigningKey};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub use self::error::{Damage, TufError};
pub(crate) use self::published::PublishedFile;
use self::{
    directory::{Directory, TARGETS},
    published::Published,
    renewal::{Keys, Renewal, Writes},
    role::RoleKey,
    state::{State, version_in},
};
use crate::{TrustFiles, disk, targets::Target};

/// What a repository is made of.
pub struct TufParts {
    /// How metrics call it.
    pub name: String,
    /// Where it lives on disk; nothing else may be there.
    pub directory: PathBuf,
    /// Signs root and targets; P-256.
    pub root_signer: Arc<dyn Signer>,
    /// Signs snapshot and timestamp; P-256.
    pub online_signer: Arc<dyn Signer>,
    /// The time of every expiry.
    pub clock: Arc<dyn Clock>,
    /// Makes and verifies its signatures.
    pub cpu: CpuPool,
}

/// A TUF repository that a process serves and keeps fresh.
pub struct Repository {
    name: String,
    directory: Directory,
    clock: Arc<dyn Clock>,
    cpu: CpuPool,
    keys: Keys,
    targets: Vec<Target>,
    /// What the last renewal left; readers have `published`.
    state: Mutex<State>,
    /// Whether one is under way. Nobody waits for it: a key may be silent for as long as it likes.
    renewing: AtomicBool,
    published: RwLock<Arc<Published>>,
}

impl Repository {
    /// Makes the repository at first start, else loads it, and signs what is due.
    ///
    /// A first start that was killed is completed. Versions only grow.
    ///
    /// # Errors
    /// [`TufError::Damaged`] and [`TufError::RootKey`], with nothing on disk replaced;
    /// the others when keys or disk fail.
    pub async fn open(parts: TufParts, files: &TrustFiles) -> Result<Arc<Self>, TufError> {
        let keys = Keys {
            root: RoleKey::new(parts.root_signer, parts.cpu.clone())?,
            online: RoleKey::new(parts.online_signer, parts.cpu.clone())?,
        };
        let path = parts.directory;
        let (directory, state) = blocking(path.clone(), move || {
            let directory = Directory::open(path)?;
            let state = state::load(&directory)?;
            Ok((directory, state))
        })
        .await?;
        let repository = Self {
            name: parts.name,
            directory,
            clock: parts.clock,
            cpu: parts.cpu,
            keys,
            targets: files.targets().to_vec(),
            state: Mutex::new(state),
            renewing: AtomicBool::new(false),
            published: RwLock::default(),
        };
        repository.renew().await?;
        repository.complete_first_start().await?;
        Ok(Arc::new(repository))
    }

    /// Signs what becomes due, by the repository's own clock, until `shutdown`.
    ///
    /// A failure is logged and tried again: what is published stays good for two thirds
    /// of its life after it was due.
    pub async fn keep_fresh(&self, shutdown: CancellationToken) {
        let mut wait = LOOK_AGAIN;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if self.published().fresh.contains(&self.clock.now()) {
                continue;
            }
            wait = match self.renew().await {
                Ok(()) => LOOK_AGAIN,
                Err(failure) => {
                    let cause = std::error::Error::source(&failure).map(ToString::to_string);
                    error!(error = %failure, cause, "cannot renew the TUF repository");
                    TRY_AGAIN
                }
            };
        }
    }

    /// The newest root, as served.
    #[must_use]
    pub fn root_json(&self) -> Bytes {
        self.file(state::ROOT).map(|file| file.content).unwrap_or_default()
    }

    /// Writes `root.json` into `directory`, where clients pick it up. Blocks on the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_root_to(&self, directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(state::ROOT);
        let content = self.root_json();
        if std::fs::read(&path).is_ok_and(|present| present == content) {
            return Ok(());
        }
        disk::replace(&path, &content)?;
        disk::sync(directory)
    }

    /// Names a role whose metadata has expired: clients refuse the repository then.
    ///
    /// For readiness: it says that renewal has failed for long.
    #[must_use]
    pub fn expired_role(&self) -> Option<&'static str> {
        let now = self.clock.now();
        let published = self.published();
        let expired = published.expiries.iter().find(|expiry| expiry.at <= now);
        expired.map(|expiry| expiry.role)
    }

    /// The first role that will expire, and when.
    #[must_use]
    pub fn first_end(&self) -> Option<(&'static str, UnixSeconds)> {
        let published = self.published();
        let first = published.expiries.iter().min_by_key(|expiry| expiry.at);
        first.map(|expiry| (expiry.role, expiry.at))
    }

    /// Since when new metadata is due and not there, if it is; the clock that went back is another matter.
    #[must_use]
    pub fn overdue(&self) -> Option<Duration> {
        let since = self.clock.now().saturating_since(self.published().fresh.end);
        (since > OVERDUE).then_some(since)
    }

    /// The keys, for whoever watches them: of root and targets, and of the others.
    #[must_use]
    pub fn keys(&self) -> [&SigningKey; 2] {
        [self.keys.root.signing(), self.keys.online.signing()]
    }

    /// The file at a path below the base URL.
    pub(crate) fn file(&self, path: &str) -> Option<PublishedFile> {
        self.published().files.get(path).cloned()
    }

    fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs what is due, makes it durable, and only then serves it. Leaves it to the renewal that is under way, if
    /// there is one: two would sign one version twice.
    async fn renew(&self) -> Result<(), TufError> {
        let Some(_alone) = Renewing::begin(&self.renewing) else { return Ok(()) };
        let current = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let renewal = Renewal {
            keys: &self.keys,
            targets: &self.targets,
            cpu: &self.cpu,
            now: self.clock.to_sign()?,
        };
        let (state, writes) = renewal.of(current).await?;
        let changed = writes.iter().any(|group| !group.is_empty());
        let published = Published::of(&state);
        if changed {
            self.store(writes, &published).await?;
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        for expiry in &published.expiries {
            #[expect(clippy::cast_precision_loss, reason = "metrics are floats; seconds fit")]
            metrics::gauge!("countersign_tuf_expiry_timestamp_seconds", "role" => expiry.role,
                "trust" => self.name.clone())
            .set(expiry.at.0 as f64);
        }
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(published);
        Ok(())
    }

    /// Writes group after group, then removes what is no longer served.
    async fn store(&self, writes: Writes, published: &Published) -> Result<(), TufError> {
        let directory = self.directory.clone();
        let served: Vec<String> = published.files.keys().cloned().collect();
        blocking(directory.path(), move || {
            for group in writes.iter().filter(|group| !group.is_empty()) {
                directory.write(group)?;
            }
            // What cannot be removed now is removed after the next renewal.
            if let Err(failure) = remove_others(&directory, &served) {
                warn!(error = %failure, "cannot remove old TUF files");
            }
            Ok(())
        })
        .await
    }

    /// `root.json` on disk is the newest root, also after a kill between the two.
    async fn complete_first_start(&self) -> Result<(), TufError> {
        let (directory, root) = (self.directory.clone(), self.root_json());
        blocking(directory.path(), move || {
            if directory.read(state::ROOT)?.is_some_and(|present| present == root) {
                return Ok(());
            }
            directory.write(&[(state::ROOT.to_owned(), root)])
        })
        .await
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// A renewal under way, also one that is dropped.
struct Renewing<'a>(&'a AtomicBool);

impl<'a> Renewing<'a> {
    fn begin(under_way: &'a AtomicBool) -> Option<Self> {
        (!under_way.swap(true, Ordering::AcqRel)).then_some(Self(under_way))
    }
}

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// How long what is due may be missing before that is told: renewals that fail are tried again long before.
const OVERDUE: Duration = Duration::from_mins(10);

/// How often the clock is looked at. Renewals are days away, but the clock may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a failed renewal waits.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// Removes replaced versions and their files; leaves alone what it does not know.
fn remove_others(directory: &Directory, served: &[String]) -> Result<(), TufError> {
    let replaceable =
        |name: &String| ["snapshot", "targets"].iter().any(|role| version_in(name, role).is_some());
    let targets = directory.names(TARGETS)?.into_iter().map(|name| format!("{TARGETS}{name}"));
    let metadata = directory.names("")?.into_iter().filter(replaceable);
    for name in metadata.chain(targets).filter(|name| !served.contains(name)) {
        directory.remove(&name)?;
    }
    Ok(())
}

/// Runs what waits for the disk where that holds nobody up.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, TufError> + Send + 'static,
) -> Result<T, TufError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|ended| Err(TufError::Io { path, source: io::Error::other(ended) }))
}
