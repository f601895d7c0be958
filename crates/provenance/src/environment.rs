use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{
    BuildDefinition, BuildMetadata, Builder, GITHUB_WORKFLOW_BUILD_TYPE, LOCAL_BUILD_TYPE,
    LOCAL_BUILDER_ID, Provenance, ResourceDescriptor, RunDetails,
};

/// Where a build runs, as far as it can be told from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildEnvironment {
    /// A machine that no platform vouches for.
    Local(LocalBuild),
    /// A job of GitHub Actions.
    Github(Box<GithubBuild>),
}

impl BuildEnvironment {
    /// Tells the environment from its variables; `invocation` makes a local run's name unique.
    ///
    /// # Errors
    /// [`EnvironmentError::MissingVariable`] when the CI shows itself but not the whole.
    pub fn from_variables(
        variables: &BTreeMap<String, String>,
        invocation: [u8; 16],
    ) -> Result<Self, EnvironmentError> {
        if variables.get("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
            let build = GithubBuild::from_variables(variables)?;
            return Ok(Self::Github(Box::new(build)));
        }
        Ok(Self::Local(LocalBuild { invocation }))
    }

    /// Tells the environment from the claims of an identity token; `None` when it is no CI's.
    ///
    /// Better evidence than variables: the CA puts the same claims into the certificate, so
    /// what a step of the job sets in its environment cannot get into the provenance.
    /// `server_url` is the forge's, which the token does not name.
    ///
    /// # Errors
    /// [`EnvironmentError::MissingClaim`] when the token is a GitHub Actions one, but not whole.
    pub fn from_token_claims(
        claims: &Map<String, Value>,
        server_url: &str,
    ) -> Result<Option<Self>, EnvironmentError> {
        if !["job_workflow_ref", "repository"].iter().all(|name| claims.contains_key(*name)) {
            return Ok(None);
        }
        let build = GithubBuild::from_claims(claims, server_url)?;
        Ok(Some(Self::Github(Box::new(build))))
    }

    /// The provenance of a build in this environment.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        match self {
            Self::Local(build) => build.provenance(),
            Self::Github(build) => build.provenance(),
        }
    }
}

/// A build on a machine that says nothing checkable about itself.
///
/// Its provenance records no host name, user or directory: they cannot be verified, and leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalBuild {
    /// Random name of the run.
    pub invocation: [u8; 16],
}

impl LocalBuild {
    fn provenance(&self) -> Provenance {
        let id = format!("urn:countersign:invocation:{}", hex::encode(self.invocation));
        Provenance {
            build_definition: BuildDefinition {
                build_type: LOCAL_BUILD_TYPE.to_owned(),
                external_parameters: json!({}),
                internal_parameters: None,
                resolved_dependencies: Vec::new(),
            },
            run_details: RunDetails {
                builder: Builder { id: LOCAL_BUILDER_ID.to_owned() },
                metadata: Some(BuildMetadata { invocation_id: Some(id) }),
            },
        }
    }
}

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
    fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, EnvironmentError> {
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

    fn from_claims(
        claims: &Map<String, Value>,
        server_url: &str,
    ) -> Result<Self, EnvironmentError> {
        let optional = |name: &str| match claims.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
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

    fn provenance(&self) -> Provenance {
        let source_url = format!("{}/{}", self.server_url, self.repository);
        let (path, reference) = self.workflow_path_and_ref();
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
    fn workflow_path_and_ref(&self) -> (&str, &str) {
        let within = self
            .workflow_ref
            .strip_prefix(&self.repository)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(&self.workflow_ref);
        within.split_once('@').unwrap_or((within, &self.source_ref))
    }
}

fn platform(
    value_of: impl Fn(&'static str, &'static str) -> Option<String>,
) -> BTreeMap<&'static str, String> {
    PLATFORM
        .iter()
        .filter_map(|(claim, variable)| Some((*claim, value_of(claim, variable)?)))
        .collect()
}

/// Why the environment cannot be described.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EnvironmentError {
    /// `GITHUB_ACTIONS` is set, this one is not.
    #[error("the environment says GitHub Actions, but {0} is not set")]
    MissingVariable(&'static str),
    /// The token is of a workflow, but lacks this claim.
    #[error("the identity token is of GitHub Actions, but has no claim `{0}`")]
    MissingClaim(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://github.com/"),
            ("GITHUB_REPOSITORY", "my-org/my-repo"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_SHA", "0123456789012345678901234567890123456789"),
            ("GITHUB_WORKFLOW_REF", "my-org/my-repo/.github/workflows/b.yml@refs/heads/main"),
            ("GITHUB_RUN_ID", "42"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_EVENT_NAME", "push"),
            ("RUNNER_ENVIRONMENT", "github-hosted"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    fn claims() -> Map<String, Value> {
        let claims = json!({
            "iss": "https://token.actions.githubusercontent.com", "repository": "my-org/my-repo",
            "ref": "refs/heads/main", "sha": "0123456789012345678901234567890123456789",
            "workflow_ref": "my-org/my-repo/.github/workflows/b.yml@refs/heads/main",
            "job_workflow_ref": "my-org/shared/.github/workflows/r.yml@refs/tags/v1",
            "run_id": "42", "run_attempt": 1, "event_name": "push"
        });
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn describes_a_workflow_from_its_variables_as_the_build_type_says() {
        let provenance =
            BuildEnvironment::from_variables(&variables(), [0; 16]).unwrap().provenance();
        assert_eq!(
            serde_json::to_value(provenance).unwrap(),
            json!({
                "buildDefinition": {
                    "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                    "externalParameters": {"workflow": {"ref": "refs/heads/main",
                        "repository": "https://github.com/my-org/my-repo", "path": ".github/workflows/b.yml"}},
                    "internalParameters": {"github": {"event_name": "push", "runner_environment": "github-hosted"}},
                    "resolvedDependencies": [{"uri": "git+https://github.com/my-org/my-repo@refs/heads/main",
                        "digest": {"gitCommit": "0123456789012345678901234567890123456789"}}]
                },
                "runDetails": {
                    "builder": {"id": "https://github.com/my-org/my-repo/.github/workflows/b.yml@refs/heads/main"},
                    "metadata": {"invocationId": "https://github.com/my-org/my-repo/actions/runs/42/attempts/1"}
                }
            })
        );
    }

    #[test]
    fn names_the_reusable_workflow_of_the_token_as_builder() {
        let environment =
            BuildEnvironment::from_token_claims(&claims(), "https://github.com").unwrap().unwrap();
        assert_eq!(
            environment.provenance().run_details.builder.id,
            "https://github.com/my-org/shared/.github/workflows/r.yml@refs/tags/v1"
        );
    }

    #[test]
    fn takes_a_person_s_token_for_no_build_platform() {
        let claims = json!({"iss": "i", "sub": "s", "email": "a@example.com"});
        let found =
            BuildEnvironment::from_token_claims(claims.as_object().unwrap(), "https://github.com");
        assert_eq!(found, Ok(None));
    }

    #[test]
    fn names_the_variable_or_claim_that_is_missing() {
        for missing in ["GITHUB_SHA", "GITHUB_REF", "GITHUB_RUN_ID", "GITHUB_WORKFLOW_REF"] {
            let mut some = variables();
            some.remove(missing);
            assert_eq!(
                BuildEnvironment::from_variables(&some, [0; 16]),
                Err(EnvironmentError::MissingVariable(missing))
            );
        }
        let mut some = claims();
        some.remove("sha");
        assert_eq!(
            BuildEnvironment::from_token_claims(&some, "https://github.com"),
            Err(EnvironmentError::MissingClaim("sha"))
        );
    }

    #[test]
    fn says_of_a_local_build_nothing_but_its_run() {
        let variables = BTreeMap::from([("USER".to_owned(), "alice".to_owned())]);
        let provenance =
            BuildEnvironment::from_variables(&variables, [0xab; 16]).unwrap().provenance();
        assert_eq!(provenance.run_details.builder.id, LOCAL_BUILDER_ID);
        let text = serde_json::to_string(&provenance).unwrap();
        assert!(text.contains("abababab") && !text.contains("alice"));
    }
}
