//! `countersignd serve` with two tenants: each its CA, CT log and trust files, by host; shared logs and
//! timestamp authorities in every state.

use std::{
    fmt::Write,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    process::{Guarded, output},
    stack::{Instance, STOP_LIMIT},
};

/// Longest wait for a start.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Each tenant and the host of what is its alone.
pub(crate) const TENANTS: [(&str, &str); 2] = [("acme", "127.0.0.2"), ("globex", "127.0.0.3")];

/// What is published for clients.
const FILES: [&str; 6] = [
    "root.json",
    "trusted_root.json",
    "signing_config.v0.2.json",
    "signing_config.rekor1.v0.2.json",
    "client_trust_config.json",
    "countersign.json",
];

/// How the processes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// One for all services.
    One,
    /// One for each kind of service.
    Services,
}

impl Cut {
    /// What `serve` is started with; the provider is a process of its own in both.
    const fn parts(self) -> &'static [&'static str] {
        match self {
            Self::One => &["all", "oidc-dev"],
            Self::Services => &["log", "ca", "tsa", "trust", "oidc-dev"],
        }
    }
}

/// The installation; `stop` it, or it ends with this value.
pub(crate) struct TwoTenants {
    binaries: PathBuf,
    directory: PathBuf,
    /// SQLite without.
    postgres: Option<String>,
    ports: Ports,
    running: Vec<Guarded>,
}

struct Ports {
    ca: u16,
    ct: u16,
    rekor1: u16,
    rekor2: u16,
    tsa: u16,
    trust: u16,
    oidc: u16,
    /// Of the metrics of each part.
    metrics: Vec<(&'static str, u16)>,
}

impl Ports {
    /// Ports that were free a moment ago.
    fn free(cut: Cut) -> Result<Self> {
        let mut open = Vec::new();
        let mut port = || -> Result<u16> {
            let listener = TcpListener::bind(("0.0.0.0", 0))?;
            let port = listener.local_addr()?.port();
            open.push(listener);
            Ok(port)
        };
        Ok(Self {
            ca: port()?,
            ct: port()?,
            rekor1: port()?,
            rekor2: port()?,
            tsa: port()?,
            trust: port()?,
            oidc: port()?,
            metrics: cut.parts().iter().map(|part| Ok((*part, port()?))).collect::<Result<_>>()?,
        })
    }
}

impl TwoTenants {
    /// Makes and starts it; clients are sent to the log of 2025, and that of 2026 is staged.
    pub(crate) fn start(
        binaries: &Path,
        directory: &Path,
        cut: Cut,
        postgres: Option<String>,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let mut installation = Self {
            binaries: binaries.to_owned(),
            directory: directory.to_owned(),
            postgres,
            ports: Ports::free(cut)?,
            running: Vec::new(),
        };
        installation.write_config(["active", "staged"], "")?;
        installation.run(&["init"])?;
        installation.serve()?;
        Ok(installation)
    }

    /// Ends the log of 2025 as its operator does, and sends clients to that of 2026.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        self.end()?;
        let said = self.run(&["log", "freeze", "2025"])?;
        let until = said.lines().find(|line| line.starts_with("valid_until"));
        self.write_config(["frozen", "active"], until.context("no end was told")?)?;
        self.run(&["check"])?;
        self.serve()
    }

    /// What clients of a tenant know now: its files are taken from its trust repository into `directory`.
    pub(crate) fn instance(&self, host: &str, directory: &Path) -> Result<Instance> {
        let trust = format!("http://{host}:{}", self.ports.trust);
        fs::create_dir_all(directory)?;
        for name in FILES {
            let file = directory.join(name);
            output(
                Command::new("curl").args(["-sSf", "-o"]).arg(file).arg(format!("{trust}/{name}")),
            )?;
        }
        let Ports { ca, rekor1, rekor2, tsa, oidc, .. } = self.ports;
        let ready = json!({
            "ca": format!("http://{host}:{ca}"),
            "rekor1": format!("http://127.0.0.4:{rekor1}"),
            "rekor2": format!("http://127.0.0.5:{rekor2}"),
            "tsa": format!("http://127.0.0.4:{tsa}/api/v1/timestamp"),
            "trust": trust,
            "oidc": format!("http://localhost:{oidc}"),
            "trust_dir": directory,
        });
        let provider = self.directory.join("data/oidc-dev");
        let instance = Instance::new(&self.binaries, &provider, ready);
        Ok(instance.with_audience(format!("https://{host}")))
    }

    /// Process ids of its services.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.running.iter().map(|one| one.0.id()).collect()
    }

    /// Stops it as an operator does.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let mut running = self.running.drain(..);
        running.try_for_each(|one| one.terminate(STOP_LIMIT).context("countersignd"))
    }

    fn serve(&mut self) -> Result<()> {
        // The issuers first: a CA that never had keys of any is not ready.
        let (issuers, others): (Vec<_>, Vec<_>) =
            self.ports.metrics.iter().partition(|(part, _)| *part == "oidc-dev");
        for (part, metrics) in issuers.into_iter().chain(others) {
            let log = self.directory.join(format!("{part}.stderr"));
            let mut command = Command::new(self.binaries.join("countersignd"));
            command.args(["serve", part, "--config"]).arg(self.config());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
            self.running.push(Guarded(command.spawn().context("cannot start countersignd")?));
            let (begin, probe) = (Instant::now(), format!("http://127.0.0.1:{metrics}/readyz"));
            let countersignd = self.binaries.join("countersignd");
            while output(Command::new(&countersignd).args(["probe", &probe])).is_err() {
                if begin.elapsed() > START_LIMIT {
                    bail!("serve {part} was not ready:\n{}", fs::read_to_string(&log)?);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.binaries.join("countersignd"));
        output(command.args(arguments).arg("--config").arg(self.config()))
    }

    fn config(&self) -> PathBuf {
        self.directory.join("countersign.toml")
    }

    /// `ended` is in the table of the log of 2025 too.
    fn write_config(&self, [first, second]: [&str; 2], ended: &str) -> Result<()> {
        let Ports { ca, ct, rekor1, rekor2, tsa, trust, oidc, .. } = self.ports;
        let database = match &self.postgres {
            Some(url) => format!("kind = \"postgres\"\nurl = \"{url}\""),
            None => "kind = \"sqlite\"".to_owned(),
        };
        let mut text = format!(
            "data_dir = \"{}\"\nanchors = [\"file:{}\"]\n[database]\n{database}\n\
             [oidc-dev]\nurl = \"http://localhost:{oidc}\"\nport = {oidc}\n\
             [listen.metrics_ports]\n",
            self.directory.join("data").display(),
            self.directory.join("anchors").display()
        );
        for (part, port) in &self.ports.metrics {
            writeln!(text, "{part} = {port}")?;
        }
        let mut add = |table: &str, host: &str, port: u16, more: &str| {
            let url = format!("url = \"http://{host}:{port}\"\nport = {port}");
            writeln!(text, "[{table}]\n{url}\n{more}")
        };
        for (tenant, host) in TENANTS {
            let own = format!("tenant = \"{tenant}\"\n");
            let issuer = format!(
                "[[ca.{tenant}.issuer]]\ntype = \"oidc-dev\"\ndevelopment = true\n\
                 url = \"http://localhost:{oidc}\"\n"
            );
            let terms = format!(
                "[tenant.{tenant}]\norganization = \"{tenant}\"\naudience = \"https://{host}\"\n\
                 hosts = [\"{host}\"]\n"
            );
            add(&format!("ca.{tenant}"), host, ca, &(own.clone() + &issuer + &terms))?;
            add(&format!("log.{tenant}-ct"), host, ct, &format!("{own}kind = \"ct\""))?;
            add(&format!("trust.{tenant}"), host, trust, &own)?;
        }
        add("log.v1", "127.0.0.4", rekor1, "kind = \"rekor1\"\nwriters = \"open\"")?;
        for (name, host, state, more) in [
            ("2025", "127.0.0.4", first, ended),
            ("2026", "127.0.0.5", second, ""),
            ("2027", "127.0.0.6", "staged", ""),
        ] {
            let more =
                format!("kind = \"rekor2\"\nwriters = \"open\"\nstate = \"{state}\"\n{more}");
            add(&format!("log.{name}"), host, rekor2, &more)?;
        }
        for (name, host, state) in
            [("2025", "127.0.0.4", "active"), ("2026", "127.0.0.5", "staged")]
        {
            let more = format!("organization = \"Sign\"\nstate = \"{state}\"");
            add(&format!("tsa.{name}"), host, tsa, &more)?;
        }
        Ok(fs::write(self.config(), text)?)
    }
}
