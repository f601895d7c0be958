//! What names of repositories without a host mean: `countersign.json` of the instance.

use std::{
    io,
    path::{Path, PathBuf},
};

use provenance::{Forge, ForgeError, ForgeKind};
use thiserror::Error;
use wire::countersign::{Instance, MAX_INSTANCE_LEN};

use crate::files::read_at_most;

/// The document's name, among the trust files and among the targets of TUF.
pub(super) const INSTANCE: &str = "countersign.json";

/// Where the forge of bare names is said.
#[derive(Debug)]
pub(super) enum ForgeOfNames {
    /// In the file beside the one that says whom to trust; read when a name needs it.
    Beside(PathBuf),
    /// In what is pinned.
    Pinned(Said),
}

/// What the document says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// That names without a host mean.
    forge: Option<Forge>,
    /// That tokens for the instance have.
    audience: Option<String>,
}

impl ForgeOfNames {
    /// In the directory of `trust_file`.
    pub(super) fn beside(trust_file: &Path) -> Self {
        Self::Beside(trust_file.with_file_name(INSTANCE))
    }

    /// The forge; `None` where nobody named one.
    pub(super) fn forge(&self) -> Result<Option<Forge>, InstanceError> {
        self.said().map(|said| said.forge)
    }

    /// The audience of tokens for the instance; `None` where nobody named one.
    pub(super) fn audience(&self) -> Result<Option<String>, InstanceError> {
        self.said().map(|said| said.audience)
    }

    fn said(&self) -> Result<Said, InstanceError> {
        match self {
            Self::Pinned(said) => Ok(said.clone()),
            Self::Beside(path) => match read_at_most(path, MAX_INSTANCE_LEN) {
                Ok(content) => said_in(&content.ok_or(InstanceError::TooLong)?),
                Err(error) if is_absent(&error) => Ok(Said::default()),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// The file, where it is one.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Beside(path) => path,
            Self::Pinned(_) => Path::new(INSTANCE),
        }
    }
}

/// What a document says.
pub(super) fn said_in(document: &[u8]) -> Result<Said, InstanceError> {
    let instance: Instance = wire::json::from_slice(document)?;
    let forge = instance.forge.map(|forge| {
        // A kind that is not known here is compared letter by letter, which errs on the safe side,
        // but where the host says what it is.
        match forge.kind.as_deref().map(ForgeKind::named) {
            Some(None) => Forge::new(&forge.url, None)
                .or_else(|_| Forge::new(&forge.url, Some(ForgeKind::Other))),
            kind => Forge::new(&forge.url, kind.flatten()),
        }
    });
    Ok(Said { forge: forge.transpose()?, audience: instance.audience })
}

/// A trust file that is no file (`/dev/fd/3`) has nothing beside it.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Why `countersign.json` says nothing.
#[derive(Debug, Error)]
pub enum InstanceError {
    /// It is there and cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Found before it is parsed.
    #[error("it is longer than {MAX_INSTANCE_LEN} bytes")]
    TooLong,
    /// Not the document, or one of a newer version.
    #[error("it is not an instance document of version 1: {0}")]
    Json(#[from] serde_json::Error),
    /// What it names is no forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}
