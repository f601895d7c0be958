//! A deployment as a company runs it: `countersignd serve all` with a configuration file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use super::child::{Child, free_ports};
use crate::{
    interop::{
        install::{Clients, Tool},
        scene::isolated,
    },
    process::output,
};

/// What clients need of the trust service.
const TRUST_FILES: [&str; 9] = [
    "root.json",
    "trusted_root.json",
    "signing_config.v0.2.json",
    "client_trust_config.json",
    "countersign.json",
    "fulcio_chain.pem",
    "rekor1.pub",
    "ctlog.pub",
    "tsa_chain.pem",
];

/// The deployment, and a directory for everything that is tried with it.
pub(super) struct Site<'a> {
    pub(super) clients: &'a Clients,
    binaries: PathBuf,
    directory: PathBuf,
    ports: Ports,
    server: Option<Child>,
}

struct Ports {
    ca: u16,
    ct: u16,
    rekor1: u16,
    rekor2: u16,
    tsa: u16,
    trust: u16,
    metrics: u16,
}

impl<'a> Site<'a> {
    pub(super) fn new(clients: &'a Clients, binaries: &Path, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory.join("trust"))?;
        fs::write(directory.join("artifact"), "what a build made\n")?;
        let [ca, ct, rekor1, rekor2, tsa, trust, metrics] = free_ports()?;
        Ok(Self {
            clients,
            binaries: binaries.to_owned(),
            directory: directory.to_owned(),
            ports: Ports { ca, ct, rekor1, rekor2, tsa, trust, metrics },
            server: None,
        })
    }

    /// Configures these issuers, tells clients to log in at `oidc_url`, and starts anew.
    pub(super) fn configure(&mut self, issuers: &str, oidc_url: &str) -> Result<()> {
        self.configure_with("", issuers, oidc_url)
    }

    /// The same with other tables of the CA before those of its issuers.
    pub(super) fn configure_with(
        &mut self,
        tables: &str,
        issuers: &str,
        oidc_url: &str,
    ) -> Result<()> {
        self.stop()?;
        fs::write(self.config(), self.configuration(&format!("{tables}{issuers}"), oidc_url))?;
        output(self.countersignd("init").arg("--config").arg(self.config()))?;
        self.start()
    }

    /// Stops and starts it on the same data.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Child::stop)
    }

    fn start(&mut self) -> Result<()> {
        let mut command = self.countersignd("serve");
        command.args(["all", "--config"]).arg(self.config());
        let mut server = Child::start(&mut command, &self.directory.join("countersignd.log"))?;
        let live = format!("http://127.0.0.1:{}/healthz", self.ports.metrics);
        let trust = format!("{}/root.json", self.trust_url());
        // Readiness may ask the issuers, which some scenes have away: the services answer is enough.
        server.wait(|| self.probes(&live) && self.probes(&trust))?;
        self.server = Some(server);
        for name in TRUST_FILES {
            self.fetch(&format!("{}/{name}", self.trust_url()), &self.trust_file(name))?;
        }
        self.initialize_gitsign()
    }

    /// gitsign verifies by TUF, with what it is told once.
    fn initialize_gitsign(&self) -> Result<()> {
        let Ok(gitsign) = self.clients.path(Tool::Gitsign) else { return Ok(()) };
        let mut gitsign = self.isolated(gitsign, "gitsign")?;
        gitsign.args(["initialize", "--mirror", &self.trust_url()]);
        output(gitsign.arg("--root").arg(self.trust_file("root.json"))).map(drop)
    }

    fn probes(&self, url: &str) -> bool {
        output(self.countersignd("probe").arg(url)).is_ok()
    }

    /// Fetches a URL of the deployment into a file.
    fn fetch(&self, url: &str, file: &Path) -> Result<()> {
        let curl = self.clients.path(Tool::Curl)?;
        output(Command::new(curl).args(["-fsS", "-o"]).arg(file).arg(url)).map(drop)
    }

    fn configuration(&self, issuers: &str, oidc_url: &str) -> String {
        let Ports { ca, ct, rekor1, rekor2, tsa, trust, metrics } = self.ports;
        let service = |table: &str, more: &str, port: u16| {
            format!("[{table}]\n{more}url = \"http://localhost:{port}\"\nport = {port}\n\n")
        };
        let mut text = format!(
            "data_dir = \"{}\"\nanchors = [\"file:{}\"]\n\n[tenant.default]\norganization = \"Acme\"\n\n\
             [listen]\nmetrics_port = {metrics}\n\n[database]\nkind = \"sqlite\"\n\n",
            self.directory.join("data").display(),
            self.directory.join("anchors").display()
        );
        text += &service("ca.default", "", ca);
        text += issuers;
        text += &service("log.ct", "kind = \"ct\"\n", ct);
        text += &service("log.rekor1", "kind = \"rekor1\"\nwriters = \"open\"\n", rekor1);
        text += &service("log.rekor2", "kind = \"rekor2\"\nwriters = \"open\"\n", rekor2);
        text += &service("tsa.default", "", tsa);
        text += &service("trust.default", &format!("oidc_url = \"{oidc_url}\"\n"), trust);
        text
    }

    /// What `countersignd check` says, and whether it found everything sound.
    pub(super) fn check(&self, options: &[&str]) -> Result<(bool, String)> {
        let mut command = self.countersignd("check");
        let said = command.args(options).arg("--config").arg(self.config()).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((said.status.success(), text(&said.stdout) + &text(&said.stderr)))
    }

    /// `countersignd`, to do something.
    pub(super) fn countersignd(&self, what: &str) -> Command {
        let mut command = Command::new(self.binaries.join("countersignd"));
        command.arg(what).env_remove("RUST_LOG");
        command
    }

    /// The client of the same build, told to trust this deployment.
    pub(super) fn countersign(&self) -> Result<Command> {
        let mut command = self.isolated(&self.binaries.join("countersign"), "countersign")?;
        command.env("COUNTERSIGN_TRUST_CONFIG", self.trust_file("client_trust_config.json"));
        Ok(command)
    }

    /// A program in a home of its own.
    pub(super) fn isolated(&self, program: &Path, home: &str) -> Result<Command> {
        Ok(isolated(program, &self.directory(&format!("home/{home}"))?))
    }

    /// A directory for one purpose, made when missing.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    pub(super) fn artifact(&self) -> PathBuf {
        self.directory.join("artifact")
    }

    pub(super) fn trust_file(&self, name: &str) -> PathBuf {
        self.directory.join("trust").join(name)
    }

    pub(super) fn ca_url(&self) -> String {
        format!("http://localhost:{}", self.ports.ca)
    }

    pub(super) fn rekor1_url(&self) -> String {
        format!("http://localhost:{}", self.ports.rekor1)
    }

    pub(super) fn trust_url(&self) -> String {
        format!("http://localhost:{}", self.ports.trust)
    }

    pub(super) fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.metrics)
    }

    fn config(&self) -> PathBuf {
        self.directory.join("countersign.toml")
    }

    /// Asserts that a program refuses, and says why.
    pub(super) fn refused(outcome: Result<impl Sized>, saying: &str) -> Result<()> {
        match outcome {
            Ok(_) => bail!("it was let in, and should be refused with `{saying}`"),
            Err(error) => {
                let said = format!("{error:#}");
                if said.contains(saying) {
                    return Ok(());
                }
                bail!("it was refused, but not with `{saying}`: {said}")
            }
        }
    }
}
