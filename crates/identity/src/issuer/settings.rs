use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::{
    ClaimPath, ClaimRules, IssuerUrl, KeyLocation, MachineClients, MachineProvider, People,
    UrlPattern, pattern, strangers::Owners,
};
use crate::template::TemplateSettings;
use crate::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CiTemplate,
    CircleciOrganizations, IssuerConfig, IssuerConfigError, IssuerKind, JenkinsClaims,
    JenkinsController, JwsAlgorithm, SubjectDomain, SubjectTemplate, TrustDomain,
};

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

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Email,
    Uri,
    EmailOrUri,
    GithubWorkflow,
    GitlabPipeline,
    AzurePipeline,
    JenkinsJob,
    BuildkiteJob,
    CircleciJob,
    BitbucketPipeline,
    Kubernetes,
    Spiffe,
    Username,
    CiProvider,
    Machine,
}

impl KindName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Uri => "uri",
            Self::EmailOrUri => "email-or-uri",
            Self::GithubWorkflow => "github-workflow",
            Self::GitlabPipeline => "gitlab-pipeline",
            Self::AzurePipeline => "azure-pipeline",
            Self::JenkinsJob => "jenkins-job",
            Self::BuildkiteJob => "buildkite-job",
            Self::CircleciJob => "circleci-job",
            Self::BitbucketPipeline => "bitbucket-pipeline",
            Self::Kubernetes => "kubernetes",
            Self::Spiffe => "spiffe",
            Self::Username => "username",
            Self::CiProvider => "ci-provider",
            Self::Machine => "machine",
        }
    }
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
        issuer.clock_skew_s = settings.clock_skew_s.unwrap_or(issuer.clock_skew_s);
        issuer.max_age_s = settings.max_age_s;
        issuer.required_claims = settings.required_claims;
        issuer.dry_run_claims = settings.dry_run_claims;
        issuer.people = people;
        issuer.shares_names_with = settings.shares_names_with;
        issuer.max_lifetime_s = settings.max_lifetime_s.unwrap_or(issuer.max_lifetime_s);
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
            None if !self.url.is_empty() => Ok(IssuerUrl::Exact(self.url.clone())),
            _ => Err(IssuerConfigError::OneUrl),
        }
    }

    /// Builds the kind from the settings that belong to it, which are then gone.
    fn take_kind(&mut self, url: &IssuerUrl) -> Result<IssuerKind, IssuerConfigError> {
        Ok(match self.kind {
            KindName::Email => IssuerKind::Email {
                skip_verification: self.skip_email_verification.take().unwrap_or(false),
            },
            KindName::Uri => IssuerKind::Uri { subject_domain: self.take_subject_domain()? },
            KindName::EmailOrUri => {
                IssuerKind::EmailOrUri { subject_domain: self.take_subject_domain()? }
            }
            KindName::GithubWorkflow => {
                IssuerKind::GithubWorkflow { base_url: self.take_base_url(github_of)? }
            }
            KindName::GitlabPipeline => {
                IssuerKind::GitlabPipeline { base_url: self.take_base_url(gitlab_of)? }
            }
            KindName::AzurePipeline => IssuerKind::AzurePipeline(self.take_azure()?),
            KindName::JenkinsJob => IssuerKind::JenkinsJob(self.take_jenkins()?),
            KindName::BuildkiteJob => IssuerKind::BuildkiteJob(BuildkiteOrganizations {
                slugs: self.needed(|settings| settings.organizations.take(), "organizations")?,
                ids: self.organization_ids.take().unwrap_or_default(),
            }),
            KindName::CircleciJob => IssuerKind::CircleciJob(self.take_circleci()?),
            KindName::BitbucketPipeline => IssuerKind::BitbucketPipeline(BitbucketWorkspace {
                slug: self.needed(|settings| settings.workspace.take(), "workspace")?,
                id: self
                    .needed(|settings| settings.workspace_id.take(), "workspace_id")?
                    .trim_matches(['{', '}'])
                    .to_ascii_lowercase(),
            }),
            // One name for many clusters would be no name of any.
            KindName::Kubernetes if matches!(url, IssuerUrl::Pattern(_)) => {
                IssuerKind::Kubernetes { cluster: None }
            }
            KindName::Kubernetes => IssuerKind::Kubernetes { cluster: self.cluster.take() },
            KindName::Spiffe => IssuerKind::Spiffe { trust_domains: self.take_trust_domains()? },
            KindName::CiProvider => IssuerKind::CiProvider(Box::new(self.take_template()?)),
            KindName::Username => IssuerKind::Username {
                subject_domain: self
                    .needed(|settings| settings.subject_domain.take(), "subject_domain")?,
            },
            KindName::Machine => IssuerKind::Machine(self.take_machines()?),
        })
    }

    /// Names begin with the issuer's URL, unless said.
    fn take_machines(&mut self) -> Result<MachineClients, IssuerConfigError> {
        let of_issuer = |url: &str| Some(url.trim_end_matches('/').to_owned());
        Ok(MachineClients {
            provider: self.needed(|settings| settings.provider.take(), "provider")?,
            base_url: self.take_base_url(of_issuer)?,
            clients: match self.clients.take() {
                Some(none) if none.is_empty() => {
                    return Err(IssuerConfigError::Setting {
                        setting: "clients",
                        value: String::new(),
                    });
                }
                clients => clients.unwrap_or_default(),
            },
        })
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

    /// The organisation is in the issuer's URL; to say it again is allowed, to say another is not.
    fn take_azure(&mut self) -> Result<AzureOrganization, IssuerConfigError> {
        let url = pattern::sample_url(&self.url, self.allow_loopback_http)?;
        let named = (url.host_str() == Some(AzureOrganization::ISSUER_HOST))
            .then(|| url.path().trim_start_matches('/').to_owned());
        let id = self.organization_id.take().or(named);
        Ok(AzureOrganization {
            allow_service_connections: self.allow_service_connections.take().unwrap_or(false),
            runner_environment: self.runner_environment.take(),
            source_hosts: self.source_hosts.take().unwrap_or_default(),
            ..AzureOrganization::new(&self.needed(|_| id, "organization_id")?)
        })
    }

    /// The controller is what the issuer's URL has before `/oidc`, unless said.
    fn take_jenkins(&mut self) -> Result<JenkinsController, IssuerConfigError> {
        let named = JenkinsController::url_of_issuer(&self.url).map(str::to_owned);
        let url = self.base_url.take().or(named);
        Ok(JenkinsController {
            url: self.needed(|_| url, "base_url")?,
            claims: self.claims.take().unwrap_or_default(),
            subject_template: self
                .subject_template
                .take()
                .map(|text| SubjectTemplate::parse(&text))
                .transpose()?,
            source_hosts: self.source_hosts.take().unwrap_or_default(),
        })
    }

    fn take_circleci(&mut self) -> Result<CircleciOrganizations, IssuerConfigError> {
        let named = self.url.strip_prefix("https://oidc.circleci.com/org/");
        let named = named.map(|id| vec![id.to_owned()]);
        let ids = self.organization_ids.take().or(named);
        let ids = self.needed(|_| ids, "organization_ids")?;
        let ids = ids.iter().map(|id| id.to_ascii_lowercase()).collect();
        let mut organizations = CircleciOrganizations::new(ids);
        organizations.allow_ssh_rerun = self.allow_ssh_rerun.take().unwrap_or(false);
        if let Some(hosts) = self.source_hosts.take() {
            organizations.source_hosts = hosts;
        }
        Ok(organizations)
    }

    fn take_subject_domain(&mut self) -> Result<SubjectDomain, IssuerConfigError> {
        let text = self.needed(|settings| settings.subject_domain.take(), "subject_domain")?;
        SubjectDomain::parse(&text)
    }

    fn take_template(&mut self) -> Result<CiTemplate, IssuerConfigError> {
        let template = self.needed(|settings| settings.template.take(), "template")?;
        let source_hosts = self.source_hosts.take().unwrap_or_default();
        CiTemplate::build(template, self.base_url.take(), source_hosts)
    }

    fn take_trust_domains(&mut self) -> Result<Vec<TrustDomain>, IssuerConfigError> {
        let domains = self.needed(|settings| settings.trust_domains.take(), "trust_domains")?;
        domains.iter().map(|domain| TrustDomain::parse(domain)).collect()
    }

    /// The server's URL, as set or as `of` tells it from the issuer's.
    fn take_base_url(
        &mut self,
        of: fn(&str) -> Option<String>,
    ) -> Result<String, IssuerConfigError> {
        let base_url = self.base_url.take().or_else(|| of(&self.url));
        self.needed(|_| base_url, "base_url")
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

/// GitHub's own issuer, one of its enterprise issuers, or an Enterprise Server's. No other URL
/// tells its server, and a wrong guess would speak for github.com.
fn github_of(issuer: &str) -> Option<String> {
    const PUBLIC: &str = "https://token.actions.githubusercontent.com";
    let below = issuer.strip_prefix(PUBLIC);
    if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Some(IssuerKind::GITHUB.to_owned());
    }
    let residency = issuer.strip_prefix("https://token.actions.");
    if let Some(host) = residency.filter(|host| host.ends_with(".ghe.com") && !host.contains('/')) {
        return Some(format!("https://{host}"));
    }
    issuer.strip_suffix("/_services/token").map(str::to_owned)
}

/// A GitLab server is its own issuer.
fn gitlab_of(issuer: &str) -> Option<String> {
    issuer.starts_with("https://").then(|| issuer.trim_end_matches('/').to_owned())
}
