//! Whom the client trusts, and which services it uses: from files, never from URLs alone.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use thiserror::Error;
use verify::{MAX_TRUSTED_ROOT_LEN, Trust, TrustError};
use wire::trust::{
    ClientTrustConfig, Service, ServiceConfiguration, ServiceSelector, SigningConfig, TimeRange,
};

use crate::services::{Endpoints, ServiceKind, ServiceUrl, ServiceUrlError};

/// Longest signing config read, in bytes: hundreds of services.
const MAX_SIGNING_CONFIG_LEN: usize = 256 * 1024;

/// Longest client trust config read: both of its parts at their longest.
const MAX_TRUST_CONFIG_LEN: usize = MAX_TRUSTED_ROOT_LEN + MAX_SIGNING_CONFIG_LEN;

/// The version of the CA's and the timestamp authorities' API that this client speaks.
const API_V1: u32 = 1;

/// The version of Rekor's API that this client speaks.
const REKOR_V2: u32 = 2;

/// Where to read trust from. The default counts only where nothing else says whom to trust.
#[derive(Clone, Debug, Default)]
pub struct TrustFiles {
    /// `--trusted-root`: a trusted root.
    pub trusted_root: Option<PathBuf>,
    /// `--trust-config`: trusted root and signing config in one file.
    pub trust_config: Option<PathBuf>,
    /// `--signing-config`: services alone.
    pub signing_config: Option<PathBuf>,
    /// `COUNTERSIGN_TRUST_CONFIG`, or what was pinned: as `trust_config`.
    pub default_trust_config: Option<PathBuf>,
}

/// URLs given by hand; each takes the place of what the signing config says.
#[derive(Clone, Debug, Default)]
pub struct UrlOverrides {
    /// `--fulcio-server-url`.
    pub certificate_authority: Option<String>,
    /// `--rekor-server-url`.
    pub transparency_log: Option<String>,
    /// `--timestamp-server-url`.
    pub timestamp_authority: Option<String>,
}

/// Trust and services of one instance.
#[derive(Debug)]
pub struct LoadedTrust {
    /// For verifying; the signer checks by it what the services give.
    pub trust: Trust,
    /// For signing; absent when only a trusted root was given.
    pub signing_config: Option<SigningConfig>,
}

impl LoadedTrust {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TrustFileError`]; [`TrustFileError::NoTrust`] when no file says whom to trust.
    pub fn load(files: &TrustFiles) -> Result<Self, TrustFileError> {
        let explicit = files.trust_config.as_ref();
        let default = files.default_trust_config.as_ref().filter(|_| files.trusted_root.is_none());
        let config: Option<ClientTrustConfig> = explicit
            .or(default)
            .map(|path| read_json(path, "client trust config", MAX_TRUST_CONFIG_LEN))
            .transpose()?;
        let (root, of_config) = match config {
            Some(config) => (Some(config.trusted_root), Some(config.signing_config)),
            None => (None, None),
        };
        let (root, path) = match (&files.trusted_root, root) {
            (Some(path), _) => (read_json(path, "trusted root", MAX_TRUSTED_ROOT_LEN)?, path),
            (None, Some(root)) => (root, explicit.or(default).ok_or(TrustFileError::NoTrust)?),
            (None, None) => return Err(TrustFileError::NoTrust),
        };
        let trust = Trust::from_root(root)
            .map_err(|source| TrustFileError::Root { path: path.clone(), source })?;
        let signing_config = match &files.signing_config {
            Some(path) => Some(read_json(path, "signing config", MAX_SIGNING_CONFIG_LEN)?),
            None => of_config,
        };
        Ok(Self { trust, signing_config })
    }

    /// The services to use at unix second `now`.
    ///
    /// Of the signing config those count that are valid now and speak our version of their API;
    /// of these at most one of each operator, and as many as the selector says, newest first. A
    /// kind of service that the config does not list is left out.
    ///
    /// # Errors
    /// [`TrustFileError::Url`], [`TrustFileError::NoUsableService`],
    /// [`TrustFileError::TooFewServices`], [`TrustFileError::SeveralLogs`].
    pub fn endpoints(
        &self,
        overrides: &UrlOverrides,
        now: u64,
    ) -> Result<Endpoints, TrustFileError> {
        let none = SigningConfig::default();
        let config = self.signing_config.as_ref().unwrap_or(&none);
        let choose = |kind, given: &Option<String>, listed: &Listed<'_>| match given {
            Some(url) => Ok(vec![service_url(kind, url)?]),
            None => listed.choose(kind, now),
        };
        let ca = Listed { services: &config.ca_urls, version: API_V1, config: None };
        let tlogs = &config.rekor_tlog_urls;
        let log = Listed { services: tlogs, version: REKOR_V2, config: config.rekor_tlog_config };
        let tsa = Listed { services: &config.tsa_urls, version: API_V1, config: config.tsa_config };
        let authorities =
            choose(ServiceKind::CertificateAuthority, &overrides.certificate_authority, &ca)?;
        let logs = choose(ServiceKind::TransparencyLog, &overrides.transparency_log, &log)?;
        if logs.len() > 1 {
            return Err(TrustFileError::SeveralLogs(logs.len()));
        }
        Ok(Endpoints {
            certificate_authority: authorities.into_iter().next(),
            transparency_log: logs.into_iter().next(),
            timestamp_authorities: choose(
                ServiceKind::TimestampAuthority,
                &overrides.timestamp_authority,
                &tsa,
            )?,
        })
    }
}

/// The services of one kind in a signing config.
struct Listed<'a> {
    services: &'a [Service],
    version: u32,
    config: Option<ServiceConfiguration>,
}

impl Listed<'_> {
    fn choose(&self, kind: ServiceKind, now: u64) -> Result<Vec<ServiceUrl>, TrustFileError> {
        if self.services.is_empty() {
            return Ok(Vec::new());
        }
        let usable = self.usable(now);
        if usable.is_empty() {
            return Err(TrustFileError::NoUsableService { kind, version: self.version });
        }
        let config = self.config.unwrap_or_default();
        let count = match config.selector {
            ServiceSelector::All => usable.len(),
            ServiceSelector::Exact => usize::try_from(config.count).unwrap_or(usize::MAX),
            ServiceSelector::Any | ServiceSelector::Undefined => 1,
        };
        if count == 0 || count > usable.len() {
            let usable = usable.len();
            return Err(TrustFileError::TooFewServices { kind, usable, demanded: count });
        }
        usable.into_iter().take(count).map(|service| service_url(kind, &service.url)).collect()
    }

    /// Valid now, of our version, one for each operator.
    fn usable(&self, now: u64) -> Vec<&Service> {
        let mut usable: Vec<&Service> = Vec::new();
        for service in self.services {
            let fits = service.major_api_version == self.version && is_valid(service, now);
            if fits && !usable.iter().any(|other| other.operator == service.operator) {
                usable.push(service);
            }
        }
        usable
    }
}

/// Whether the service may be used at `now`; one without a period always may.
fn is_valid(service: &Service, now: u64) -> bool {
    let TimeRange { start, end } = service.valid_for.unwrap_or_default();
    let Ok(now) = i64::try_from(now) else { return false };
    start.is_none_or(|start| start.unix_seconds() <= now)
        && end.is_none_or(|end| now <= end.unix_seconds())
}

fn service_url(kind: ServiceKind, text: &str) -> Result<ServiceUrl, TrustFileError> {
    ServiceUrl::parse(text).map_err(|source| TrustFileError::Url { kind, source })
}

fn read_json<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    limit: usize,
) -> Result<T, TrustFileError> {
    let bytes = read_at_most(path, limit).map_err(|source| TrustFileError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })?;
    let bytes =
        bytes.ok_or_else(|| TrustFileError::TooLong { what, path: path.to_owned(), limit })?;
    serde_json::from_slice(&bytes).map_err(|source| TrustFileError::Json {
        what,
        path: path.to_owned(),
        source,
    })
}

/// The whole file, or `None` when it is longer than `limit` bytes.
fn read_at_most(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

/// Why there is no trust, or no service to use: each a matter of configuration (exit code 2).
#[derive(Debug, Error)]
pub enum TrustFileError {
    /// No file says whom to trust.
    #[error(
        "no trust is configured, and URLs of services create none: \
         give --trust-config or --trusted-root, or set COUNTERSIGN_TRUST_CONFIG"
    )]
    NoTrust,
    /// The file cannot be read.
    #[error("cannot read {what} {}: {source}", .path.display())]
    Unreadable {
        /// Kind of file.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is longer than any of its kind.
    #[error("{what} {} is longer than {limit} bytes", .path.display())]
    TooLong {
        /// Kind of file.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// In bytes.
        limit: usize,
    },
    /// The file is not what it should be.
    #[error("{} is not a Sigstore {what}: {source}", .path.display())]
    Json {
        /// Kind of file.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The trusted root cannot be used.
    #[error("the trusted root in {} cannot be used: {source}", .path.display())]
    Root {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: TrustError,
    },
    /// A URL, given or in the signing config, is none.
    #[error("the URL of the {kind} cannot be used: {source}")]
    Url {
        /// Of which service.
        kind: ServiceKind,
        /// Why.
        source: ServiceUrlError,
    },
    /// The config lists services of a kind, of which none can be used.
    #[error(
        "the signing config lists no {kind} with major API version {version} that is valid now: \
         get a newer signing config, or give the URL"
    )]
    NoUsableService {
        /// Which service.
        kind: ServiceKind,
        /// The version that this client speaks.
        version: u32,
    },
    /// The config demands more services than there are.
    #[error("the signing config demands {demanded} of kind {kind}, and {usable} can be used")]
    TooFewServices {
        /// Which service.
        kind: ServiceKind,
        /// By different operators, valid now.
        usable: usize,
        /// By the selector.
        demanded: usize,
    },
    /// A bundle has room for one log entry.
    #[error(
        "the signing config demands entries in {0} logs, and a bundle holds one: \
         give the log with --rekor-server-url"
    )]
    SeveralLogs(usize),
}

#[cfg(test)]
mod tests;
