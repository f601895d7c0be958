mod bounds;
mod ci;
mod kind;
mod settings;
mod subject_template;

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde::Deserialize;
use thiserror::Error;
use url::{Host, Url};

use crate::JwsAlgorithm;
pub use ci::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CircleciOrganizations,
    JenkinsClaims, JenkinsController,
};
pub(crate) use ci::{is_slug, is_uuid};
pub use kind::IssuerKind;
use settings::Settings;
pub use subject_template::SubjectTemplate;

/// Longest time from issue to expiry, in seconds, unless configured: no CI job runs longer than a day.
const DEFAULT_MAX_LIFETIME_S: u64 = 24 * 60 * 60;

/// How far an issuer's clock may run ahead, in seconds, unless configured; what Fulcio allows.
const DEFAULT_CLOCK_SKEW_S: u64 = 5 * 60;

/// A trusted issuer of identity tokens, and how its claims become a certificate.
///
/// Read from configuration; unknown keys are refused:
/// ```
/// # use countersign_identity::IssuerConfig;
/// let issuer: IssuerConfig = serde_json::from_str(r#"{
///     "url": "https://token.actions.githubusercontent.com",
///     "audiences": ["sigstore"],
///     "type": "github-workflow"
/// }"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct IssuerConfig {
    url: String,
    audiences: Vec<String>,
    kind: IssuerKind,
    algorithms: Vec<JwsAlgorithm>,
    jwks_uri: Option<Url>,
    clock_skew_s: u64,
    max_age_s: Option<u64>,
    max_lifetime_s: u64,
    required_claims: BTreeMap<String, Vec<String>>,
}

impl IssuerConfig {
    /// Trusts the issuer at `url` (`https`) for tokens to any of `audiences`; all else is the default.
    ///
    /// # Errors
    /// [`IssuerConfigError`], each variant.
    pub fn new(
        url: &str,
        audiences: Vec<String>,
        kind: IssuerKind,
    ) -> Result<Self, IssuerConfigError> {
        Self::build(url, audiences, kind, false)
    }

    /// Like [`IssuerConfig::new`], and lets the URL be `http` on a loopback host: for development.
    ///
    /// # Errors
    /// [`IssuerConfigError`], each variant.
    pub fn new_loopback(
        url: &str,
        audiences: Vec<String>,
        kind: IssuerKind,
    ) -> Result<Self, IssuerConfigError> {
        Self::build(url, audiences, kind, true)
    }

    /// Takes its keys from `url` without discovery, also by `http` and from another host: whoever
    /// can answer there speaks for the issuer. For development issuers that are reached by another
    /// way than the one in their URL; everybody else configures `jwks_uri`, which is checked.
    #[must_use]
    pub fn with_keys_from(mut self, url: Url) -> Self {
        self.jwks_uri = Some(url);
        self
    }

    /// The exact `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Audiences of which a token must name one. Never empty.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// How claims become a name.
    #[must_use]
    pub fn kind(&self) -> &IssuerKind {
        &self.kind
    }

    /// Algorithms that its tokens may be signed with.
    #[must_use]
    pub fn algorithms(&self) -> &[JwsAlgorithm] {
        &self.algorithms
    }

    /// Where its keys are, when discovery is not to be asked.
    #[must_use]
    pub fn jwks_uri(&self) -> Option<&Url> {
        self.jwks_uri.as_ref()
    }

    /// How far the issuer's clock may run ahead of ours, in seconds (`nbf`, `iat`).
    #[must_use]
    pub fn clock_skew_s(&self) -> u64 {
        self.clock_skew_s
    }

    /// Oldest token accepted, in seconds since `iat`; `None` leaves it to `exp`.
    #[must_use]
    pub fn max_age_s(&self) -> Option<u64> {
        self.max_age_s
    }

    /// Longest time from `iat` to `exp`, in seconds.
    #[must_use]
    pub fn max_lifetime_s(&self) -> u64 {
        self.max_lifetime_s
    }

    /// Claims that every token must have, each with the values of which it must have one.
    #[must_use]
    pub fn required_claims(&self) -> &BTreeMap<String, Vec<String>> {
        &self.required_claims
    }

    fn build(
        url: &str,
        audiences: Vec<String>,
        kind: IssuerKind,
        allow_loopback_http: bool,
    ) -> Result<Self, IssuerConfigError> {
        let parsed = check_issuer_url(url, allow_loopback_http)?;
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(IssuerConfigError::NoAudience(url.to_owned()));
        }
        kind.check(&parsed)?;
        Ok(Self {
            url: url.to_owned(),
            audiences,
            kind,
            algorithms: vec![JwsAlgorithm::Rs256, JwsAlgorithm::Es256],
            jwks_uri: None,
            clock_skew_s: DEFAULT_CLOCK_SKEW_S,
            max_age_s: None,
            max_lifetime_s: DEFAULT_MAX_LIFETIME_S,
            required_claims: BTreeMap::new(),
        })
    }
}

/// The trusted issuers, each once.
#[derive(Clone, Debug, Default)]
pub struct IssuerSet(Vec<IssuerConfig>);

impl IssuerSet {
    /// Collects `issuers`.
    ///
    /// # Errors
    /// [`IssuerConfigError::Duplicate`] when two have the same URL.
    pub fn new(issuers: Vec<IssuerConfig>) -> Result<Self, IssuerConfigError> {
        for (position, issuer) in issuers.iter().enumerate() {
            if issuers.iter().skip(position + 1).any(|other| other.url == issuer.url) {
                return Err(IssuerConfigError::Duplicate(issuer.url.clone()));
            }
        }
        Ok(Self(issuers))
    }

    /// The issuer whose URL is exactly `iss`.
    #[must_use]
    pub fn find(&self, iss: &str) -> Option<&IssuerConfig> {
        self.0.iter().find(|issuer| issuer.url == iss)
    }

    /// All issuers in the order of configuration.
    pub fn iter(&self) -> impl Iterator<Item = &IssuerConfig> {
        self.0.iter()
    }
}

/// Why an issuer cannot be trusted as configured.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IssuerConfigError {
    /// Not an absolute `https` URL without user, query and fragment.
    #[error("issuer URL `{0}` must be https, without user, query or fragment")]
    Url(String),
    /// `http`, where it is not allowed.
    #[error("issuer URL `{0}` may be http only on a loopback host with allow_loopback_http")]
    PlainHttp(String),
    /// No audience: every token of the issuer would do.
    #[error("issuer `{0}` needs at least one audience, none of them empty")]
    NoAudience(String),
    /// An empty list: no token would do.
    #[error("issuer `{0}` needs at least one algorithm")]
    NoAlgorithm(String),
    /// Not `scheme://host`.
    #[error("subject domain `{0}` must be scheme://host and nothing more")]
    SubjectDomain(String),
    /// A domain that is not the issuer's own.
    #[error("subject domain `{subject_domain}` is not of the issuer's host `{issuer_host}`")]
    ForeignSubjectDomain {
        /// As configured.
        subject_domain: String,
        /// Host of the issuer's URL.
        issuer_host: String,
    },
    /// Not an absolute URL, or with a final slash.
    #[error("base URL `{0}` must be an absolute URL without a final slash, query or fragment")]
    BaseUrl(String),
    /// A setting that the kind needs.
    #[error("type `{kind}` needs `{setting}`")]
    MissingSetting {
        /// The configured type.
        kind: &'static str,
        /// What is missing.
        setting: &'static str,
    },
    /// A setting that the kind would ignore.
    #[error("type `{kind}` has no use for `{setting}`")]
    UnusedSetting {
        /// The configured type.
        kind: &'static str,
        /// What is too much.
        setting: &'static str,
    },
    /// A required claim without a value that it could have, or too many.
    #[error("required claim `{0}` needs at least one value, none of them empty, and not thousands")]
    RequiredClaim(String),
    /// A value that cannot be, or that contradicts the issuer's URL.
    #[error("`{setting}` cannot be `{value}` for this issuer")]
    Setting {
        /// Which.
        setting: &'static str,
        /// As configured.
        value: String,
    },
    /// A template that cannot be read, and where it cannot.
    #[error("template `{setting}`, column {column}: {problem}")]
    Template {
        /// The extension, or another key of `template`.
        setting: String,
        /// Of the text, in characters from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Two issuers with one URL.
    #[error("issuer `{0}` is configured twice")]
    Duplicate(String),
}

/// Checks an issuer's URL, which then has a host.
fn check_issuer_url(url: &str, allow_loopback_http: bool) -> Result<Url, IssuerConfigError> {
    let wrong = || IssuerConfigError::Url(url.to_owned());
    let parsed = Url::parse(url).map_err(|_| wrong())?;
    // The parser drops white space and turns backslashes round; `iss` is compared as text.
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(wrong());
    }
    check_transport(&parsed, allow_loopback_http)?;
    if parsed.has_host() { Ok(parsed) } else { Err(wrong()) }
}

/// Checks that keys may be fetched from `url`.
fn check_transport(url: &Url, allow_loopback_http: bool) -> Result<(), IssuerConfigError> {
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.has_host();
    match url.scheme() {
        "https" if bare => Ok(()),
        "http" if bare && allow_loopback_http && is_loopback(url) => Ok(()),
        "http" if bare => Err(IssuerConfigError::PlainHttp(url.to_string())),
        _ => Err(IssuerConfigError::Url(url.to_string())),
    }
}

/// Whether the URL can only be of this machine.
///
/// In schemes that the URL standard does not know, such as `postgres`, an IPv4 address is a name like any other.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
