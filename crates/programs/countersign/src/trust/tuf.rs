//! One refresh of a TUF repository, by `tough`: rollback, freeze and mix-and-match are its to refuse.
//!
//! It keeps what it knows in a directory, and writes it piece by piece. So it is given a temporary
//! one, and what it left there is taken whole ([`super::pin`]) or not at all.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, OnceLock},
};

use moment::UnixSeconds;
use serde_json::value::RawValue;
use tempfile::TempDir;
use thiserror::Error;
use tough::{
    Bytes, ExpirationEnforcement, IntoVec, Limits, Repository, RepositoryLoader, TargetName,
    Transport, TransportError, TransportErrorKind, TransportStream, async_trait,
};
use url::Url;
use verify::MAX_TRUSTED_ROOT_LEN;
use wire::countersign::MAX_INSTANCE_LEN;

use super::{MAX_SIGNING_CONFIG_LEN, names::INSTANCE, tuf_keys};
use crate::{
    failure::in_one_line,
    services::{ServiceError, TrustRepository},
};

/// What clients read of a repository.
const TRUSTED_ROOT: &str = "trusted_root.json";
const SIGNING_CONFIG: &str = "signing_config.v0.2.json";

/// Where the transport finds metadata and targets; the host is the repository's own.
const BASE: &str = "http://repository.invalid/";

/// Metadata of ours has a few KiB, of the public instance some ten; roots follow each other yearly.
const LIMITS: Limits = Limits {
    max_root_size: 256 * 1024,
    max_targets_size: 1024 * 1024,
    max_timestamp_size: 64 * 1024,
    max_snapshot_size: 256 * 1024,
    max_root_updates: 256,
};

/// Metadata by file name, as the last refresh left it; empty before the first.
pub(super) type Metadata = BTreeMap<String, Box<RawValue>>;

/// What a refresh gave.
#[derive(Debug)]
pub(super) struct Refreshed {
    pub(super) metadata: Metadata,
    pub(super) root_version: u64,
    /// When the first of the roles expires.
    pub(super) expires: UnixSeconds,
    pub(super) trusted_root: Vec<u8>,
    pub(super) signing_config: Vec<u8>,
    /// Only of repositories of ours.
    pub(super) instance: Option<Vec<u8>>,
}

/// What a repository signs, of that what is read.
struct Targets {
    trusted_root: Vec<u8>,
    signing_config: Vec<u8>,
    instance: Option<Vec<u8>>,
}

/// Brings what is known up to date, from the trusted `root` on.
pub(super) async fn refresh(
    repository: &TrustRepository,
    root: &[u8],
    known: &Metadata,
) -> Result<Refreshed, TufError> {
    let store = TempDir::new()?;
    for (name, content) in known {
        fs::write(store.path().join(name), content.get())?;
    }
    let transport = HttpTransport { repository: repository.clone(), failed: Arc::default() };
    let loaded = load(transport.clone(), root, store.path()).await;
    // What the transport saw says more than what tough made of it; and tough takes a next root that
    // cannot be fetched for one that is not there.
    if let Some(failed) = transport.failed.get() {
        return Err(failed.clone().into());
    }
    let (loaded, Targets { trusted_root, signing_config, instance }) = loaded?;
    Ok(Refreshed {
        metadata: stored(store.path())?,
        root_version: loaded.root().signed.version.get(),
        expires: expiry(&loaded),
        trusted_root,
        signing_config,
        instance,
    })
}

async fn load(
    transport: HttpTransport,
    root: &[u8],
    store: &Path,
) -> Result<(Repository, Targets), TufError> {
    let repository = transport.repository.clone();
    let base = Url::parse(BASE).map_err(|error| TufError::Refused(error.to_string()))?;
    let targets = base.join("targets/").map_err(|error| TufError::Refused(error.to_string()))?;
    let loaded = RepositoryLoader::new(&root, base, targets)
        .transport(transport)
        .limits(LIMITS)
        .datastore(store)
        .expiration_enforcement(ExpirationEnforcement::Safe)
        .load()
        .await
        .map_err(|error| TufError::of(&error, &repository))?;
    tuf_keys::check(loaded.root().signed.keys.values())
        .map_err(|error| TufError::Refused(format!("a key of the root: {error}")))?;
    let required = |name: &str| TufError::from(repository.lacks(name));
    let trusted_root = target(&loaded, TRUSTED_ROOT, MAX_TRUSTED_ROOT_LEN, &repository).await?;
    let signing_config =
        target(&loaded, SIGNING_CONFIG, MAX_SIGNING_CONFIG_LEN, &repository).await?;
    let targets = Targets {
        trusted_root: trusted_root.ok_or_else(|| required(TRUSTED_ROOT))?,
        signing_config: signing_config.ok_or_else(|| required(SIGNING_CONFIG))?,
        instance: target(&loaded, INSTANCE, MAX_INSTANCE_LEN, &repository).await?,
    };
    Ok((loaded, targets))
}

/// The content of a target; `None` where the repository lists none of that name.
async fn target(
    loaded: &Repository,
    name: &'static str,
    limit: usize,
    repository: &TrustRepository,
) -> Result<Option<Vec<u8>>, TufError> {
    let of = |error| TufError::of(&error, repository);
    let name = TargetName::new(name).map_err(of)?;
    let listed = loaded.targets().signed.targets.get(&name);
    if listed.is_some_and(|target| usize::try_from(target.length).is_ok_and(|n| n > limit)) {
        return Err(TufError::Refused(format!("{} is longer than {limit} bytes", name.raw())));
    }
    let content = loaded.read_target(&name).await.map_err(of)?;
    let Some(content) = content else { return Ok(None) };
    content.into_vec().await.map_err(of).map(Some)
}

fn expiry(loaded: &Repository) -> UnixSeconds {
    let all = [
        loaded.root().signed.expires,
        loaded.timestamp().signed.expires,
        loaded.snapshot().signed.expires,
        loaded.targets().signed.expires,
    ];
    let seconds = all.iter().map(|at| u64::try_from(at.as_second()).unwrap_or(0));
    UnixSeconds(seconds.min().unwrap_or(0))
}

/// Every file of a store.
fn stored(store: &Path) -> Result<Metadata, TufError> {
    let mut metadata = Metadata::new();
    for file in fs::read_dir(store)? {
        let file = file?;
        let content = fs::read_to_string(file.path())?;
        let content = RawValue::from_string(content).map_err(io::Error::from)?;
        metadata.insert(file.file_name().to_string_lossy().into_owned(), content);
    }
    Ok(metadata)
}

/// How tough reads: whole files of bounded length, never from another host.
#[derive(Clone, Debug)]
struct HttpTransport {
    repository: TrustRepository,
    /// The first failure to read a file.
    failed: Arc<OnceLock<ServiceError>>,
}

#[async_trait]
impl Transport for HttpTransport {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        // The path alone: an error of tough shows what it is given, and a URL may hold credentials.
        let path = url.path();
        match self.repository.file(path).await {
            Ok(Some(content)) => Ok(Box::pin(futures::stream::iter([Ok(Bytes::from(content))]))),
            Ok(None) => Err(TransportError::new(TransportErrorKind::FileNotFound, path)),
            Err(error) => {
                let failure =
                    TransportError::new_with_cause(TransportErrorKind::Other, path, error.clone());
                // Only the first is of interest.
                let _ = self.failed.set(error);
                Err(failure)
            }
        }
    }
}

/// Why a refresh gave nothing.
#[derive(Debug, Error)]
pub enum TufError {
    /// The repository did not answer, or lacks a file.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Rollback, foreign signatures, expired metadata: the pin stays as it was.
    #[error("the trust repository gave what is not to be trusted: {0}")]
    Refused(String),
    /// What was known cannot be kept.
    #[error("no file can be written: {0}")]
    Store(#[from] io::Error),
}

impl TufError {
    fn of(error: &tough::error::Error, repository: &TrustRepository) -> Self {
        match error {
            // Of another kind it is content of a wrong length or hash: files that could not be had
            // are known from the transport.
            tough::error::Error::Transport { url, source, .. }
                if source.kind() == TransportErrorKind::FileNotFound =>
            {
                Self::Service(repository.lacks(url.path().trim_start_matches('/')))
            }
            _ => Self::Refused(in_one_line(error)),
        }
    }
}
