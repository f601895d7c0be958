//! Whom the client trusts, and which services it uses: from files or from what was pinned, never
//! from URLs alone.

mod names;
mod pin;
mod public;
mod tuf;
mod tuf_keys;

use std::{
    io,
    path::{Path, PathBuf},
};

use moment::UnixSeconds;
use provenance::Forge;
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;
use verify::{MAX_TRUSTED_ROOT_LEN, Trust, TrustError};
use wire::PublicKeyDetails;
use wire::trust::{
    ClientTrustConfig, Service, ServiceConfiguration, ServiceSelector, SigningConfig, TimeRange,
};

use self::names::ForgeOfNames;
use crate::{
    files::read_at_most,
    services::{Endpoints, LogEndpoint, LogProtocol, ServiceKind, ServiceUrl, ServiceUrlError},
};

pub use names::InstanceError;
pub use pin::{Anchor, PinError, Pinned, TrustDirectory};
pub use public::PublicInstance;
pub use tuf::TufError;

/// Longest signing config read, in bytes: hundreds of services.
const MAX_SIGNING_CONFIG_LEN: usize = 256 * 1024;

/// Longest client trust config read: both of its parts at their longest.
const MAX_TRUST_CONFIG_LEN: usize = MAX_TRUSTED_ROOT_LEN + MAX_SIGNING_CONFIG_LEN;

/// The version of the CA's and the timestamp authorities' API that this client speaks.
const API_V1: &[u32] = &[1];

/// The versions of Rekor's API that this client speaks.
const REKOR_V1_V2: &[u32] = &[1, 2];

/// Where to read trust from. The default counts only where nothing else says whom to trust.
#[derive(Clone, Debug, Default)]
pub struct TrustFiles {
    /// `--trusted-root`: a trusted root.
    pub trusted_root: Option<PathBuf>,
    /// `--trust-config`: trusted root and signing config in one file.
    pub trust_config: Option<PathBuf>,
    /// `--signing-config`: services alone.
    pub signing_config: Option<PathBuf>,
    /// `COUNTERSIGN_TRUST_CONFIG`: as `trust_config`.
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
    names: ForgeOfNames,
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
        Self { trust, signing_config: of_config, names: ForgeOfNames::beside(path) }
            .with_signing_config(files.signing_config.as_deref())
    }

    /// With the services of the file at `path`, if one is given, in place of its own.
    ///
    /// # Errors
    /// [`TrustFileError::Unreadable`], [`TrustFileError::TooLong`], [`TrustFileError::Json`].
    pub fn with_signing_config(mut self, path: Option<&Path>) -> Result<Self, TrustFileError> {
        if let Some(path) = path {
            self.signing_config = Some(read_json(path, "signing config", MAX_SIGNING_CONFIG_LEN)?);
        }
        Ok(self)
    }

    /// The forge that names of repositories without a host mean; `None` where nobody named one.
    ///
    /// # Errors
    /// [`TrustFileError::Instance`].
    pub fn forge(&self) -> Result<Option<Forge>, TrustFileError> {
        self.names.forge().map_err(|source| TrustFileError::Instance {
            path: self.names.path().to_owned(),
            source,
        })
    }

    /// The audience that tokens for the instance have; `None` where nobody named one.
    ///
    /// # Errors
    /// [`TrustFileError::Instance`].
    pub fn audience(&self) -> Result<Option<String>, TrustFileError> {
        self.names.audience().map_err(|source| TrustFileError::Instance {
            path: self.names.path().to_owned(),
            source,
        })
    }

    /// The services to use at unix second `now`.
    ///
    /// Of the signing config those count that are valid now and speak a version of their API that
    /// we know; of these the highest version of each operator, and as many as the selector says,
    /// the highest first. A kind of service that the config does not list is left out.
    ///
    /// What a log at a URL given by hand speaks is known when signing config or trusted root
    /// know that URL, and else left open.
    ///
    /// # Errors
    /// [`TrustFileError::Url`], [`TrustFileError::NoUsableService`],
    /// [`TrustFileError::TooFewServices`], [`TrustFileError::SeveralLogs`].
    pub fn endpoints(
        &self,
        overrides: &UrlOverrides,
        now: UnixSeconds,
    ) -> Result<Endpoints, TrustFileError> {
        let none = SigningConfig::default();
        let config = self.signing_config.as_ref().unwrap_or(&none);
        let choose = |kind, given: &Option<String>, listed: &Listed<'_>| {
            if let Some(url) = given {
                return Ok(vec![service_url(kind, url)?]);
            }
            let chosen = listed.choose(kind, now)?;
            chosen.into_iter().map(|service| service_url(kind, &service.url)).collect()
        };
        let ca = Listed { services: &config.ca_urls, versions: API_V1, config: None };
        let tsa =
            Listed { services: &config.tsa_urls, versions: API_V1, config: config.tsa_config };
        let authorities =
            choose(ServiceKind::CertificateAuthority, &overrides.certificate_authority, &ca)?;
        Ok(Endpoints {
            certificate_authority: authorities.into_iter().next(),
            transparency_log: self.log_endpoint(overrides.transparency_log.as_deref(), now)?,
            timestamp_authorities: choose(
                ServiceKind::TimestampAuthority,
                &overrides.timestamp_authority,
                &tsa,
            )?,
        })
    }

    fn log_endpoint(
        &self,
        given: Option<&str>,
        now: UnixSeconds,
    ) -> Result<Option<LogEndpoint>, TrustFileError> {
        let kind = ServiceKind::TransparencyLog;
        if let Some(url) = given {
            let protocol = self.protocol_of(url);
            return Ok(Some(LogEndpoint { url: service_url(kind, url)?, protocol }));
        }
        let Some(config) = &self.signing_config else { return Ok(None) };
        let services = &config.rekor_tlog_urls;
        let listed = Listed { services, versions: REKOR_V1_V2, config: config.rekor_tlog_config };
        let chosen = listed.choose(kind, now)?;
        if chosen.len() > 1 {
            return Err(TrustFileError::SeveralLogs(chosen.len()));
        }
        let endpoint = |service: &&Service| {
            let protocol = protocol_of_version(service.major_api_version);
            Ok(LogEndpoint { url: service_url(kind, &service.url)?, protocol })
        };
        chosen.first().map(endpoint).transpose()
    }

    /// What the log at `url` speaks, by the word of the signing config, else of the trusted root,
    /// where an Ed25519 key cannot be a v1 log's: nobody takes its SETs.
    fn protocol_of(&self, url: &str) -> Option<LogProtocol> {
        let origin = Url::parse(url).ok()?.origin();
        let is_same = |known: &str| Url::parse(known).is_ok_and(|known| known.origin() == origin);
        let services = self.signing_config.iter().flat_map(|config| &config.rekor_tlog_urls);
        let mut versions =
            services.filter(|service| is_same(&service.url)).map(|one| one.major_api_version);
        if let Some(version) = versions.next() {
            let only = versions.all(|other| other == version);
            return protocol_of_version(version).filter(|_| only);
        }
        let logs = self.trust.root().tlogs.iter();
        let mut keys = logs.filter(|log| is_same(&log.base_url)).map(|log| &log.public_key);
        let is_v2 =
            |key: &&wire::trust::PublicKey| key.key_details == PublicKeyDetails::PkixEd25519;
        keys.find(is_v2).map(|_| LogProtocol::RekorV2)
    }
}

const fn protocol_of_version(major: u32) -> Option<LogProtocol> {
    match major {
        1 => Some(LogProtocol::RekorV1),
        2 => Some(LogProtocol::RekorV2),
        _ => None,
    }
}

/// The services of one kind in a signing config.
struct Listed<'a> {
    services: &'a [Service],
    /// Of the API, those that this client speaks.
    versions: &'static [u32],
    config: Option<ServiceConfiguration>,
}

impl<'a> Listed<'a> {
    fn choose(
        &self,
        kind: ServiceKind,
        now: UnixSeconds,
    ) -> Result<Vec<&'a Service>, TrustFileError> {
        if self.services.is_empty() {
            return Ok(Vec::new());
        }
        let mut usable = self.usable(now);
        if usable.is_empty() {
            return Err(TrustFileError::NoUsableService { kind, versions: self.versions });
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
        usable.truncate(count);
        Ok(usable)
    }

    /// Valid now, of a version that we know, one for each operator; the highest version first,
    /// and of one version in the order of the list.
    fn usable(&self, now: UnixSeconds) -> Vec<&'a Service> {
        let fits = |service: &&Service| {
            self.versions.contains(&service.major_api_version) && is_valid(service, now)
        };
        let mut all: Vec<&Service> = self.services.iter().filter(fits).collect();
        all.sort_by_key(|service| std::cmp::Reverse(service.major_api_version));
        let mut usable: Vec<&Service> = Vec::new();
        for service in all {
            if !usable.iter().any(|other| other.operator == service.operator) {
                usable.push(service);
            }
        }
        usable
    }
}

/// Whether the service may be used at `now`; one without a period always may.
fn is_valid(service: &Service, now: UnixSeconds) -> bool {
    let TimeRange { start, end } = service.valid_for.unwrap_or_default();
    let Ok(now) = i64::try_from(now.0) else { return false };
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
    wire::json::from_slice(&bytes).map_err(|source| TrustFileError::Json {
        what,
        path: path.to_owned(),
        source,
    })
}

/// Why there is no trust, or no service to use: each a matter of configuration (exit code 2).
#[derive(Debug, Error)]
pub enum TrustFileError {
    /// No file says whom to trust.
    #[error(
        "no trust is configured, and URLs of services create none: \
         run `countersign trust init`, give --trust-config or --trusted-root, or set \
         COUNTERSIGN_TRUST_CONFIG"
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
    /// Of it whole, nothing is used.
    #[error("the trusted root in {} cannot be used: {source}", .path.display())]
    Root {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: TrustError,
    },
    /// `countersign.json` is broken.
    #[error("{} does not say what names of repositories mean: {source}", .path.display())]
    Instance {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: InstanceError,
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
        "the signing config lists no {kind} with major API version {} that is valid now: \
         get a newer signing config, or give the URL",
        listed(.versions)
    )]
    NoUsableService {
        /// Which service.
        kind: ServiceKind,
        /// Those that this client speaks.
        versions: &'static [u32],
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
    /// The selector of its logs asks for more than one.
    #[error(
        "the signing config demands entries in {0} logs, and a bundle holds one: \
         give the log with --rekor-server-url"
    )]
    SeveralLogs(usize),
}

fn listed(versions: &[u32]) -> String {
    versions.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests;
