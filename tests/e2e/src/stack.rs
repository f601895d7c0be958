use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::Database;

/// Longest wait for a start: the first one makes an RSA key, on a machine that runs other tests too.
const START_LIMIT: Duration = Duration::from_secs(90);

/// `countersignd dev` on free ports, in a directory that goes with this value.
pub struct Stack {
    database: Database,
    directory: TempDir,
    server: Option<Child>,
    ready: Value,
}

impl Stack {
    /// Starts a stack and waits until every service answers.
    ///
    /// # Errors
    /// When it ends or hangs before it is ready; its log is part of the error.
    pub fn start(database: Database) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("countersign-e2e-").tempdir()?;
        let mut stack = Self { database, directory, server: None, ready: Value::Null };
        stack.set_clock_offset(0)?;
        stack.restart()?;
        Ok(stack)
    }

    /// Starts the server again on the same data.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn restart(&mut self) -> Result<()> {
        let data_dir = self.data_dir();
        fs::create_dir_all(&data_dir)?;
        let ready_file = data_dir.join("ready.json");
        if ready_file.exists() {
            fs::remove_file(&ready_file)?;
        }
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(binaries().join("countersignd"));
        command.args(["dev", "--port-base", "auto", "--data-dir"]).arg(&data_dir);
        command.arg("--clock-offset-file").arg(self.clock_offset_file());
        if let Database::Postgres { url } = &self.database {
            command.args(["--database-url", url]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let server = self.server.insert(child);
        let begin = Instant::now();
        while !ready_file.exists() {
            if let Some(status) = server.try_wait()? {
                bail!("countersignd ended with {status}:\n{}", self.log());
            }
            if begin.elapsed() > START_LIMIT {
                bail!("countersignd is not ready:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.ready = serde_json::from_slice(&fs::read(&ready_file)?)?;
        Ok(())
    }

    /// Moves every clock of the server, within a second or two, or from its next start on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_clock_offset(&self, seconds: i64) -> Result<()> {
        Ok(fs::write(self.clock_offset_file(), seconds.to_string())?)
    }

    /// `kill -9`: nothing in the server runs any more.
    ///
    /// # Errors
    /// When there is no server to kill.
    pub fn kill(&mut self) -> Result<()> {
        let mut server = self.server.take().context("no server runs")?;
        server.kill()?;
        server.wait()?;
        Ok(())
    }

    /// A member of `ready.json`.
    #[must_use]
    pub fn ready(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_default()
    }

    /// A file of the trust directory.
    #[must_use]
    pub fn trust_file(&self, name: &str) -> PathBuf {
        Path::new(self.ready("trust_dir")).join(name)
    }

    /// A directory for the test's own files.
    #[must_use]
    pub fn work(&self) -> &Path {
        self.directory.path()
    }

    /// Where the stack keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Everything that the server logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Writes a token of the development issuer to a file and gives its path with `@` before it.
    ///
    /// # Errors
    /// When `countersignd token` fails.
    pub fn token_file<S: AsRef<OsStr>>(&self, name: &str, arguments: &[S]) -> Result<String> {
        let mut command = Command::new(binaries().join("countersignd"));
        command.arg("token").arg("--data-dir").arg(self.data_dir()).args(arguments);
        let said = said(&mut command)?;
        if said.code != Some(0) {
            bail!("countersignd token: {said:?}");
        }
        let file = self.work().join(name);
        fs::write(&file, said.stdout)?;
        Ok(format!("@{}", file.display()))
    }

    /// `countersignd fsck log` on this stack's data.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn fsck(&self) -> Result<Said> {
        let mut command = Command::new(binaries().join("countersignd"));
        command.args(["fsck", "log", "--data-dir"]).arg(self.data_dir());
        if let Database::Postgres { url } = &self.database {
            command.args(["--database-url", url]);
        }
        said(&mut command)
    }

    /// `countersign`, told to trust this stack by a file.
    #[must_use]
    pub fn countersign(&self) -> Command {
        let mut command = self.countersign_alone();
        command.env("COUNTERSIGN_TRUST_CONFIG", self.trust_file("client_trust_config.json"));
        command
    }

    /// `countersign`, told nothing: it trusts what it pins, in [`Stack::pin`].
    #[must_use]
    pub fn countersign_alone(&self) -> Command {
        let mut command = Command::new(binaries().join("countersign"));
        command.env("COUNTERSIGN_TRUST_DIR", self.pin()).env_remove("COUNTERSIGN_TRUST_CONFIG");
        for variable in ["SIGSTORE_ID_TOKEN", "GITHUB_ACTIONS", "CI"] {
            command.env_remove(variable);
        }
        command.current_dir(self.work());
        command
    }

    /// Where [`Stack::countersign_alone`] keeps what it pins.
    #[must_use]
    pub fn pin(&self) -> PathBuf {
        self.directory.path().join("pin")
    }

    fn clock_offset_file(&self) -> PathBuf {
        self.directory.path().join("clock-offset")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("countersignd.stderr")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.server.is_some() {
            // The test is over; a server that is gone already is fine too.
            let _ = self.kill();
        }
    }
}

/// What a program left: its exit code and output.
#[derive(Debug)]
pub struct Said {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started.
pub fn said(command: &mut Command) -> Result<Said> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    Ok(Said {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The directory of `countersignd` and `countersign`.
#[must_use]
pub fn binaries() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "how `cargo xtask test` says what it built")]
    let told = std::env::var("COUNTERSIGN_BIN_DIR");
    told.map_or_else(
        |_| {
            // A test lies in `<target>/debug/deps`, the programs beside that directory.
            let own = std::env::current_exe().unwrap_or_default();
            own.ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
        },
        PathBuf::from,
    )
}
