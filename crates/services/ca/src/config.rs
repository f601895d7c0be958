use std::{path::PathBuf, sync::Arc, time::Duration};

use crypto::{PublicKey, Signer};
use identity::{IssuerConfig, IssuerConfigError, IssuerSet};
use serde::Deserialize;
use server::Allowance;
use signing::{Clock, CpuPool};
use thiserror::Error;
use url::Url;
use x509::{CertificateChain, ChainError};

use crate::FetchError;

/// Longest lifetime of a leaf, in seconds. Keyless certificates live for one signing.
const MAX_LIFETIME_S: u64 = 24 * 60 * 60;

/// Furthest that `notBefore` may lie in the past, in seconds.
const MAX_BACKDATE_S: u64 = 5 * 60;

/// Longest wait for another service, in milliseconds. A request as a whole has twenty seconds; keys are
/// fetched also for those who come later.
const MAX_WAIT_MS: u64 = 60_000;

/// Settings of one certificate authority. Unknown keys are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaConfig {
    /// Whom to believe. Nobody by default.
    pub issuers: Vec<IssuerConfig>,
    /// The log that every certificate is in.
    pub ct: CtConfig,
    /// Lifetime of a certificate in seconds, from `notBefore` on.
    #[serde(default = "default_lifetime_s")]
    pub lifetime_s: u64,
    /// How far `notBefore` lies before the moment of issuing, in seconds, for verifiers whose
    /// clocks are behind.
    #[serde(default = "default_backdate_s")]
    pub backdate_s: u64,
    /// How keys of issuers are fetched and kept.
    #[serde(default)]
    pub oidc: OidcConfig,
    /// Whether it only tells what it has been, and issues nothing.
    #[serde(default)]
    pub frozen: bool,
    /// How many certificates one issuer may have.
    #[serde(skip)]
    pub per_issuer: Allowance,
    /// The same of one subject of an issuer.
    #[serde(skip)]
    pub per_subject: Allowance,
    /// How metrics call it, where there are several.
    #[serde(skip)]
    pub name: String,
}

impl CaConfig {
    /// Believes `issuers`, logs at `ct_url`; all else is the default.
    #[must_use]
    pub fn new(issuers: Vec<IssuerConfig>, ct_url: Url) -> Self {
        Self {
            issuers,
            ct: CtConfig::new(ct_url),
            lifetime_s: default_lifetime_s(),
            backdate_s: default_backdate_s(),
            oidc: OidcConfig::default(),
            frozen: false,
            per_issuer: Allowance::default(),
            per_subject: Allowance::default(),
            name: String::new(),
        }
    }

    /// Checks the bounds of the settings, as [`Ca::new`](crate::Ca::new) does.
    ///
    /// # Errors
    /// [`CaConfigError::Lifetime`], [`CaConfigError::Backdate`], [`CaConfigError::CtUrl`],
    /// [`CaConfigError::CtTimeout`], [`CaConfigError::Oidc`].
    /// [`CaConfigError::Issuers`].
    pub fn check(&self) -> Result<(), CaConfigError> {
        // Two entries that contradict each other each read well.
        IssuerSet::new(self.issuers.clone())?;
        if !(1..=MAX_LIFETIME_S).contains(&self.lifetime_s) {
            return Err(CaConfigError::Lifetime(self.lifetime_s));
        }
        if self.backdate_s > MAX_BACKDATE_S || self.backdate_s >= self.lifetime_s {
            return Err(CaConfigError::Backdate(self.backdate_s));
        }
        if !matches!(self.ct.url.scheme(), "http" | "https") || !self.ct.url.has_host() {
            return Err(CaConfigError::CtUrl(self.ct.url.to_string()));
        }
        if !(1..=MAX_WAIT_MS).contains(&self.ct.timeout_ms) {
            return Err(CaConfigError::CtTimeout(self.ct.timeout_ms));
        }
        self.oidc.check()
    }
}

/// The Certificate Transparency log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CtConfig {
    /// Base URL, to which `/ct/v1/add-pre-chain` is added.
    pub url: Url,
    /// Longest wait for an SCT, in milliseconds; after it the request fails with 503.
    #[serde(default = "default_ct_timeout_ms")]
    pub timeout_ms: u64,
}

impl CtConfig {
    /// The log at `url` with the default time-out.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, timeout_ms: default_ct_timeout_ms() }
    }
}

/// How keys of issuers are fetched and kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// Longest wait for one document of an issuer, in milliseconds.
    pub timeout_ms: u64,
    /// Age in seconds at which keys are fetched again, in the background.
    pub refresh_after_s: u64,
    /// Shortest time between two fetches from one issuer, in seconds, however many tokens name
    /// unknown keys.
    pub min_refresh_interval_s: u64,
    /// Age in seconds until which keys are used while their issuer does not answer.
    pub keep_last_good_s: u64,
    /// Where fetched keys are kept for the next start; nowhere by default.
    #[serde(skip)]
    pub keys_dir: Option<PathBuf>,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            timeout_ms: 5_000,
            refresh_after_s: 5 * 60,
            min_refresh_interval_s: 10,
            keep_last_good_s: 24 * 60 * 60,
            keys_dir: None,
        }
    }
}

impl OidcConfig {
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(crate) const fn refresh_after(&self) -> Duration {
        Duration::from_secs(self.refresh_after_s)
    }

    pub(crate) const fn min_refresh_interval(&self) -> Duration {
        Duration::from_secs(self.min_refresh_interval_s)
    }

    pub(crate) const fn keep_last_good(&self) -> Duration {
        Duration::from_secs(self.keep_last_good_s)
    }

    /// Refuses settings of which one takes away another's effect.
    fn check(&self) -> Result<(), CaConfigError> {
        let wrong = [
            (!(1..=MAX_WAIT_MS).contains(&self.timeout_ms), "timeout_ms must be 1 to 60000"),
            (self.refresh_after_s == 0, "refresh_after_s must not be 0"),
            (
                self.min_refresh_interval_s > self.refresh_after_s,
                "min_refresh_interval_s must not be longer than refresh_after_s",
            ),
            (
                self.keep_last_good_s < self.refresh_after_s.saturating_mul(2),
                "keep_last_good_s must be at least twice refresh_after_s: keys are used that long anyway",
            ),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            None => Ok(()),
            Some((_, why)) => Err(CaConfigError::Oidc(why)),
        }
    }
}

/// What a certificate authority works with, made by the program's start.
pub struct CaParts {
    /// Holds the key of the issuing certificate.
    pub signer: Arc<dyn Signer>,
    /// Issuing certificate first, root last.
    pub chain: CertificateChain,
    /// Verifies the log's SCTs.
    pub ct_public_key: PublicKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where signatures are verified.
    pub cpu: CpuPool,
}

/// Why a certificate authority cannot start.
#[derive(Debug, Error)]
pub enum CaConfigError {
    /// Two issuers contradict each other.
    #[error(transparent)]
    Issuers(#[from] IssuerConfigError),
    /// Zero, or longer than a day.
    #[error("lifetime_s is {0}, it must be 1 to {MAX_LIFETIME_S}")]
    Lifetime(u64),
    /// More than minutes, or more than the lifetime.
    #[error("backdate_s is {0}, it must be below lifetime_s and at most {MAX_BACKDATE_S}")]
    Backdate(u64),
    /// A path may follow; `ct/v1/…` is appended.
    #[error("ct url `{0}` is not an http or https URL")]
    CtUrl(String),
    /// No wait, or one that outlasts the request.
    #[error("ct timeout_ms is {0}, it must be 1 to {MAX_WAIT_MS}")]
    CtTimeout(u64),
    /// Settings that contradict each other.
    #[error("oidc: {0}")]
    Oidc(&'static str),
    /// The log's key is of no kind that logs sign with.
    #[error("the CT log's key must be ECDSA P-256 or P-384")]
    CtKey,
    /// The signer and the chain do not belong together.
    #[error("the signing key and the certificate chain do not fit")]
    Chain(#[from] ChainError),
    /// The signer signs otherwise than certificates of its key are signed.
    #[error("the signer's algorithm is not the one of its key's certificates")]
    SignerAlgorithm,
    /// No HTTP client, for example because the system's root certificates cannot be read.
    #[error("no HTTP client can be made")]
    HttpClient(#[from] FetchError),
}

/// Fulcio's ten minutes.
const fn default_lifetime_s() -> u64 {
    600
}

const fn default_backdate_s() -> u64 {
    5
}

const fn default_ct_timeout_ms() -> u64 {
    5_000
}
