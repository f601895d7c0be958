//! What answers, as one configuration has it, on what lasts as long as the process.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use ca::Ca;
use tracing::{error, warn};

use super::{start::Locks, taken_up::TakenUp};
use crate::{
    admin, audit_file,
    cli::Part,
    deployment::Deployment,
    known_logs::frozen_and_not_said,
    logs::{KeptLog, Logs, RunningLog},
    services::{self, Background, Notes, OpenTrust, Served, Shared},
};

/// What stays while configurations come and go.
pub(crate) struct Lasting {
    parts: Vec<Part>,
    shared: Shared,
    pub(super) logs: Vec<KeptLog>,
    /// Each by its name.
    pub(super) repositories: Vec<(String, OpenTrust)>,
    /// The CAs that issue, each by its name: what they know of issuers is taken over by the next.
    authorities: Vec<(String, Arc<Ca>)>,
    /// What every port tells.
    audit: Notes,
    pub(super) taken_up: TakenUp,
    _locks: Locks,
}

/// Everything that answers, and who is to be kept busy for it.
pub(super) struct Assembled {
    pub(super) served: Vec<Served>,
    pub(super) asking: Vec<Asking>,
}

/// A CA that asks issuers for their keys.
pub(super) struct Asking {
    name: String,
    ca: Arc<Ca>,
    /// Of its orders.
    socket: PathBuf,
}

impl Lasting {
    pub(super) fn new(parts: &[Part], shared: Shared, locks: Locks) -> Self {
        Self {
            parts: parts.to_vec(),
            taken_up: TakenUp::at(shared.clock.now()),
            shared,
            logs: Vec::new(),
            repositories: Vec::new(),
            authorities: Vec::new(),
            audit: audit_file::watched(),
            _locks: locks,
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn includes(&self, part: Part) -> bool {
        self.parts.iter().any(|one| one.includes(part))
    }

    /// The logs that run, as `deployment` has them.
    pub(super) fn running_logs<'a>(
        &self,
        deployment: &'a Deployment,
    ) -> anyhow::Result<Vec<RunningLog<'a>>> {
        let running = self.logs.iter().map(|kept| {
            let of =
                deployment.log(&kept.name).with_context(|| format!("no log `{}`", kept.name))?;
            Ok(kept.as_in(of))
        });
        running.collect()
    }

    /// Builds everything but the repositories, and refuses what nobody should begin with. Nothing runs yet.
    pub(super) fn assemble(
        &self,
        deployment: &Deployment,
        logs: Option<&Logs>,
        running: &[RunningLog<'_>],
    ) -> anyhow::Result<Assembled> {
        let mut assembled = Assembled { served: Vec::new(), asking: Vec::new() };
        if let Some(logs) = logs {
            assembled.logs((&self.shared, deployment), logs, running).context("log")?;
        }
        // Afterwards: a CA asks whether the log beside it is ready.
        if self.includes(Part::Ca) {
            assembled.authorities((&self.shared, deployment), running).context("ca")?;
        }
        if self.includes(Part::Tsa) {
            assembled.timestamp_authorities(&self.shared, deployment).context("tsa")?;
        }
        if self.includes(Part::OidcDev) {
            assembled.provider(&self.shared, deployment).context("oidc-dev")?;
        }
        require_ready(&assembled.served)?;
        Ok(assembled)
    }

    /// Adds the repositories that are open, and what every port tells.
    pub(super) fn with_repositories(
        &self,
        mut assembled: Assembled,
        deployment: &Deployment,
    ) -> anyhow::Result<Assembled> {
        for (name, open) in &self.repositories {
            let of = deployment.repositories.iter().find(|one| one.service.name == *name);
            let of =
                of.with_context(|| format!("no trust repository `{name}`")).context("trust")?;
            let served = services::trust((&self.shared, deployment), of, open).context("trust")?;
            require_ready(std::slice::from_ref(&served)).context("trust")?;
            assembled.served.push(served);
        }
        for one in &mut assembled.served {
            one.notes.extend([Arc::clone(&self.audit), self.taken_up.notes(false)]);
            one.details.extend([Arc::clone(&self.audit), self.taken_up.notes(true)]);
        }
        Ok(assembled)
    }

    /// Hands each CA of `asking` what the one before it knows of issuers. Before anybody asks the new one.
    pub(super) fn hand_over_keys(&self, asking: &[Asking]) {
        for (name, old) in &self.authorities {
            match asking.iter().find(|new| new.name == *name) {
                Some(new) => new.ca.take_over_keys(old),
                None => old.withdraw_issuers(),
            }
        }
    }

    /// Keeps the CAs' keys of issuers fresh from now on, and takes orders.
    pub(super) fn keep_issuers(&mut self, background: &Background, asking: Vec<Asking>) {
        self.authorities.clear();
        for Asking { name, ca, socket } in asking {
            self.authorities.push((name, Arc::clone(&ca)));
            services::keep_issuers(background, ca, socket);
        }
    }
}

impl Assembled {
    fn logs(
        &mut self,
        (shared, deployment): (&Shared, &Deployment),
        logs: &Logs,
        running: &[RunningLog<'_>],
    ) -> anyhow::Result<()> {
        for one in running {
            if let Some(why) = frozen_and_not_said(one.of).filter(|_| one.log.is_frozen()) {
                error!("{why}");
            }
            self.served.push(services::log(shared, deployment, logs, one)?);
        }
        Ok(())
    }

    fn authorities(
        &mut self,
        (shared, deployment): (&Shared, &Deployment),
        logs: &[RunningLog<'_>],
    ) -> anyhow::Result<()> {
        for authority in deployment.authorities.iter().filter(|one| one.service.state.runs()) {
            let log = deployment.log(&authority.ct_log);
            let log = log.with_context(|| format!("no log `{}`", authority.ct_log))?;
            let ct = log.key.public_key()?;
            let (mut served, ca) = services::ca(shared, authority, ct)?;
            // One that issues nothing needs nobody's SCT and nobody's keys.
            if authority.service.state.signs() {
                let beside = logs.iter().find(|one| one.of.service.name == authority.ct_log);
                // No certificate without an SCT.
                served.checks.extend(beside.map(services::ct_log_check));
                let (name, socket) =
                    (authority.service.name.clone(), admin::socket_in(&authority.state_dir));
                self.asking.push(Asking { name, ca, socket });
            }
            self.served.push(served);
        }
        Ok(())
    }

    fn timestamp_authorities(
        &mut self,
        shared: &Shared,
        deployment: &Deployment,
    ) -> anyhow::Result<()> {
        let all = deployment.timestamp_authorities.iter();
        for authority in all.filter(|one| one.service.state.runs()) {
            self.served.push(services::tsa(shared, authority)?);
        }
        Ok(())
    }

    fn provider(&mut self, shared: &Shared, deployment: &Deployment) -> anyhow::Result<()> {
        let provider = deployment.provider.as_ref();
        let provider = provider.context("the configuration has no [oidc-dev]")?;
        if provider.login && deployment.listen.is_beyond_loopback() {
            warn!(
                "people log in to the development identity provider, which listens beyond loopback: \
                 whoever reaches it is anybody"
            );
        }
        self.served.push(services::oidc(shared, provider, deployment)?);
        Ok(())
    }
}

/// Refuses a start with what nobody should begin with; what is not ready and may wait is told, by readiness too.
fn require_ready(served: &[Served]) -> anyhow::Result<()> {
    for one in served {
        for check in &one.checks {
            let Err(why) = (check.state)() else { continue };
            let why = why.detail;
            if !check.may_wait {
                bail!("{} is not ready: {}: {why}", one.name, check.name);
            }
            error!(
                "{} is not ready, and everything else is served: {}: {why}",
                one.name, check.name
            );
        }
    }
    Ok(())
}
