//! Where a deployment keeps what outlives its processes: below one directory, one for each service.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{
    cli::Part,
    deployment::{Deployment, Kind, Places},
};

/// The directories below `data_dir`. Each may be a volume of its own, given to who needs it only.
#[derive(Debug, Clone)]
pub(crate) struct DeploymentDirs {
    root: PathBuf,
}

/// How the files of one service begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stem {
    own: String,
    /// How they began before there could be several of its kind; of the only one of it alone.
    old: Option<&'static str>,
}

impl Stem {
    /// Of the service `name`, which is the only one of its kind or not.
    pub(crate) fn of(kind: Kind, name: &str, only: bool) -> Self {
        let word = Self::word(kind);
        let own = match kind {
            Kind::Log(_) => name.to_owned(),
            _ if name == "default" => word.to_owned(),
            _ => format!("{word}-{name}"),
        };
        Self { old: Some(word).filter(|word| only && *word != own), own }
    }

    /// How files of a kind begin that has one service.
    fn word(kind: Kind) -> &'static str {
        match kind {
            Kind::Trust => "tuf",
            other => other.word(),
        }
    }

    /// `own` in `directory`, unless only the file of before is there.
    fn file(&self, directory: &Path, name: impl Fn(&str) -> String) -> PathBuf {
        let own = directory.join(name(&self.own));
        let old = self.old.map(|old| directory.join(name(old)));
        old.filter(|old| !own.exists() && old.exists()).unwrap_or(own)
    }
}

impl DeploymentDirs {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Everything is below it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Private keys and state of the services of one kind.
    pub(crate) fn of(&self, part: Part) -> PathBuf {
        self.root.join(part.name())
    }

    /// What a CA may lose: fetched keys of issuers, and the socket for orders. Apart from its
    /// key, which the CA's process need not be able to write. The only CA has no directory below it.
    pub(crate) fn ca_state(&self, name: &str, only: bool) -> PathBuf {
        let all = self.root.join("ca-state");
        if only || name == "default" { all } else { all.join(name) }
    }

    /// The private key of a service, where the configuration names no other. `ending` tells the keys of
    /// one service apart.
    pub(crate) fn key_file(&self, part: Part, stem: &Stem, ending: &str) -> PathBuf {
        let directory = self.of(part).join("keys");
        // The directory says the kind already.
        let shortened = |stem: &str| {
            let prefix = format!("{}-", part.name());
            stem.strip_prefix(&prefix).unwrap_or(stem).to_owned()
        };
        stem.file(&directory, |stem| format!("{}{ending}.pem", shortened(stem)))
    }

    /// The key that certifies that of a CA or TSA: for `init` alone.
    pub(crate) fn offline_key_file(&self, stem: &Stem) -> PathBuf {
        stem.file(&self.offline(), |stem| format!("{stem}-root.pem"))
    }

    /// A file that everybody may read.
    pub(crate) fn public_file(&self, stem: &Stem, ending: &str) -> PathBuf {
        stem.file(&self.public(), |stem| format!("{stem}{ending}"))
    }

    /// The root that a TUF repository began with.
    pub(crate) fn first_root_file(&self, stem: &Stem) -> PathBuf {
        stem.file(&self.public(), |stem| match stem {
            "tuf" => "root.json".to_owned(),
            other => format!("{other}-root.json"),
        })
    }

    /// A TUF repository.
    pub(crate) fn tuf(&self, stem: &Stem) -> PathBuf {
        stem.file(&self.of(Part::Trust), str::to_owned)
    }

    /// The last checkpoints of the logs.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.of(Part::Log).join("checkpoints")
    }

    /// SQLite's file of the logs.
    pub(crate) fn log_database(&self) -> PathBuf {
        self.of(Part::Log).join("log.db")
    }

    /// Files of before that are of one of several services, and none of them says of which.
    pub(crate) fn unclaimed(&self, kind: Kind, names: &[&str]) -> Option<PathBuf> {
        let stems: Vec<Stem> = names.iter().map(|name| Stem::of(kind, name, false)).collect();
        let word = Stem::word(kind);
        if stems.len() < 2 {
            return None;
        }
        if stems.iter().any(|stem| stem.own == word) {
            return self.ran_by_another_name(kind, &stems);
        }
        let ending = match kind {
            Kind::Ca | Kind::Tsa => "_chain.pem",
            Kind::Log(_) => ".pub",
            Kind::Trust => return Some(self.of(Part::Trust).join(word)).filter(|old| old.exists()),
        };
        let old = self.public().join(format!("{word}{ending}"));
        let lacks = |stem: &Stem| !self.public_file(stem, ending).exists();
        (old.exists() && stems.iter().any(lacks)).then_some(old)
    }

    /// The public key by which a log ran that has none of its own name, where another log is called by its
    /// kind and would have it. Of chains what was published tells (`serve/lost.rs`).
    fn ran_by_another_name(&self, kind: Kind, stems: &[Stem]) -> Option<PathBuf> {
        let Kind::Log(_) = kind else { return None };
        let old = self.public().join(format!("{}.pub", Stem::word(kind)));
        let ran = |stem: &Stem| {
            self.checkpoints().join(&stem.own).exists() && !self.public_file(stem, ".pub").exists()
        };
        stems.iter().any(ran).then_some(old).filter(|old| old.exists())
    }

    /// All directories, as `init` makes them.
    pub(crate) fn places(&self, with_provider: bool) -> Places {
        let mut private: Vec<PathBuf> =
            [Part::Ca, Part::Log, Part::Tsa, Part::Trust].map(|part| self.of(part)).to_vec();
        if with_provider {
            private.push(self.of(Part::OidcDev));
        }
        Places {
            root: self.root.clone(),
            private,
            public: Some(self.public()),
            offline: Some(self.offline()),
            logs: self.of(Part::Log),
            checkpoints: self.checkpoints(),
            trust: self.of(Part::Trust),
            provider: self.of(Part::OidcDev),
        }
    }

    /// What everybody may read: chains, public keys, tree ids.
    fn public(&self) -> PathBuf {
        self.root.join("public")
    }

    /// Keys of the roots: for `init` alone, to be taken away afterwards.
    fn offline(&self) -> PathBuf {
        self.root.join("offline")
    }
}

/// Directories of a deployment that others than its user and root could put files of theirs into,
/// each in words. Warned of and not refused: volumes are often made so, and are alone in their container.
pub(crate) fn open_to_others(deployment: &Deployment) -> Vec<String> {
    // Who runs this process, by what it owns.
    let own = fs::metadata("/proc/self").map(|metadata| metadata.uid()).unwrap_or_default();
    let states = deployment.authorities.iter().map(|authority| &authority.state_dir);
    let mut found: Vec<String> = Vec::new();
    for directory in [&deployment.places.root].into_iter().chain(states) {
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

    use store::LogKind;

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

    const REKOR2: Kind = Kind::Log(LogKind::Rekor2);

    fn made(dirs: &DeploymentDirs, path: &str) -> PathBuf {
        let path = dirs.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        path
    }

    #[test]
    fn files_have_the_name_of_their_service_and_the_names_of_before_where_they_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let dirs = DeploymentDirs::new(directory.path());
        let at = |path: &str| directory.path().join(path);
        let ca = |name, only| Stem::of(Kind::Ca, name, only);
        assert_eq!(dirs.key_file(Part::Ca, &ca("default", false), ""), at("ca/keys/ca.pem"));
        assert_eq!(dirs.key_file(Part::Ca, &ca("acme", true), ""), at("ca/keys/acme.pem"));
        let chain = |stem: &Stem| dirs.public_file(stem, "_chain.pem");
        assert_eq!(chain(&ca("default", true)), at("public/ca_chain.pem"));
        assert_eq!(chain(&ca("acme", true)), at("public/ca-acme_chain.pem"));
        assert_eq!(dirs.offline_key_file(&ca("acme", true)), at("offline/ca-acme-root.pem"));
        let log = |only| Stem::of(REKOR2, "2026", only);
        assert_eq!(dirs.key_file(Part::Log, &log(true), ""), at("log/keys/2026.pem"));
        let trust = |name, only| Stem::of(Kind::Trust, name, only);
        let root = |stem: &Stem| dirs.key_file(Part::Trust, stem, "-root");
        assert_eq!(root(&trust("default", true)), at("trust/keys/tuf-root.pem"));
        assert_eq!(root(&trust("acme", false)), at("trust/keys/tuf-acme-root.pem"));
        assert_eq!(dirs.tuf(&trust("acme", false)), at("trust/tuf-acme"));
        assert_eq!(dirs.first_root_file(&trust("default", true)), at("public/root.json"));
        assert_eq!(dirs.first_root_file(&trust("acme", true)), at("public/tuf-acme-root.json"));

        let old = made(&dirs, "log/keys/rekor2.pem");
        assert_eq!(dirs.key_file(Part::Log, &log(true), ""), old);
        assert_eq!(dirs.key_file(Part::Log, &log(false), ""), at("log/keys/2026.pem"));
        let own = made(&dirs, "log/keys/2026.pem");
        assert_eq!(dirs.key_file(Part::Log, &log(true), ""), own);
        let old = made(&dirs, "public/ca_chain.pem");
        assert_eq!(chain(&ca("acme", true)), old);
        assert_eq!(chain(&ca("acme", false)), at("public/ca-acme_chain.pem"));
    }

    /// The second log of a kind must not be taken for the first, nor the first get another key.
    #[test]
    fn files_of_before_are_not_given_to_one_of_several() {
        let directory = tempfile::tempdir().unwrap();
        let dirs = DeploymentDirs::new(directory.path());
        let names = ["2026", "2027"];
        assert_eq!(dirs.unclaimed(REKOR2, &names), None);
        let old = made(&dirs, "public/rekor2.pub");
        assert_eq!(dirs.unclaimed(REKOR2, &names), Some(old));
        assert_eq!(dirs.unclaimed(REKOR2, &["2026"]), None);
        assert_eq!(dirs.unclaimed(REKOR2, &["2026", "rekor2"]), None);
        made(&dirs, "public/2026.pub");
        made(&dirs, "public/2027.pub");
        assert_eq!(dirs.unclaimed(REKOR2, &names), None);
    }
}
