use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{Damage, TufError};
use crate::disk;

/// The repository on disk: metadata in the directory itself, targets in one below.
///
/// A copy of it behind any web server is a mirror.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    path: PathBuf,
}

/// Where targets are, below the repository.
pub(super) const TARGETS: &str = "targets/";

impl Directory {
    /// Longest file read: 4 times the longest trusted root that clients take (256 KiB).
    const MAX_FILE_LEN: u64 = 1 << 20;

    /// Makes the directories, and removes what a kill left half-written.
    pub(super) fn open(path: PathBuf) -> Result<Self, TufError> {
        let directory = Self { path };
        let targets = directory.path.join(TARGETS);
        fs::create_dir_all(&targets).map_err(|source| io_error(&targets, source))?;
        for prefix in ["", TARGETS] {
            let names = directory.names(prefix)?;
            for name in names.iter().filter(|name| name.starts_with(disk::TEMPORARY_PREFIX)) {
                directory.remove(&format!("{prefix}{name}"))?;
            }
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Names of the files below `prefix`, which is empty or [`TARGETS`].
    pub(super) fn names(&self, prefix: &str) -> Result<Vec<String>, TufError> {
        let path = self.path.join(prefix);
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|source| io_error(&path, source))?;
        // A name that is not text is none of ours.
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// A file's content, if it is there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Bytes>, TufError> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error(&path, source)),
        };
        let mut content = Vec::new();
        let mut limited = file.take(Self::MAX_FILE_LEN + 1);
        let len = limited.read_to_end(&mut content).map_err(|source| io_error(&path, source))?;
        if u64::try_from(len).is_ok_and(|len| len <= Self::MAX_FILE_LEN) {
            return Ok(Some(content.into()));
        }
        Err(self.damaged(Damage::TooLong(name.to_owned())))
    }

    /// A file that must be there.
    pub(super) fn require(&self, name: &str) -> Result<Bytes, TufError> {
        self.read(name)?.ok_or_else(|| self.damaged(Damage::Missing(name.to_owned())))
    }

    /// Writes the files, all durable when this returns. A kill leaves some of them.
    pub(super) fn write(&self, files: &[(String, Bytes)]) -> Result<(), TufError> {
        for (name, content) in files {
            let path = self.path.join(name);
            disk::replace(&path, content).map_err(|source| io_error(&path, source))?;
        }
        for directory in [self.path.join(TARGETS), self.path.clone()] {
            disk::sync(&directory).map_err(|source| io_error(&directory, source))?;
        }
        Ok(())
    }

    /// Removes a file; one that is gone is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), TufError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&path, error)),
            _ => Ok(()),
        }
    }

    pub(super) fn damaged(&self, damage: Damage) -> TufError {
        TufError::Damaged { directory: self.path.clone(), damage }
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> TufError {
    TufError::Io { path: path.to_owned(), source }
}
