use std::path::PathBuf;

use anyhow::Context;
use crypto::PublicKey;

use crate::{
    certificates::load_chain,
    config::Config,
    data_dir::{Access, read_if_present, read_json, replace, write_json},
    deployment_dirs::DeploymentDirs,
    logs::{LogIdentities, LogIdentity},
    services::Material,
};
use store::LogKind;

/// The directory of what everybody may know: written by `init`, read by every service.
pub(super) struct PublicDir(PathBuf);

impl PublicDir {
    pub(super) fn new(dirs: &DeploymentDirs) -> Self {
        Self(dirs.public())
    }

    /// The chain `ca` or `tsa`.
    pub(super) fn chain_file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}_chain.pem"))
    }

    /// Keeps a public key, or makes sure that the one that is there is the same.
    pub(super) fn keep_key(&self, name: &str, key: &PublicKey) -> anyhow::Result<()> {
        match self.key_if_present(name)? {
            None => replace(&self.key_file(name), key.to_pem().as_bytes(), Access::Everybody),
            Some(known) if known == *key => Ok(()),
            Some(_) => anyhow::bail!(
                "{} is not of the private key; a lost key cannot be replaced, only rotated",
                self.key_file(name).display()
            ),
        }
    }

    /// Makes sure that no other tree id of the Rekor v1 log was kept.
    pub(super) fn check_tree_id(&self, tree_id: i64) -> anyhow::Result<()> {
        match read_json::<i64>(&self.tree_id_file())? {
            Some(known) if known != tree_id => anyhow::bail!(
                "the database has no Rekor v1 log with the tree id {known}: it is not the one that \
                 this deployment was made with"
            ),
            _ => Ok(()),
        }
    }

    /// Keeps the tree id of the Rekor v1 log, once that is in the database.
    pub(super) fn keep_tree_id(&self, tree_id: i64) -> anyhow::Result<()> {
        self.check_tree_id(tree_id)?;
        if self.has_tree_id() { Ok(()) } else { write_json(&self.tree_id_file(), &tree_id) }
    }

    /// Keeps the first TUF root, by which a lost repository is noticed.
    pub(super) fn keep_root(&self, root: &[u8]) -> anyhow::Result<()> {
        let path = self.root_file();
        if path.exists() { Ok(()) } else { replace(&path, root, Access::Everybody) }
    }

    /// The TUF root that the deployment began with.
    pub(super) fn root_file(&self) -> PathBuf {
        self.0.join("root.json")
    }

    /// The tree id of the Rekor v1 log.
    pub(super) fn tree_id(&self) -> anyhow::Result<i64> {
        read_json(&self.tree_id_file())?.with_context(|| not_made(&self.tree_id_file()))
    }

    /// Whether `init` has made the logs.
    pub(super) fn has_tree_id(&self) -> bool {
        self.tree_id_file().exists()
    }

    /// Everything that is published.
    pub(super) fn material(&self) -> anyhow::Result<Material> {
        let chain = |name| {
            let path = self.chain_file(name);
            load_chain(&path)?.with_context(|| not_made(&path))
        };
        let key = |name| self.key_if_present(name)?.with_context(|| not_made(&self.key_file(name)));
        Ok(Material {
            ca_chain: chain("ca")?,
            tsa_chain: chain("tsa")?,
            ct: key("ct")?,
            rekor1: key("rekor1")?,
            rekor1_tiles: key("rekor1-tiles")?,
            rekor2: key("rekor2")?,
        })
    }

    /// The chains of all CAs whose certificates the CT log takes, our own first.
    ///
    /// # Errors
    /// When one of `further` cannot be read, or is no chain that can have issued anything.
    pub(super) fn ct_chains(&self, further: &[PathBuf]) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
        let mut chains = vec![self.material()?.ca_chain];
        for path in further {
            let chain = load_chain(path)?
                .with_context(|| format!("{} of `further_ca_chains` is missing", path.display()))?;
            x509::AcceptedChains::from_der([&chain]).with_context(|| {
                format!("{} is no chain of an issuing CA, lowest first", path.display())
            })?;
            chains.push(chain);
        }
        Ok(chains)
    }

    fn key_if_present(&self, name: &str) -> anyhow::Result<Option<PublicKey>> {
        let path = self.key_file(name);
        let Some(text) = read_if_present(&path)? else { return Ok(None) };
        let key = PublicKey::from_pem(&text);
        key.map(Some).with_context(|| format!("{} holds no public key", path.display()))
    }

    /// The public key of that name.
    pub(super) fn key_file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pub"))
    }

    fn tree_id_file(&self) -> PathBuf {
        self.0.join("rekor1-tree-id")
    }
}

fn not_made(path: &std::path::Path) -> String {
    format!("{} is missing: run `countersignd init`", path.display())
}

/// What the logs of a configuration are called.
pub(super) fn identities(config: &Config, tree_id: i64) -> LogIdentities {
    let log = |log: &crate::config::Log, kind, tree_id| LogIdentity {
        name: log.name.clone(),
        kind,
        host: log.url.host().to_owned(),
        tree_id,
    };
    LogIdentities {
        ct: log(&config.ct, LogKind::Ct, 0),
        rekor1: log(&config.rekor1, LogKind::Rekor1, tree_id),
        rekor2: log(&config.rekor2, LogKind::Rekor2, 0),
    }
}
