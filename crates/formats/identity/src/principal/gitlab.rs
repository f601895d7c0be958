use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{JobClaims, is_ref_name, shaped},
    uri,
};
use crate::{VerifiedClaims, issuer::is_slug};

const PROJECT: &str = "project_path";
const REF: &str = "ref";
const CONFIG: &str = "ci_config_ref_uri";

/// The pipeline's definition at its ref, or the project at the ref when the definition is
/// elsewhere. `sub` is customisable by projects and says nothing here.
pub(super) fn identity(
    verified: &VerifiedClaims,
    base_url: &str,
) -> Result<Identity, PrincipalError> {
    let job = Job::read(&JobClaims(verified.claims()))?;
    let definition = job.definition(base_url)?;
    let (claim, path) = match &definition {
        Some(definition) => (CONFIG, definition.clone()),
        None => (REF, format!("{}@{}", job.project_path, job.git_ref)),
    };
    let name = format!("{base_url}/{}", uri::escape(claim, &path)?);
    let signer = format!("{base_url}/{path}");
    let run = format!("{base_url}/{}/-/jobs/{}", job.project_path, job.id);
    let extensions = FulcioExtensions {
        build_config_uri: definition.is_some().then(|| signer.clone()),
        build_signer_uri: Some(signer),
        build_signer_digest: job.config_sha.clone(),
        runner_environment: job.runner_environment,
        source_repository_uri: Some(format!("{base_url}/{}", job.project_path)),
        source_repository_digest: Some(job.sha),
        source_repository_ref: Some(job.git_ref),
        source_repository_identifier: Some(job.project_id),
        source_repository_owner_uri: Some(format!("{base_url}/{}", job.namespace_path)),
        source_repository_owner_identifier: Some(job.namespace_id),
        build_config_digest: job.config_sha,
        build_trigger: Some(job.pipeline_source),
        run_invocation_uri: Some(run),
        source_repository_visibility_at_signing: job.project_visibility,
        deployment_environment: job.environment,
        ref_protected: job.ref_protected,
        environment_protected: job.environment_protected,
        environment_action: job.environment_action,
        deployment_tier: job.deployment_tier,
        ..FulcioExtensions::default()
    };
    Ok(Identity { san: SubjectAlternativeName::Uri(name), extensions })
}

/// What GitLab says about a job. Servers of different age differ in the optional claims.
struct Job {
    project_path: String,
    project_id: String,
    namespace_path: String,
    namespace_id: String,
    /// With `refs/heads/` or `refs/tags/`, which the claim lacks.
    git_ref: String,
    sha: String,
    pipeline_source: String,
    id: String,
    /// `null` for definitions outside the project, and for forks.
    config: Option<String>,
    config_sha: Option<String>,
    runner_environment: Option<String>,
    project_visibility: Option<String>,
    environment: Option<String>,
    ref_protected: Option<String>,
    environment_protected: Option<String>,
    environment_action: Option<String>,
    deployment_tier: Option<String>,
}

impl Job {
    fn read(claims: &JobClaims<'_>) -> Result<Self, PrincipalError> {
        let job = Self {
            project_path: shaped(PROJECT, claims.text(PROJECT)?, is_project_path)?,
            project_id: claims.number("project_id")?,
            namespace_path: claims.text("namespace_path")?,
            namespace_id: claims.number("namespace_id")?,
            git_ref: git_ref(claims)?,
            sha: claims.commit("sha")?,
            pipeline_source: claims.text("pipeline_source")?,
            id: claims.number("job_id")?,
            config: claims.optional(CONFIG)?,
            config_sha: claims.optional("ci_config_sha")?,
            runner_environment: claims.optional("runner_environment")?,
            project_visibility: claims.optional("project_visibility")?,
            environment: claims.optional("environment")?,
            ref_protected: claims.flag("ref_protected")?,
            environment_protected: claims.flag("environment_protected")?,
            environment_action: claims.optional("environment_action")?,
            deployment_tier: claims.optional("deployment_tier")?,
        };
        let owner = job.project_path.rsplit_once('/').map(|(owner, _)| owner);
        if owner != Some(&job.namespace_path) {
            return Err(PrincipalError::Contradiction { claim: PROJECT, other: "namespace_path" });
        }
        if !job.is_of_the_project(claims)? {
            return Err(PrincipalError::Fork);
        }
        Ok(job)
    }

    /// Whether the ref is the project's. Pipelines for a fork's merge request, and the child pipelines
    /// that these start, run in the parent project, whose definition they name, with the name of the
    /// fork's branch as their ref: the fork's `main` would pass for the project's. From GitLab 18.4
    /// the token names both projects; before, only a tag or a protected branch is surely no fork's.
    fn is_of_the_project(&self, claims: &JobClaims<'_>) -> Result<bool, PrincipalError> {
        if let Some(running_in) = claims.optional("job_project_path")? {
            return Ok(running_in == self.project_path);
        }
        Ok(match self.pipeline_source.as_str() {
            "merge_request_event" | "external_pull_request_event" => false,
            "parent_pipeline" => {
                self.git_ref.starts_with("refs/tags/") || claims.0.is_true("ref_protected")
            }
            _ => true,
        })
    }

    /// `<project>//<file>@<ref>`: the claim without the server, which must be the configured one.
    fn definition(&self, base_url: &str) -> Result<Option<String>, PrincipalError> {
        let Some(config) = &self.config else { return Ok(None) };
        let wrong = PrincipalError::Contradiction { claim: CONFIG, other: PROJECT };
        let server = base_url.split_once("://").map_or(base_url, |(_, server)| server);
        let file_and_ref = config
            .strip_prefix(server)
            .and_then(|rest| rest.strip_prefix('/')?.strip_prefix(&self.project_path))
            .and_then(|rest| rest.strip_prefix("//"));
        let (file, git_ref) =
            file_and_ref.and_then(|rest| rest.split_once("@refs/")).ok_or(wrong)?;
        let leads_down = |segment: &str| !matches!(segment, "" | "." | "..");
        if !file.split('/').all(leads_down) || !is_ref_name(git_ref) {
            return Err(PrincipalError::Shape(CONFIG));
        }
        Ok(Some(format!("{}//{file}@refs/{git_ref}", self.project_path)))
    }
}

/// GitLab tells a branch from a tag in a claim of its own.
fn git_ref(claims: &JobClaims<'_>) -> Result<String, PrincipalError> {
    let name = shaped(REF, claims.text(REF)?, is_ref_name)?;
    match claims.text("ref_type")?.as_str() {
        "branch" => Ok(format!("refs/heads/{name}")),
        "tag" => Ok(format!("refs/tags/{name}")),
        _ => Err(PrincipalError::Shape("ref_type")),
    }
}

/// `group/.../project`: groups nest, a project alone is none.
fn is_project_path(path: &str) -> bool {
    path.contains('/') && path.split('/').all(is_slug)
}
