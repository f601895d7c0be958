#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use futures::future::try_join_all;
use signing::Clock;
use store::LogStore;

use super::{
    assemble::{Assembled, Lasting},
    database,
};
use crate::{
    cli::Part,
    data_dir::{DataDir, write_json},
    deployment::{Address, Deployment, Repository, not_made},
    endpoints::{Addresses, Bound, bind},
    locked::Locked,
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
pub(crate) struct Locks(BTreeMap<PathBuf, Locked>);

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
) -> anyhow::Result<(Running, Lasting)> {
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
    let (logs, running) = logs.await.context("log")?.unzip();
    let running = running.unwrap_or_default();
    let mut lasting = Lasting::new(parts, shared, locks);
    let assembled = lasting.assemble(deployment, logs.as_ref(), &running)?;
    if parts == [Part::OidcDev] {
        keep_for_tokens(deployment).context("oidc-dev")?;
    }
    // Last: what they sign reaches all clients, also where the rest would not have started.
    let repositories = open_repositories(deployment, lasting.shared(), includes(Part::Trust));
    let repositories = Box::pin(repositories).await.context("trust")?;
    let background = Background::default();
    for (of, open) in repositories {
        if let Some(directory) = &of.files_dir {
            open.write_to(directory)?;
        }
        background.spawn(|shutdown| open.clone().keep_fresh(shutdown));
        lasting.repositories.push((of.service.name.clone(), open));
    }
    let Assembled { served, asking } = lasting.with_repositories(assembled, deployment)?;
    let of_configuration = Background::default();
    services::watch(&of_configuration, &served);
    let (servers, ready) = listen((deployment, parts), served, sockets).await?;
    // The provider beside a CA answers by now: one that is asked in vain is left alone for a while.
    lasting.keep_issuers(&of_configuration, asking);
    services::all_answer(&ready).await?;
    lasting.logs = running.iter().map(RunningLog::kept).collect();
    let ends_with = ends_with(deployment, &lasting);
    Ok((Running { servers, logs, background, of_configuration, ends_with }, lasting))
}

/// The clock with which a process ends, if it does.
pub(super) fn ends_with(deployment: &Deployment, lasting: &Lasting) -> Option<Arc<dyn Clock>> {
    deployment.end_on_jump.then(|| Arc::clone(&lasting.shared().clock))
}

/// What `token` reads beside a provider of its own, and may as soon as that answers.
fn keep_for_tokens(deployment: &Deployment) -> anyhow::Result<()> {
    let Some(provider) = &deployment.provider else { return Ok(()) };
    let file = deployment.places.provider.join(LastStart::FILE);
    write_json(&file, &LastStart::of_provider(provider.url.to_string()))
}

/// A request finds its service by host and port: of one process each has its own.
pub(super) fn refuse_shared_addresses(
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

/// Opens every port that is not among `sockets`, and serves; gives the name and port of each listener too.
async fn listen(
    (deployment, parts): (&Deployment, &[Part]),
    served: Vec<Served>,
    mut sockets: Vec<Bound>,
) -> anyhow::Result<(Servers, Vec<(String, u16)>)> {
    let addresses = Addresses::new(deployment.listen.address).await;
    let (mut ready, mut listening) = (Vec::new(), Vec::new());
    for listener in listeners((deployment, parts), served)? {
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

/// The ports of a process, with that of its metrics.
pub(super) fn listeners(
    (deployment, parts): (&Deployment, &[Part]),
    mut served: Vec<Served>,
) -> anyhow::Result<Vec<Listener>> {
    let part = parts.first().copied().unwrap_or(Part::All);
    let metrics = services::metrics(deployment.listen.metrics_port(part), &served)?;
    if let Some(other) = served.iter().find(|one| one.port == metrics.port) {
        bail!("port {} is that of the metrics and of {}", metrics.port, other.name);
    }
    served.push(metrics);
    Ok(Listener::group(served))
}
