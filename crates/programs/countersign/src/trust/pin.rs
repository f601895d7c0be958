//! Trust that was pinned: the TUF repository of an instance, and the last of it that was verified.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use moment::UnixSeconds;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use url::Url;
use verify::{MAX_TRUSTED_ROOT_LEN, Trust};
use wire::{
    countersign::MAX_INSTANCE_LEN,
    trust::{SigningConfig, TrustedRoot},
};

use super::{
    LoadedTrust, MAX_SIGNING_CONFIG_LEN,
    names::{ForgeOfNames, said_in},
    tuf::{self, Metadata, TufError},
};
use crate::{
    files::{new_file_in, read_at_most},
    services::{HttpClient, ServiceError, ServiceUrl, ServiceUrlError, TrustRepository},
};

/// The one file of a trust directory: replaced as a whole, so that a crash leaves the old or the new.
const PIN: &str = "pinned.json";

/// Held while the pin is replaced, so that a slow process does not put an older one back.
const LOCK: &str = "lock";

/// Longest pin read, in bytes: the targets, and metadata of 2 MiB (its own limits, twice).
const MAX_PIN_LEN: usize =
    MAX_TRUSTED_ROOT_LEN + MAX_SIGNING_CONFIG_LEN + MAX_INSTANCE_LEN + 4 * 1024 * 1024;

/// The form of the file; a program that does not know it must not guess.
const FORMAT: u32 = 1;

/// What says that a repository is the right one.
#[derive(Clone, Debug)]
pub enum Anchor {
    /// A root that came by another way.
    Root(Vec<u8>),
    /// SHA-256 of the root that the repository itself gives.
    Checksum([u8; 32]),
}

/// A pinned instance.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pinned {
    format: u32,
    /// URL of the repository.
    pub url: String,
    /// Version of the newest root that was verified.
    pub root_version: u64,
    /// Unix seconds; see [`Pinned::expires`].
    expires: u64,
    metadata: Metadata,
    trusted_root: Box<RawValue>,
    signing_config: Box<RawValue>,
    /// `countersign.json`: absent in older pins, and where the repository has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<Box<RawValue>>,
}

impl Pinned {
    /// When it has to be refreshed.
    #[must_use]
    pub const fn expires(&self) -> UnixSeconds {
        UnixSeconds(self.expires)
    }

    /// Whom to trust, and the services to use.
    ///
    /// # Errors
    /// [`PinError::Unusable`].
    pub fn load(&self) -> Result<LoadedTrust, PinError> {
        let unusable = |error: &dyn std::error::Error| PinError::Unusable(error.to_string());
        let root: TrustedRoot =
            wire::json::from_str(self.trusted_root.get()).map_err(|error| unusable(&error))?;
        let config: SigningConfig =
            wire::json::from_str(self.signing_config.get()).map_err(|error| unusable(&error))?;
        let trust = Trust::from_root(root).map_err(|error| unusable(&error))?;
        let said = self.instance.as_ref().map(|instance| said_in(instance.get().as_bytes()));
        let said = said.transpose().map_err(|error| unusable(&error))?.unwrap_or_default();
        let names = ForgeOfNames::Pinned(said);
        Ok(LoadedTrust { trust, signing_config: Some(config), names })
    }

    /// SHA-256 of the newest root as it is kept, hex.
    #[must_use]
    pub fn root_sha256(&self) -> Option<String> {
        let root = self.metadata.get(ROOT)?;
        Some(hex::encode(crypto::sha256(root.get().as_bytes())))
    }
}

const ROOT: &str = "root.json";

/// The directory that holds a pin, or will.
#[derive(Clone, Debug)]
pub struct TrustDirectory(PathBuf);

impl TrustDirectory {
    /// The directory at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What is pinned here, if anything.
    ///
    /// # Errors
    /// [`PinError::Unreadable`], [`PinError::Unusable`].
    pub fn pinned(&self) -> Result<Option<Pinned>, PinError> {
        let path = self.0.join(PIN);
        let content = match read_at_most(&path, MAX_PIN_LEN) {
            Ok(content) => {
                content.ok_or_else(|| PinError::Unusable("it is too long".to_owned()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PinError::Unreadable { path, source }),
        };
        let pinned: Pinned = wire::json::from_slice(&content)
            .map_err(|error| PinError::Unusable(error.to_string()))?;
        if pinned.format == FORMAT {
            Ok(Some(pinned))
        } else {
            Err(PinError::Unusable(format!("its format {} is not known", pinned.format)))
        }
    }

    /// Pins the instance whose repository is at `url`. Another one that is pinned here stays,
    /// unless `replace`.
    ///
    /// # Errors
    /// [`PinError`].
    pub async fn init(
        &self,
        http: &HttpClient,
        url: &str,
        anchor: &Anchor,
        replace: bool,
    ) -> Result<Pinned, PinError> {
        let service = ServiceUrl::parse(url)?;
        if Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some()) {
            return Err(PinError::Credentials);
        }
        let _locked = self.lock()?;
        if !replace && let Some(other) = self.pinned()? {
            return Err(PinError::Taken { url: shown(&other.url) });
        }
        let repository = TrustRepository::new(http.clone(), service);
        let root = match anchor {
            Anchor::Root(root) => root.clone(),
            Anchor::Checksum(sha256) => root_of(&repository, sha256).await?,
        };
        self.refresh(&repository, url, (&root, &Metadata::new())).await
    }

    /// Brings the pin up to date.
    ///
    /// # Errors
    /// [`PinError`]; [`PinError::Nothing`] when there is none.
    pub async fn update(&self, http: &HttpClient) -> Result<Pinned, PinError> {
        let _locked = self.lock()?;
        self.update_locked(http).await
    }

    /// The pin, brought up to date unless another process did so since it was found expired at
    /// `now`.
    ///
    /// # Errors
    /// [`PinError`]; [`PinError::Nothing`] when there is none.
    pub async fn renewed(&self, http: &HttpClient, now: UnixSeconds) -> Result<Pinned, PinError> {
        let _locked = self.lock()?;
        match self.pinned()?.filter(|pinned| now < pinned.expires()) {
            Some(pinned) => Ok(pinned),
            None => self.update_locked(http).await,
        }
    }

    async fn update_locked(&self, http: &HttpClient) -> Result<Pinned, PinError> {
        let known = self.pinned()?.ok_or(PinError::Nothing)?;
        let root = known.metadata.get(ROOT);
        let root = root.ok_or_else(|| PinError::Unusable("it has no root".to_owned()))?;
        let repository = TrustRepository::new(http.clone(), ServiceUrl::parse(&known.url)?);
        self.refresh(&repository, &known.url, (root.get().as_bytes(), &known.metadata)).await
    }

    async fn refresh(
        &self,
        repository: &TrustRepository,
        url: &str,
        (root, known): (&[u8], &Metadata),
    ) -> Result<Pinned, PinError> {
        let refreshed = tuf::refresh(repository, root, known).await?;
        let pinned = Pinned {
            format: FORMAT,
            url: url.to_owned(),
            root_version: refreshed.root_version,
            expires: refreshed.expires.0,
            metadata: refreshed.metadata,
            trusted_root: raw(refreshed.trusted_root)?,
            signing_config: raw(refreshed.signing_config)?,
            instance: refreshed.instance.map(raw).transpose()?,
        };
        // What cannot be used must not take the place of what can.
        pinned.load()?;
        self.save(&pinned).map_err(|source| self.unwritable(source))?;
        Ok(pinned)
    }

    fn save(&self, pinned: &Pinned) -> io::Result<()> {
        let file = new_file_in(&self.0)?;
        serde_json::to_writer(file.as_file(), pinned)?;
        file.as_file().sync_all()?;
        file.persist(self.0.join(PIN)).map_err(|error| error.error)?;
        // The name is durable only with its directory.
        File::open(&self.0)?.sync_all()
    }

    /// Waits until no other process replaces the pin; each does so for as long as its requests take.
    fn lock(&self) -> Result<File, PinError> {
        let lock = || {
            fs::create_dir_all(&self.0)?;
            let file = File::options().create(true).append(true).open(self.0.join(LOCK))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|source| self.unwritable(source))
    }

    fn unwritable(&self, source: io::Error) -> PinError {
        PinError::Unwritable { path: self.0.clone(), source }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// The root with that checksum: the newest that the repository gives, or its first.
async fn root_of(repository: &TrustRepository, sha256: &[u8; 32]) -> Result<Vec<u8>, PinError> {
    let mut found = false;
    for path in ["/root.json", "/1.root.json"] {
        if let Some(root) = repository.file(path).await? {
            if crypto::sha256(&root) == *sha256 {
                return Ok(root);
            }
            found = true;
        }
    }
    Err(if found { PinError::AnotherRoot } else { repository.lacks("root.json").into() })
}

fn raw(content: Vec<u8>) -> Result<Box<RawValue>, PinError> {
    let unusable = |error: String| PinError::Unusable(error);
    let text = String::from_utf8(content).map_err(|error| unusable(error.to_string()))?;
    RawValue::from_string(text).map_err(|error| unusable(error.to_string()))
}

/// A URL without its credentials.
fn shown(url: &str) -> String {
    ServiceUrl::parse(url).map_or_else(|_| "another URL".to_owned(), |url| url.to_string())
}

/// Why there is no pinned trust to use.
#[derive(Debug, Error)]
pub enum PinError {
    /// In this directory; `COUNTERSIGN_TRUST_DIR` names another.
    #[error("no trust is pinned: run `countersign trust init`")]
    Nothing,
    /// Forgetting an instance silently would let whoever repeats a command choose whom to trust.
    #[error("the instance at {url} is pinned already: --replace forgets it")]
    Taken {
        /// Without credentials.
        url: String,
    },
    /// Or somebody stands between us and the repository. Nothing was pinned.
    #[error("the root of the trust repository has another checksum: it is of another instance")]
    AnotherRoot,
    /// The URL is none.
    #[error("the URL of the trust repository cannot be used: {0}")]
    Url(#[from] ServiceUrlError),
    /// The pin is readable for others.
    #[error("the URL of the trust repository holds credentials, which would be kept with the pin")]
    Credentials,
    /// The pin cannot be read.
    #[error("the pinned trust in {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pin cannot be kept.
    #[error("trust cannot be pinned in {}: {source}", .path.display())]
    Unwritable {
        /// Which directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is pinned, or would be, is of no use.
    #[error("the pinned trust cannot be used: {0}")]
    Unusable(String),
    /// The repository gave nothing that could be trusted.
    #[error(transparent)]
    Tuf(#[from] TufError),
}

impl From<ServiceError> for PinError {
    fn from(error: ServiceError) -> Self {
        Self::Tuf(TufError::Service(error))
    }
}

impl PinError {
    /// The process's exit code; scripts rely on it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Tuf(TufError::Service(error)) => error.exit_code(),
            Self::AnotherRoot | Self::Unusable(_) | Self::Tuf(TufError::Refused(_)) => 1,
            Self::Nothing
            | Self::Taken { .. }
            | Self::Url(_)
            | Self::Credentials
            | Self::Unreadable { .. }
            | Self::Unwritable { .. }
            | Self::Tuf(TufError::Store(_)) => 2,
        }
    }
}
