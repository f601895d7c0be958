use std::path::Path;

use anyhow::{Context, anyhow, bail};
use crypto::{KeyType, LocalSigner, PublicKey, Signer};

use crate::{
    data_dir::{Access, DataDir, create, read_if_present, remove_unfinished},
    ours::Ours,
};

/// Reads a key, or makes it.
pub(crate) fn load_or_make_file(
    path: &Path,
    name: &str,
    key_type: KeyType,
) -> anyhow::Result<LocalSigner> {
    remove_unfinished(path)?;
    if let Some(key) = load_file(path, name, key_type)? {
        return Ok(key);
    }
    let key = LocalSigner::generate(key_type, name)?;
    // Durable before anything is signed or certified with it.
    create(path, key.to_pkcs8_pem().as_bytes(), Access::Owner)?;
    Ok(key)
}

/// Reads a key, if it is there. A file that is no such key is never replaced.
pub(crate) fn load_file(
    path: &Path,
    name: &str,
    key_type: KeyType,
) -> anyhow::Result<Option<LocalSigner>> {
    let Some(pem) = read_if_present(path)? else { return Ok(None) };
    // A private key that others can read is not private, and nobody notices later.
    Ours::this_process()?.refuse_shared(path, &path.metadata()?)?;
    let key = LocalSigner::from_pkcs8_pem(&pem, name)
        .with_context(|| format!("{} holds no private key", path.display()))?;
    let found = key.public_key().key_type();
    if found != key_type {
        bail!("{} holds a key of type {found:?}, not {key_type:?}", path.display());
    }
    Ok(Some(key))
}

/// The public half of whatever key is in a file, if it is one.
pub(crate) fn public_half(path: &Path) -> Option<PublicKey> {
    let pem = read_if_present(path).ok().flatten()?;
    let key = LocalSigner::from_pkcs8_pem(&pem, "unnamed").ok()?;
    Some(key.public_key().clone())
}

/// The development identity provider's key, for `token`.
pub(crate) fn load_oidc(data_dir: &DataDir) -> anyhow::Result<LocalSigner> {
    load_file(&data_dir.key_file(OIDC), OIDC, KeyType::Rsa2048)?.ok_or_else(|| {
        anyhow!(
            "no development identity provider in this data directory: start `countersignd dev` first"
        )
    })
}

pub(crate) const OIDC: &str = "oidc";

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::data_dir::replace;

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ct.pem");
        (directory, path)
    }

    fn load_or_make(path: &Path) -> anyhow::Result<LocalSigner> {
        load_or_make_file(path, "ct", KeyType::EcdsaP256)
    }

    #[test]
    fn keeps_a_key_that_is_there() {
        let (_directory, path) = place();
        let first = load_or_make(&path).unwrap();
        assert_eq!(load_or_make(&path).unwrap().public_key(), first.public_key());
    }

    #[test]
    fn never_replaces_what_it_cannot_read() {
        let (_directory, path) = place();
        replace(&path, b"garbage", Access::Owner).unwrap();
        let error = load_or_make(&path).unwrap_err();
        assert!(error.to_string().contains("holds no private key"), "{error:#}");
        assert_eq!(fs::read(&path).unwrap(), b"garbage");

        let other = LocalSigner::generate(KeyType::Ed25519, "x").unwrap();
        replace(&path, other.to_pkcs8_pem().as_bytes(), Access::Owner).unwrap();
        let error = load_or_make(&path).unwrap_err();
        assert!(error.to_string().contains("of type Ed25519"), "{error:#}");
    }

    #[test]
    fn refuses_a_key_that_others_can_read() {
        let (_directory, path) = place();
        load_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        let error = load_or_make(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error:#}");
    }
}
