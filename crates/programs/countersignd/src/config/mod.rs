//! The configuration of `serve`, `init` and `check`: one TOML file.
//!
//! What the file says is read loosely, with every problem noted at its place; a [`Config`] exists
//! only when there is none. Nothing is trusted and nobody is believed unless the file says so.

mod ca;
mod database;
mod issuers;
mod logs;
mod ports;
mod read;
mod section;
mod tsa;
mod values;

#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use ::ca::CaConfig;
use anyhow::{Context, bail};
use service::TrustedProxies;
use toml::Table;
use wire::countersign::Forge;

use self::section::{Notes, Section};
pub(crate) use self::{
    section::Problems,
    tsa::TsaSettings,
    values::{BaseUrl, KeyFile},
};
use crate::{
    cli::Part,
    endpoints::{BaseUrls, Face},
};

/// A deployment, as its operator describes it.
#[derive(Debug)]
pub(crate) struct Config {
    /// Holds a directory for each service, one for what is public and one for the roots' keys.
    pub(crate) data_dir: PathBuf,
    /// `O` of every certificate.
    pub(crate) organization: String,
    /// The audience that tokens for this deployment have; the issuers' own where there is none.
    pub(crate) audience: Option<String>,
    /// How the trust files name who runs the services.
    pub(crate) operator: String,
    pub(crate) listen: Listen,
    pub(crate) telemetry: Telemetry,
    pub(crate) database: Database,
    pub(crate) ca: Ca,
    pub(crate) ct: Log,
    /// PEM chains of issuing CAs beside ours whose certificates the CT log takes: a retired one's, or
    /// one of another deployment.
    pub(crate) further_ca_chains: Vec<PathBuf>,
    pub(crate) rekor1: Log,
    /// Signs the tiles of the Rekor v1 log.
    pub(crate) rekor1_tiles_key: KeyFile,
    pub(crate) rekor2: Log,
    pub(crate) tsa: Tsa,
    pub(crate) trust: Trust,
    pub(crate) oidc_dev: Option<OidcDev>,
    /// What can be meant, and seldom is.
    pub(crate) warnings: Vec<String>,
}

/// Where services listen.
#[derive(Debug)]
pub(crate) struct Listen {
    /// `None` is loopback, both families.
    pub(crate) address: Option<IpAddr>,
    /// Of every process that has no other in `metrics_ports`.
    pub(crate) metrics_port: u16,
    pub(crate) metrics_ports: Vec<(Part, u16)>,
    /// Who is believed when saying for whom it asks.
    pub(crate) trusted_proxies: TrustedProxies,
}

impl Listen {
    /// Where the process of `part` shows its metrics.
    pub(crate) fn metrics_port(&self, part: Part) -> u16 {
        let own = self.metrics_ports.iter().find(|(of, _)| *of == part);
        own.map_or(self.metrics_port, |(_, port)| *port)
    }
}

/// What a process says of itself.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    /// Filter of the log.
    pub(crate) log: Option<String>,
    /// Whether each log line is a JSON object.
    pub(crate) json: bool,
}

/// Where the logs are kept.
#[derive(Debug)]
pub(crate) enum Database {
    /// A file in the log's directory.
    Sqlite,
    Postgres {
        /// Without a password.
        url: url::Url,
        /// Holds the password.
        password_file: Option<PathBuf>,
    },
}

#[derive(Debug)]
pub(crate) struct Ca {
    pub(crate) url: BaseUrl,
    pub(crate) port: u16,
    pub(crate) key: KeyFile,
    pub(crate) settings: CaConfig,
    /// Where fetched keys of issuers and the socket for orders are, unless below `data_dir`.
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Log {
    /// In the database.
    pub(crate) name: String,
    pub(crate) url: BaseUrl,
    pub(crate) port: u16,
    pub(crate) key: KeyFile,
}

#[derive(Debug)]
pub(crate) struct Tsa {
    pub(crate) url: BaseUrl,
    pub(crate) port: u16,
    pub(crate) key: KeyFile,
    pub(crate) settings: TsaSettings,
}

#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) url: BaseUrl,
    pub(crate) port: u16,
    pub(crate) root_key: KeyFile,
    pub(crate) online_key: KeyFile,
    /// The identity provider that clients log in to.
    pub(crate) oidc_url: String,
    /// The forge that names of repositories without a host mean.
    pub(crate) forge: Option<Forge>,
}

/// The development identity provider: whoever can run `countersignd token` beside it is anybody.
#[derive(Debug)]
pub(crate) struct OidcDev {
    /// Always of this machine.
    pub(crate) url: BaseUrl,
    pub(crate) port: u16,
    /// Whether people log in over HTTP: then whoever reaches it under the name of this machine is
    /// anybody.
    pub(crate) login: bool,
}

/// Longest configuration, in bytes: a thousand issuers fit.
const MAX_LEN: usize = 4 << 20;

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, or with all problems that it has.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = service::bounded::read_text(path, MAX_LEN)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let table: Table = text.parse().map_err(|error| not_toml(text, &error))?;
        let notes = Notes::default();
        let config = read::config(Section::root(table, &notes));
        let (problems, warnings) = notes.into_parts();
        match (config, problems) {
            (Some(config), None) => Ok(Self { warnings, ..config }),
            (None, None) => bail!("is incomplete"),
            (_, Some(problems)) => Err(problems.into()),
        }
    }

    /// Where clients find each face.
    pub(crate) fn base_urls(&self) -> BaseUrls {
        BaseUrls::new(|face| match face {
            Face::Ca => self.ca.url.to_string(),
            Face::Ct => self.ct.url.to_string(),
            Face::Rekor1 => self.rekor1.url.to_string(),
            Face::Rekor2 => self.rekor2.url.to_string(),
            Face::Tsa => self.tsa.url.to_string(),
            Face::Trust => self.trust.url.to_string(),
            Face::Oidc => self.trust.oidc_url.clone(),
            // Not for clients.
            Face::Metrics => String::new(),
        })
    }

    /// The port on which `face` listens in the process of `part`.
    pub(crate) fn port(&self, face: Face, part: Part) -> u16 {
        match face {
            Face::Ca => self.ca.port,
            Face::Ct => self.ct.port,
            Face::Rekor1 => self.rekor1.port,
            Face::Rekor2 => self.rekor2.port,
            Face::Tsa => self.tsa.port,
            Face::Trust => self.trust.port,
            Face::Oidc => self.oidc_dev.as_ref().map_or(face.default_port(), |oidc| oidc.port),
            Face::Metrics => self.listen.metrics_port(part),
        }
    }
}

/// Where `text` is no TOML, on one line: the parser would quote lines of the file.
fn not_toml(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    anyhow::anyhow!("is not TOML: line {line}: {}", error.message())
}
