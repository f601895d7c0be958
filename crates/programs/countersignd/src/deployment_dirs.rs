//! Where a deployment keeps what outlives its processes: below one directory, one for each service.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{cli::Part, config::Config};

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

/// Directories of a deployment that others than its user and root could put files of theirs into,
/// each in words. Warned of and not refused: volumes are often made so, and are alone in their container.
pub(crate) fn open_to_others(config: &Config) -> Vec<String> {
    // Who runs this process, by what it owns.
    let own = fs::metadata("/proc/self").map(|metadata| metadata.uid()).unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    for directory in [&config.data_dir, &config.ca_state_dir()] {
        found.extend(open_to_whom(directory, own).filter(|words| !found.contains(words)));
    }
    found
}

fn open_to_whom(directory: &Path, own: u32) -> Option<String> {
    let metadata = fs::metadata(directory).ok()?;
    let (name, owner) = (directory.display(), metadata.uid());
    if metadata.mode() & 0o002 != 0 {
        return Some(format!(
            "everybody can write to {name}, and put keys of theirs in place of others: run `chmod o-w` \
             on it"
        ));
    }
    (![own, 0].contains(&owner)).then(|| {
        format!("{name} belongs to user {owner}, who can replace what this user {own} keeps there")
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn directories_that_others_can_change_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().metadata().unwrap().uid();
        assert_eq!(open_to_whom(directory.path(), own), None);
        let told = open_to_whom(directory.path(), own + 1);
        assert_eq!(told.is_some(), own != 0, "root is trusted");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(open_to_whom(directory.path(), own).unwrap().contains("chmod o-w"));
        assert_eq!(open_to_whom(&directory.path().join("missing"), own), None);
        // Only root can give it away.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if std::os::unix::fs::chown(directory.path(), Some(65534), None).is_ok() {
            let told = open_to_whom(directory.path(), own).unwrap();
            assert!(told.contains("belongs to user 65534"), "{told}");
        }
    }
}
