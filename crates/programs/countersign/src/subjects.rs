use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use provenance::{MAX_SUBJECTS, ResourceDescriptor};
use verify::Artifact;

use crate::{Failure, files};

/// An artifact to attest or to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// As the user named it.
    pub(crate) name: String,
    pub(crate) sha256: [u8; 32],
    /// How the file begins, of the same reading as its digest; empty when only that was given.
    pub(crate) beginning: Vec<u8>,
    /// The file; none when only its digest was given.
    pub(crate) path: Option<PathBuf>,
}

impl Subject {
    /// Hashes a file.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Failure> {
        let files::Hashed { sha256, beginning } = files::hash(path)?;
        Ok(Self {
            name: path.display().to_string(),
            sha256,
            beginning,
            path: Some(path.to_owned()),
        })
    }

    /// Takes `sha256:HEX` of the right length that is no path on disk for a digest, and everything
    /// else for a file: whoever lists a directory means what is in it.
    pub(crate) fn of_file_or_digest(argument: &str) -> Result<Self, Failure> {
        let path = Path::new(argument);
        let digest = argument.strip_prefix("sha256:").and_then(digest_of_hex);
        match digest {
            // A dangling link is on disk, too.
            Some(sha256) if path.symlink_metadata().is_err() => {
                Ok(Self::of_digest(argument, sha256))
            }
            _ => Self::of_file(path),
        }
    }

    /// An artifact of which only the digest is known.
    pub(crate) fn of_digest(name: &str, sha256: [u8; 32]) -> Self {
        Self { name: name.to_owned(), sha256, beginning: Vec::new(), path: None }
    }

    /// What is known of the artifact without reading it again.
    pub(crate) fn artifact(&self) -> Artifact<'_> {
        Artifact::from_sha256(self.sha256).with_beginning(&self.beginning)
    }

    /// The whole file, which must be what was hashed: what is reported is what is signed.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        let artifact = files::read_artifact(path)?;
        if crypto::sha256(&artifact) == self.sha256 {
            Ok(artifact)
        } else {
            Err(Failure::usage(format!("{} was changed while it was being read", self.name)))
        }
    }

    /// The subject as a statement names it.
    pub(crate) fn descriptor(&self) -> ResourceDescriptor {
        ResourceDescriptor::with_sha256(self.name.trim_start_matches("./"), &self.sha256)
    }

    /// Where the bundle of this subject is, when nothing else is said.
    pub(crate) fn bundle_path(&self) -> Option<PathBuf> {
        let mut path = self.path.clone()?.into_os_string();
        path.push(".sigstore.json");
        Some(path.into())
    }
}

/// Reads the values of `--subjects`: files separated by white space, `@FILE` with one on each
/// line, or a checksum list (`sha256sum`'s output) in base64. Repetitions count once.
pub(crate) fn parse(values: &[String]) -> Result<Vec<Subject>, Failure> {
    let mut subjects: Vec<Subject> = Vec::new();
    for word in values.iter().flat_map(|value| value.split_whitespace()) {
        for subject in subjects_of(word)? {
            match subjects.iter().find(|known| known.name == subject.name) {
                Some(known) if known.sha256 == subject.sha256 => {}
                Some(_) => {
                    let message = format!("subject `{}` is given with two digests", subject.name);
                    return Err(Failure::usage(message));
                }
                None => subjects.push(subject),
            }
            if subjects.len() > MAX_SUBJECTS {
                return Err(Failure::usage(format!(
                    "more than {MAX_SUBJECTS} subjects were given"
                )));
            }
        }
    }
    if subjects.is_empty() {
        return Err(Failure::usage("no subject was given").advise("name files by --subjects"));
    }
    Ok(subjects)
}

fn subjects_of(word: &str) -> Result<Vec<Subject>, Failure> {
    if let Some(list) = word.strip_prefix('@') {
        let list = files::read_text(Path::new(list), "subject list")?;
        let lines = list.lines().map(|line| line.trim_end_matches('\r'));
        return lines
            .filter(|line| !line.is_empty())
            .map(|line| Subject::of_file(Path::new(line)))
            .collect();
    }
    let path = Path::new(word);
    if !path.exists()
        && let Some(checksums) = checksums_of(word)
    {
        return Ok(checksums);
    }
    if path.is_dir() {
        let message = format!("subject {word} is a directory");
        return Err(Failure::usage(message).advise("name the files in it, for example by @FILE"));
    }
    Ok(vec![Subject::of_file(path)?])
}

/// A checksum list in base64; `None` when it is anything else.
fn checksums_of(word: &str) -> Option<Vec<Subject>> {
    let text = String::from_utf8(STANDARD.decode(word).ok()?).ok()?;
    let subjects: Option<Vec<Subject>> =
        text.lines().filter(|line| !line.trim().is_empty()).map(checksum_of).collect();
    subjects.filter(|subjects| !subjects.is_empty())
}

/// `HEX  NAME`, or `HEX *NAME` as for binary mode.
fn checksum_of(line: &str) -> Option<Subject> {
    let (hex, name) = line.trim_end().split_once(' ')?;
    let name = name.strip_prefix([' ', '*'])?;
    if name.is_empty() {
        return None;
    }
    Some(Subject::of_digest(name, digest_of_hex(hex)?))
}

fn digest_of_hex(hex: &str) -> Option<[u8; 32]> {
    hex::decode(hex).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(directory: &Path, name: &str, content: &str) -> String {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn names(subjects: &[Subject]) -> Vec<&str> {
        subjects.iter().map(|subject| subject.name.as_str()).collect()
    }

    #[test]
    fn splits_at_white_space_and_takes_repeated_options() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| file(directory.path(), name, name));
        let subjects = parse(&[format!("  {a}\n\t{b} "), c.clone(), a.clone()]).unwrap();
        assert_eq!(names(&subjects), [&a, &b, &c]);
        assert_eq!(subjects[0].sha256, crypto::sha256(b"a"));
        assert_eq!(subjects[0].bundle_path().unwrap(), PathBuf::from(format!("{a}.sigstore.json")));
    }

    #[test]
    fn reads_a_list_with_one_file_on_each_line() {
        let directory = tempfile::tempdir().unwrap();
        let spaced = file(directory.path(), "with space", "1");
        let other = file(directory.path(), "other", "2");
        let list = file(directory.path(), "list", &format!("{spaced}\r\n\n{other}\n"));
        let subjects = parse(&[format!("@{list}")]).unwrap();
        assert_eq!(names(&subjects), [&spaced, &other]);
    }

    #[test]
    fn reads_a_checksum_list_in_base64() {
        let hash = "a".repeat(64);
        let list = STANDARD.encode(format!("{hash}  dist/one\n{hash} *dist/two three\n"));
        let subjects = parse(&[list]).unwrap();
        assert_eq!(names(&subjects), ["dist/one", "dist/two three"]);
        assert_eq!(subjects[0].sha256, [0xaa; 32]);
        assert!(subjects[0].path.is_none());
    }

    #[test]
    fn rejects_one_name_with_two_digests() {
        let line = |c: &str| format!("{}  name\n", c.repeat(64));
        let list = STANDARD.encode(line("a") + &line("b"));
        assert!(parse(&[list]).unwrap_err().to_string().contains("two digests"));
        parse(&[STANDARD.encode(line("a") + &line("a"))]).unwrap();
    }

    #[test]
    fn rejects_missing_files_directories_and_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for value in ["", "  ", "no-such-file", "@no-such-list", &STANDARD.encode("not a list")] {
            let failure = parse(&[value.to_owned()]).unwrap_err();
            assert_eq!(failure.exit(), crate::Exit::Usage, "{value}");
        }
        let failure = parse(&[directory.path().display().to_string()]).unwrap_err();
        assert!(failure.to_string().contains("is a directory"));
    }

    #[test]
    fn takes_a_digest_only_where_the_conformance_suite_means_one() {
        let argument = format!("sha256:{}", "0B".repeat(32));
        let subject = Subject::of_file_or_digest(&argument).unwrap();
        assert_eq!((subject.sha256, subject.path), ([0x0b; 32], None));
        for path in ["sha256:0b", &argument[7..], &format!("{argument}00"), "sha512:00"] {
            let failure = Subject::of_file_or_digest(path).unwrap_err();
            assert!(failure.to_string().contains("cannot be read"), "{failure}");
        }
    }

    #[test]
    fn tells_a_file_that_changed_between_two_readings() {
        let directory = tempfile::tempdir().unwrap();
        let path = PathBuf::from(file(directory.path(), "a", "1"));
        let subject = Subject::of_file(&path).unwrap();
        assert_eq!(subject.read(&path).unwrap(), b"1");
        std::fs::write(&path, "2").unwrap();
        assert!(subject.read(&path).unwrap_err().to_string().contains("was changed"));
    }

    #[test]
    fn takes_a_digest_for_an_argument() {
        let argument = format!("sha256:{}", "0b".repeat(32));
        assert_eq!(Subject::of_file_or_digest(&argument).unwrap().sha256, [0x0b; 32]);
        Subject::of_file_or_digest("sha256:0b").unwrap_err();
        Subject::of_file_or_digest(&format!("sha256:{}", "zz".repeat(32))).unwrap_err();
    }
}
