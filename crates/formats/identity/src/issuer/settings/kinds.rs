//! The kind of an issuer, from the settings that belong to it.

use serde::Deserialize;

use super::Settings;
use crate::issuer::{IssuerUrl, MachineClients, pattern};
use crate::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CiTemplate,
    CircleciOrganizations, IssuerConfigError, IssuerKind, JenkinsController, SubjectDomain,
    SubjectTemplate, TrustDomain,
};

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KindName {
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
    pub(super) const fn as_str(self) -> &'static str {
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

impl Settings {
    /// Builds the kind from the settings that belong to it, which are then gone.
    pub(super) fn take_kind(&mut self, url: &IssuerUrl) -> Result<IssuerKind, IssuerConfigError> {
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
