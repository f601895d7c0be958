use url::Url;

use super::ci::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CircleciOrganizations,
    JenkinsController, is_slug,
};
use super::machine::MachineClients;
use crate::{IssuerConfigError, SubjectDomain};

/// How an issuer's claims become a subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// The `email` claim, which must be marked as verified unless `skip_verification`.
    Email {
        /// Trusts `email` without `email_verified`, for issuers (Entra, ADFS) that never send it.
        skip_verification: bool,
    },
    /// The `sub` claim, a URI below `subject_domain`.
    Uri {
        /// Scheme and host that every subject must have.
        subject_domain: SubjectDomain,
    },
    /// [`IssuerKind::Email`] for tokens with an `email` claim, [`IssuerKind::Uri`] for those without:
    /// for issuers that serve people and machines at one URL.
    EmailOrUri {
        /// Scheme and host that every subject without `email` must have.
        subject_domain: SubjectDomain,
    },
    /// A job of GitHub Actions.
    GithubWorkflow {
        /// The server's URL without a final slash, such as `https://github.com`.
        base_url: String,
    },
    /// A job of a GitLab pipeline.
    GitlabPipeline {
        /// The server's URL without a final slash, such as `https://gitlab.com`.
        base_url: String,
    },
    /// A pipeline of Azure DevOps.
    AzurePipeline(AzureOrganization),
    /// A job of Jenkins, by the plugin oidc-provider.
    JenkinsJob(JenkinsController),
    /// A job of Buildkite.
    BuildkiteJob(BuildkiteOrganizations),
    /// A job of CircleCI.
    CircleciJob(CircleciOrganizations),
    /// A step of Bitbucket Pipelines.
    BitbucketPipeline(BitbucketWorkspace),
    /// A service account of a Kubernetes cluster.
    Kubernetes {
        /// Name of the cluster, for the certificate's name; without it that is the same in every
        /// cluster, as Fulcio has it.
        cluster: Option<String>,
    },
    /// A client of people's identity provider that logs in as itself.
    Machine(MachineClients),
}

impl IssuerKind {
    /// The server whose repositories GitHub's own issuer speaks for.
    pub const GITHUB: &'static str = "https://github.com";

    /// The server whose projects GitLab's own issuer speaks for.
    pub const GITLAB: &'static str = "https://gitlab.com";

    /// The only audience that Azure Pipelines writes into its tokens.
    pub const AZURE_AUDIENCE: &'static str = "api://AzureADTokenExchange";

    /// The name of this kind in configuration files, Fulcio's where it has one.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Email { .. } | Self::EmailOrUri { .. } => "email",
            Self::Uri { .. } => "uri",
            Self::GithubWorkflow { .. } => "github-workflow",
            Self::GitlabPipeline { .. } => "gitlab-pipeline",
            Self::AzurePipeline(_) => "azure-pipeline",
            Self::JenkinsJob(_) => "jenkins-job",
            Self::BuildkiteJob(_) => "buildkite-job",
            Self::CircleciJob(_) => "circleci-job",
            Self::BitbucketPipeline(_) => "bitbucket-pipeline",
            Self::Kubernetes { .. } => "kubernetes",
            Self::Machine(_) => "machine",
        }
    }

    /// The claim that Fulcio names as the one to sign. Proofs over `sub` and over a verified
    /// `email` are both accepted.
    #[must_use]
    pub const fn challenge_claim(&self) -> &'static str {
        match self {
            Self::Email { .. } | Self::EmailOrUri { .. } => "email",
            _ => "sub",
        }
    }

    /// The domain of its subjects, when the kind has one.
    #[must_use]
    pub const fn subject_domain(&self) -> Option<&SubjectDomain> {
        match self {
            Self::Uri { subject_domain } | Self::EmailOrUri { subject_domain } => {
                Some(subject_domain)
            }
            _ => None,
        }
    }

    /// Whether it may give certificates for e-mail addresses.
    pub(super) const fn is_of_addresses(&self) -> bool {
        matches!(self, Self::Email { .. } | Self::EmailOrUri { .. })
    }

    /// Whether its settings say whose tokens count, however many owners the issuer serves.
    pub(super) const fn names_owners(&self) -> bool {
        matches!(
            self,
            Self::AzurePipeline(_)
                | Self::BuildkiteJob(_)
                | Self::CircleciJob(_)
                | Self::BitbucketPipeline(_)
        )
    }

    /// Whether tokens of the type with this name have an audience that nobody chooses.
    #[must_use]
    pub fn fixes_audience(name: &str) -> bool {
        matches!(name, "azure-pipeline" | "bitbucket-pipeline")
    }

    /// The audiences of its tokens when none are configured.
    #[must_use]
    pub fn default_audiences(&self) -> Vec<String> {
        match self {
            Self::AzurePipeline(_) => vec![Self::AZURE_AUDIENCE.to_owned()],
            Self::BitbucketPipeline(workspace) => {
                vec![format!("ari:cloud:bitbucket::workspace/{}", workspace.id)]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn check(&self, issuer: &Url) -> Result<(), IssuerConfigError> {
        let host = issuer.host_str().unwrap_or_default();
        if let Some(domain) = self.subject_domain()
            && !domain.belongs_to(host)
        {
            return Err(IssuerConfigError::ForeignSubjectDomain {
                subject_domain: domain.to_string(),
                issuer_host: host.to_owned(),
            });
        }
        match self {
            Self::GithubWorkflow { base_url } | Self::GitlabPipeline { base_url } => {
                check_base_url(base_url)
            }
            Self::AzurePipeline(organization) => organization.check(issuer.path(), host),
            Self::JenkinsJob(controller) => controller.check(),
            Self::BuildkiteJob(organizations) => organizations.check(),
            Self::CircleciJob(organizations) => organizations.check(issuer.path()),
            Self::BitbucketPipeline(workspace) => workspace.check(issuer.path()),
            Self::Kubernetes { cluster } => check_cluster(cluster.as_deref()),
            Self::Machine(machines) => machines.check(),
            Self::Email { .. } | Self::Uri { .. } | Self::EmailOrUri { .. } => Ok(()),
        }
    }
}

/// A cluster's name is one segment of a URI's path.
fn check_cluster(cluster: Option<&str>) -> Result<(), IssuerConfigError> {
    match cluster {
        Some(name) if !is_slug(name) => {
            Err(IssuerConfigError::Setting { setting: "cluster", value: name.to_owned() })
        }
        _ => Ok(()),
    }
}

pub(super) fn check_base_url(base_url: &str) -> Result<(), IssuerConfigError> {
    let wrong = || IssuerConfigError::BaseUrl(base_url.to_owned());
    let parsed = Url::parse(base_url).map_err(|_| wrong())?;
    let sound = matches!(parsed.scheme(), "https" | "http")
        && parsed.query().is_none()
        && parsed.fragment().is_none()
        && parsed.username().is_empty()
        && !base_url.ends_with('/')
        && base_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if sound { Ok(()) } else { Err(wrong()) }
}
