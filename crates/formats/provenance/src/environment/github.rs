use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{EnvironmentError, claims::text};
use crate::{
    BuildDefinition, BuildMetadata, Builder, GITHUB_WORKFLOW_BUILD_TYPE, Provenance,
    ResourceDescriptor, RunDetails,
};

/// A job of GitHub Actions, in the words of its token and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubBuild {
    /// `https://github.com`, or an enterprise server; no trailing slash.
    pub server_url: String,
    /// `owner/name`.
    pub repository: String,
    /// `refs/heads/main`: what triggered the run.
    pub source_ref: String,
    /// Commit of [`GithubBuild::source_ref`], hex.
    pub source_sha: String,
    /// `owner/name/.github/workflows/file.yml@ref`: the workflow that was triggered.
    pub workflow_ref: String,
    /// The same of the workflow whose job this is; another one when it is reusable.
    pub job_workflow_ref: String,
    /// Decimal id of the run.
    pub run_id: String,
    /// 1-based.
    pub run_attempt: String,
    /// What the platform tells beside: `event_name`, `repository_id`, `repository_owner_id`,
    /// `runner_environment`; those that are known.
    pub platform: BTreeMap<&'static str, String>,
}

/// Names of [`GithubBuild::platform`], as claims and as variables.
const PLATFORM: [(&str, &str); 4] = [
    ("event_name", "GITHUB_EVENT_NAME"),
    ("repository_id", "GITHUB_REPOSITORY_ID"),
    ("repository_owner_id", "GITHUB_REPOSITORY_OWNER_ID"),
    ("runner_environment", "RUNNER_ENVIRONMENT"),
];

impl GithubBuild {
    pub(super) fn from_variables(
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, EnvironmentError> {
        let optional = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let required =
            |name: &'static str| optional(name).ok_or(EnvironmentError::MissingVariable(name));
        let workflow_ref = required("GITHUB_WORKFLOW_REF")?;
        Ok(Self {
            server_url: required("GITHUB_SERVER_URL")?.trim_end_matches('/').to_owned(),
            repository: required("GITHUB_REPOSITORY")?,
            source_ref: required("GITHUB_REF")?,
            source_sha: required("GITHUB_SHA")?,
            // The variables do not tell the reusable workflow; only the token does.
            job_workflow_ref: workflow_ref.clone(),
            workflow_ref,
            run_id: required("GITHUB_RUN_ID")?,
            run_attempt: required("GITHUB_RUN_ATTEMPT")?,
            platform: platform(|_, variable| optional(variable)),
        })
    }

    pub(super) fn from_claims(
        claims: &Map<String, Value>,
        server_url: &str,
    ) -> Result<Self, EnvironmentError> {
        let optional = |name: &str| text(claims, name);
        let required =
            |name: &'static str| optional(name).ok_or(EnvironmentError::MissingClaim(name));
        let job_workflow_ref = required("job_workflow_ref")?;
        Ok(Self {
            server_url: server_url.trim_end_matches('/').to_owned(),
            repository: required("repository")?,
            source_ref: required("ref")?,
            source_sha: required("sha")?,
            workflow_ref: optional("workflow_ref").unwrap_or_else(|| job_workflow_ref.clone()),
            job_workflow_ref,
            run_id: required("run_id")?,
            run_attempt: required("run_attempt")?,
            platform: platform(|claim, _| optional(claim)),
        })
    }

    pub(super) fn provenance(&self) -> Provenance {
        let source_url = format!("{}/{}", self.server_url, self.repository);
        let Workflow { path, reference } = self.workflow();
        let run =
            format!("{source_url}/actions/runs/{}/attempts/{}", self.run_id, self.run_attempt);
        Provenance {
            build_definition: BuildDefinition {
                build_type: GITHUB_WORKFLOW_BUILD_TYPE.to_owned(),
                external_parameters: json!({
                    "workflow": {"ref": reference, "repository": source_url, "path": path}
                }),
                internal_parameters: Some(json!({"github": self.platform})),
                resolved_dependencies: vec![ResourceDescriptor {
                    name: String::new(),
                    uri: Some(format!("git+{source_url}@{}", self.source_ref)),
                    digest: BTreeMap::from([("gitCommit".to_owned(), self.source_sha.clone())]),
                }],
            },
            run_details: RunDetails {
                builder: Builder { id: format!("{}/{}", self.server_url, self.job_workflow_ref) },
                metadata: Some(BuildMetadata { invocation_id: Some(run) }),
            },
        }
    }

    /// Splits `owner/name/path@ref`; what has no `@` is a path at the source's ref.
    fn workflow(&self) -> Workflow<'_> {
        let within = self
            .workflow_ref
            .strip_prefix(&self.repository)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(&self.workflow_ref);
        let (path, reference) = within.split_once('@').unwrap_or((within, &self.source_ref));
        Workflow { path, reference }
    }
}

/// Where a workflow is defined: a file of the repository, at a ref.
struct Workflow<'a> {
    path: &'a str,
    reference: &'a str,
}

fn platform(
    value_of: impl Fn(&'static str, &'static str) -> Option<String>,
) -> BTreeMap<&'static str, String> {
    PLATFORM
        .iter()
        .filter_map(|(claim, variable)| Some((*claim, value_of(claim, variable)?)))
        .collect()
}
