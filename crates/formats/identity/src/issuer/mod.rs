mod apart;
mod bounds;
mod ci;
mod claim_path;
mod conflicts;
mod error;
mod glob;
mod keys;
mod kind;
mod machine;
mod name_space;
mod names;
mod never;
mod pattern;
mod people;
mod rules;
mod set;
mod settings;
mod strangers;
mod subject_template;

use std::time::Duration;

use serde::Deserialize;
use url::Url;
use wire::host::is_loopback;

use crate::JwsAlgorithm;
pub use ci::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CircleciOrganizations,
    JenkinsClaims, JenkinsController,
};
pub(crate) use ci::{is_slug, is_uuid};
pub use claim_path::ClaimPath;
pub use conflicts::{NameConflict, name_conflicts};
pub use error::IssuerConfigError;
pub use keys::KeyLocation;
pub use kind::IssuerKind;
pub(crate) use machine::MAX_CLIENT_ID_LEN;
pub use machine::{MachineClients, MachineProvider};
pub use name_space::NameSpace;
use pattern::UrlPattern;
pub use people::People;
pub use rules::ClaimRules;
pub use set::IssuerSet;
use settings::Settings;
pub use subject_template::SubjectTemplate;

/// Longest time from issue to expiry, unless configured: no CI job runs longer than a day.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_hours(24);

/// How far an issuer's clock may run ahead, unless configured; what Fulcio allows.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_mins(5);

/// A trusted issuer of identity tokens, and how its claims become a certificate.
///
/// Read from configuration; unknown keys are refused:
/// ```
/// # use identity::IssuerConfig;
/// let issuer: IssuerConfig = serde_json::from_str(r#"{
///     "url": "https://token.actions.githubusercontent.com",
///     "audiences": ["https://sign.acme.example"],
///     "type": "github-workflow",
///     "required_claims": {"repository_owner_id": ["4747"]}
/// }"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct IssuerConfig {
    url: IssuerUrl,
    audiences: Vec<String>,
    kind: IssuerKind,
    algorithms: Vec<JwsAlgorithm>,
    keys: KeyLocation,
    clock_skew: Duration,
    max_age: Option<Duration>,
    max_lifetime: Duration,
    required_claims: ClaimRules,
    dry_run_claims: ClaimRules,
    people: People,
    shares_names_with: Vec<String>,
}

/// Whose tokens an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IssuerUrl {
    Exact(String),
    Pattern(UrlPattern),
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
        self.keys.jwks_uri = Some(url);
        self
    }

    /// The same issuer with the same rules, for tokens to `audience` alone: those of another service.
    ///
    /// # Errors
    /// [`IssuerConfigError::FixedAudience`] where the issuer chooses the audience of its tokens.
    pub fn for_service(mut self, audience: &str) -> Result<Self, IssuerConfigError> {
        if IssuerKind::fixes_audience(self.kind.name()) {
            return Err(IssuerConfigError::FixedAudience(self.kind.name()));
        }
        self.audiences = vec![audience.to_owned()];
        // Whoever else gives its names has nothing to say there.
        let own = self.url().to_owned();
        self.shares_names_with.retain(|other| *other == own);
        Ok(self)
    }

    /// The exact `iss` of its tokens, or the pattern that they match.
    #[must_use]
    pub fn url(&self) -> &str {
        match &self.url {
            IssuerUrl::Exact(url) => url,
            IssuerUrl::Pattern(pattern) => pattern.as_str(),
        }
    }

    /// Whether tokens with this `iss` are its own.
    #[must_use]
    pub fn is_of(&self, iss: &str) -> bool {
        match &self.url {
            IssuerUrl::Exact(url) => url == iss,
            IssuerUrl::Pattern(pattern) => pattern.matches(iss),
        }
    }

    /// Whether it is about many issuers, each with keys of its own unless [`KeyLocation::is_fixed`].
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        matches!(self.url, IssuerUrl::Pattern(_))
    }

    /// Where its keys come from.
    #[must_use]
    pub fn keys(&self) -> &KeyLocation {
        &self.keys
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
        self.keys.jwks_uri()
    }

    /// How far the issuer's clock may run ahead of ours (`nbf`, `iat`).
    #[must_use]
    pub fn clock_skew(&self) -> Duration {
        self.clock_skew
    }

    /// Oldest token accepted, since `iat`; `None` leaves it to `exp`.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// Longest time from `iat` to `exp`.
    #[must_use]
    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    /// Claims that every token must have.
    #[must_use]
    pub fn required_claims(&self) -> &ClaimRules {
        &self.required_claims
    }

    /// Claims that a token is looked at for, without being refused.
    #[must_use]
    pub fn dry_run_claims(&self) -> &ClaimRules {
        &self.dry_run_claims
    }

    /// The people whom it may vouch for, and what names them: of all domains, by `email`, in what
    /// [`IssuerConfig::new`] makes. A configuration must say.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Vouches for these people only.
    #[cfg(test)]
    pub(crate) fn for_people(mut self, people: People) -> Self {
        self.people = people;
        self
    }

    /// Issuers that may vouch for names of this one, as the operator knows.
    #[must_use]
    pub fn shares_names_with(&self) -> &[String] {
        &self.shares_names_with
    }

    /// Whether it can only be of this machine.
    fn is_on_loopback(&self) -> bool {
        Url::parse(self.url()).is_ok_and(|url| url.host_str().is_some_and(is_loopback))
    }

    /// The claim that clients sign as their proof, as Fulcio's configuration calls it: what names its
    /// people, or `sub`, over which a proof always counts, where that is no claim of the token itself.
    #[must_use]
    pub fn challenge_claim(&self) -> &str {
        match (self.kind(), self.people().name_claim()) {
            (IssuerKind::Email { .. }, Some(path)) => match path.names() {
                [name] => name,
                _ => "sub",
            },
            (kind, _) => kind.challenge_claim(),
        }
    }

    fn build(
        url: &str,
        audiences: Vec<String>,
        kind: IssuerKind,
        allow_loopback_http: bool,
    ) -> Result<Self, IssuerConfigError> {
        Self::build_of(IssuerUrl::Exact(url.to_owned()), audiences, kind, allow_loopback_http)
    }

    fn build_of(
        url: IssuerUrl,
        audiences: Vec<String>,
        kind: IssuerKind,
        allow_loopback_http: bool,
    ) -> Result<Self, IssuerConfigError> {
        let (text, sample) = match &url {
            // Whoever writes one expects other issuers to be meant.
            IssuerUrl::Exact(url) if url.contains('*') => {
                return Err(IssuerConfigError::Wildcard(url.clone()));
            }
            IssuerUrl::Exact(url) => (url.as_str(), check_issuer_url(url, allow_loopback_http)?),
            IssuerUrl::Pattern(pattern) => {
                (pattern.as_str(), pattern::sample_url(pattern.as_str(), allow_loopback_http)?)
            }
        };
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(IssuerConfigError::NoAudience(text.to_owned()));
        }
        kind.check(&sample)?;
        Ok(Self {
            url,
            audiences,
            kind,
            algorithms: vec![JwsAlgorithm::Rs256, JwsAlgorithm::Es256],
            keys: KeyLocation::default(),
            clock_skew: DEFAULT_CLOCK_SKEW,
            max_age: None,
            max_lifetime: DEFAULT_MAX_LIFETIME,
            required_claims: ClaimRules::default(),
            dry_run_claims: ClaimRules::default(),
            people: People::default(),
            shares_names_with: Vec::new(),
        })
    }
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
        "http" if bare && allow_loopback_http && url.host_str().is_some_and(is_loopback) => Ok(()),
        "http" if bare => Err(IssuerConfigError::PlainHttp(url.to_string())),
        _ => Err(IssuerConfigError::Url(url.to_string())),
    }
}

#[cfg(test)]
mod tests;
