use x509::{FulcioExtensions, SubjectAlternativeName};

use super::uri;
use crate::{Claims, PrincipalError, VerifiedClaims};

const JOB_WORKFLOW_REF: &str = "job_workflow_ref";

/// The workflow file that runs the job: a reusable workflow where one is called.
pub(super) fn name(
    verified: &VerifiedClaims,
    base_url: &str,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let workflow = verified.claims().required_text(JOB_WORKFLOW_REF)?;
    let path = uri::escape(&workflow).ok_or(PrincipalError::NotUriText(JOB_WORKFLOW_REF))?;
    Ok(SubjectAlternativeName::Uri(format!("{base_url}/{path}")))
}

/// Sixteen claims are mandatory, as in Fulcio. Extension values are the claims byte by byte: only
/// the name is percent-encoded. `sub` is customisable by organisations and says nothing here.
pub(super) fn extensions(
    verified: &VerifiedClaims,
    base_url: &str,
) -> Result<FulcioExtensions, PrincipalError> {
    let job = BuildClaims::read(verified.claims())?;
    let url = |path: &str| Some(format!("{base_url}/{path}"));
    let run =
        format!("{}/actions/runs/{}/attempts/{}", job.repository, job.run_id, job.run_attempt);
    Ok(FulcioExtensions {
        github_workflow_trigger: Some(job.event_name.clone()),
        github_workflow_sha: Some(job.sha.clone()),
        github_workflow_name: Some(job.workflow),
        github_workflow_repository: Some(job.repository.clone()),
        github_workflow_ref: Some(job.git_ref.clone()),
        build_signer_uri: url(&job.job_workflow_ref),
        build_signer_digest: Some(job.job_workflow_sha),
        runner_environment: Some(job.runner_environment),
        source_repository_uri: url(&job.repository),
        source_repository_digest: Some(job.sha),
        source_repository_ref: Some(job.git_ref),
        source_repository_identifier: Some(job.repository_id),
        source_repository_owner_uri: url(&job.repository_owner),
        source_repository_owner_identifier: Some(job.repository_owner_id),
        build_config_uri: url(&job.workflow_ref),
        build_config_digest: Some(job.workflow_sha),
        build_trigger: Some(job.event_name),
        run_invocation_uri: url(&run),
        source_repository_visibility_at_signing: Some(job.repository_visibility),
        deployment_environment: job.environment,
        ..FulcioExtensions::default()
    })
}

/// What GitHub says about a job, in the names of its claims.
struct BuildClaims {
    event_name: String,
    sha: String,
    workflow: String,
    repository: String,
    git_ref: String,
    job_workflow_ref: String,
    job_workflow_sha: String,
    runner_environment: String,
    repository_id: String,
    repository_owner: String,
    repository_owner_id: String,
    repository_visibility: String,
    workflow_ref: String,
    workflow_sha: String,
    run_id: String,
    run_attempt: String,
    /// Only of jobs with a deployment environment.
    environment: Option<String>,
}

impl BuildClaims {
    fn read(claims: &Claims) -> Result<Self, PrincipalError> {
        Ok(Self {
            event_name: claims.required_text("event_name")?,
            sha: claims.required_text("sha")?,
            workflow: claims.required_text("workflow")?,
            repository: claims.required_text("repository")?,
            git_ref: claims.required_text("ref")?,
            job_workflow_ref: claims.required_text(JOB_WORKFLOW_REF)?,
            job_workflow_sha: claims.required_text("job_workflow_sha")?,
            runner_environment: claims.required_text("runner_environment")?,
            repository_id: claims.required_text("repository_id")?,
            repository_owner: claims.required_text("repository_owner")?,
            repository_owner_id: claims.required_text("repository_owner_id")?,
            repository_visibility: claims.required_text("repository_visibility")?,
            workflow_ref: claims.required_text("workflow_ref")?,
            workflow_sha: claims.required_text("workflow_sha")?,
            run_id: claims.required_text("run_id")?,
            run_attempt: claims.required_text("run_attempt")?,
            environment: claims.text("environment")?,
        })
    }
}
