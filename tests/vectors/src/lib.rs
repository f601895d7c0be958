//! Data that other implementations made, for tests to compare with. `README.md` beside this crate
//! names the origin of each file.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its vectors has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where a file or a folder is, given relative to the root of all vectors.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn path(relative: impl AsRef<Path>) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
    assert!(path.exists(), "no such vector: {}", path.display());
    path
}

/// The content of a file.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn read(relative: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path(relative)).unwrap()
}

/// Every file of a folder and of those in it, in the order of their paths.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn files(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![path(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = if path.is_dir() { &mut folders } else { &mut found };
            kind.push(path);
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_folder_of_the_readme_has_files() {
        for folder in
            ["bundles", "merkle", "rekor1", "signing-config", "trusted-roots", "tsa", "tuf", "x509"]
        {
            assert!(!super::files(folder).is_empty(), "{folder}");
        }
    }
}
