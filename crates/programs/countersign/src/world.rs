use std::{collections::BTreeMap, io, path::PathBuf};

use moment::UnixSeconds;

use crate::{Failure, trust::TrustDirectory};

/// What a command needs of its surroundings, so that the library itself reads none of it.
#[derive(Debug)]
pub struct World {
    /// What time it is.
    pub clock: fn() -> UnixSeconds,
    /// The CI's variables.
    pub variables: BTreeMap<String, String>,
    /// All of standard input, at most as many bytes as given.
    pub stdin: fn(usize) -> io::Result<Vec<u8>>,
    /// Where pinned trust is kept; `None` where there is no home directory.
    pub trust_directory: Option<PathBuf>,
    /// Whether progress may be shown on standard error.
    pub on_terminal: bool,
}

impl World {
    /// What time it is.
    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where pinned trust is kept.
    pub(crate) fn trust_directory(&self) -> Result<TrustDirectory, Failure> {
        let path = self.trust_directory.clone().ok_or_else(|| {
            Failure::usage("there is no home directory to pin trust in")
                .advise("name a directory by COUNTERSIGN_TRUST_DIR")
        })?;
        Ok(TrustDirectory::new(path))
    }
}
