//! Files that somebody names, read no further than they may be long: `/dev/zero` has no end.

use std::{
    fs::File,
    io::{self, Error, ErrorKind, Read},
    path::Path,
};

use anyhow::Context;

/// The content of `path`, of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, or is longer.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut content)?;
    if content.len() > most {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("longer than {most} bytes")));
    }
    Ok(content)
}

/// [`read`], of a file that is text.
///
/// # Errors
/// As there, and when it is no UTF-8.
pub(crate) fn read_text(path: &Path, most: usize) -> io::Result<String> {
    let text = String::from_utf8(read(path, most)?);
    text.map_err(|_| Error::new(ErrorKind::InvalidData, "not UTF-8"))
}

/// Longest JWK Set of a file, in bytes: what an issuer's `keys_file` may have.
const MAX_KEYS_LEN: usize = 1 << 20;

/// A JWK Set that an option names.
///
/// # Errors
/// As [`read`].
pub(crate) fn keys(path: &Path) -> anyhow::Result<Vec<u8>> {
    read(path, MAX_KEYS_LEN).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_is_read_no_further_than_its_limit() {
        let error = read(Path::new("/dev/zero"), 64).unwrap_err().to_string();
        assert_eq!(error, "longer than 64 bytes");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        std::fs::write(&file, "four").unwrap();
        assert_eq!(read_text(&file, 4).unwrap(), "four");
        assert!(read_text(&file, 3).is_err());
        std::fs::write(&file, b"\xff").unwrap();
        assert!(read_text(&file, 4).unwrap_err().to_string().contains("UTF-8"));
        assert!(read(&directory.path().join("none"), 4).is_err());
    }
}
