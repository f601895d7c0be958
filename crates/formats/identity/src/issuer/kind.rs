use url::Url;

use super::ci::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CircleciOrganizations,
    JenkinsController, check_hosts, is_slug,
};
use super::machine::MachineClients;
use crate::{
    CiTemplate, IssuerConfigError, SubjectDomain, TrustDomain, subject_domain::is_of_one_owner,
};

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
    /// The `sub` claim, a SPIFFE ID.
    Spiffe {
        /// The trust domains that the issuer speaks for; never empty.
        trust_domains: Vec<TrustDomain>,
    },
    /// The `sub` claim, a user's name, which becomes `<sub>!<subject_domain>`.
    Username {
        /// Bare domain of the users, such as `example.com`.
        subject_domain: String,
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
    /// A job of any CI system, as the operator's templates say.
    CiProvider(Box<CiTemplate>),
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
            Self::Spiffe { .. } => "spiffe",
            Self::Username { .. } => "username",
            Self::GithubWorkflow { .. } => "github-workflow",
            Self::GitlabPipeline { .. } => "gitlab-pipeline",
            Self::AzurePipeline(_) => "azure-pipeline",
            Self::JenkinsJob(_) => "jenkins-job",
            Self::BuildkiteJob(_) => "buildkite-job",
            Self::CircleciJob(_) => "circleci-job",
            Self::BitbucketPipeline(_) => "bitbucket-pipeline",
            Self::CiProvider(_) => "ci-provider",
            Self::Kubernetes { .. } => "kubernetes",
            Self::Machine(_) => "machine",
        }
    }

    /// The claim that Fulcio names as the one to sign, unless the configuration chose another. Proofs over
    /// `sub` and over a verified `email` are both accepted.
    pub(super) const fn challenge_claim(&self) -> &'static str {
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
            Self::CiProvider(template) => {
                check_hosts(&template.source_hosts)?;
                template.base_url.as_deref().map_or(Ok(()), check_base_url)
            }
            Self::Kubernetes { cluster } => check_cluster(cluster.as_deref()),
            Self::Spiffe { trust_domains } => check_trust_domains(trust_domains),
            Self::Username { subject_domain } => check_username_domain(subject_domain, host),
            Self::Machine(machines) => machines.check(),
            Self::Email { .. } | Self::Uri { .. } | Self::EmailOrUri { .. } => Ok(()),
        }
    }
}

/// Most trust domains of one issuer: a server has one, and federates with few.
const MAX_TRUST_DOMAINS: usize = 256;

fn check_trust_domains(trust_domains: &[TrustDomain]) -> Result<(), IssuerConfigError> {
    if (1..=MAX_TRUST_DOMAINS).contains(&trust_domains.len()) {
        return Ok(());
    }
    Err(IssuerConfigError::Setting { setting: "trust_domains", value: String::new() })
}

/// The bare domain of user names, which must be the issuer's own.
fn check_username_domain(domain: &str, issuer_host: &str) -> Result<(), IssuerConfigError> {
    let setting = "subject_domain";
    // The rules of a host are those of a URL's; a bare one has no scheme.
    SubjectDomain::parse(&format!("https://{domain}"))
        .map_err(|_| IssuerConfigError::Setting { setting, value: domain.to_owned() })?;
    if is_of_one_owner(domain, issuer_host) {
        return Ok(());
    }
    Err(IssuerConfigError::ForeignSubjectDomain {
        subject_domain: domain.to_owned(),
        issuer_host: issuer_host.to_owned(),
    })
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
        // Told from a pattern of issuers, of which each would have another.
        && !base_url.contains('*')
        && base_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if sound { Ok(()) } else { Err(wrong()) }
}
