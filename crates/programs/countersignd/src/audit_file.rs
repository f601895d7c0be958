//! The trail of the keys in files of its own, which outlive the log of a process.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    event_lines::{EventLines, line_of},
    locked::Locked,
    output,
    services::Notes,
};

/// Where lines of the target `audit` go, each once and as JSON, beside the log. Old files are kept up to a number.
#[derive(Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Whether it ends with a part of a line, as a full disk leaves it.
    is_torn: bool,
    /// Whether it was said that it stays though it is full.
    stays: bool,
}

impl Open {
    fn append_to(path: &Path) -> io::Result<Self> {
        let file = open_or_make(path)?;
        let mut last = [b'\n'];
        if let Some(end) = file.metadata()?.len().checked_sub(1) {
            file.read_exact_at(&mut last, end)?;
        }
        Ok(Self { file, is_torn: last != [b'\n'], stays: false })
    }

    /// Adds `line`, on a line of its own whatever was left before it.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let joined = [b"\n", line].concat();
        let whole = if self.is_torn { joined.as_slice() } else { line };
        let mut rest = whole;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.is_torn = !rest.is_empty();
        }
        Ok(())
    }
}

/// One that root makes belongs to whom the directory belongs to: an `init` of root's would keep all later ones of the
/// services' user out.
fn open_or_make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.append(true).read(true).mode(0o600);
    let file = match options.create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return options.create_new(false).create(true).open(path);
        }
        made => made?,
    };
    if rustix::process::geteuid().is_root() {
        let directory = fs::metadata(path.parent().unwrap_or(Path::new(".")))?;
        fchown(&file, Some(directory.uid()), Some(directory.gid()))?;
    }
    Ok(file)
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
        let open = Mutex::new(Open::append_to(&path).with_context(explain)?);
        Ok(Self { path, open })
    }

    /// Writes one line, whole. A file that cannot be turned is written to all the same.
    fn write_line(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.file.metadata().is_ok_and(|metadata| metadata.len() >= MAX_LEN) {
            match self.next(&open.file) {
                Ok(Some(next)) => *open = next,
                Err(error) if !open.stays => {
                    open.stays = true;
                    self.say(&format!("is full and stays in use: it cannot be turned: {error}"));
                }
                Ok(None) | Err(_) => {}
            }
        }
        open.append(line)
    }

    /// The file to go on with. Another process of the same part may have turned it already; while it does so, which
    /// takes as long as it is stopped, the full one is gone on with.
    fn next(&self, full: &File) -> io::Result<Option<Open>> {
        let directory = File::open(self.path.parent().unwrap_or(Path::new(".")))?;
        let Some(_alone) = Locked::try_new(directory)? else { return Ok(None) };
        let is_full =
            |metadata: fs::Metadata| metadata.ino() == full.metadata().map_or(0, |own| own.ino());
        if fs::metadata(&self.path).is_ok_and(is_full) {
            self.make_room()?;
            fs::rename(&self.path, self.numbered(1))?;
        }
        Open::append_to(&self.path).map(Some)
    }

    /// Moves kept files up until the first number is free: no further than to a free one, so that a turn that fails and
    /// is tried again pushes none out.
    fn make_room(&self) -> io::Result<()> {
        let is_free =
            |number: &u32| self.numbered(*number).try_exists().is_ok_and(|is_there| !is_there);
        let free = (1..=KEPT).find(is_free).unwrap_or_else(|| {
            let oldest = self.numbered(KEPT);
            self.say(&format!("is full: the oldest, {}, is replaced", oldest.display()));
            KEPT
        });
        for number in (1..free).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1))?;
        }
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("log.{number}"))
    }

    /// Not by tracing, which calls this.
    fn say(&self, words: &str) {
        output::say(&format!("the audit trail {} {words}", self.path.display()));
    }
}

/// Whether the last line was lost.
static LOSES: AtomicBool = AtomicBool::new(false);

fn lost() -> metrics::Counter {
    metrics::counter!("countersign_audit_lines_lost_total")
}

/// Shows how many lines were lost, none at first; gives what is told while they are.
pub(crate) fn watched() -> Notes {
    lost().increment(0);
    Arc::new(|| {
        let why = "lines are lost: the file cannot be written";
        let note =
            LOSES.load(Ordering::Relaxed).then(|| ("audit trail".to_owned(), why.to_owned()));
        note.into_iter().collect()
    })
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
        let written = self.0.write_line(&line_of(EventLines::Json, event));
        LOSES.store(written.is_err(), Ordering::Relaxed);
        written.inspect_err(|error| {
            lost().increment(1);
            // The line itself is in the log of the process.
            self.0.say(&format!("has lost a line: {error}"));
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

    fn fill(file: &Path) {
        OpenOptions::new().write(true).open(file).unwrap().set_len(MAX_LEN).unwrap();
    }

    #[test]
    fn what_many_processes_turn_at_once_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.log");
        let trails: Vec<_> =
            (0..8).map(|_| AuditFile::open(directory.path(), "ca").unwrap()).collect();
        for round in 0..20_u32 {
            fill(&file);
            std::thread::scope(|scope| {
                for trail in &trails {
                    scope.spawn(move || trail.write_line(format!("{round}\n").as_bytes()).unwrap());
                }
            });
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 21, "one file a round");
        for number in 1..=20_u32 {
            let kept = directory.path().join(format!("ca.log.{number}"));
            assert!(fs::metadata(&kept).unwrap().len() >= MAX_LEN, "{number}");
        }
    }

    #[test]
    fn nobody_waits_for_a_process_that_stands_still_while_it_turns_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.log");
        let trail = AuditFile::open(directory.path(), "ca").unwrap();
        fill(&file);
        let stopped = File::open(directory.path()).unwrap();
        stopped.lock().unwrap();
        trail.write_line(b"one\n").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), MAX_LEN + 4);
        drop(stopped);
        trail.write_line(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two\n");
    }

    #[test]
    fn a_file_that_cannot_be_turned_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.log");
        let trail = AuditFile::open(directory.path(), "ca").unwrap();
        fill(&file);
        for number in 1..KEPT {
            fs::write(directory.path().join(format!("ca.log.{number}")), "kept").unwrap();
        }
        // Nothing can be renamed to that.
        fs::create_dir_all(directory.path().join(format!("ca.log.{KEPT}/in-the-way"))).unwrap();
        trail.write_line(b"one\n").unwrap();
        trail.write_line(b"two\n").unwrap();
        let length = usize::try_from(MAX_LEN).unwrap();
        assert_eq!(&fs::read(&file).unwrap()[length..], b"one\ntwo\n");
        assert_eq!(fs::read_to_string(directory.path().join("ca.log.1")).unwrap(), "kept");
    }

    #[test]
    fn the_oldest_goes_only_when_every_number_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let kept = |number: u32| directory.path().join(format!("ca.log.{number}"));
        let trail = AuditFile::open(directory.path(), "ca").unwrap();
        (1..=KEPT).filter(|number| *number != 3).for_each(|number| {
            fs::write(kept(number), number.to_string()).unwrap();
        });
        let turn = || {
            fill(&directory.path().join("ca.log"));
            trail.write_line(b"line\n").unwrap();
        };
        let read = |number| fs::read_to_string(kept(number)).unwrap();
        turn();
        assert_eq!((read(3), read(4), read(KEPT)), ("2".into(), "4".into(), KEPT.to_string()));
        turn();
        assert_eq!((read(4), read(KEPT)), ("2".into(), (KEPT - 1).to_string()));
    }

    #[test]
    fn a_line_after_half_a_line_is_one_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.log");
        fs::write(&file, "whole\nha").unwrap();
        let trail = AuditFile::open(directory.path(), "ca").unwrap();
        trail.write_line(b"next\n").unwrap();
        trail.write_line(b"last\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "whole\nha\nnext\nlast\n");
    }

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        // Root alone can give it away, and has this fault.
        if std::os::unix::fs::chown(directory.path(), Some(65534), None).is_err() {
            return;
        }
        AuditFile::open(directory.path(), "init").unwrap();
        let made = fs::metadata(directory.path().join("init.log")).unwrap();
        assert_eq!((made.uid(), made.mode() & 0o777), (65534, 0o600));
    }

    #[test]
    fn a_line_that_is_lost_is_counted_and_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.log");
        let mut trail = AuditFile::open(directory.path(), "ca").unwrap();
        let told = watched();
        let line = |trail: &AuditFile| trail.make_writer().write(b"{}\n").is_ok();
        assert!(line(&trail) && told().is_empty());
        // As a disk that is full refuses it.
        trail.open.get_mut().unwrap().file = File::open(&file).unwrap();
        assert!(!line(&trail));
        assert!(told()["audit trail"].contains("lines are lost"));
        trail.open.get_mut().unwrap().file = OpenOptions::new().append(true).open(&file).unwrap();
        assert!(line(&trail) && told().is_empty());
    }
}
