//! Where a deployment keeps what outlives its processes: below one directory, one for each service.

use std::path::{Path, PathBuf};

use crate::cli::Part;

/// The directories below `data_dir`. Each may be a volume of its own, given to who needs it only.
#[derive(Debug, Clone)]
pub(crate) struct DeploymentDirs {
    root: PathBuf,
}

impl DeploymentDirs {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Private keys and state of one service.
    pub(crate) fn of(&self, part: Part) -> PathBuf {
        self.root.join(part.name())
    }

    /// What the CA may lose: fetched keys of issuers, and the socket for orders. Apart from its
    /// key, which the CA's process need not be able to write.
    pub(crate) fn ca_state(&self) -> PathBuf {
        self.root.join("ca-state")
    }

    /// What everybody may read: chains, public keys, the tree id.
    pub(crate) fn public(&self) -> PathBuf {
        self.root.join("public")
    }

    /// Keys of the roots: for `init` alone, to be taken away afterwards.
    pub(crate) fn offline(&self) -> PathBuf {
        self.root.join("offline")
    }

    /// The TUF repository.
    pub(crate) fn tuf(&self) -> PathBuf {
        self.of(Part::Trust).join("tuf")
    }

    /// The repository's newest root; there when the repository was completely made.
    pub(crate) fn tuf_root(&self) -> PathBuf {
        self.tuf().join("root.json")
    }

    /// The key `name` of a service, where the configuration names no other.
    pub(crate) fn key_file(&self, part: Part, name: &str) -> PathBuf {
        self.of(part).join("keys").join(format!("{name}.pem"))
    }
}
