use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{JobClaims, is_commit, shaped},
};
use crate::{BuildkiteOrganizations, VerifiedClaims, issuer::is_slug};

const SERVER: &str = "https://buildkite.com";
const ORGANIZATION: &str = "organization_slug";
const PIPELINE: &str = "pipeline_slug";

/// The pipeline. The branch is left out: who starts a build over the API or from a fork chooses
/// it. `sub` is customisable by the job and says nothing here.
pub(super) fn identity(
    verified: &VerifiedClaims,
    organizations: &BuildkiteOrganizations,
) -> Result<Identity, PrincipalError> {
    let claims = JobClaims(verified.claims());
    let organization = shaped(ORGANIZATION, claims.text(ORGANIZATION)?, is_slug)?;
    if !organizations.slugs.contains(&organization) {
        return Err(PrincipalError::Owner(ORGANIZATION));
    }
    if !organizations.ids.is_empty() {
        let id = claims.uuid("organization_id")?;
        if !organizations.ids.iter().any(|listed| listed.eq_ignore_ascii_case(&id)) {
            return Err(PrincipalError::Owner("organization_id"));
        }
    }
    let pipeline = shaped(PIPELINE, claims.text(PIPELINE)?, is_slug)?;
    let name = format!("{SERVER}/{organization}/{pipeline}");
    let (number, job) = (claims.number("build_number")?, claims.uuid("job_id")?);
    let extensions = FulcioExtensions {
        build_signer_uri: Some(name.clone()),
        runner_environment: claims.optional("runner_environment")?,
        source_repository_digest: commit(&claims)?,
        build_trigger: claims.optional("build_source")?,
        run_invocation_uri: Some(format!("{name}/builds/{number}#{job}")),
        ..FulcioExtensions::default()
    };
    Ok(Identity { san: SubjectAlternativeName::Uri(name), extensions })
}

/// A build that was asked for the newest commit says `HEAD`, which is none.
fn commit(claims: &JobClaims<'_>) -> Result<Option<String>, PrincipalError> {
    const CLAIM: &str = "build_commit";
    match claims.text(CLAIM)? {
        head if head == "HEAD" => Ok(None),
        commit => shaped(CLAIM, commit, is_commit).map(Some),
    }
}
