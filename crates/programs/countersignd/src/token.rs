use std::path::PathBuf;

use anyhow::Context;
use moment::UnixSeconds;
use oidc::{AUDIENCE, Ci, Minter, TokenRequest};
use serde::{Deserialize, Serialize};
use signing::{Clock, OffsetClock, SystemClock};

use crate::{
    cli::TokenArguments,
    data_dir::{DataDir, read_json},
    dev::DevPorts,
    endpoints::HOST,
    keys, output,
};

/// What a start of `dev`, or of the development provider alone, leaves for `token` and for the next start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LastStart {
    /// Of `dev`.
    pub(crate) ports: Option<DevPorts>,
    /// Base URL of the provider, where there are no ports.
    pub(crate) oidc: Option<String>,
    /// Absolute; tokens must be of the same time as the services.
    pub(crate) clock_offset_file: Option<PathBuf>,
    /// Logs of `dev` that its database has frozen.
    pub(crate) frozen: Vec<String>,
}

impl LastStart {
    /// Name of the file that holds it.
    pub(crate) const FILE: &str = "last-start.json";

    /// Of `serve oidc-dev`.
    pub(crate) fn of_provider(url: String) -> Self {
        Self { oidc: Some(url), ..Self::default() }
    }

    /// Reads the one of a data directory.
    pub(crate) fn read(data_dir: &DataDir) -> anyhow::Result<Self> {
        read_json(&data_dir.last_start_file())?
            .context("`countersignd dev` has not been started on this data directory")
    }

    /// The base URL of the development provider.
    pub(crate) fn provider(&self) -> anyhow::Result<String> {
        let of_ports = || self.ports.map(|ports| format!("http://{HOST}:{}", ports.oidc));
        self.oidc.clone().or_else(of_ports).context("the last start had no development provider")
    }

    /// The time of the clock that it had.
    pub(crate) fn now(&self) -> UnixSeconds {
        match &self.clock_offset_file {
            None => SystemClock.now(),
            Some(file) => OffsetClock::new(file).now(),
        }
    }
}

/// `countersignd token`: prints a token, without a newline.
pub(crate) fn run(arguments: &TokenArguments) -> anyhow::Result<()> {
    let data_dir = DataDir::open(&arguments.data_dir)?;
    let key = keys::load_oidc(&data_dir)?;
    let last = LastStart::read(&data_dir)?;
    let request = TokenRequest {
        ci: arguments.ci,
        subject: arguments.sub.clone(),
        email: arguments.email.clone(),
        audience: arguments.aud.clone().unwrap_or_else(|| default_audience(arguments.ci)),
        overrides: arguments.claims.clone(),
        lifetime_s: arguments.expires_in,
    };
    let token = Minter::new(key).mint(request.claims(&last.provider()?, last.now()))?;
    output::print_exact(&token).context("cannot print")
}

/// What a token is for when nothing is said: the audience that its preset wants first.
fn default_audience(ci: Option<Ci>) -> String {
    ci.and_then(|ci| ci.audiences().into_iter().next()).unwrap_or_else(|| AUDIENCE.to_owned())
}
