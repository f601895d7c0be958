use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, response::IntoResponse};
use ca::{Ca, CaConfig, CaParts, CtTrouble};
use crypto::{PublicKey, Signer};
use ctlog::CtLog;
use moment::UnixSeconds;
use oidc::{self as provider, Login, Minter};
use rekor::{
    Rekor1, Rekor1Options, Rekor1Parts, Rekor2, Rekor2Options,
    http::{rekor1_protocol, rekor1_router, rekor2_protocol, rekor2_router},
};
use server::{Failure, Host, Protocol};
use signing::SigningKey;
use store::LogKind;
use tokio_util::sync::CancellationToken;
use trust::{
    Anchors, TrustFiles,
    tuf::{Repository, TufParts},
};
use tsa::{Tsa, TsaConfig};

use super::{Check, Notes, Served, Shared, checks, doorkeeper::writers, issuers};
use crate::{
    certificates::load_chain,
    data_dir::ISSUER_KEYS,
    deployment::{self, Authority, Deployment, Kind, Provider, Service, TimestampAuthority},
    known_logs::frozen_and_not_said,
    logs::{Logs, RunningLog},
};

/// A certificate authority; `ct` verifies the SCTs of its log.
pub(crate) fn ca(
    shared: &Shared,
    authority: &Authority,
    ct: PublicKey,
) -> anyhow::Result<(Served, Arc<Ca>)> {
    let parts = CaParts {
        signer: Arc::new(authority.key.load()?),
        chain: x509::CertificateChain::from_der(authority.chain.load()?)?,
        ct_public_key: ct,
        clock: Arc::clone(&shared.clock),
        cpu: shared.cpu_of(authority.service.kind, &authority.service.name),
    };
    let service = &authority.service;
    server::show_chain_end(service.place(), parts.chain.not_after().0);
    let (frozen, name) = (!service.state.signs(), service.name.clone());
    let mut settings = CaConfig { frozen, name, ..authority.settings.clone() };
    settings.oidc.keys_dir = Some(authority.state_dir.join(ISSUER_KEYS));
    let ca = Ca::new(settings, parts).with_context(|| format!("cannot start {service}"))?;
    let ca = Arc::new(ca);
    let mut served = Served::new(service, ca::http::router(Arc::clone(&ca)), ca::protocol());
    // One that issues nothing needs nothing.
    if let Some(key) = ca.key() {
        served = with_signals_of_ca(served, (shared, service), &ca, key);
    }
    Ok((served, ca))
}

/// What a CA that issues needs, and what is told of it.
fn with_signals_of_ca(
    mut served: Served,
    (shared, service): (&Shared, &Service),
    ca: &Arc<Ca>,
    key: &SigningKey,
) -> Served {
    let (own, label) = (Arc::clone(ca), &service.label);
    let is_valid = move || own.readiness().map_err(|error| error.to_string());
    served = with_chain(served, (shared, label), ca.not_after(), is_valid)
        .with_check(checks::ct_log(label, ca))
        .with_check(checks::issuers(label, ca))
        .with_tried(checks::key(format!("{label} key"), key));
    served.notes.push(ct_notes(ca, |trouble| ("ct log".to_owned(), trouble.name().to_owned())));
    let (public, detailed) = (Arc::clone(ca), Arc::clone(ca));
    let label = service.label.clone();
    let several = (label != service.kind.word()).then(|| label.clone());
    served.details.push(ct_notes(ca, move |CtTrouble { url, words, .. }| {
        (format!("{label}: ct_url {url}"), words.clone())
    }));
    let everybody = move || issuers::for_everybody(&public.issuer_health());
    served.notes.push(issuers::remembered(everybody));
    let in_detail = move || issuers::in_detail(several.as_deref(), &detailed.issuer_health());
    served.details.push(issuers::remembered(in_detail));
    served
}

/// What stands on a chain needs it to be valid, by its own word and for longer than the margin; and its clock.
fn with_chain(
    mut served: Served,
    (shared, label): (&Shared, &str),
    end: UnixSeconds,
    is_valid: impl Fn() -> Result<(), String> + Send + Sync + 'static,
) -> Served {
    let soon = checks::ends_soon(format!("{label} chain"), end, &shared.clock);
    served.details.push(Arc::clone(&soon));
    served.notes.push(soon);
    let clock = Arc::clone(&shared.clock);
    let state = move || {
        is_valid()?;
        checks::not_ended("the certificate chain", end, clock.now())
    };
    let check = Check { name: label.to_owned(), may_wait: true, state: Arc::new(state) };
    served.with_check(check).with_check(checks::clock(&shared.clock))
}

/// What is told while the CT log gives no SCTs: nothing here changes it, so the CA stays where it is asked.
fn ct_notes(
    ca: &Arc<Ca>,
    told: impl Fn(&CtTrouble) -> (String, String) + Send + Sync + 'static,
) -> Notes {
    let ca = Arc::clone(ca);
    Arc::new(move || ca.ct_trouble().iter().map(&told).collect())
}

/// A log, by the protocol of its kind.
pub(crate) fn log(
    shared: &Shared,
    deployment: &Deployment,
    logs: &Logs,
    running: &RunningLog<'_>,
) -> anyhow::Result<Served> {
    let (of, log) = (running.of, Arc::clone(&running.log));
    let (router, protocol): (Router, Protocol) = match of.kind {
        LogKind::Ct => {
            (ctlog::http::router(ct(shared, deployment, running)?), ctlog::http::protocol())
        }
        LogKind::Rekor1 => {
            let writers = writers(shared, deployment, logs, of)?;
            let options = Rekor1Options { writers, ..of.options.rekor1.clone() };
            let start = || {
                let (key, cpu) = (running.key.clone(), running.cpu.clone());
                let parts = Rekor1Parts { log, key, cpu, options };
                rekor1_router(Rekor1::start(parts, &logs.tasks, logs.shutdown.clone()))
            };
            (running.routes.get_or_init(start).clone(), rekor1_protocol())
        }
        LogKind::Rekor2 => {
            let writers = writers(shared, deployment, logs, of)?;
            let options = Rekor2Options { writers, ..of.options.rekor2.clone() };
            let rekor2 = Rekor2::new(log, running.cpu.clone(), options);
            (rekor2_router(rekor2), rekor2_protocol())
        }
    };
    let mut served = Served::new(&of.service, router, protocol);
    if let Some(notes) = frozen_notes(running) {
        served.details.push(Arc::clone(&notes));
        served.notes.push(notes);
    }
    let notes = room_notes(running);
    served.details.push(Arc::clone(&notes));
    served.notes.push(notes);
    served.hosts.extend(deployment.further_hosts(of));
    served.is_called = of.kind == LogKind::Ct;
    let label = &of.service.label;
    let served = served.with_check(log_check(running)).with_check(checks::clock(&shared.clock));
    let served = served.with_tried(checks::writes(label, &running.log));
    let served = served.with_tried(checks::key(format!("{label} key"), &running.key));
    Ok(match &running.tiles_key {
        Some(key) => served.with_tried(checks::key(format!("{label} tiles key"), key)),
        None => served,
    })
}

/// The CT protocol on a log, for the CAs that use it and for others that its operator names.
fn ct(shared: &Shared, deployment: &Deployment, running: &RunningLog<'_>) -> anyhow::Result<CtLog> {
    let chains = ct_chains(deployment, running.of)?;
    let (log, key) = (Arc::clone(&running.log), running.key.clone());
    let ct = CtLog::new(log, key, &chains, Arc::clone(&shared.clock), running.cpu.clone());
    ct.with_context(|| format!("cannot start {}", running.of.service))
}

/// The chains of all CAs whose certificates `log` takes.
///
/// # Errors
/// When one cannot be read, or is no chain that can have issued anything.
pub(crate) fn ct_chains(
    deployment: &Deployment,
    log: &deployment::Log,
) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
    let load = |path: &std::path::PathBuf| {
        let chain = load_chain(path)?.with_context(|| {
            let table = log.service.table();
            format!("the chain {}, whose certificates {table} takes, is missing", path.display())
        })?;
        x509::AcceptedChains::from_der([&chain]).with_context(|| {
            format!("{} is no chain of an issuing CA, lowest first", path.display())
        })?;
        Ok(chain)
    };
    deployment.ca_chain_files(log).map(load).collect()
}

/// Ready while the log serves what it has, and takes entries unless it was ended.
fn log_check(running: &RunningLog<'_>) -> Check {
    let log = Arc::clone(&running.log);
    let state = move || log.ready().map_err(|error| error.to_string().into());
    Check { name: running.of.service.label.clone(), may_wait: false, state: Arc::new(state) }
}

/// What is told of a log that was ended while the configuration sends clients to it: between the two steps of ending
/// one that is how it should be, and what it has is read, so it is no reason to take it out of service.
fn frozen_notes(running: &RunningLog<'_>) -> Option<Notes> {
    let why = frozen_and_not_said(running.of)?;
    let (log, name) = (Arc::clone(&running.log), running.of.service.label.clone());
    Some(Arc::new(move || {
        let note = log.is_frozen().then(|| (name.clone(), why.clone()));
        note.into_iter().collect()
    }))
}

/// What is told of a log whose disk is nearly full: it is read as ever, and room comes back without a restart.
fn room_notes(running: &RunningLog<'_>) -> Notes {
    let (log, name) = (Arc::clone(&running.log), running.of.service.label.clone());
    Arc::new(move || {
        let why = "the disk is nearly full: the log takes no entries until there is room";
        let note = log.has_no_room().then(|| (name.clone(), why.to_owned()));
        note.into_iter().collect()
    })
}

/// Of a CA beside its CT log: no certificate without an SCT.
pub(crate) fn ct_log_check(running: &RunningLog<'_>) -> Check {
    let (log, own) = (Arc::clone(&running.log), log_check(running));
    let (writes, _) = checks::writes(&own.name, &running.log);
    let state = move || {
        (own.state)()?;
        (writes.state)()?;
        if log.is_frozen() {
            Err("the CT log is frozen: it gives no SCT".to_owned().into())
        } else {
            Ok(())
        }
    };
    Check { may_wait: true, state: Arc::new(state), ..own }
}

/// A timestamp authority.
pub(crate) fn tsa(shared: &Shared, authority: &TimestampAuthority) -> anyhow::Result<Served> {
    let (service, settings) = (&authority.service, &authority.settings);
    // The key is in memory: a token is one job on the pool, with its signature.
    let signer: Arc<dyn Signer> = Arc::new(authority.key.load()?);
    let chain = authority.chain.load()?;
    let usual = TsaConfig::new(signer, chain);
    let config = TsaConfig {
        policy: settings.policy,
        accepted_policies: settings.accepted_policies.clone(),
        intermediate_usage: settings.intermediate_usage,
        verify_every: settings.verify_every.unwrap_or(usual.verify_every),
        max_clock_step_back: settings
            .max_clock_step_back_s
            .map_or(usual.max_clock_step_back, Duration::from_secs),
        frozen: !service.state.signs(),
        ..usual
    };
    let tsa =
        Tsa::new(config, Arc::clone(&shared.clock), shared.cpu_of(service.kind, &service.name))
            .with_context(|| format!("cannot start {service}"))?;
    let tsa = Arc::new(tsa);
    server::show_chain_end(service.place(), tsa.not_after().0);
    let served = Served::new(service, tsa::http::router(Arc::clone(&tsa)), tsa::protocol());
    let Some(key) = tsa.key().cloned() else { return Ok(served) };
    let (own, label) = (Arc::clone(&tsa), &service.label);
    let is_valid = move || own.readiness().map_err(|error| error.to_string());
    let served = with_chain(served, (shared, label), tsa.not_after(), is_valid);
    Ok(served.with_tried(checks::key(format!("{label} key"), &key)))
}

/// The trust files, and the TUF repository that signs them.
#[derive(Clone)]
pub(crate) struct OpenTrust {
    pub(crate) files: Arc<TrustFiles>,
    pub(crate) repository: Arc<Repository>,
}

impl OpenTrust {
    /// Puts the files where clients of this machine can read them. Blocks on the disk.
    pub(crate) fn write_to(&self, directory: &Path) -> anyhow::Result<()> {
        self.files.write_to(directory)?;
        Ok(self.repository.write_root_to(directory)?)
    }

    /// Signs what becomes due until `shutdown`.
    pub(crate) async fn keep_fresh(self, shutdown: CancellationToken) {
        self.repository.keep_fresh(shutdown).await;
    }
}

/// Opens the TUF repository, or makes it.
pub(crate) async fn open_trust(
    shared: &Shared,
    deployment: &Deployment,
    of: &deployment::Repository,
) -> anyhow::Result<OpenTrust> {
    let files = deployment::trust_files(deployment, of, shared.clock.now())?;
    let parts = TufParts {
        name: of.service.name.clone(),
        directory: of.tuf_dir.clone(),
        root_signer: Arc::new(of.root_key.load()?),
        online_signer: Arc::new(of.online_key.load()?),
        clock: Arc::clone(&shared.clock),
        cpu: shared.cpu_of(of.service.kind, &of.service.name),
    };
    let repository = Repository::open(parts, &files);
    let repository = repository.await.context("cannot open the TUF repository")?;
    Ok(OpenTrust { files: Arc::new(files), repository })
}

/// The trust files over HTTP.
pub(crate) fn trust(
    (shared, deployment): (&Shared, &Deployment),
    of: &deployment::Repository,
    open: &OpenTrust,
) -> anyhow::Result<Served> {
    let router = ::trust::router(Arc::clone(&open.files), Arc::clone(&open.repository))
        .merge(Arc::new(anchors(deployment, of)?).router());
    let (label, repository) = (&of.service.label, Arc::clone(&open.repository));
    // Renewal has failed for long: clients refuse the repository, or will soon.
    let clock = Arc::clone(&shared.clock);
    let state = move || match (repository.expired_role(), repository.first_end()) {
        (Some(role), _) => Err(format!("the TUF metadata of the role `{role}` has expired").into()),
        (None, Some((role, end))) => {
            checks::not_ended(&format!("the TUF metadata of the role `{role}`"), end, clock.now())
        }
        (None, None) => Ok(()),
    };
    let check = Check { name: label.clone(), may_wait: false, state: Arc::new(state) };
    let served = Served::new(&of.service, router, ::trust::protocol());
    let mut served = served.with_check(check);
    // What is signed already stays true, whatever the clock shows.
    let clock = checks::clock_note(&shared.clock);
    served.details.push(Arc::clone(&clock));
    served.notes.push(clock);
    for (role, key) in ["root", "online"].into_iter().zip(open.repository.keys()) {
        served = served.with_tried(checks::key(format!("{label} {role} key"), key));
    }
    let (repository, name) = (Arc::clone(&open.repository), format!("{label} renewal"));
    let overdue: Notes = Arc::new(move || {
        let told = |since: Duration| (name.clone(), format!("overdue for {} s", since.as_secs()));
        repository.overdue().map(told).into_iter().collect()
    });
    served.details.push(Arc::clone(&overdue));
    served.notes.push(overdue);
    Ok(served)
}

/// What a trust service keeps for the logs of its tenant.
fn anchors(deployment: &Deployment, of: &deployment::Repository) -> anyhow::Result<Anchors> {
    let is_own = |log: &&deployment::Log| {
        of.service.tenant.as_deref().is_some_and(|tenant| log.service.is_of(tenant))
    };
    let logs = deployment.running_logs().filter(is_own).map(deployment::Log::anchored);
    Ok(Anchors::new(of.anchors_dir(), logs.collect::<anyhow::Result<_>>()?))
}

/// The development identity provider, to which people log in where it says so.
pub(crate) fn oidc(
    shared: &Shared,
    of: &Provider,
    deployment: &Deployment,
) -> anyhow::Result<Served> {
    let (key, base_url) = (of.key.load()?, of.url.to_string());
    let public_key = key.public_key().clone();
    let login = || {
        let mut clients = provider::plain_issuer(&base_url, None)?.audiences().to_vec();
        clients.extend(deployment.audiences().map(str::to_owned));
        let work = (shared.cpu_of(Kind::Trust, "oidc-dev"), Arc::clone(&shared.clock));
        anyhow::Ok(Login::new(&base_url, clients, Minter::new(key), work))
    };
    let login = if of.login { Some(login()?) } else { None };
    let router = provider::router(&base_url, &public_key, login)?;
    let routes = (router, provider::protocol());
    let served = Served::at(of.port, "the identity provider".to_owned(), routes);
    Ok(Served { hosts: vec![Host::new(of.url.host())], is_called: true, ..served })
}

/// What the process has measured. Ready when all of `others` are: one question for the process.
pub(crate) fn metrics(port: u16, others: &[Served]) -> anyhow::Result<Served> {
    let metrics = server::install_metrics()?;
    let routes = (server::metrics_routes(metrics), metrics_protocol());
    let mut served =
        Served { is_called: true, ..Served::at(port, "the metrics".to_owned(), routes) };
    for check in others.iter().flat_map(|other| &other.checks) {
        if served.checks.iter().all(|known| known.name != check.name) {
            served.checks.push(check.clone());
        }
    }
    served.notes = others.iter().flat_map(|other| &other.details).cloned().collect();
    Ok(served)
}

/// By this name the port of the metrics tells what is not for everybody.
pub(super) const METRICS: &str = "metrics";

fn metrics_protocol() -> Protocol {
    Protocol {
        name: METRICS,
        body_limit: 1024,
        timeout: Duration::from_secs(10),
        render: |failure: &Failure| (failure.status(), format!("{failure}\n")).into_response(),
    }
}
