//! Which certificate names an issuer can vouch for.

use super::{AzureOrganization, CircleciOrganizations, IssuerConfig, IssuerKind};
use super::{IssuerUrl, JenkinsController, NameSpace, glob};

/// A URL, or a pattern of URLs, in two.
pub(super) struct SplitUrl<'a> {
    /// Scheme, host and port.
    pub(super) origin: &'a str,
    /// With its first slash.
    pub(super) path: &'a str,
}

/// Splits a URL or pattern before its path. No URL parser, since the text may be a pattern.
pub(super) fn split_url(url: &str) -> SplitUrl<'_> {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(begin..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| begin + at);
    let (origin, path) = url.split_at_checked(end).unwrap_or((url, ""));
    SplitUrl { origin, path }
}

/// The folder that a Jenkins issuer's URL or pattern ends in; none where a wildcard before it could
/// begin another.
fn folder_of(url: &str) -> &str {
    let folder = JenkinsController::folder_of_issuer(url);
    let before = url.strip_suffix(folder).unwrap_or_default();
    if before.contains('*') { "" } else { folder }
}

impl IssuerConfig {
    /// The names that certificates of this issuer's tokens can have.
    #[must_use]
    pub fn names(&self) -> Vec<NameSpace> {
        let issuers = self.known_issuers().unwrap_or_else(|| vec![self.url()]);
        let mut names: Vec<NameSpace> = Vec::new();
        for space in issuers.into_iter().flat_map(|issuer| self.names_of(issuer)) {
            if !names.contains(&space) {
                names.push(space);
            }
        }
        names
    }

    /// The names of the tokens that `issuer` makes, a URL or a pattern of URLs. Each as it stands in
    /// certificates: what is compared must not depend on how a setting is written.
    fn names_of(&self, issuer: &str) -> Vec<NameSpace> {
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
                // Only Microsoft keeps the organisations' names, which the ids stand for, apart.
                let is_platform = split_url(issuer).origin == AzureOrganization::ISSUER;
                let owner = is_platform.then(|| organization.id.clone());
                vec![NameSpace::owned("https://dev.azure.com", owner.into_iter().collect())]
            }
            IssuerKind::JenkinsJob(controller) => {
                vec![NameSpace::below(format!("{}{}", controller.url, folder_of(issuer)))]
            }
            IssuerKind::BuildkiteJob(organizations) => {
                let of = |slug| NameSpace::below(format!("https://buildkite.com/{slug}"));
                organizations.slugs.iter().map(of).collect()
            }
            IssuerKind::CircleciJob(organizations) => {
                // Only CircleCI gives each project's id to one organisation.
                let is_platform = split_url(issuer).origin == CircleciOrganizations::ISSUER;
                let owners = if is_platform { organizations.ids.clone() } else { Vec::new() };
                vec![NameSpace::owned("https://circleci.com/api/v2/projects", owners)]
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
            IssuerKind::Spiffe { trust_domains } => trust_domains
                .iter()
                .map(|domain| NameSpace::below(format!("spiffe://{domain}")))
                .collect(),
            IssuerKind::Username { subject_domain } => {
                vec![NameSpace::UserNames { domain: subject_domain.clone() }]
            }
            IssuerKind::CiProvider(template) => {
                let own_host = split_url(issuer).origin;
                vec![NameSpace::below(template.base_url.as_deref().unwrap_or(own_host))]
            }
            IssuerKind::Machine(machines) => {
                vec![NameSpace::below(format!("{}/clients", machines.base_url))]
            }
        }
    }

    /// The setting that moves its names apart from another's.
    pub(super) fn names_setting(&self) -> &'static str {
        match self.kind() {
            IssuerKind::Email { .. } | IssuerKind::EmailOrUri { .. } => "domains",
            IssuerKind::Uri { .. } | IssuerKind::Username { .. } => "subject_domain",
            IssuerKind::Spiffe { .. } => "trust_domains",
            IssuerKind::Kubernetes { .. } => "cluster",
            // At another host than the platform's the ids part nothing.
            IssuerKind::AzurePipeline(_) | IssuerKind::CircleciJob(_) if !self.has_owners() => {
                "url"
            }
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

    fn has_owners(&self) -> bool {
        let owned = |names: &NameSpace| matches!(names, NameSpace::Uris { owners, .. } if !owners.is_empty());
        self.names().iter().all(owned)
    }

    /// The `iss` of its tokens, each once; `None` where all of a pattern are meant.
    pub(super) fn known_issuers(&self) -> Option<Vec<&str>> {
        match &self.url {
            IssuerUrl::Exact(url) => Some(vec![url]),
            IssuerUrl::Pattern(pattern) => {
                let mut demanded = self.required_claims().texts_of("iss");
                if demanded.is_empty() {
                    return None;
                }
                demanded.retain(|iss| pattern.matches(iss));
                demanded.sort_unstable();
                demanded.dedup();
                Some(demanded)
            }
        }
    }

    /// Whether some `iss` is of both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self.known_issuers(), other.known_issuers()) {
            (Some(own), Some(others)) => own.iter().any(|iss| others.contains(iss)),
            (Some(own), None) => own.iter().any(|iss| other.is_of(iss)),
            (None, Some(others)) => others.iter().any(|iss| self.is_of(iss)),
            (None, None) => glob::meet(self.url(), other.url()),
        }
    }

    /// Whether it is about several issuers that can give one name.
    pub(super) fn has_rivals(&self) -> bool {
        match self.known_issuers() {
            None => !self.tells_issuers_apart(),
            Some(issuers) => issuers.iter().enumerate().any(|(position, issuer)| {
                let own = self.names_of(issuer);
                issuers.iter().skip(position + 1).any(|rival| {
                    let names = self.names_of(rival);
                    own.iter().any(|space| names.iter().any(|of| space.overlaps(of)))
                })
            }),
        }
    }

    /// Whether every name has in it what its pattern leaves open, so that it is of one issuer.
    pub(super) fn tells_issuers_apart(&self) -> bool {
        let open = self.url();
        let left = match self.kind() {
            IssuerKind::CiProvider(template) if template.base_url.is_none() => split_url(open).path,
            IssuerKind::JenkinsJob(_) => open.strip_suffix(folder_of(open)).unwrap_or(open),
            _ => open,
        };
        !left.contains('*')
    }
}
