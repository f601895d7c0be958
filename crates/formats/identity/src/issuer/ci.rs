//! What an operator says of a CI system beside its issuer's URL: for whom it may speak.

use super::SubjectTemplate;
use crate::IssuerConfigError;

/// Longest list of owners or hosts that one issuer is configured with.
const MAX_LISTED: usize = 256;

/// An Azure DevOps organisation: tokens of any other are refused, though one issuer host serves all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureOrganization {
    /// GUID in lower case, the last segment of the issuer's URL; what `org_id` must be.
    pub id: String,
    /// Accepts subjects `sc://`, which name a service connection in place of a pipeline.
    pub allow_service_connections: bool,
    /// What to say of where jobs run; the token does not tell.
    pub runner_environment: Option<String>,
    /// Hosts beside Azure Repos whose repositories the pipelines may build, such as `github.com`.
    pub source_hosts: Vec<String>,
}

impl AzureOrganization {
    /// The organisation `id` (a GUID), with pipelines as the only subjects and Azure Repos as the
    /// only source.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_ascii_lowercase(),
            allow_service_connections: false,
            runner_environment: None,
            source_hosts: Vec::new(),
        }
    }
}

/// A Jenkins controller, whose jobs all issuers below its URL speak for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JenkinsController {
    /// `JENKINS_URL` without its final slash.
    pub url: String,
    /// Claims that the administrators have added.
    pub claims: JenkinsClaims,
    /// Hosts of which [`JenkinsClaims::source_repository_uri`] may name repositories.
    pub source_hosts: Vec<String>,
    /// How `sub` looks, when the administrators have changed it; else it is `JOB_URL`.
    pub subject_template: Option<SubjectTemplate>,
}

/// Names of claims that the controller's administrators have defined; none is there by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JenkinsClaims {
    /// Holds the repository's URL.
    pub source_repository_uri: Option<String>,
    /// Holds the commit, hex.
    pub source_repository_digest: Option<String>,
    /// Holds the full ref, `refs/heads/...` or `refs/tags/...`.
    pub source_repository_ref: Option<String>,
    /// Holds what the build ran on.
    pub runner_environment: Option<String>,
    /// Holds what started the build.
    pub build_trigger: Option<String>,
}

/// Organisations of Buildkite, whose one issuer serves all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildkiteOrganizations {
    /// Slugs, of which `organization_slug` must be one.
    pub slugs: Vec<String>,
    /// When not empty, UUIDs of which `organization_id` must be one: slugs can change hands.
    /// The agent adds that claim only when asked.
    pub ids: Vec<String>,
}

/// Organisations of CircleCI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircleciOrganizations {
    /// UUIDs in lower case, of which the subject's organisation must be one.
    pub ids: Vec<String>,
    /// Accepts jobs that somebody may have logged in to.
    pub allow_ssh_rerun: bool,
    /// Hosts whose repositories the projects build.
    pub source_hosts: Vec<String>,
}

impl CircleciOrganizations {
    /// The organisations `ids`, with the forges that CircleCI builds from as sources.
    #[must_use]
    pub fn new(ids: Vec<String>) -> Self {
        let source_hosts = Self::FORGES.map(str::to_owned).to_vec();
        Self { ids, allow_ssh_rerun: false, source_hosts }
    }

    /// Scheme and host of the issuers of every organisation.
    pub(super) const ISSUER: &'static str = "https://oidc.circleci.com";

    /// What CircleCI can be connected to.
    pub const FORGES: [&str; 3] = ["github.com", "bitbucket.org", "gitlab.com"];
}

/// A workspace of Bitbucket Cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitbucketWorkspace {
    /// As in `https://bitbucket.org/<slug>`; the token does not tell.
    pub slug: String,
    /// UUID in lower case without braces; what `workspaceUuid` must be.
    pub id: String,
}

impl AzureOrganization {
    pub(super) fn check(
        &self,
        issuer_path: &str,
        issuer_host: &str,
    ) -> Result<(), IssuerConfigError> {
        demand(is_uuid(&self.id), "organization_id", &self.id)?;
        // Microsoft's host names the organisation; a development issuer's does not.
        if issuer_host == Self::ISSUER_HOST {
            let named = issuer_path.strip_prefix('/').unwrap_or_default();
            demand(named.eq_ignore_ascii_case(&self.id), "organization_id", &self.id)?;
        }
        check_hosts(&self.source_hosts)
    }

    /// Host of the issuer of every organisation.
    pub(super) const ISSUER_HOST: &'static str = "vstoken.dev.azure.com";

    /// Where that is.
    pub(super) const ISSUER: &'static str = "https://vstoken.dev.azure.com";
}

impl JenkinsController {
    /// What an issuer's URL has before `/oidc`, under which the plugin serves its documents.
    pub(super) fn url_of_issuer(issuer: &str) -> Option<&str> {
        match issuer.strip_suffix("/oidc") {
            Some(controller) => Some(controller),
            None => issuer.split_once("/oidc/job/").map(|(controller, _)| controller),
        }
    }

    /// The folder whose credential signs at `issuer`, as `/job/name...`; empty for the controller's.
    /// Whatever comes before: the issuer may have another host than `JENKINS_URL`.
    pub(crate) fn folder_of_issuer(issuer: &str) -> &str {
        let begin = issuer.find("/oidc/job/").map(|at| at + "/oidc".len());
        begin.and_then(|begin| issuer.get(begin..)).unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<(), IssuerConfigError> {
        super::kind::check_base_url(&self.url)?;
        for name in self.claims.names() {
            demand(!name.is_empty() && !RESERVED.contains(&name), "claims", name)?;
        }
        // Without a host, any job could name any repository.
        let needs_hosts = self.claims.source_repository_uri.is_some();
        demand(!needs_hosts || !self.source_hosts.is_empty(), "source_hosts", "")?;
        check_hosts(&self.source_hosts)
    }
}

impl JenkinsClaims {
    fn names(&self) -> impl Iterator<Item = &str> {
        [
            &self.source_repository_uri,
            &self.source_repository_digest,
            &self.source_repository_ref,
            &self.runner_environment,
            &self.build_trigger,
        ]
        .into_iter()
        .filter_map(Option::as_deref)
    }
}

impl BuildkiteOrganizations {
    pub(super) fn check(&self) -> Result<(), IssuerConfigError> {
        let slugs = &self.slugs;
        demand(!slugs.is_empty() && slugs.len() <= MAX_LISTED, "organizations", "")?;
        for slug in slugs {
            demand(is_slug(slug), "organizations", slug)?;
        }
        demand(self.ids.len() <= MAX_LISTED, "organization_ids", "")?;
        self.ids.iter().try_for_each(|id| demand(is_uuid(id), "organization_ids", id))
    }
}

impl CircleciOrganizations {
    pub(super) fn check(&self, issuer_path: &str) -> Result<(), IssuerConfigError> {
        demand(!self.ids.is_empty() && self.ids.len() <= MAX_LISTED, "organization_ids", "")?;
        for id in &self.ids {
            demand(is_uuid(id), "organization_ids", id)?;
        }
        // The issuer of one organisation may be configured for that one only.
        if let Some(named) = issuer_path.strip_prefix("/org/") {
            let alone = matches!(self.ids.as_slice(), [id] if id.eq_ignore_ascii_case(named));
            demand(alone, "organization_ids", named)?;
        }
        check_hosts(&self.source_hosts)
    }
}

impl BitbucketWorkspace {
    pub(super) fn check(&self, issuer_path: &str) -> Result<(), IssuerConfigError> {
        demand(is_uuid(&self.id), "workspace_id", &self.id)?;
        demand(is_slug(&self.slug), "workspace", &self.slug)?;
        // `/2.0/workspaces/<slug>/pipelines-config/identity/oidc`
        let rest = issuer_path.strip_prefix("/2.0/workspaces/");
        let named = rest.and_then(|rest| rest.split('/').next());
        demand(named.is_none_or(|named| named == self.slug), "workspace", &self.slug)
    }
}

/// Claims with a meaning of their own, which no other may be read from.
const RESERVED: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "build_number"];

pub(super) fn check_hosts(hosts: &[String]) -> Result<(), IssuerConfigError> {
    demand(hosts.len() <= MAX_LISTED, "source_hosts", "")?;
    hosts.iter().try_for_each(|host| demand(is_host(host), "source_hosts", host))
}

/// A DNS name with a dot, in lower case; no port.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.contains('.') && host.split('.').all(label)
}

/// What can be one segment of a path and nothing else.
pub(crate) fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !text.bytes().all(|b| b == b'.')
}

/// 8-4-4-4-12 hexadecimal digits, without braces (RFC 9562 §4).
pub(crate) fn is_uuid(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    text.split('-').map(str::len).eq(GROUPS)
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn demand(holds: bool, setting: &'static str, value: &str) -> Result<(), IssuerConfigError> {
    if holds {
        Ok(())
    } else {
        Err(IssuerConfigError::Setting { setting, value: value.to_owned() })
    }
}
