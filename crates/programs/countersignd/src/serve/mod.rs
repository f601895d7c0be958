//! `serve`, `init` and `check`: a deployment as a configuration file describes it, and the starting of any.
//!
//! `init` makes; `serve` only uses what is there, so that a lost volume is an error and never a
//! new authority. `dev` does both.

mod assemble;
mod check;
mod database;
mod fixed;
mod init;
mod issuers;
mod kept;
mod lost;
pub(crate) mod make;
mod reload;
mod stamps;
mod start;
mod taken_up;
#[cfg(test)]
mod tests;
mod tries;

use std::{process::ExitCode, sync::Arc};

use signing::WatchedClock;
use tracing::{info, warn};

use self::reload::Reloader;
pub(crate) use self::{
    assemble::Lasting,
    check::{authority_sound, check, repository_sound, timestamp_authority_sound},
    database::{open as open_database, open_to_make as open_database_to_make},
    init::{IN_USE, alone_to_make, init},
    reload::Source,
    start::{Locks, Opened, start},
};
use crate::{
    cli::Part,
    deployment::Deployment,
    deployment_dirs::open_to_others,
    services::{OnHangup, Shared, Signals},
};

/// `countersignd serve`: runs until SIGTERM or SIGINT, with the configuration of `source` as it is on each day.
pub(crate) async fn run(
    part: Part,
    deployment: Deployment,
    source: Source,
) -> anyhow::Result<ExitCode> {
    if part.includes(Part::Log) {
        deployment.demand_anchors()?;
    }
    // From here on a signal ends an unfinished start too.
    let mut signals = Signals::listen(OnHangup::Reload)?;
    if part == Part::OidcDev {
        warn!("the development identity provider: whoever can run `token` beside it is anybody");
    }
    for words in open_to_others(&deployment) {
        warn!("{words}");
    }
    let read = source.stamps(&deployment, part);
    let shared = Shared::new(Arc::new(WatchedClock::new()));
    let opened = Opened { shared, locks: Locks::default(), store: None, sockets: Vec::new() };
    let parts = [part];
    let starting = start(&parts, &deployment, opened);
    let started = signals.unless(Box::pin(starting)).await?;
    let Some((running, lasting)) = started else { return Ok(ExitCode::SUCCESS) };
    let mut reloader =
        Reloader::new((source, read), (&deployment, lasting), signals.take_hangup())?;
    drop(deployment);
    info!(part = part.name(), "ready");
    let (running, failure) = reloader.until_signalled(running, &mut signals).await;
    running.stop(failure).await
}
