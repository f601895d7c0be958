//! Running servers, as clients find them.

use std::{
    ffi::OsStr,
    fs::File,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{Guarded, output};

/// Longest wait for the first start, which makes an RSA key and several certificates.
const START_LIMIT: Duration = Duration::from_mins(1);

/// What `server::serve` allows itself after SIGTERM.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Services, as one tenant's clients find them.
pub(crate) struct Instance {
    binaries: PathBuf,
    /// Where the development provider has its key.
    provider_dir: PathBuf,
    /// As `ready.json` has it.
    ready: Value,
    /// Of tokens, where it is not everybody's.
    audience: Option<String>,
}

/// `countersignd dev` on free ports with its data in a directory.
pub(crate) struct Stack {
    server: Guarded,
    instance: Instance,
    /// From start to readiness.
    pub(crate) start: Duration,
}

impl Stack {
    /// Starts it and waits until every service answers.
    pub(crate) fn start(
        binaries: &Path,
        data_dir: &Path,
        database_url: Option<&str>,
    ) -> Result<Self> {
        let database = database_url.map(|url| ["--database-url", url]);
        Self::start_with(binaries, data_dir, database.iter().flatten())
    }

    /// Starts it with its clock moved by what a file says.
    pub(crate) fn start_at(binaries: &Path, data_dir: &Path, clock_offset: &Path) -> Result<Self> {
        let file = clock_offset.as_os_str();
        Self::start_with(binaries, data_dir, [OsStr::new("--clock-offset-file"), file])
    }

    fn start_with<S: AsRef<OsStr>>(
        binaries: &Path,
        data_dir: &Path,
        more: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        std::fs::create_dir_all(data_dir)?;
        let log = File::create(data_dir.join("countersignd.stderr"))?;
        let ready_file = data_dir.join("ready.json");
        let _ = std::fs::remove_file(&ready_file);
        let mut command = Command::new(binaries.join("countersignd"));
        command.args(["dev", "--port-base", "auto", "--data-dir"]).arg(data_dir).args(more);
        let begin = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start countersignd")?;
        let mut server = Guarded(child);
        while !ready_file.exists() {
            if let Some(status) = server.0.try_wait()? {
                let said = std::fs::read_to_string(data_dir.join("countersignd.stderr"))?;
                bail!("countersignd ended with {status} before it was ready:\n{said}");
            }
            if begin.elapsed() > START_LIMIT {
                bail!("countersignd was not ready within {} s", START_LIMIT.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let start = begin.elapsed();
        let ready = serde_json::from_slice(&std::fs::read(&ready_file)?)?;
        Ok(Self { server, instance: Instance::new(binaries, data_dir, ready), start })
    }

    /// Process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.server.0.id()
    }

    /// Stops it as an operator does.
    pub(crate) fn stop(self) -> Result<()> {
        self.server.terminate(STOP_LIMIT).context("countersignd")
    }

    /// Lets it run on.
    pub(crate) fn leave_running(self) {
        self.server.leave_running();
    }
}

impl Deref for Stack {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl Instance {
    /// What `ready` tells, and the provider whose key is in `provider_dir`.
    pub(crate) fn new(binaries: &Path, provider_dir: &Path, ready: Value) -> Self {
        let (binaries, provider_dir) = (binaries.to_owned(), provider_dir.to_owned());
        Self { binaries, provider_dir, ready, audience: None }
    }

    /// Its tokens have this audience.
    #[must_use]
    pub(crate) fn with_audience(self, audience: String) -> Self {
        Self { audience: Some(audience), ..self }
    }

    /// What tokens are for, where it is not everybody's audience.
    pub(crate) fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// A member of `ready.json`: a URL or a path.
    pub(crate) fn ready(&self, name: &str) -> Result<&str> {
        self.ready[name].as_str().with_context(|| format!("ready.json has no `{name}`"))
    }

    /// A file of the trust directory.
    pub(crate) fn trust_file(&self, name: &str) -> Result<PathBuf> {
        Ok(Path::new(self.ready("trust_dir")?).join(name))
    }

    /// A token of the development issuer.
    pub(crate) fn token<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String> {
        let mut command = Command::new(self.binaries.join("countersignd"));
        command.arg("token").arg("--data-dir").arg(&self.provider_dir).args(arguments);
        output(command.args(self.audience.iter().flat_map(|audience| ["--aud", audience])))
    }

    /// The client of the same build.
    pub(crate) fn client_path(&self) -> PathBuf {
        self.binaries.join("countersign")
    }

    /// The client, told to trust this stack.
    pub(crate) fn client(&self) -> Result<Command> {
        let mut client = Command::new(self.client_path());
        client.env("COUNTERSIGN_TRUST_CONFIG", self.trust_file("client_trust_config.json")?);
        Ok(client)
    }
}
