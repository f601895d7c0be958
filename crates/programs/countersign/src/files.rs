//! Reading within limits, and writing all or nothing.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crypto::{HashAlgorithm, Hasher};
use tempfile::NamedTempFile;

use crate::Failure;

/// Longest key, certificate, token or list read, in bytes.
pub(crate) const MAX_SMALL_FILE: usize = 1024 * 1024;

/// Longest artifact held in memory, in bytes; larger ones can be attested, which hashes as it reads.
const MAX_ARTIFACT_IN_MEMORY: usize = 1 << 30;

/// Bytes hashed at once.
const PIECE: usize = 64 * 1024;

/// Reads a file of at most `limit` bytes; `what` names it in messages.
pub(crate) fn read(path: &Path, limit: usize, what: &str) -> Result<Vec<u8>, Failure> {
    let content = read_at_most(path, limit).map_err(|error| unreadable(path, what, &error))?;
    content.ok_or_else(|| {
        Failure::usage(format!("{what} {} is longer than {limit} bytes", path.display()))
    })
}

/// Reads the first `limit` bytes of a file, and one more when there is more: for content whose
/// length somebody else judges.
pub(crate) fn read_beginning(path: &Path, limit: usize, what: &str) -> Result<Vec<u8>, Failure> {
    beginning_of(path, limit).map_err(|error| unreadable(path, what, &error))
}

/// The whole file, or `None` when it is longer than `limit` bytes: for who words its own errors.
pub(crate) fn read_at_most(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let content = beginning_of(path, limit)?;
    Ok((content.len() <= limit).then_some(content))
}

fn beginning_of(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let allowance = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(allowance).read_to_end(&mut content)?;
    Ok(content)
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, Failure> {
    String::from_utf8(read(path, MAX_SMALL_FILE, what)?)
        .map_err(|_| Failure::usage(format!("{what} {} is not text", path.display())))
}

/// Reads an artifact as a whole.
pub(crate) fn read_artifact(path: &Path) -> Result<Vec<u8>, Failure> {
    read(path, MAX_ARTIFACT_IN_MEMORY, "file")
}

/// What one reading of a file of any size gives.
#[derive(Debug)]
pub(crate) struct Hashed {
    pub(crate) sha256: [u8; 32],
    /// The first [`BEGINNING`] bytes, or all when there are fewer.
    pub(crate) beginning: Vec<u8>,
}

/// Enough of a file to see what its bytes are meant for, in bytes.
const BEGINNING: usize = 16;

/// Hashes a file of any size.
pub(crate) fn hash(path: &Path) -> Result<Hashed, Failure> {
    let unreadable = |error: io::Error| unreadable(path, "file", &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    let mut beginning = Vec::with_capacity(BEGINNING);
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece).map_err(unreadable)?;
        match piece.get(..length) {
            Some([]) | None => break,
            Some(read) => {
                // A pipe may give a few bytes at a time.
                beginning.extend(read.iter().take(BEGINNING.saturating_sub(beginning.len())));
                hasher.update(read);
            }
        }
    }
    // Invariant: SHA-256 gives 32 bytes.
    let sha256 =
        hasher.finish().try_into().map_err(|_| Failure::usage("the hash has a wrong length"))?;
    Ok(Hashed { sha256, beginning })
}

/// Refuses an output that would take the place of what it is made from.
pub(crate) fn refuse_to_replace(input: &Path, output: &Path) -> Result<(), Failure> {
    let same = match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        // What is not there is not replaced.
        _ => false,
    };
    if same {
        let message = format!("{} is what is to be signed", output.display());
        return Err(Failure::usage(message).advise("write the bundle to another file"));
    }
    Ok(())
}

fn unreadable(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::usage(format!("{what} {} cannot be read: {error}", path.display()))
}

/// Files that appear together, or not at all.
#[derive(Debug, Default)]
pub(crate) struct Outputs(Vec<(PathBuf, NamedTempFile)>);

impl Outputs {
    /// Stages `content`, complete and durable but under another name, beside `path`.
    pub(crate) fn stage(&mut self, path: &Path, content: &[u8]) -> Result<(), Failure> {
        let unwritable = |error: io::Error| {
            Failure::usage(format!("{} cannot be written: {error}", path.display()))
        };
        if path.is_dir() {
            return Err(Failure::usage(format!("{} is a directory", path.display())));
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = new_file_in(directory).map_err(unwritable)?;
        file.write_all(content).map_err(unwritable)?;
        file.as_file().sync_all().map_err(unwritable)?;
        self.0.push((path.to_owned(), file));
        Ok(())
    }

    /// Gives every staged file its name, and the names. A crash in between leaves whole files only.
    pub(crate) fn publish(self) -> Result<Vec<String>, Failure> {
        let mut written = Vec::new();
        for (path, file) in self.0 {
            file.persist(&path).map_err(|error| {
                Failure::usage(format!("{} cannot be written: {}", path.display(), error.error))
            })?;
            written.push(path.display().to_string());
        }
        Ok(written)
    }
}

/// A temporary file with the permissions of an ordinary one: what is written here is public.
pub(crate) fn new_file_in(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".countersign-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Narrowed by the umask.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishes_all_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let first = directory.path().join("first");
        let mut outputs = Outputs::default();
        outputs.stage(&first, b"1").unwrap();
        assert!(!first.exists());
        outputs.stage(&directory.path().join("missing/second"), b"2").unwrap_err();
        drop(outputs);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn replaces_a_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"old").unwrap();
        let mut outputs = Outputs::default();
        outputs.stage(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        outputs.publish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn refuses_to_replace_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        Outputs::default().stage(directory.path(), b"x").unwrap_err();
    }

    #[test]
    fn reads_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5, "file").unwrap(), b"12345");
        let message = read(&path, 4, "key").unwrap_err().to_string();
        assert!(message.contains("longer than 4 bytes"), "{message}");
        read(&directory.path().join("none"), 4, "key").unwrap_err();
    }

    #[test]
    fn hashes_a_file_larger_than_one_piece() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let content = vec![7u8; PIECE * 2 + 1];
        std::fs::write(&path, &content).unwrap();
        let hashed = hash(&path).unwrap();
        assert_eq!(hashed.sha256, crypto::sha256(&content));
        assert_eq!(hashed.beginning, [7; BEGINNING]);
        std::fs::write(&path, b"DSSEv1").unwrap();
        assert_eq!(hash(&path).unwrap().beginning, b"DSSEv1");
    }
}
