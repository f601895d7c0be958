//! The trail of the keys in files of its own, which outlive the log of a process.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    event_lines::{EventLines, line_of},
    output,
};

/// Where lines of the target `audit` go, each once and as JSON, beside the log. Old files are kept up to a number.
#[derive(Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    open: Mutex<File>,
}

impl AuditFile {
    /// Opens the file of a part of `serve`, or of `init`, in `directory`, which must be there: a volume that was forgotten is no
    /// reason to write where a container ends.
    pub(crate) fn open(directory: &Path, part: &str) -> anyhow::Result<Self> {
        let path = directory.join(format!("{part}.log"));
        let explain = || {
            format!(
                "cannot write the audit trail, `audit_dir` of [telemetry], to {}",
                path.display()
            )
        };
        let open = Mutex::new(append_to(&path).with_context(explain)?);
        Ok(Self { path, open })
    }

    /// Writes one line, whole.
    fn write_line(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.metadata()?.len() >= MAX_LEN {
            *open = self.next(&open)?;
        }
        open.write_all(line)
    }

    /// The file to go on with. Another process of the same part may have turned it already.
    fn next(&self, full: &File) -> io::Result<File> {
        let is_full =
            |metadata: fs::Metadata| metadata.ino() == full.metadata().map_or(0, |own| own.ino());
        if fs::metadata(&self.path).is_ok_and(is_full) {
            for number in (1..KEPT).rev() {
                rename_if_present(&self.numbered(number), &self.numbered(number + 1))?;
            }
            fs::rename(&self.path, self.numbered(1))?;
        }
        append_to(&self.path)
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("log.{number}"))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn rename_if_present(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Length at which a file is full: some 80,000 certificates.
const MAX_LEN: u64 = 64 << 20;

/// Full ones that are kept: 2 GiB with the one in use. Who needs them for longer takes them away.
const KEPT: u32 = 31;

impl<'a> MakeWriter<'a> for AuditFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

/// One event.
pub(crate) struct Line<'a>(&'a AuditFile);

impl Write for Line<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_line(&line_of(EventLines::Json, event)).inspect_err(|error| {
            // The line itself is in the log of the process. Not by tracing, which calls this.
            output::say(&format!(
                "an audit line is lost: cannot write {}: {error}",
                self.0.path.display()
            ));
        })?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_kept_beside_the_next_one_and_nothing_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let trail = AuditFile::open(directory.path(), "ca").unwrap();
        // A second process of the same part.
        let other = AuditFile::open(directory.path(), "ca").unwrap();
        trail.write_line(b"first\n").unwrap();
        let file = directory.path().join("ca.log");
        OpenOptions::new().write(true).open(&file).unwrap().set_len(MAX_LEN).unwrap();
        trail.write_line(b"second\n").unwrap();
        other.write_line(b"third\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "second\nthird\n");
        let full = fs::read(directory.path().join("ca.log.1")).unwrap();
        assert!(full.starts_with(b"first\n"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        assert!(AuditFile::open(&directory.path().join("none"), "ca").is_err());
    }
}
