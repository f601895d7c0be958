use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::{Said, binaries, said};

/// Longest wait for a service, on a machine that runs other tests too.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A configuration in a directory of its own, and processes of `countersignd serve` by it.
pub struct Services {
    directory: TempDir,
    running: Vec<(String, Child)>,
}

impl Services {
    /// An empty directory: no configuration yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("countersign-serve-").tempdir()?;
        Ok(Self { directory, running: Vec::new() })
    }

    /// The directory of configuration, data and whatever a test has.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the configuration is to be.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path().join("countersign.toml")
    }

    /// A path below the directory of the data.
    #[must_use]
    pub fn data(&self, path: &str) -> PathBuf {
        self.path().join("data").join(path)
    }

    /// `countersignd <arguments> --config <this>`, to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn countersignd(&self, arguments: &[&str]) -> Result<Said> {
        said(countersignd().args(arguments).arg("--config").arg(self.config()))
    }

    /// Starts `part` and waits until its metrics' port says that it is ready.
    ///
    /// # Errors
    /// When it ends or hangs before; with its log.
    pub fn start(&mut self, part: &str, metrics_port: u16) -> Result<()> {
        self.start_until(part, &format!("http://127.0.0.1:{metrics_port}/readyz"))
    }

    /// Starts `part` and waits until `url` answers 200.
    ///
    /// # Errors
    /// As [`Services::start`].
    pub fn start_until(&mut self, part: &str, url: &str) -> Result<()> {
        let log = self.path().join(format!("{part}.stderr"));
        let file = fs::File::options().create(true).append(true).open(&log)?;
        let mut command = countersignd();
        command.args(["serve", part, "--config"]).arg(self.config());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn()?;
        self.running.push((part.to_owned(), child));
        let begin = Instant::now();
        while said(countersignd().args(["probe", url]))?.code != Some(0) {
            let (_, child) = self.running.last_mut().context("it was started")?;
            if let Some(status) = child.try_wait()? {
                bail!("{part} ended with {status}: {}", fs::read_to_string(&log)?);
            }
            ensure!(begin.elapsed() < START_LIMIT, "{}", fs::read_to_string(&log)?);
        }
        Ok(())
    }

    /// The process that runs `part`.
    #[must_use]
    pub fn pid(&self, part: &str) -> Option<u32> {
        let mut running = self.running.iter();
        running.find(|(name, _)| name == part).map(|(_, child)| child.id())
    }

    /// What the process of `part` has said so far.
    #[must_use]
    pub fn log(&self, part: &str) -> String {
        fs::read_to_string(self.path().join(format!("{part}.stderr"))).unwrap_or_default()
    }

    /// SIGTERM to every process, which each ends with 0.
    ///
    /// # Errors
    /// When one does not.
    pub fn terminate(&mut self) -> Result<()> {
        for (part, mut child) in self.running.drain(..) {
            let kill = format!("kill -TERM {}", child.id());
            ensure!(Command::new("sh").args(["-c", &kill]).status()?.success(), "kill {part}");
            let status = child.wait()?;
            ensure!(status.code() == Some(0), "{part} ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            // The test is over; one that is gone already is fine too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `countersignd` without the variables of whoever runs the tests.
#[must_use]
pub fn countersignd() -> Command {
    let mut command = Command::new(binaries().join("countersignd"));
    for variable in ["RUST_LOG", "COUNTERSIGN_CONFIG", "COUNTERSIGN_DATA_DIR"] {
        command.env_remove(variable);
    }
    command
}
