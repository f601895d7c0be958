mod kinds;

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use url::Url;

use super::{
    ClaimPath, ClaimRules, IssuerUrl, KeyLocation, MachineProvider, People, UrlPattern,
    strangers::Owners,
};
use crate::template::TemplateSettings;
use crate::{IssuerConfig, IssuerConfigError, IssuerKind, JenkinsClaims, JwsAlgorithm};
use kinds::KindName;

/// What a configuration file says, before it is known to make sense.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    #[serde(default)]
    url: String,
    audiences: Option<Vec<String>>,
    #[serde(rename = "type")]
    kind: KindName,
    subject_domain: Option<String>,
    base_url: Option<String>,
    skip_email_verification: Option<bool>,
    organization_id: Option<String>,
    organization_ids: Option<Vec<String>>,
    organizations: Option<Vec<String>>,
    workspace: Option<String>,
    workspace_id: Option<String>,
    cluster: Option<String>,
    allow_service_connections: Option<bool>,
    allow_ssh_rerun: Option<bool>,
    runner_environment: Option<String>,
    source_hosts: Option<Vec<String>>,
    claims: Option<JenkinsClaims>,
    #[serde(default)]
    required_claims: ClaimRules,
    jwks_uri: Option<Url>,
    algorithms: Option<Vec<JwsAlgorithm>>,
    clock_skew_s: Option<u64>,
    max_age_s: Option<u64>,
    max_lifetime_s: Option<u64>,
    #[serde(default)]
    allow_loopback_http: bool,
    trust_domains: Option<Vec<String>>,
    template: Option<TemplateSettings>,
    subject_template: Option<String>,
    url_pattern: Option<String>,
    discovery_url: Option<Url>,
    #[serde(default)]
    jwks_hosts: Vec<String>,
    keys_file: Option<PathBuf>,
    tls_roots_file: Option<PathBuf>,
    bearer_token_file: Option<PathBuf>,
    #[serde(default)]
    dry_run_claims: ClaimRules,
    #[serde(default)]
    open_to_all: bool,
    domains: Option<Vec<String>>,
    name_claim: Option<ClaimPath>,
    issuer_claim: Option<ClaimPath>,
    issuer_claim_values: Option<Vec<String>>,
    provider: Option<MachineProvider>,
    clients: Option<Vec<String>>,
    #[serde(default)]
    shares_names_with: Vec<String>,
}

impl TryFrom<Settings> for IssuerConfig {
    type Error = IssuerConfigError;

    fn try_from(mut settings: Settings) -> Result<Self, Self::Error> {
        let url = settings.take_url()?;
        let kind = settings.take_kind(&url)?;
        let people = settings.take_people(&kind)?;
        settings.refuse_unused()?;
        settings.check_owners(&kind, &people)?;
        let audiences = settings.audiences.unwrap_or_else(|| kind.default_audiences());
        let mut issuer = Self::build_of(url, audiences, kind, settings.allow_loopback_http)?;
        issuer.keys = KeyLocation {
            discovery_url: settings.discovery_url,
            jwks_uri: settings.jwks_uri,
            jwks_hosts: settings.jwks_hosts,
            keys_file: settings.keys_file,
            tls_roots_file: settings.tls_roots_file,
            bearer_token_file: settings.bearer_token_file,
        };
        issuer.keys.check(issuer.is_pattern(), settings.allow_loopback_http)?;
        if let Some(algorithms) = settings.algorithms {
            if algorithms.is_empty() {
                return Err(IssuerConfigError::NoAlgorithm(settings.url));
            }
            issuer.algorithms = algorithms;
        }
        let seconds = |given: Option<u64>| given.map(Duration::from_secs);
        issuer.clock_skew = seconds(settings.clock_skew_s).unwrap_or(issuer.clock_skew);
        issuer.max_age = seconds(settings.max_age_s);
        issuer.required_claims = settings.required_claims;
        issuer.dry_run_claims = settings.dry_run_claims;
        issuer.people = people;
        issuer.shares_names_with = settings.shares_names_with;
        issuer.max_lifetime = seconds(settings.max_lifetime_s).unwrap_or(issuer.max_lifetime);
        super::bounds::check(&issuer)?;
        Ok(issuer)
    }
}

impl Settings {
    /// The URL or the pattern, which is then `url` for whatever is told from it.
    fn take_url(&mut self) -> Result<IssuerUrl, IssuerConfigError> {
        match self.url_pattern.take() {
            Some(pattern) if self.url.is_empty() => {
                self.url = pattern;
                let pattern = UrlPattern::parse(&self.url, self.allow_loopback_http)?;
                Ok(IssuerUrl::Pattern(pattern))
            }
            // Before anything that would take it for the pattern that it was to be.
            None if self.url.contains('*') => Err(IssuerConfigError::Wildcard(self.url.clone())),
            None if !self.url.is_empty() => Ok(IssuerUrl::Exact(self.url.clone())),
            _ => Err(IssuerConfigError::OneUrl),
        }
    }

    /// Which people the issuer vouches for. Left for [`Self::refuse_unused`] where it knows none.
    fn take_people(&mut self, kind: &IssuerKind) -> Result<People, IssuerConfigError> {
        if matches!(kind, IssuerKind::Username { .. }) {
            return Ok(People::default().named_by(self.name_claim.take()));
        }
        if !kind.is_of_addresses() {
            return Ok(People::default());
        }
        let domains = self.domains.take();
        if domains.as_ref().is_some_and(Vec::is_empty) {
            return Err(IssuerConfigError::Setting { setting: "domains", value: String::new() });
        }
        let mut people = People::of_domains(&domains.unwrap_or_default())?;
        if let IssuerKind::Email { skip_verification } = kind {
            let name_claim = self.name_claim.take();
            if let Some(path) = name_claim.as_ref().filter(|path| !path.is("email"))
                && !skip_verification
            {
                return Err(IssuerConfigError::NameClaim(path.to_string()));
            }
            people = people.named_by(name_claim);
            if let Some(path) = self.issuer_claim.take() {
                let values = |settings: &mut Self| settings.issuer_claim_values.take();
                people = people.of_issuers(path, self.needed(values, "issuer_claim_values")?)?;
            }
        }
        Ok(people)
    }

    /// Refuses issuers of strangers that are tied to nobody, and rules that demand nothing.
    fn check_owners(&self, kind: &IssuerKind, people: &People) -> Result<(), IssuerConfigError> {
        self.required_claims.check()?;
        self.dry_run_claims.check()?;
        let owners = Owners {
            url: &self.url,
            kind,
            rules: &self.required_claims,
            has_domains: !people.domains().is_empty(),
            open_to_all: self.open_to_all,
        };
        owners.check()
    }

    fn needed<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Option<T>,
        setting: &'static str,
    ) -> Result<T, IssuerConfigError> {
        let kind = self.kind.as_str();
        take(self).ok_or(IssuerConfigError::MissingSetting { kind, setting })
    }

    /// Refuses settings that the kind has not taken: who set them expects something of them.
    fn refuse_unused(&self) -> Result<(), IssuerConfigError> {
        let left = [
            ("subject_domain", self.subject_domain.is_some()),
            ("base_url", self.base_url.is_some()),
            ("skip_email_verification", self.skip_email_verification.is_some()),
            ("organization_id", self.organization_id.is_some()),
            ("organization_ids", self.organization_ids.is_some()),
            ("organizations", self.organizations.is_some()),
            ("workspace", self.workspace.is_some()),
            ("workspace_id", self.workspace_id.is_some()),
            ("cluster", self.cluster.is_some()),
            ("allow_service_connections", self.allow_service_connections.is_some()),
            ("allow_ssh_rerun", self.allow_ssh_rerun.is_some()),
            ("runner_environment", self.runner_environment.is_some()),
            ("source_hosts", self.source_hosts.is_some()),
            ("claims", self.claims.is_some()),
            ("trust_domains", self.trust_domains.is_some()),
            ("template", self.template.is_some()),
            ("subject_template", self.subject_template.is_some()),
            ("domains", self.domains.is_some()),
            ("name_claim", self.name_claim.is_some()),
            ("issuer_claim", self.issuer_claim.is_some()),
            ("issuer_claim_values", self.issuer_claim_values.is_some()),
            ("provider", self.provider.is_some()),
            ("clients", self.clients.is_some()),
        ];
        match left.into_iter().find(|(_, present)| *present) {
            None => Ok(()),
            Some((setting, _)) => {
                Err(IssuerConfigError::UnusedSetting { kind: self.kind.as_str(), setting })
            }
        }
    }
}
