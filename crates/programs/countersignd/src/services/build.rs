use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::response::IntoResponse;
use ca::{Ca, CaConfig, CaParts};
use crypto::{LocalSigner, Signer};
use ctlog::CtLog;
use engine::Log;
use oidc::{self as provider, Login, Minter};
use rekor::{
    Rekor2, Rekor2Options,
    http::{rekor1_router, rekor2_router},
};
use service::{Failure, Protocol};
use tokio_util::sync::CancellationToken;
use trust::{
    TrustFiles,
    tuf::{Repository, TufParts},
};
use tsa::{Tsa, TsaConfig};

use super::{Check, Material, Served, Shared, issuers};
use crate::{
    config::TsaSettings,
    endpoints::Face,
    logs::{LogSigners, Logs},
};

/// The certificate authority.
pub(crate) fn ca(
    shared: &Shared,
    config: CaConfig,
    key: LocalSigner,
    material: &Material,
) -> anyhow::Result<(Served, Arc<Ca>)> {
    // What is measured before is lost.
    service::install_metrics()?;
    let parts = CaParts {
        signer: Arc::new(key),
        chain: x509::CertificateChain::from_der(material.ca_chain.clone())?,
        ct_public_key: material.ct.clone(),
        clock: Arc::clone(&shared.clock),
        cpu: shared.cpu.clone(),
    };
    let ca = Arc::new(Ca::new(config, parts).context("cannot start the CA")?);
    let mut served = Served::new(Face::Ca, ca::http::router(Arc::clone(&ca)), ca::protocol());
    let (public, detailed) = (Arc::clone(&ca), Arc::clone(&ca));
    served.notes.push(Arc::new(move || issuers::for_everybody(&public.issuer_health())));
    served.details.push(Arc::new(move || issuers::in_detail(&detailed.issuer_health())));
    Ok((served, ca))
}

/// The faces of the logs.
pub(crate) struct LogFaces {
    pub(crate) ct: Served,
    pub(crate) rekor1: Served,
    pub(crate) rekor2: Served,
}

/// All faces of `logs`; the CT log takes certificates of the CAs of `ct_chains`.
pub(crate) fn logs(
    shared: &Shared,
    logs: &Logs,
    signers: &LogSigners,
    ct_chains: &[Vec<Vec<u8>>],
) -> anyhow::Result<LogFaces> {
    let (log, signer) = (Arc::clone(&logs.ct), Arc::clone(&signers.ct));
    let ct = CtLog::new(log, signer, ct_chains, Arc::clone(&shared.clock), shared.cpu.clone())
        .context("cannot start the CT log")?;
    let ct = Served::new(Face::Ct, ctlog::http::router(ct), ctlog::http::protocol());
    let rekor2 =
        Rekor2::new(Arc::clone(&logs.rekor2), shared.cpu.clone(), Rekor2Options::default());
    let rekor2 = rekor2_router(rekor2);
    let rekor2 = Served::new(Face::Rekor2, rekor2, rekor::http::rekor2_protocol());
    let rekor1 = rekor1_router(Arc::clone(&logs.rekor1));
    let rekor1 = Served::new(Face::Rekor1, rekor1, rekor::http::rekor1_protocol());
    Ok(LogFaces {
        ct: ct.with_check(log_check("ct", &logs.ct)),
        rekor1: rekor1.with_check(log_check("rekor1", logs.rekor1.log())),
        rekor2: rekor2.with_check(log_check("rekor2", &logs.rekor2)),
    })
}

/// Ready while `log` takes entries.
pub(crate) fn log_check(name: &'static str, log: &Arc<Log>) -> Check {
    let log = Arc::clone(log);
    Check { name, state: Arc::new(move || log.ready().map_err(|error| error.to_string())) }
}

/// The timestamp authority.
pub(crate) fn tsa(
    shared: &Shared,
    key: LocalSigner,
    material: &Material,
    settings: TsaSettings,
) -> anyhow::Result<Served> {
    let config = TsaConfig {
        policy: settings.policy,
        accepted_policies: settings.accepted_policies,
        intermediate_usage: settings.intermediate_usage,
        ..TsaConfig::new(Arc::new(key), material.tsa_chain.clone())
    };
    let tsa = Tsa::new(config, Arc::clone(&shared.clock), shared.cpu.clone())
        .context("cannot start the TSA")?;
    let tsa = Arc::new(tsa);
    let served = Served::new(Face::Tsa, tsa::http::router(Arc::clone(&tsa)), tsa::protocol());
    let state = move || tsa.readiness().map_err(|error| error.to_string());
    Ok(served.with_check(Check { name: "tsa", state: Arc::new(state) }))
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

/// Opens the TUF repository in `directory`, or makes it.
pub(crate) async fn open_trust(
    shared: &Shared,
    directory: &Path,
    (root, online): (LocalSigner, LocalSigner),
    files: TrustFiles,
) -> anyhow::Result<OpenTrust> {
    let parts = TufParts {
        directory: directory.to_owned(),
        root_signer: Arc::new(root),
        online_signer: Arc::new(online),
        clock: Arc::clone(&shared.clock),
        cpu: shared.cpu.clone(),
    };
    let repository = Repository::open(parts, &files);
    let repository = repository.await.context("cannot open the TUF repository")?;
    Ok(OpenTrust { files: Arc::new(files), repository })
}

/// The trust files over HTTP.
pub(crate) fn trust(open: &OpenTrust) -> Served {
    let router = ::trust::router(Arc::clone(&open.files), Arc::clone(&open.repository));
    Served::new(Face::Trust, router, ::trust::protocol())
}

/// The development identity provider, to which people log in when `may_log_in`.
pub(crate) fn oidc(
    shared: &Shared,
    (base_url, audience): (&str, Option<&str>),
    key: LocalSigner,
    may_log_in: bool,
) -> anyhow::Result<Served> {
    let public_key = key.public_key().clone();
    let login = || {
        let clients = provider::plain_issuer(base_url, audience)?.audiences().to_vec();
        let work = (shared.cpu.clone(), Arc::clone(&shared.clock));
        anyhow::Ok(Login::new(base_url, clients, Minter::new(key), work))
    };
    let login = if may_log_in { Some(login()?) } else { None };
    let router = provider::router(base_url, &public_key, login)?;
    Ok(Served::new(Face::Oidc, router, provider::protocol()))
}

/// What the process has measured. Ready when all of `others` are: one question for the process.
pub(crate) fn metrics(others: &[Served]) -> anyhow::Result<Served> {
    let metrics = service::install_metrics()?;
    let mut served =
        Served::new(Face::Metrics, service::metrics_routes(metrics), metrics_protocol());
    for check in others.iter().flat_map(|other| &other.checks) {
        if served.checks.iter().all(|known| known.name != check.name) {
            served.checks.push(check.clone());
        }
    }
    served.notes = others.iter().flat_map(|other| &other.details).cloned().collect();
    Ok(served)
}

fn metrics_protocol() -> Protocol {
    Protocol {
        name: "metrics",
        body_limit: 1024,
        timeout: Duration::from_secs(10),
        render: |failure: &Failure| (failure.status(), format!("{failure}\n")).into_response(),
    }
}
