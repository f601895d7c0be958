//! Another configuration without another start: read whole, built whole beside the one in use, then swapped at once.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::signal::unix::Signal;
use tracing::{error, info, warn};

use super::{
    assemble::{Assembled, Lasting},
    fixed::Fixed,
    stamps::{self, Stamps},
    start::{ends_with, listeners, refuse_shared_addresses},
};
use crate::{
    LogFilter,
    cli::Part,
    config,
    deployment::Deployment,
    services::{self, Background, Running, Signals},
};

/// Between two looks at the files. What changed is read when two looks in a row have found it the same: who writes a
/// file in pieces, or several, has that long.
const LOOK: Duration = Duration::from_secs(3);

/// Where the configuration comes from, and what follows it beside the services.
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) filter: LogFilter,
}

impl Source {
    /// The files of which a process of `part` is made, as they are now.
    pub(super) fn stamps(&self, deployment: &Deployment, part: Part) -> Stamps {
        let files = stamps::files(deployment, &[part]);
        Stamps::of(std::iter::once(self.file.clone()).chain(files))
    }
}

/// Reads the configuration of a process again when it should.
pub(super) struct Reloader {
    source: Source,
    lasting: Lasting,
    fixed: Fixed,
    /// The files as they were when the last configuration was read, good or bad.
    read: Stamps,
    hangup: Option<Signal>,
}

impl Reloader {
    /// Of a process that was started with `deployment`, whose files were as `read` has them.
    pub(super) fn new(
        (source, read): (Source, Stamps),
        (deployment, lasting): (&Deployment, Lasting),
        hangup: Option<Signal>,
    ) -> anyhow::Result<Self> {
        let fixed = Fixed::of(deployment, lasting.parts(), lasting.shared().clock.as_ref())?;
        Ok(Self { source, lasting, fixed, read, hangup })
    }

    /// Waits for a signal that ends the process, or for the end of anything that should never end; gives the latter.
    pub(super) async fn until_signalled(
        &mut self,
        mut running: Running,
        signals: &mut Signals,
    ) -> (Running, Option<anyhow::Error>) {
        loop {
            let why = tokio::select! {
                ended = running.until_signalled(signals) => return (running, ended),
                () = hung_up(&mut self.hangup) => "SIGHUP".to_owned(),
                files = changed(&self.read) => files,
            };
            let reloading = self.reload(&mut running, &why);
            tokio::select! {
                () = reloading => {}
                name = signals.received() => {
                    info!(signal = name, "shutting down");
                    return (running, None);
                }
            }
        }
    }

    async fn reload(&mut self, running: &mut Running, why: &str) {
        // Before it is read: what changes meanwhile is read again.
        self.read = again(&self.read).await;
        let now = self.lasting.shared().clock.now();
        match self.try_reload(running).await {
            Ok(()) => {
                info!(why, "the configuration was read again and is in use");
                self.lasting.taken_up.anew(now);
            }
            Err(refused) => {
                // All problems of a file, one line each.
                let words = format!("{refused:#}").replace("\n  ", "; ");
                let words = wire::inert::escape(&words).into_owned();
                error!(
                    why,
                    error = words,
                    "the new configuration is refused, the old one stays in use"
                );
                self.lasting.taken_up.refused(words);
            }
        }
    }

    async fn try_reload(&mut self, running: &mut Running) -> anyhow::Result<()> {
        let file = self.source.file.clone();
        let loading = tokio::task::spawn_blocking(move || config::load(&file));
        let deployment = loading.await.context("reading the configuration panicked")??;
        for warning in &deployment.warnings {
            warn!("{warning}");
        }
        let parts = self.lasting.parts().to_vec();
        let mut files = stamps::files(&deployment, &parts);
        files.push(self.source.file.clone());
        // Before they are read, and also where they are what is wrong: one that is missing may come.
        self.read.add(&files);
        if self.lasting.includes(Part::Log) {
            deployment.demand_anchors()?;
        }
        refuse_shared_addresses(&deployment, |part| self.lasting.includes(part))?;
        let clock = Arc::clone(&self.lasting.shared().clock);
        let fixed = Fixed::of(&deployment, &parts, clock.as_ref())?;
        let differences = self.fixed.differences(&fixed);
        if !differences.is_empty() {
            bail!("needs a restart, and nothing of it was taken up: {}", differences.join("; "));
        }
        let assembled = self.assemble(&deployment, running)?;
        self.swap(&deployment, assembled, running).await?;
        self.read.keep_only(&files);
        Ok(())
    }

    fn assemble(&self, deployment: &Deployment, running: &Running) -> anyhow::Result<Assembled> {
        let logs = self.lasting.running_logs(deployment)?;
        let assembled = self.lasting.assemble(deployment, running.logs.as_ref(), &logs)?;
        self.lasting.with_repositories(assembled, deployment)
    }

    /// The last moment at which anything fails is before the routes are swapped.
    async fn swap(
        &mut self,
        deployment: &Deployment,
        Assembled { served, asking }: Assembled,
        running: &mut Running,
    ) -> anyhow::Result<()> {
        let next = Background::default();
        services::watch(&next, &served);
        let listeners = listeners((deployment, self.lasting.parts()), served)?;
        self.lasting.hand_over_keys(&asking);
        running.servers.answer_with(listeners, &deployment.listen.trusted_proxies);
        self.source.filter.follow(&deployment.telemetry);
        running.ends_with = ends_with(deployment, &self.lasting);
        std::mem::replace(&mut running.of_configuration, next).stop().await;
        self.lasting.keep_issuers(&running.of_configuration, asking);
        Ok(())
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

/// Waits until files are others than in `read`, and stay so; says which.
async fn changed(read: &Stamps) -> String {
    let mut last = read.clone();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = again(&last).await;
        if now == last && now != *read {
            let files = read.changed(&now).map(|file| file.display().to_string());
            return files.collect::<Vec<_>>().join(", ");
        }
        last = now;
    }
}

/// A disk that does not answer holds up the looking alone.
async fn again(stamps: &Stamps) -> Stamps {
    let last = stamps.clone();
    let looking = tokio::task::spawn_blocking(move || last.again());
    looking.await.unwrap_or_else(|_| stamps.clone())
}
