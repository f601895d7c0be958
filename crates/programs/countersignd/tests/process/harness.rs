//! A `countersignd dev` of a test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Far above what anything here takes, so that only a hang runs into it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A data directory, and perhaps a server on it.
pub(crate) struct Dev {
    directory: TempDir,
    server: Option<Child>,
}

impl Dev {
    /// An empty data directory; nothing runs.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), server: None }
    }

    /// A server on a fresh data directory, ready.
    pub(crate) fn started() -> Self {
        let mut dev = Self::new();
        dev.start(&[]);
        dev
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.data_dir().join(name)
    }

    /// Starts a server without waiting for it.
    pub(crate) fn spawn(&mut self, arguments: &[&str]) -> &mut Child {
        let log = fs::File::create(self.directory.path().join("stderr")).unwrap();
        let mut command = program();
        command.args(["dev", "--port-base", "auto", "--data-dir"]).arg(self.data_dir());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server.insert(command.spawn().unwrap())
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn start(&mut self, arguments: &[&str]) {
        let ready = self.path("ready.json");
        let pid = self.spawn(arguments).id();
        wait_until("the server to be ready", || {
            if let Some(status) = self.server.as_mut().unwrap().try_wait().unwrap() {
                panic!("countersignd ended with {status}: {}", self.log());
            }
            let text = fs::read(&ready).unwrap_or_default();
            // A killed server leaves its own behind.
            serde_json::from_slice::<Value>(&text).is_ok_and(|ready| ready["pid"] == pid)
        });
    }

    /// Sends SIGTERM and waits; gives the status and how long it took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let mut server = self.server.take().unwrap();
        let begin = Instant::now();
        let kill = format!("kill -TERM {}", server.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        (server.wait().unwrap(), begin.elapsed())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// `ready.json`, as text.
    pub(crate) fn ready_text(&self) -> String {
        fs::read_to_string(self.path("ready.json")).unwrap()
    }

    /// A member of `ready.json`.
    pub(crate) fn url(&self, name: &str) -> String {
        let ready: Value = serde_json::from_str(&self.ready_text()).unwrap();
        ready[name].as_str().unwrap().to_owned()
    }

    /// `countersignd <command> --data-dir <here> <arguments>`, to its end.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let mut program = program();
        program.arg(command).arg("--data-dir").arg(self.data_dir()).args(arguments);
        program.output().unwrap()
    }

    /// `countersignd <words> --data-dir <here>`, to its end.
    pub(crate) fn run_words(&self, words: &[&str]) -> Output {
        program().args(words).arg("--data-dir").arg(self.data_dir()).output().unwrap()
    }

    /// What the server logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.kill();
        }
    }
}

/// The program, without the variables of whoever runs the tests.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersignd"));
    command.env_remove("RUST_LOG").env_remove("COUNTERSIGN_DATABASE_URL");
    command
}

/// Looks again and again, without a sleep that would be too short or too long.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// Every file below `directory` with its content.
pub(crate) fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}
