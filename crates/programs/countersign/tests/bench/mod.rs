//! A directory of its own for one test, in which the program runs; no service does.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use crypto::{KeyType, LocalSigner, Signer};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Bench(TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// A new key: `NAME.pem`, and its public half `NAME.pub`.
    pub(crate) fn key(&self, name: &str, key_type: KeyType) -> &Self {
        let key = LocalSigner::generate(key_type, name).unwrap();
        self.write(&format!("{name}.pem"), key.to_pkcs8_pem().as_bytes());
        self.write(&format!("{name}.pub"), key.public_key().to_pem())
    }

    /// Runs the program with arguments without white space.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.run_each(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn run_each(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .output()
            .unwrap();
        Ran { arguments: arguments.join(" "), output }
    }
}

pub(crate) struct Ran {
    arguments: String,
    output: Output,
}

impl Ran {
    /// All that was printed.
    pub(crate) fn said(&self) -> String {
        let of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        of(&self.output.stdout) + &of(&self.output.stderr)
    }

    pub(crate) fn exits(self, code: i32) -> Self {
        let Self { arguments, output } = &self;
        assert_eq!(output.status.code(), Some(code), "{arguments}: {}", self.said());
        self
    }

    pub(crate) fn says(self, words: &str) -> Self {
        let said = self.said();
        assert!(said.contains(words), "{}: `{words}` is not in: {said}", self.arguments);
        self
    }
}
