//! Which certificate names an issuer can vouch for, and that no two vouch for one.
//!
//! A verifier that demands a name and no issuer believes whoever can vouch for the name. So two
//! issuers of one CA have names apart, or the operator says that they share them (docs/adr/0018).

use super::{IssuerConfig, IssuerConfigError, IssuerKind, JenkinsController};
use crate::mail::MailDomain;

/// A set of names that may stand in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameSpace {
    /// E-mail addresses of these domains; of all where there is none.
    Addresses(Vec<MailDomain>),
    /// URIs that are `prefix` or go on after it with `/`, `:`, `?` or `#`.
    Uris {
        /// Without a final slash.
        prefix: String,
        /// Ids of the owners whose names these are, where the issuer lets an owner have no name of
        /// another's, and the prefix does not tell; none where all may.
        owners: Vec<String>,
    },
    /// Names `user!domain`.
    UserNames {
        /// What stands behind the `!`.
        domain: String,
    },
}

impl NameSpace {
    /// All URIs below `prefix`, whoever owns them.
    pub(crate) fn below(prefix: impl Into<String>) -> Self {
        Self::owned(prefix, Vec::new())
    }

    /// The URIs below `prefix` that belong to `owners`.
    fn owned(prefix: impl Into<String>, owners: Vec<String>) -> Self {
        Self::Uris { prefix: prefix.into(), owners }
    }

    /// Whether some name may be in both. Where that cannot be told, it may.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Addresses(one), Self::Addresses(other)) => {
                one.is_empty()
                    || other.is_empty()
                    || one.iter().any(|domain| other.iter().any(|of| domain.overlaps(of)))
            }
            (
                Self::Uris { prefix, owners },
                Self::Uris { prefix: other_prefix, owners: other_owners },
            ) => {
                let apart = !owners.is_empty()
                    && !other_owners.is_empty()
                    && !owners.iter().any(|owner| other_owners.contains(owner));
                !apart && (begins(prefix, other_prefix) || begins(other_prefix, prefix))
            }
            (Self::UserNames { domain }, Self::UserNames { domain: other }) => {
                domain.eq_ignore_ascii_case(other)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for NameSpace {
    /// For a sentence such as "both vouch for ...".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Addresses(domains) if domains.is_empty() => f.write_str("every e-mail address"),
            Self::Addresses(domains) => {
                let domains: Vec<_> = domains.iter().map(|domain| format!("`{domain}`")).collect();
                write!(f, "e-mail addresses of {}", domains.join(", "))
            }
            Self::Uris { prefix, .. } => write!(f, "names below `{prefix}`"),
            Self::UserNames { domain } => write!(f, "user names of `{domain}`"),
        }
    }
}

/// Whether `text` is `prefix` or lies below it. Letters count in neither case: verifiers compare
/// hosts and some forges' paths so.
fn begins(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (normal(text), normal(prefix));
    let rest = text.strip_prefix(&prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '?', '#']))
}

fn normal(prefix: &str) -> String {
    let text = prefix.trim_end_matches('/').to_ascii_lowercase();
    match text.strip_prefix("https://").and_then(|rest| rest.split_once(":443")) {
        Some((host, rest)) if rest.is_empty() || rest.starts_with('/') => {
            format!("https://{host}{rest}")
        }
        _ => text,
    }
}

/// Scheme and host of a URL or pattern.
fn host_of(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(begin..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| begin + at);
    url.get(..end).unwrap_or(url)
}

impl IssuerConfig {
    /// The names that certificates of this issuer's tokens can have.
    #[must_use]
    pub fn names(&self) -> Vec<NameSpace> {
        let addresses = || NameSpace::Addresses(self.people().domains().to_vec());
        match self.kind() {
            IssuerKind::Email { .. } => vec![addresses()],
            IssuerKind::EmailOrUri { subject_domain } => {
                vec![addresses(), NameSpace::below(subject_domain.to_string())]
            }
            IssuerKind::Uri { subject_domain } => {
                vec![NameSpace::below(subject_domain.to_string())]
            }
            IssuerKind::GithubWorkflow { base_url } | IssuerKind::GitlabPipeline { base_url } => {
                vec![NameSpace::below(base_url)]
            }
            IssuerKind::AzurePipeline(organization) => {
                vec![NameSpace::owned("https://dev.azure.com", vec![organization.id.clone()])]
            }
            IssuerKind::JenkinsJob(controller) => {
                let folder = JenkinsController::folder_of_issuer(self.url());
                vec![NameSpace::below(format!("{}{folder}", controller.url))]
            }
            IssuerKind::BuildkiteJob(organizations) => {
                let of = |slug| NameSpace::below(format!("https://buildkite.com/{slug}"));
                organizations.slugs.iter().map(of).collect()
            }
            IssuerKind::CircleciJob(organizations) => {
                vec![NameSpace::owned(
                    "https://circleci.com/api/v2/projects",
                    organizations.ids.clone(),
                )]
            }
            IssuerKind::BitbucketPipeline(workspace) => {
                vec![NameSpace::below(format!("https://bitbucket.org/{}", workspace.slug))]
            }
            IssuerKind::Kubernetes { cluster: Some(cluster) } => {
                vec![NameSpace::below(format!("https://kubernetes.io/clusters/{cluster}"))]
            }
            IssuerKind::Kubernetes { cluster: None } => {
                vec![NameSpace::below("https://kubernetes.io/namespaces")]
            }
            IssuerKind::Spiffe { trust_domains } => {
                trust_domains.iter().map(|domain| NameSpace::below(domain.to_string())).collect()
            }
            IssuerKind::Username { subject_domain } => {
                vec![NameSpace::UserNames { domain: subject_domain.clone() }]
            }
            IssuerKind::CiProvider(template) => {
                vec![NameSpace::below(template.base_url.as_deref().unwrap_or(host_of(self.url())))]
            }
            IssuerKind::Machine(machines) => {
                vec![NameSpace::below(format!("{}/clients", machines.base_url))]
            }
        }
    }

    /// The setting that moves its names apart from another's.
    fn names_setting(&self) -> &'static str {
        match self.kind() {
            IssuerKind::Email { .. } | IssuerKind::EmailOrUri { .. } => "domains",
            IssuerKind::Uri { .. } | IssuerKind::Username { .. } => "subject_domain",
            IssuerKind::Spiffe { .. } => "trust_domains",
            IssuerKind::Kubernetes { .. } => "cluster",
            IssuerKind::AzurePipeline(_) => "organization_id",
            IssuerKind::BuildkiteJob(_) => "organizations",
            IssuerKind::CircleciJob(_) => "organization_ids",
            IssuerKind::BitbucketPipeline(_) => "workspace",
            IssuerKind::GithubWorkflow { .. }
            | IssuerKind::GitlabPipeline { .. }
            | IssuerKind::JenkinsJob(_)
            | IssuerKind::CiProvider(_)
            | IssuerKind::Machine(_) => "base_url",
        }
    }

    /// Whether the operator says that the two share names. Two clusters of one issuer name cannot:
    /// then not even the certificate's issuer would tell them apart.
    fn shares_with(&self, other: &Self) -> bool {
        if self.is_cluster_beside(other) {
            return false;
        }
        let says =
            |one: &Self, of: &Self| one.shares_names_with().iter().any(|url| url == of.url());
        says(self, other) || says(other, self)
    }

    /// Whether both are clusters of one issuer name.
    fn is_cluster_beside(&self, other: &Self) -> bool {
        let is_cluster = |of: &Self| matches!(of.kind(), IssuerKind::Kubernetes { .. });
        is_cluster(self) && is_cluster(other) && self.url() == other.url()
    }

    /// What `shares_names_with` has and cannot mean.
    fn idle_sharing(&self, issuers: &[Self]) -> Option<IssuerConfigError> {
        let entries = |url: &str| issuers.iter().filter(|other| other.url() == url).count();
        let issuer = || self.url().to_owned();
        self.shares_names_with().iter().find_map(|url| match entries(url) {
            0 => Some(IssuerConfigError::SharesWithNobody { issuer: issuer(), url: url.clone() }),
            1 if url == self.url() => Some(IssuerConfigError::SharesWithItself(issuer())),
            _ => None,
        })
    }

    /// What the certificate may name as the issuer.
    fn issuer_names(&self) -> Vec<&str> {
        match self.people().issuer_claim() {
            Some(claim) => claim.values.iter().map(String::as_str).collect(),
            None => vec![self.url()],
        }
    }
}

/// A reason for which issuers do not go together.
#[derive(Debug, PartialEq, Eq)]
pub struct NameConflict {
    /// The entry in which something is to be changed, counted from 0.
    pub position: usize,
    /// What is wrong.
    pub error: IssuerConfigError,
}

/// Every reason for which the issuers of one CA do not go together: none where all is well.
///
/// What two can vouch for without saying so, issuers that pass for others in certificates, and
/// statements about issuers that are not there.
#[must_use]
pub fn name_conflicts(issuers: &[IssuerConfig]) -> Vec<NameConflict> {
    let mut conflicts = Vec::new();
    for (position, issuer) in issuers.iter().enumerate() {
        let here = |error| NameConflict { position, error };
        conflicts.extend(issuer.idle_sharing(issuers).map(here));
        for (other_position, other) in issuers.iter().enumerate().skip(position + 1) {
            // Of a provider on this machine all entries may be one table, which takes no such line.
            let say_at_first = other.is_on_loopback() && !issuer.is_on_loopback();
            let (said_at, at, beside) = if say_at_first {
                (position, issuer, other)
            } else {
                (other_position, other, issuer)
            };
            let error = conflict(beside, at);
            conflicts.extend(error.map(|error| NameConflict { position: said_at, error }));
        }
        conflicts.extend(impersonates(issuer, issuers).map(here));
    }
    conflicts
}

/// What both vouch for without a word; the word would be in the entry of `other`.
fn conflict(one: &IssuerConfig, other: &IssuerConfig) -> Option<IssuerConfigError> {
    // Several entries of one provider: it vouches for its names, whichever entry takes the token.
    let is_one_provider = one.url() == other.url() && one.keys() == other.keys();
    if is_one_provider || one.shares_with(other) {
        return None;
    }
    let others = other.names();
    let shared =
        one.names().into_iter().find(|names| others.iter().any(|of| names.overlaps(of)))?;
    let (setting, other_setting) = (one.names_setting(), other.names_setting());
    let names = shared.to_string();
    let settings = if setting == other_setting {
        format!("`{setting}`")
    } else {
        format!("`{setting}` or `{other_setting}`")
    };
    Some(if one.is_cluster_beside(other) {
        IssuerConfigError::SharedClusters { issuer: one.url().to_owned(), names, settings }
    } else {
        let (one, other) = (one.url().to_owned(), other.url().to_owned());
        IssuerConfigError::SharedNames { one, other, names, settings }
    })
}

/// An issuer whose tokens' claims could name another as the certificate's issuer.
fn impersonates(issuer: &IssuerConfig, issuers: &[IssuerConfig]) -> Option<IssuerConfigError> {
    let claim = issuer.people().issuer_claim()?;
    let alike = |one: &str, other: &str| {
        one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
    };
    let taken = |value: &&String| {
        issuers.iter().any(|other| {
            alike(value, other.url())
                || other.is_of(value)
                || (other.url() != issuer.url()
                    && !issuer.shares_with(other)
                    && other.issuer_names().iter().any(|name| alike(value, name)))
        })
    };
    claim.values.iter().find(taken).map(|value| IssuerConfigError::IssuerValue {
        issuer: issuer.url().to_owned(),
        value: value.clone(),
    })
}
