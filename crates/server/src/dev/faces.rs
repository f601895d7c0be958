use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use axum::{Json, Router, response::IntoResponse};
use ca::{Ca, CaConfig, CaParts};
use crypto::{LocalSigner, PublicKey, Signer};
use identity::{IssuerConfig, IssuerKind, SubjectDomain};
use serde_json::json;
use service::{Clock, CpuPool, Failure, OffloadSigner, Protocol};
use translog::{
    ct::CtLog,
    http::{Rekor2Options, ct_router, rekor2_router},
};
use trust::{
    TrustFiles,
    tuf::{Repository, TufParts},
};
use tsa::{Tsa, TsaConfig};
use url::Url;

use super::trust::{Chains, deployment};
use crate::{
    endpoints::{Face, HOST, Ports},
    keys::Keys,
    logs::{LogSigners, Logs},
    oidc::{self, Ci},
};

/// The services, before there are logs: all that can fail without touching a database.
pub(super) struct Faces {
    pub(super) trust_files: Arc<TrustFiles>,
    pub(super) tuf: Arc<Repository>,
    pub(super) log_signers: LogSigners,
    pub(super) tsa: Arc<Tsa>,
    cpu: CpuPool,
    ca: Arc<Ca>,
    ca_roots: Vec<Vec<u8>>,
    oidc: Router,
}

impl Faces {
    pub(super) async fn build(
        (keys, chains): (Keys, Chains),
        tuf_directory: PathBuf,
        ports: &Ports,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let cpu = CpuPool::new(std::thread::available_parallelism().map_or(1, usize::from));
        let signer = |key: LocalSigner| -> Arc<dyn Signer> {
            Arc::new(OffloadSigner::new(key, cpu.clone()))
        };
        let public_keys = (keys.ct.public_key().clone(), keys.rekor2.public_key().clone());
        let deployment = deployment(ports, &chains, (&public_keys.0, &public_keys.1))?;
        let trust_files = Arc::new(TrustFiles::build(&deployment, clock.now())?);
        let ca_parts = CaParts {
            signer: signer(keys.ca),
            chain: x509::CertificateChain::from_der(chains.ca.clone())?,
            ct_public_key: public_keys.0,
            clock: Arc::clone(clock),
            cpu: cpu.clone(),
        };
        let ca = Ca::new(ca_config(ports)?, ca_parts).context("cannot start the CA")?;
        // The key is in memory: a token is one job on the pool, with its signature.
        let tsa = TsaConfig::new(Arc::new(keys.tsa), chains.tsa);
        let tsa = Tsa::new(tsa, Arc::clone(clock), cpu.clone()).context("cannot start the TSA")?;
        let tuf = TufParts {
            directory: tuf_directory,
            root_signer: signer(keys.tuf_root),
            online_signer: signer(keys.tuf_online),
            clock: Arc::clone(clock),
        };
        let tuf =
            Repository::open(tuf, &trust_files).await.context("cannot open the TUF repository")?;
        Ok(Self {
            trust_files,
            tuf,
            log_signers: LogSigners { ct: signer(keys.ct), rekor2: signer(keys.rekor2) },
            tsa: Arc::new(tsa),
            ca: Arc::new(ca),
            ca_roots: chains.ca.last().cloned().into_iter().collect(),
            oidc: oidc_router(ports, keys.oidc.public_key())?,
            cpu,
        })
    }

    /// The routes of `face`, and how the shared layers answer for it.
    pub(super) fn router(
        &self,
        face: Face,
        logs: &Logs,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<(Router, Protocol)> {
        Ok(match face {
            Face::Ca => (ca::http::router(Arc::clone(&self.ca)), ca::protocol()),
            Face::Ct => (ct_router(self.ct_log(logs, clock)?), translog::http::ct_protocol()),
            Face::Rekor1 => (Router::new(), rekor1_protocol()),
            Face::Rekor2 => {
                let log = Arc::clone(&logs.rekor2);
                let router = rekor2_router(log, self.cpu.clone(), Rekor2Options::default());
                (router, translog::http::rekor2_protocol())
            }
            Face::Tsa => (tsa::http::router(Arc::clone(&self.tsa)), tsa::protocol()),
            Face::Trust => {
                let (files, repository) = (&self.trust_files, &self.tuf);
                (::trust::router(Arc::clone(files), Arc::clone(repository)), ::trust::protocol())
            }
            Face::Oidc => (self.oidc.clone(), oidc::protocol()),
            Face::Metrics => {
                let metrics = service::install_metrics()?;
                (service::metrics_routes(metrics), metrics_protocol())
            }
        })
    }

    fn ct_log(&self, logs: &Logs, clock: &Arc<dyn Clock>) -> anyhow::Result<CtLog> {
        let (log, signer) = (Arc::clone(&logs.ct), Arc::clone(&self.log_signers.ct));
        CtLog::new(log, signer, &self.ca_roots, Arc::clone(clock), self.cpu.clone())
            .context("cannot start the CT log")
    }
}

/// Believes the development provider: people, URIs, GitHub jobs, Kubernetes accounts.
fn ca_config(ports: &Ports) -> anyhow::Result<CaConfig> {
    let base = ports.url(Face::Oidc);
    let audiences = || vec![AUDIENCE.to_owned()];
    let subject_domain = SubjectDomain::parse(&format!("http://{HOST}"))?;
    let mut issuers = vec![IssuerConfig::new_loopback(
        &base,
        audiences(),
        IssuerKind::EmailOrUri { subject_domain },
    )?];
    for ci in Ci::ALL {
        let kind = match ci {
            Ci::Github => IssuerKind::GithubWorkflow { base_url: IssuerKind::GITHUB.to_owned() },
            Ci::Kubernetes => IssuerKind::Kubernetes,
        };
        let url = format!("{base}/{}", ci.name());
        issuers.push(IssuerConfig::new_loopback(&url, audiences(), kind)?);
    }
    Ok(CaConfig::new(issuers, Url::parse(&ports.url(Face::Ct))?))
}

/// What every Sigstore client asks its provider for.
const AUDIENCE: &str = "sigstore";

fn oidc_router(ports: &Ports, key: &PublicKey) -> anyhow::Result<Router> {
    oidc::router(&ports.url(Face::Oidc), key)
}

/// The Rekor v1 log is not built yet: its port says so in Rekor's form.
fn rekor1_protocol() -> Protocol {
    let render = |failure: &Failure| {
        let status = failure.status();
        let body = json!({"code": status.as_u16(), "message": failure.to_string()});
        (status, Json(body)).into_response()
    };
    Protocol { name: "rekor1", render, ..metrics_protocol() }
}

fn metrics_protocol() -> Protocol {
    Protocol {
        name: "metrics",
        body_limit: 1024,
        timeout: std::time::Duration::from_secs(10),
        render: |failure: &Failure| (failure.status(), format!("{failure}\n")).into_response(),
    }
}
