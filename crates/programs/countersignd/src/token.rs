use std::path::PathBuf;

use anyhow::Context;
use oidc::{AUDIENCE, Ci, Minter, TokenRequest};
use serde::{Deserialize, Serialize};
use service::{Clock, OffsetClock, SystemClock};

use crate::{
    cli::TokenArguments,
    data_dir::{DataDir, read_json},
    endpoints::{Face, Ports},
    keys, output,
};

/// What a start of `dev` leaves for `token` and for the next start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LastStart {
    pub(crate) ports: Ports,
    /// Absolute; tokens must be of the same time as the services.
    pub(crate) clock_offset_file: Option<PathBuf>,
}

/// `countersignd token`: prints a token, without a newline.
pub(crate) fn run(arguments: &TokenArguments) -> anyhow::Result<()> {
    let data_dir = DataDir::open(&arguments.data_dir)?;
    let key = keys::load_oidc(&data_dir)?;
    let last: LastStart = read_json(&data_dir.last_start_file())?
        .context("`countersignd dev` has not been started on this data directory")?;
    let request = TokenRequest {
        ci: arguments.ci,
        subject: arguments.sub.clone(),
        email: arguments.email.clone(),
        audience: arguments.aud.clone().unwrap_or_else(|| default_audience(arguments.ci)),
        overrides: arguments.claims.clone(),
        lifetime_s: arguments.expires_in,
    };
    let now = match last.clock_offset_file {
        None => SystemClock.now().0,
        Some(file) => OffsetClock::new(file).now().0,
    };
    let token = Minter::new(key).mint(request.claims(&last.ports.url(Face::Oidc), now))?;
    output::print_exact(&token).context("cannot print")
}

/// What a token is for when nothing is said: the audience that its preset wants first.
fn default_audience(ci: Option<Ci>) -> String {
    ci.and_then(|ci| ci.audiences().into_iter().next()).unwrap_or_else(|| AUDIENCE.to_owned())
}
