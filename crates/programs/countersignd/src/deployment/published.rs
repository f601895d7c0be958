//! The trust files of a tenant, derived from all services that it ever used.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use moment::UnixSeconds;
use store::LogKind;
use trust::{LogKey, TilesKey, TrustFiles};
use tsp::TsaChain;
use url::Url;
use wire::{
    Timestamp,
    trust::{TimeRange, TransparencyLogInstance, TrustedRoot},
};

use super::{Authority, Deployment, Log, Repository, Service, Tenant, TimestampAuthority};
use crate::data_dir::read_if_present;

/// Makes and checks the files of `repository`. `now` is Unix seconds.
///
/// The same keys and certificates give the same files at every start: nothing is trusted from the moment of
/// some start on.
pub(crate) fn trust_files(
    deployment: &Deployment,
    repository: &Repository,
    now: UnixSeconds,
) -> anyhow::Result<TrustFiles> {
    let of_tenant = repository.service.tenant.as_deref().and_then(|name| deployment.tenant(name));
    let tenant = of_tenant.context("the trust repository is of no tenant")?;
    let files = TrustFiles::build(&view(deployment, repository, tenant)?, now)?;
    refuse_contradiction(repository, &files)?;
    Ok(files)
}

/// Refuses to say of a log's key anything else than clients were told: a bundle of before has its entry from the log at
/// the old host, and would not verify any more. Of several hosts that they were told, one that was tried and taken back
/// for example, each may stay.
fn refuse_contradiction(repository: &Repository, files: &TrustFiles) -> anyhow::Result<()> {
    let next = files.files().iter().find(|file| file.name == TRUSTED_ROOT);
    let next: TrustedRoot = match next {
        Some(file) => serde_json::from_slice(&file.content)?,
        None => return Ok(()),
    };
    let published = published_logs(&repository.tuf_dir)?;
    let logs = || next.tlogs.iter().chain(&next.ctlogs);
    for new in logs() {
        let mut told = published.iter().filter(|(old, _)| is_same_key(old, new)).peekable();
        let Some((old, file)) = told.peek() else { continue };
        let same_key: Vec<_> = logs().filter(|log| is_same_key(log, new)).collect();
        let (url, file) = (&old.base_url, file.display());
        let is_told = |(old, _): &(TransparencyLogInstance, PathBuf)| {
            same_key.iter().any(|log| host_of(&log.base_url) == host_of(&old.base_url))
        };
        if !told.any(is_told) {
            bail!(
                "the log at {} has the key of the one at {url}, which {file} names: clients would refuse every bundle of \
                 before. Give its table the `url` of before; a log at another host is the next log, with a table and a \
                 key of its own (docs/deployment.md)",
                new.base_url
            );
        }
    }
    Ok(())
}

fn is_same_key(one: &TransparencyLogInstance, other: &TransparencyLogInstance) -> bool {
    one.public_key.raw_bytes.0 == other.public_key.raw_bytes.0
}

/// The logs of all trusted roots that a repository has still, each with the file that names it.
fn published_logs(tuf_dir: &Path) -> anyhow::Result<Vec<(TransparencyLogInstance, PathBuf)>> {
    let mut logs = Vec::new();
    for file in published_roots(tuf_dir)? {
        let known: TrustedRoot = serde_json::from_str(&read_if_present(&file)?.unwrap_or_default())
            .with_context(|| format!("{} is not what countersignd wrote", file.display()))?;
        let all = known.tlogs.into_iter().chain(known.ctlogs);
        logs.extend(all.map(|log| (log, file.clone())));
    }
    Ok(logs)
}

const TRUSTED_ROOT: &str = "trusted_root.json";

fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// The trusted roots among a repository's targets, if it was made.
fn published_roots(tuf_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let targets = tuf_dir.join("targets");
    let entries = match fs::read_dir(&targets) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", targets.display()))?,
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_root = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(&format!(".{TRUSTED_ROOT}")))
    };
    Ok(files.filter(is_root).collect())
}

/// What the tenant has to do with.
fn view(
    deployment: &Deployment,
    repository: &Repository,
    tenant: &Tenant,
) -> anyhow::Result<trust::Deployment> {
    let certificate_authorities = all_of(tenant, &deployment.authorities, |one| &one.service)
        .map(authority)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let timestamp_authorities =
        all_of(tenant, &deployment.timestamp_authorities, |one| &one.service)
            .map(timestamp_authority)
            .collect::<anyhow::Result<Vec<_>>>()?;
    let since = certificate_authorities.iter().filter_map(|ca| ca.valid_for.start).min();
    let logs = |kind| {
        all_of(tenant, &deployment.logs, |one| &one.service)
            .filter(move |log| log.kind == kind)
            .map(|log| log_key(log, since))
            .collect::<anyhow::Result<Vec<_>>>()
    };
    Ok(trust::Deployment {
        operator: tenant.operator.clone(),
        trust_url: repository.service.url.to_string(),
        oidc_url: repository.oidc_url.clone(),
        forge: repository.forge.clone(),
        audience: tenant.audience.clone(),
        ct_logs: logs(LogKind::Ct)?,
        rekor2_logs: logs(LogKind::Rekor2)?,
        rekor1_logs: logs(LogKind::Rekor1)?,
        certificate_authorities,
        timestamp_authorities,
        trust_dir: repository.files_dir.clone(),
        development: development(deployment, repository),
    })
}

/// The development provider, where clients of this repository log in to it.
fn development(deployment: &Deployment, repository: &Repository) -> Option<trust::Development> {
    let provider = deployment.provider.as_ref()?;
    let url = provider.url.to_string();
    let token_command = provider.token_command.clone();
    (url == repository.oidc_url).then_some(trust::Development { url, token_command })
}

fn all_of<'a, T>(
    tenant: &Tenant,
    all: &'a [T],
    service: impl Fn(&T) -> &Service,
) -> impl Iterator<Item = &'a T> {
    all.iter().filter(move |one| service(one).is_of(&tenant.name))
}

fn authority(one: &Authority) -> anyhow::Result<trust::Authority> {
    let chain = one.chain.load()?;
    let since = x509::CertificateChain::from_der(chain.clone())?.not_before();
    Ok(trust::Authority {
        url: one.service.url.to_string(),
        chain_der: chain,
        valid_for: valid_for(&one.service, moment(since)?),
        state: one.service.state,
    })
}

fn timestamp_authority(one: &TimestampAuthority) -> anyhow::Result<trust::Authority> {
    let chain = one.chain.load()?;
    let since = TsaChain::from_ders(&chain)?.validity().not_before;
    Ok(trust::Authority {
        url: one.stamps_at(),
        chain_der: chain,
        valid_for: valid_for(&one.service, moment(since)?),
        state: one.service.state,
    })
}

impl TimestampAuthority {
    /// The complete URL that takes requests.
    pub(crate) fn stamps_at(&self) -> String {
        format!("{}/api/v1/timestamp", self.service.url)
    }
}

/// From its own beginning on; where nobody kept that, from the first second of the tenant's CAs.
fn log_key(log: &Log, first_ca: Option<Timestamp>) -> anyhow::Result<LogKey> {
    let since = log.since()?.or(first_ca).context("a tenant without a CA")?;
    // Of a v1 log the origin has the tree id, which a retired one need not know any more, and no file the origin.
    let names = log.names_with(0);
    let origin = match log.kind {
        LogKind::Rekor1 => names.host,
        LogKind::Ct | LogKind::Rekor2 => names.origin(),
    };
    Ok(LogKey {
        base_url: log.service.url.to_string(),
        origin,
        public_key: log.key.public_key()?,
        valid_for: valid_for(&log.service, since),
        state: log.service.state,
        tiles: tiles(log)?,
    })
}

/// Of a retired log only where its key was kept.
fn tiles(log: &Log) -> anyhow::Result<Option<TilesKey>> {
    let key = log.rekor1.as_ref().map(|places| &places.tiles_key);
    let Some(key) = key.filter(|key| log.service.state.runs() || key.is_published()) else {
        return Ok(None);
    };
    let origin = log.names_with(0).tiles_origin();
    Ok(Some(TilesKey { origin, public_key: key.public_key()? }))
}

impl Deployment {
    /// The first second of the CAs whose tenants use `log`.
    ///
    /// # Errors
    /// When a chain cannot be read.
    pub(crate) fn first_ca(&self, log: &Log) -> anyhow::Result<Option<Timestamp>> {
        let starts = self.authorities_of(log).map(|one| Ok(authority(one)?.valid_for.start));
        Ok(starts.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().min())
    }
}

/// What the configuration says, else from `since` on.
fn valid_for(service: &Service, since: Timestamp) -> TimeRange {
    TimeRange { start: Some(service.valid_from.unwrap_or(since)), end: service.valid_until }
}

fn moment(at: UnixSeconds) -> anyhow::Result<Timestamp> {
    Timestamp::from_unix_seconds(at.0).context("a time beyond the year 9999")
}
