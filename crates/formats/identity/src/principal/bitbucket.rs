use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{JobClaims, is_ref_name, shaped},
};
use crate::{BitbucketWorkspace, VerifiedClaims, issuer::is_uuid};

const SERVER: &str = "https://bitbucket.org";
const SUBJECT: &str = "sub";
const REPOSITORY: &str = "repositoryUuid";
const WORKSPACE: &str = "workspaceUuid";
const ENVIRONMENT: &str = "deploymentEnvironmentUuid";
const BRANCH: &str = "branchName";

/// The repository by its UUID, which a new repository of the same name does not get. The braces
/// stay (escaped): without them the URL would be of a repository that is called like a UUID.
pub(super) fn identity(
    verified: &VerifiedClaims,
    workspace: &BitbucketWorkspace,
) -> Result<Identity, PrincipalError> {
    let claims = JobClaims(verified.claims());
    let owner = bare_uuid(WORKSPACE, &claims.text(WORKSPACE)?)?;
    if owner != workspace.id {
        return Err(PrincipalError::Owner(WORKSPACE));
    }
    let repository = claims.text(REPOSITORY)?;
    let id = bare_uuid(REPOSITORY, &repository)?;
    let subject = claims.text(SUBJECT)?;
    if !subject.strip_prefix(&repository).is_some_and(|rest| rest.starts_with(':')) {
        return Err(PrincipalError::Contradiction { claim: SUBJECT, other: REPOSITORY });
    }
    let owner = format!("{SERVER}/{}", workspace.slug);
    let name = format!("{owner}/%7B{id}%7D");
    let part = |claim| claims.text(claim).and_then(|text| bare_uuid(claim, &text));
    let (pipeline, step) = (part("pipelineUuid")?, part("stepUuid")?);
    let environment = claims.optional(ENVIRONMENT)?;
    let environment = environment.map(|text| bare_uuid(ENVIRONMENT, &text)).transpose()?;
    let branch = claims.optional(BRANCH)?;
    let branch = branch.map(|branch| shaped(BRANCH, branch, is_ref_name)).transpose()?;
    let extensions = FulcioExtensions {
        build_signer_uri: Some(name.clone()),
        source_repository_uri: Some(name.clone()),
        source_repository_ref: branch.map(|branch| format!("refs/heads/{branch}")),
        source_repository_identifier: Some(format!("{{{id}}}")),
        source_repository_owner_uri: Some(owner),
        source_repository_owner_identifier: Some(format!("{{{}}}", workspace.id)),
        run_invocation_uri: Some(format!(
            "{name}/pipelines/results/%7B{pipeline}%7D/steps/%7B{step}%7D"
        )),
        deployment_environment: environment.map(|id| format!("{{{id}}}")),
        ..FulcioExtensions::default()
    };
    Ok(Identity { san: SubjectAlternativeName::Uri(name), extensions })
}

/// `{uuid}` without its braces, in lower case.
fn bare_uuid(claim: &'static str, text: &str) -> Result<String, PrincipalError> {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    match bare {
        Some(bare) if is_uuid(bare) => Ok(bare.to_ascii_lowercase()),
        _ => Err(PrincipalError::Shape(claim)),
    }
}
