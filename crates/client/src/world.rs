use std::{collections::BTreeMap, io};

/// What a command needs of its surroundings, so that the library itself reads none of it.
#[derive(Debug)]
pub struct World {
    /// Unix seconds.
    pub clock: fn() -> u64,
    /// The CI's variables.
    pub variables: BTreeMap<String, String>,
    /// All of standard input, at most as many bytes as given.
    pub stdin: fn(usize) -> io::Result<Vec<u8>>,
    /// Whether progress may be shown on standard error.
    pub on_terminal: bool,
}

impl World {
    /// Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
