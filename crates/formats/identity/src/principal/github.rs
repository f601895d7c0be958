use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{JobClaims, check_text},
    uri,
};
use crate::{Claims, VerifiedClaims};

const JOB_WORKFLOW_REF: &str = "job_workflow_ref";

pub(super) fn identity(
    verified: &VerifiedClaims,
    base_url: &str,
) -> Result<Identity, PrincipalError> {
    let san = name(verified, base_url)?;
    Ok(Identity { san, extensions: extensions(verified, base_url)? })
}

/// The workflow file that runs the job: a reusable workflow where one is called.
fn name(
    verified: &VerifiedClaims,
    base_url: &str,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let workflow = verified.claims().required_text(JOB_WORKFLOW_REF)?;
    let path = uri::escape(JOB_WORKFLOW_REF, &workflow)?;
    Ok(SubjectAlternativeName::Uri(format!("{base_url}/{path}")))
}

/// Sixteen claims are mandatory, as in Fulcio. Extension values are the claims byte by byte: only
/// the name is percent-encoded. `sub` is customisable by organisations and says nothing here.
fn extensions(
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
        ref_protected: job.ref_protected,
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
    /// Not of older Enterprise Servers.
    ref_protected: Option<String>,
}

impl BuildClaims {
    fn read(claims: &Claims) -> Result<Self, PrincipalError> {
        let text = |name| JobClaims(claims).text(name);
        let job = Self {
            event_name: text("event_name")?,
            sha: text("sha")?,
            workflow: text("workflow")?,
            repository: text(REPOSITORY)?,
            git_ref: text("ref")?,
            job_workflow_ref: text(JOB_WORKFLOW_REF)?,
            job_workflow_sha: text("job_workflow_sha")?,
            runner_environment: text("runner_environment")?,
            repository_id: text("repository_id")?,
            repository_owner: text("repository_owner")?,
            repository_owner_id: text("repository_owner_id")?,
            repository_visibility: text("repository_visibility")?,
            workflow_ref: text(WORKFLOW_REF)?,
            workflow_sha: text("workflow_sha")?,
            run_id: text("run_id")?,
            run_attempt: text("run_attempt")?,
            environment: claims.text(ENVIRONMENT)?,
            ref_protected: JobClaims(claims).flag("ref_protected")?,
        };
        check_text(ENVIRONMENT, job.environment.as_deref().unwrap_or_default())?;
        job.check()
    }

    /// URIs are put together from these claims, and verifiers take them apart again: none may lead
    /// to another repository than the one it names first. Workflows of other repositories are
    /// sound (reusable and required ones), so the three need not name the same.
    fn check(self) -> Result<Self, PrincipalError> {
        let Owned { owner, rest } = owned(REPOSITORY, &self.repository)?;
        if rest.contains('/') {
            return Err(PrincipalError::Repository(REPOSITORY));
        }
        if owner != self.repository_owner {
            return Err(PrincipalError::RepositoryOwner);
        }
        owned(JOB_WORKFLOW_REF, &self.job_workflow_ref)?;
        owned(WORKFLOW_REF, &self.workflow_ref)?;
        uri::refuse_spellings(WORKFLOW_REF, &self.workflow_ref)?;
        Ok(self)
    }
}

const REPOSITORY: &str = "repository";
const WORKFLOW_REF: &str = "workflow_ref";
const ENVIRONMENT: &str = "environment";

/// `owner/name...`, split at the first slash.
struct Owned<'a> {
    owner: &'a str,
    rest: &'a str,
}

/// Splits `owner/name...` after the owner, when both are names that GitHub gives and nothing
/// after them goes back up, nor ends the name early: a branch `x@refs/heads/main` would.
fn owned<'a>(claim: &'static str, text: &'a str) -> Result<Owned<'a>, PrincipalError> {
    let wrong = PrincipalError::Repository(claim);
    let is_name =
        |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let goes_nowhere = |segment: &str| matches!(segment, "" | "." | "..");
    let Some((owner, rest)) = text.split_once('/') else { return Err(wrong) };
    let name = rest.split('/').next().unwrap_or_default();
    let has_two_refs = text.matches("@refs/").nth(1).is_some();
    if !is_name(owner) || !is_name(name) || text.split('/').any(goes_nowhere) || has_two_refs {
        return Err(wrong);
    }
    Ok(Owned { owner, rest })
}
