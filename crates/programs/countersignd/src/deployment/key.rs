use std::path::PathBuf;

use anyhow::{Context, bail};
use crypto::{KeyType, LocalSigner, PublicKey, Signer};

use crate::{
    data_dir::{Access, create, read_if_present},
    keys,
};

/// A key of a service: where its halves are.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The private half.
    pub(crate) file: PathBuf,
    /// How the audit trail calls it.
    pub(crate) name: String,
    pub(crate) kind: KeyType,
    /// What names the file in a configuration, as in "`key` of [ca.default]".
    pub(crate) setting: String,
    /// The public half, for those that do not have the private one; `None` where everybody has.
    pub(crate) public_file: Option<PathBuf>,
}

impl Key {
    /// The private half, which must be there and be the one that was published.
    pub(crate) fn load(&self) -> anyhow::Result<LocalSigner> {
        let key = keys::load_file(&self.file, &self.name, self.kind)?;
        let key = key.with_context(|| self.missing())?;
        if self.published()?.is_some_and(|public| public != *key.public_key()) {
            bail!("the key `{}` is not the one that was published for it", self.name);
        }
        Ok(key)
    }

    /// The private half; a new one where there is none.
    pub(crate) fn load_or_make(&self) -> anyhow::Result<LocalSigner> {
        keys::load_or_make_file(&self.file, &self.name, self.kind)
    }

    /// The public half.
    pub(crate) fn public_key(&self) -> anyhow::Result<PublicKey> {
        match &self.public_file {
            None => Ok(self.load()?.public_key().clone()),
            Some(path) => self.published()?.with_context(|| not_made(path)),
        }
    }

    /// Whether its public half was kept apart from it.
    pub(crate) fn is_published(&self) -> bool {
        self.public_file.as_ref().is_some_and(|path| path.exists())
    }

    /// The public half, where any half is there.
    pub(crate) fn known(&self) -> anyhow::Result<Option<PublicKey>> {
        if let Some(public) = self.published()? {
            return Ok(Some(public));
        }
        let key = keys::load_file(&self.file, &self.name, self.kind)?;
        Ok(key.map(|key| key.public_key().clone()))
    }

    /// Keeps the public half of `key`, or makes sure that the one that is there is the same.
    pub(crate) fn publish(&self, key: &LocalSigner) -> anyhow::Result<()> {
        let Some(path) = &self.public_file else { return Ok(()) };
        match self.published()? {
            None => create(path, key.public_key().to_pem().as_bytes(), Access::Everybody),
            Some(known) if known == *key.public_key() => Ok(()),
            Some(_) => bail!(
                "{} is not of the private key; a lost key cannot be replaced, only rotated",
                path.display()
            ),
        }
    }

    fn published(&self) -> anyhow::Result<Option<PublicKey>> {
        let Some(path) = &self.public_file else { return Ok(None) };
        let Some(text) = read_if_present(path)? else { return Ok(None) };
        let key = PublicKey::from_pem(&text);
        key.map(Some).with_context(|| format!("{} holds no public key", path.display()))
    }

    fn missing(&self) -> String {
        let Self { file, name, setting, .. } = self;
        format!(
            "the key {} (`{name}`) is missing: run `countersignd init`, or name the file by {setting}",
            file.display()
        )
    }
}

/// What to do about a file that `init` makes.
pub(crate) fn not_made(path: &std::path::Path) -> String {
    format!("{} is missing: run `countersignd init`", path.display())
}
