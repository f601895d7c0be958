use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    BuildDefinition, BuildMetadata, Builder, CI_BUILD_TYPE, Provenance, ResourceDescriptor,
    RunDetails,
};

/// A CI system beside GitHub Actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CiSystem {
    /// GitLab CI.
    Gitlab,
    /// Azure Pipelines.
    Azure,
    /// Jenkins.
    Jenkins,
    /// Buildkite.
    Buildkite,
    /// CircleCI.
    Circleci,
    /// Bitbucket Pipelines.
    Bitbucket,
    /// A pod with a service account.
    Kubernetes,
}

impl CiSystem {
    /// The name in provenance.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gitlab => "gitlab",
            Self::Azure => "azure",
            Self::Jenkins => "jenkins",
            Self::Buildkite => "buildkite",
            Self::Circleci => "circleci",
            Self::Bitbucket => "bitbucket",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// A job of a CI system, in the terms that certificates have for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiBuild {
    /// Whose job.
    pub system: CiSystem,
    /// URI of the pipeline's definition: what the certificate names as the signer (.9).
    pub pipeline: String,
    /// URL of the source, where the CI tells it.
    pub repository: Option<String>,
    /// Full ref of the source.
    pub source_ref: Option<String>,
    /// Commit of the source, hex.
    pub source_sha: Option<String>,
    /// URI of the run.
    pub run: Option<String>,
    /// What the platform tells beside, in its own words.
    pub platform: BTreeMap<&'static str, String>,
}

impl CiBuild {
    /// `docs/buildtypes/ci-v1.md`. The parameters have the names that GitHub's build type has, so
    /// that one policy reads both.
    pub(super) fn provenance(&self) -> Provenance {
        let mut workflow = serde_json::Map::new();
        workflow.insert("pipeline".to_owned(), json!(self.pipeline));
        for (name, value) in [("repository", &self.repository), ("ref", &self.source_ref)] {
            if let Some(value) = value {
                workflow.insert(name.to_owned(), json!(value));
            }
        }
        Provenance {
            build_definition: BuildDefinition {
                build_type: CI_BUILD_TYPE.to_owned(),
                external_parameters: json!({"workflow": workflow}),
                internal_parameters: (!self.platform.is_empty())
                    .then(|| json!({self.system.name(): self.platform})),
                resolved_dependencies: self.source().into_iter().collect(),
            },
            run_details: RunDetails {
                builder: Builder { id: self.pipeline.clone() },
                metadata: self.run.clone().map(|run| BuildMetadata { invocation_id: Some(run) }),
            },
        }
    }

    /// `git+<repository>@<ref>` with its commit, when the CI tells all three.
    fn source(&self) -> Option<ResourceDescriptor> {
        let (repository, git_ref) = (self.repository.as_ref()?, self.source_ref.as_ref()?);
        let digest = BTreeMap::from([("gitCommit".to_owned(), self.source_sha.clone()?)]);
        let uri = Some(format!("git+{repository}@{git_ref}"));
        Some(ResourceDescriptor { name: String::new(), uri, digest })
    }
}

/// The `https` URL of what a Git client clones: no user or password, which may be a secret, and no
/// final `.git`.
pub(super) fn repository_url(cloned: &str) -> String {
    let scp = cloned.strip_prefix("git@").filter(|rest| !rest.contains("://"));
    let rest = match scp {
        Some(rest) => rest.replacen(':', "/", 1),
        None => cloned.split_once("://").map_or(cloned, |(_, rest)| rest).to_owned(),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.strip_suffix(".git").unwrap_or(path);
    format!("https://{host}/{path}")
}

/// `https://bitbucket.org/<workspace>/<{uuid}>`, as certificates have it.
pub(super) fn bitbucket_repository(workspace: &str, uuid: &str) -> String {
    let id = uuid.trim_matches(['{', '}']).to_ascii_lowercase();
    format!("https://bitbucket.org/{workspace}/%7B{id}%7D")
}

/// `JOB_URL` without its final slash, escapes in upper case, as certificates have it.
pub(super) fn jenkins_job(url: &str) -> String {
    let mut parts = url.strip_suffix('/').unwrap_or(url).split('%');
    let mut job = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        job.push('%');
        job.push_str(&digits.to_ascii_uppercase());
        job.push_str(rest);
    }
    job
}

/// Escapes what no URI holds (RFC 3986 §2), as certificates have it; escapes stay.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex::encode_upper([byte]));
        }
    }
    escaped
}
