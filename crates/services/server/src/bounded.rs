//! Files that somebody names, read no further than they may be long: `/dev/zero` has no end.

use std::{
    fs::File,
    io::{self, Error, ErrorKind, Read},
    path::Path,
};

/// The content of `path`, of at most `most` bytes.
///
/// # Errors
/// When it cannot be read; [`ErrorKind::FileTooLarge`].
pub fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut content)?;
    if content.len() > most {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("longer than {most} bytes")));
    }
    Ok(content)
}

/// [`read`], and nothing but a file: a pipe would be waited for without end.
///
/// # Errors
/// As there, and [`ErrorKind::InvalidInput`].
pub fn read_regular(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Opening a pipe waits already.
    if !path.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    read(path, most)
}

/// The text in `content`, of a file.
///
/// # Errors
/// [`ErrorKind::InvalidData`].
pub fn text(content: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(content);
    text.map_err(|_| Error::new(ErrorKind::InvalidData, "not UTF-8"))
}

/// [`read`], of a file that is text.
///
/// # Errors
/// As there, and when it is no UTF-8.
pub fn read_text(path: &Path, most: usize) -> io::Result<String> {
    text(read(path, most)?)
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
