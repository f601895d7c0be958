#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use ca::Ca;
use futures::future::try_join_all;
use store::LogStore;
use tracing::{error, warn};

use super::database;
use crate::{
    admin, audit_file,
    cli::Part,
    data_dir::{DataDir, write_json},
    deployment::{Address, Deployment, Repository, not_made},
    endpoints::{Addresses, Bound, bind},
    known_logs::frozen_and_not_said,
    logs::{Logs, RunningLog},
    services::{self, Background, Listener, OpenTrust, Running, Served, Servers, Shared},
    token::LastStart,
};

/// What a start finds opened already, by whoever makes before it starts.
pub(crate) struct Opened {
    pub(crate) shared: Shared,
    pub(crate) locks: Locks,
    /// Else the logs open their own.
    pub(crate) store: Option<Arc<dyn LogStore>>,
    /// Ports that had to be found before; the others are opened at the end.
    pub(crate) sockets: Vec<Bound>,
}

/// Directories that no other process may serve while these are open.
#[derive(Default)]
pub(crate) struct Locks(BTreeMap<PathBuf, File>);

impl Locks {
    /// Takes the directory, unless it was taken before; it must be there.
    pub(crate) fn take(&mut self, directory: &Path) -> anyhow::Result<DataDir> {
        let data_dir = DataDir::open(directory)?;
        if !self.0.contains_key(directory) {
            self.0.insert(directory.to_owned(), data_dir.lock()?);
        }
        Ok(data_dir)
    }
}

/// Starts what `parts` include, of all tenants, and waits until it answers.
pub(crate) async fn start(
    parts: &[Part],
    deployment: &Deployment,
    opened: Opened,
) -> anyhow::Result<(Running, Locks)> {
    // What is measured before is lost: repositories and logs show their state as they are opened.
    server::install_metrics()?;
    let Opened { shared, mut locks, store, sockets } = opened;
    let includes = |part| parts.iter().any(|one| one.includes(part));
    refuse_shared_addresses(deployment, includes)?;
    if includes(Part::Log) && includes(Part::Trust) {
        deployment.refuse_own_anchors()?;
    }
    lock(deployment, &mut locks, includes)?;
    let logs = Box::pin(start_logs(deployment, &shared, includes(Part::Log), store));
    let logs = logs.await.context("log")?;
    let mut start = Start::new(deployment, shared);
    start.logs(logs.as_ref()).context("log")?;
    // Afterwards: a CA asks whether the log beside it is ready.
    if includes(Part::Ca) {
        let running = logs.as_ref().map(|(_, running)| running.as_slice());
        start.authorities(running.unwrap_or_default()).context("ca")?;
    }
    if includes(Part::Tsa) {
        start.timestamp_authorities().context("tsa")?;
    }
    if includes(Part::OidcDev) {
        start.provider().context("oidc-dev")?;
    }
    if parts == [Part::OidcDev] {
        keep_for_tokens(deployment).context("oidc-dev")?;
    }
    require_ready(&start.served)?;
    // Last: what they sign reaches all clients, also where the rest would not have started.
    let repositories = open_repositories(deployment, &start.shared, includes(Part::Trust));
    let repositories = Box::pin(repositories).await.context("trust")?;
    start.repositories(repositories).context("trust")?;
    let Start { mut served, background, asking, .. } = start;
    let audit = audit_file::watched();
    for one in &mut served {
        one.notes.push(Arc::clone(&audit));
        one.details.push(Arc::clone(&audit));
    }
    services::watch(&background, &served);
    let (servers, ready) = listen((deployment, parts), served, sockets).await?;
    // The provider beside a CA answers by now: one that is asked in vain is left alone for a while.
    for (ca, socket) in asking {
        services::keep_issuers(&background, ca, socket);
    }
    services::all_answer(&ready).await?;
    let logs = logs.map(|(logs, _)| logs);
    Ok((Running { servers, logs, background }, locks))
}

/// What `token` reads beside a provider of its own, and may as soon as that answers.
fn keep_for_tokens(deployment: &Deployment) -> anyhow::Result<()> {
    let Some(provider) = &deployment.provider else { return Ok(()) };
    let file = deployment.places.provider.join(LastStart::FILE);
    write_json(&file, &LastStart::of_provider(provider.url.to_string()))
}

/// A request finds its service by host and port: of one process each has its own.
fn refuse_shared_addresses(
    deployment: &Deployment,
    includes: impl Fn(Part) -> bool,
) -> anyhow::Result<()> {
    let all = deployment.addresses();
    let own: Vec<&Address> = all.iter().filter(|address| includes(address.part)).collect();
    for (position, one) in own.iter().enumerate() {
        let Address { host, port, place, .. } = one;
        if let Some(first) = own.iter().take(position).find(|first| first.is_also(one)) {
            bail!(
                "{host} at port {port} is the address of [{}] and of [{place}]: requests could not tell \
                 them apart in one process",
                first.place
            );
        }
    }
    Ok(())
}

/// Takes the directories of which there may be one process at a time.
fn lock(
    deployment: &Deployment,
    locks: &mut Locks,
    includes: impl Fn(Part) -> bool,
) -> anyhow::Result<()> {
    let places = &deployment.places;
    for (part, directory) in
        [(Part::Log, &places.logs), (Part::Trust, &places.trust), (Part::OidcDev, &places.provider)]
    {
        if includes(part) {
            locks.take(directory).context(part.name())?;
        }
    }
    Ok(())
}

/// The logs of all tenants, if they are `wanted`.
async fn start_logs<'a>(
    deployment: &'a Deployment,
    shared: &Shared,
    wanted: bool,
    store: Option<Arc<dyn LogStore>>,
) -> anyhow::Result<Option<(Logs, Vec<RunningLog<'a>>)>> {
    if !wanted {
        return Ok(None);
    }
    let store = match store {
        Some(store) => store,
        None => database::open(deployment).await?.context("cannot open the log's database")?,
    };
    let (logs, running) = Logs::start(deployment, store, shared).await?;
    Ok(Some((logs, running)))
}

/// The repositories of all tenants, if they are `wanted`.
async fn open_repositories<'a>(
    deployment: &'a Deployment,
    shared: &Shared,
    wanted: bool,
) -> anyhow::Result<Vec<(&'a Repository, OpenTrust)>> {
    let runs = |one: &&Repository| wanted && one.service.state.runs();
    let open = deployment.repositories.iter().filter(runs).map(async |of| {
        let root = of.root_file();
        if !root.exists() {
            bail!("{}", not_made(&root));
        }
        Ok((of, services::open_trust(shared, deployment, of).await?))
    });
    try_join_all(open).await
}

/// What is being started.
struct Start<'a> {
    deployment: &'a Deployment,
    shared: Shared,
    served: Vec<Served>,
    background: Background,
    /// CAs that ask issuers for their keys, and the sockets of their orders.
    asking: Vec<(Arc<Ca>, PathBuf)>,
}

impl<'a> Start<'a> {
    fn new(deployment: &'a Deployment, shared: Shared) -> Self {
        let (served, background, asking) = (Vec::new(), Background::default(), Vec::new());
        Self { deployment, shared, served, background, asking }
    }

    fn logs(&mut self, started: Option<&(Logs, Vec<RunningLog<'_>>)>) -> anyhow::Result<()> {
        let Some((logs, running)) = started else { return Ok(()) };
        for one in running {
            if let Some(why) = frozen_and_not_said(one.of).filter(|_| one.log.is_frozen()) {
                error!("{why}");
            }
            self.served.push(services::log(&self.shared, self.deployment, logs, one)?);
        }
        Ok(())
    }

    fn authorities(&mut self, logs: &[RunningLog<'_>]) -> anyhow::Result<()> {
        for authority in self.deployment.authorities.iter().filter(|one| one.service.state.runs()) {
            let log = self.deployment.log(&authority.ct_log);
            let log = log.with_context(|| format!("no log `{}`", authority.ct_log))?;
            let ct = log.key.public_key()?;
            let (mut served, ca) = services::ca(&self.shared, authority, ct)?;
            // One that issues nothing needs nobody's SCT and nobody's keys.
            if authority.service.state.signs() {
                let beside = logs.iter().find(|one| one.of.service.name == authority.ct_log);
                // No certificate without an SCT.
                served.checks.extend(beside.map(services::ct_log_check));
                let socket = admin::socket_in(&authority.state_dir);
                self.asking.push((ca, socket));
            }
            self.served.push(served);
        }
        Ok(())
    }

    fn timestamp_authorities(&mut self) -> anyhow::Result<()> {
        let all = self.deployment.timestamp_authorities.iter();
        for authority in all.filter(|one| one.service.state.runs()) {
            self.served.push(services::tsa(&self.shared, authority)?);
        }
        Ok(())
    }

    fn repositories(&mut self, open: Vec<(&Repository, OpenTrust)>) -> anyhow::Result<()> {
        for (of, trust) in open {
            if let Some(directory) = &of.files_dir {
                trust.write_to(directory)?;
            }
            let served = services::trust((&self.shared, self.deployment), of, &trust)?;
            require_ready(std::slice::from_ref(&served))?;
            self.served.push(served);
            self.background.spawn(|shutdown| trust.keep_fresh(shutdown));
        }
        Ok(())
    }

    fn provider(&mut self) -> anyhow::Result<()> {
        let provider = self.deployment.provider.as_ref();
        let provider = provider.context("the configuration has no [oidc-dev]")?;
        if provider.login && self.deployment.listen.is_beyond_loopback() {
            warn!(
                "people log in to the development identity provider, which listens beyond loopback: \
                 whoever reaches it is anybody"
            );
        }
        self.served.push(services::oidc(&self.shared, provider, self.deployment)?);
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

/// Opens every port that is not among `sockets`, and serves; gives the name and port of each listener too.
async fn listen(
    (deployment, parts): (&Deployment, &[Part]),
    mut served: Vec<Served>,
    mut sockets: Vec<Bound>,
) -> anyhow::Result<(Servers, Vec<(String, u16)>)> {
    let part = parts.first().copied().unwrap_or(Part::All);
    let metrics = services::metrics(deployment.listen.metrics_port(part), &served)?;
    if let Some(other) = served.iter().find(|one| one.port == metrics.port) {
        bail!("port {} is that of the metrics and of {}", metrics.port, other.name);
    }
    served.push(metrics);
    let addresses = Addresses::new(deployment.listen.address).await;
    let (mut ready, mut listening) = (Vec::new(), Vec::new());
    for listener in Listener::group(served) {
        let (name, port) = (listener.name(), listener.port);
        let bound = match sockets.iter().position(|bound| bound.port == port) {
            Some(position) => sockets.swap_remove(position),
            None => bind(&addresses.with_hosts(listener.hosts()), port, &name)?,
        };
        ready.push((name, port));
        listening.push((listener, bound));
    }
    let servers = Servers::start(listening, &deployment.listen.trusted_proxies)?;
    Ok((servers, ready))
}
