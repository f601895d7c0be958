//! `serve`, `init` and `check`: a deployment as a configuration file describes it.
//!
//! `init` makes; `serve` only uses what is there, so that a lost volume is an error and never a
//! new authority.

mod check;
mod database;
mod init;
mod issuers;
mod public;
mod start;

use std::process::ExitCode;

use tracing::{info, warn};

pub(crate) use self::{
    check::{check, fsck},
    init::init,
};
use crate::{cli::Part, config::Config, deployment_dirs::open_to_others, services::Signals};

/// `countersignd serve`: runs until SIGTERM or SIGINT.
pub(crate) async fn run(part: Part, config: Config) -> anyhow::Result<ExitCode> {
    // From here on a signal ends an unfinished start too.
    let mut signals = Signals::listen()?;
    if part == Part::OidcDev {
        warn!("the development identity provider: whoever can run `token` beside it is anybody");
    }
    for words in open_to_others(&config) {
        warn!("{words}");
    }
    let started = signals.unless(start::start(part, &config)).await?;
    let Some((running, _locks)) = started else { return Ok(ExitCode::SUCCESS) };
    info!(part = part.name(), "ready");
    let failure = running.until_signalled(&mut signals).await;
    running.stop(failure).await
}
