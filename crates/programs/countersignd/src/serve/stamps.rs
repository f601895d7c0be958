//! Whether files changed, by looking: network file systems and links that are turned around tell nobody.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{
    cli::Part,
    deployment::{Deployment, Key},
};

/// What files are at one moment, as far as it costs nothing to know; links are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<PathBuf, Option<Stamp>>);

/// Device, inode, length, and the times of content and inode in seconds and nanoseconds: who writes in place and puts
/// the time back cannot put the second one back.
type Stamp = (u64, u64, u64, [i64; 4]);

impl Stamps {
    /// Of what is there now. Waits for the disk.
    pub(super) fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let stamped = files.into_iter().map(|file| {
            let stamp = stamp(&file);
            (file, stamp)
        });
        Self(stamped.collect())
    }

    /// Of the same files, now.
    pub(super) fn again(&self) -> Self {
        Self::of(self.0.keys().cloned())
    }

    /// Adds those of `files` that are not among them.
    pub(super) fn add(&mut self, files: &[PathBuf]) {
        let new = files.iter().filter(|file| !self.0.contains_key(*file));
        let Self(new) = Self::of(new.cloned());
        self.0.extend(new);
    }

    /// Forgets all but `files`.
    pub(super) fn keep_only(&mut self, files: &[PathBuf]) {
        self.0.retain(|file, _| files.contains(file));
    }

    /// The files of which `later` is different.
    pub(super) fn changed<'a>(&'a self, later: &'a Self) -> impl Iterator<Item = &'a Path> {
        let changed = self.0.iter().filter(|(file, stamp)| later.0.get(*file) != Some(*stamp));
        changed.map(|(file, _)| file.as_path())
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(file).ok()?;
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    Some((found.dev(), found.ino(), found.len(), times))
}

/// The files that a process of `parts` reads at its start, beside the configuration. Those of issuers (`keys_file`,
/// `tls_roots_file`, `bearer_token_file`) and the database's password are read when they are used.
pub(super) fn files(deployment: &Deployment, parts: &[Part]) -> Vec<PathBuf> {
    let includes = |part| parts.iter().any(|one| one.includes(part));
    let mut files = Vec::new();
    let keys = |key: &Key| [Some(key.file.clone()), key.public_file.clone()];
    // The trust files have the chains of all.
    for one in &deployment.authorities {
        if includes(Part::Ca) || includes(Part::Trust) {
            files.push(one.chain.file.clone());
        }
        if includes(Part::Ca) {
            files.extend(keys(&one.key).into_iter().flatten());
            files.extend(deployment.log(&one.ct_log).and_then(|log| log.key.public_file.clone()));
        }
    }
    for one in &deployment.timestamp_authorities {
        if includes(Part::Tsa) || includes(Part::Trust) {
            files.push(one.chain.file.clone());
        }
        if includes(Part::Tsa) {
            files.extend(keys(&one.key).into_iter().flatten());
        }
    }
    for log in deployment.running_logs().filter(|_| includes(Part::Log)) {
        files.extend(deployment.ca_chain_files(log).cloned());
    }
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_written_replaced_linked_anew_or_away_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (one, two, link) = (at("one"), at("two"), at("link"));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let first = Stamps::of([one.clone(), link.clone()]);
        assert_eq!(first, first.again());
        fs::write(&one, "11").unwrap();
        let written = first.again();
        assert_eq!(first.changed(&written).collect::<Vec<_>>(), [link.as_path(), &one]);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&two, &link).unwrap();
        let linked = written.again();
        assert_eq!(written.changed(&linked).collect::<Vec<_>>(), [link.as_path()]);
        fs::rename(&two, &one).unwrap();
        assert_eq!(linked.changed(&linked.again()).count(), 2);
    }
}
