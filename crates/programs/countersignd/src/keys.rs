use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    thread::{self, ScopedJoinHandle},
};

use anyhow::{Context, anyhow, bail};
use crypto::{KeyType, LocalSigner, Signer};

use crate::data_dir::{Access, DataDir, read_if_present, replace};

/// The keys with which the services sign. Those of the roots are only used to make certificates.
pub(crate) struct Keys {
    /// Issuing CA.
    pub(crate) ca: LocalSigner,
    /// CT log.
    pub(crate) ct: LocalSigner,
    /// Rekor v1 log: checkpoints and SETs.
    pub(crate) rekor1: LocalSigner,
    /// Rekor v1 log: checkpoints of its tiles.
    pub(crate) rekor1_tiles: LocalSigner,
    /// Rekor v2 log.
    pub(crate) rekor2: LocalSigner,
    /// Timestamp authority.
    pub(crate) tsa: LocalSigner,
    /// Root and targets of the TUF repository.
    pub(crate) tuf_root: LocalSigner,
    /// Snapshot and timestamp of the TUF repository.
    pub(crate) tuf_online: LocalSigner,
    /// Development identity provider.
    pub(crate) oidc: LocalSigner,
}

impl Keys {
    /// Reads the keys, and makes those that are missing.
    ///
    /// A killed first start leaves some of them: those stay, the others are made now.
    pub(crate) fn load_or_make(data_dir: &DataDir) -> anyhow::Result<Self> {
        // An RSA key takes 100 ms to make and each file a wait for the disk.
        thread::scope(|scope| {
            let key = |name, key_type| scope.spawn(move || load_or_make(data_dir, name, key_type));
            let ca = key("ca", KeyType::EcdsaP256);
            let ct = key("ct", KeyType::EcdsaP256);
            let rekor1 = key("rekor1", KeyType::EcdsaP256);
            let rekor1_tiles = key("rekor1-tiles", KeyType::Ed25519);
            let rekor2 = key("rekor2", KeyType::Ed25519);
            let tsa = key("tsa", KeyType::EcdsaP256);
            let tuf_root = key("tuf-root", KeyType::EcdsaP256);
            let tuf_online = key("tuf-online", KeyType::EcdsaP256);
            let oidc = key(OIDC, KeyType::Rsa2048);
            Ok(Self {
                ca: made(ca)?,
                ct: made(ct)?,
                rekor1: made(rekor1)?,
                rekor1_tiles: made(rekor1_tiles)?,
                rekor2: made(rekor2)?,
                tsa: made(tsa)?,
                tuf_root: made(tuf_root)?,
                tuf_online: made(tuf_online)?,
                oidc: made(oidc)?,
            })
        })
    }
}

/// Reads a key of the data directory, or makes it.
pub(crate) fn load_or_make(
    data_dir: &DataDir,
    name: &str,
    key_type: KeyType,
) -> anyhow::Result<LocalSigner> {
    load_or_make_file(&data_dir.key_file(name), name, key_type)
}

/// Reads a key, or makes it.
pub(crate) fn load_or_make_file(
    path: &Path,
    name: &str,
    key_type: KeyType,
) -> anyhow::Result<LocalSigner> {
    if let Some(key) = load_file(path, name, key_type)? {
        return Ok(key);
    }
    let key = LocalSigner::generate(key_type, name)?;
    // Durable before anything is signed or certified with it.
    replace(path, key.to_pkcs8_pem().as_bytes(), Access::Owner)?;
    Ok(key)
}

/// Reads a key of the data directory, if it is there.
pub(crate) fn load(
    data_dir: &DataDir,
    name: &str,
    key_type: KeyType,
) -> anyhow::Result<Option<LocalSigner>> {
    load_file(&data_dir.key_file(name), name, key_type)
}

/// Reads a key, if it is there. A file that is no such key is never replaced.
pub(crate) fn load_file(
    path: &Path,
    name: &str,
    key_type: KeyType,
) -> anyhow::Result<Option<LocalSigner>> {
    let Some(pem) = read_if_present(path)? else { return Ok(None) };
    refuse_shared(path)?;
    let key = LocalSigner::from_pkcs8_pem(&pem, name)
        .with_context(|| format!("{} holds no private key", path.display()))?;
    let found = key.public_key().key_type();
    if found != key_type {
        bail!("{} holds a key of type {found:?}, not {key_type:?}", path.display());
    }
    Ok(Some(key))
}

/// The development identity provider's key, for `token`.
pub(crate) fn load_oidc(data_dir: &DataDir) -> anyhow::Result<LocalSigner> {
    load(data_dir, OIDC, KeyType::Rsa2048)?.ok_or_else(|| {
        anyhow!(
            "no development identity provider in this data directory: start `countersignd dev` first"
        )
    })
}

pub(crate) const OIDC: &str = "oidc";

/// A private key that others can read is not private, and nobody notices later.
fn refuse_shared(path: &Path) -> anyhow::Result<()> {
    let mode = path.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{} can be read by others: run `chmod 600` on it", path.display());
    }
    Ok(())
}

fn made(thread: ScopedJoinHandle<'_, anyhow::Result<LocalSigner>>) -> anyhow::Result<LocalSigner> {
    thread.join().map_err(|_| anyhow!("making a key panicked"))?
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn data_dir() -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = DataDir::create(directory.path()).unwrap();
        (directory, data_dir)
    }

    #[test]
    fn keeps_the_keys_that_are_there_and_makes_the_others() {
        let (_directory, data_dir) = data_dir();
        let ct = load_or_make(&data_dir, "ct", KeyType::EcdsaP256).unwrap();
        let first = Keys::load_or_make(&data_dir).unwrap();
        assert_eq!(first.ct.public_key(), ct.public_key());
        let second = Keys::load_or_make(&data_dir).unwrap();
        assert_eq!(second.rekor2.public_key(), first.rekor2.public_key());
        assert_eq!(second.oidc.public_key(), first.oidc.public_key());
    }

    #[test]
    fn never_replaces_what_it_cannot_read() {
        let (_directory, data_dir) = data_dir();
        let path = data_dir.key_file("ct");
        replace(&path, b"garbage", Access::Owner).unwrap();
        let error = load_or_make(&data_dir, "ct", KeyType::EcdsaP256).unwrap_err();
        assert!(error.to_string().contains("holds no private key"), "{error:#}");
        assert_eq!(fs::read(&path).unwrap(), b"garbage");

        let other = LocalSigner::generate(KeyType::Ed25519, "x").unwrap();
        replace(&path, other.to_pkcs8_pem().as_bytes(), Access::Owner).unwrap();
        let error = load_or_make(&data_dir, "ct", KeyType::EcdsaP256).unwrap_err();
        assert!(error.to_string().contains("of type Ed25519"), "{error:#}");
    }

    #[test]
    fn refuses_a_key_that_others_can_read() {
        let (_directory, data_dir) = data_dir();
        load_or_make(&data_dir, "ct", KeyType::EcdsaP256).unwrap();
        let path = data_dir.key_file("ct");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_make(&data_dir, "ct", KeyType::EcdsaP256).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error:#}");
    }
}
