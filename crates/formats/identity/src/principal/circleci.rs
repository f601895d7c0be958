use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{JobClaims, repository_url},
};
use crate::{CircleciOrganizations, VerifiedClaims, issuer::is_uuid};

const API: &str = "https://circleci.com/api/v2";
const APP: &str = "https://app.circleci.com";
const SUBJECT: &str = "sub";
const ORGANIZATION: &str = "oidc.circleci.com/org-id";
const PROJECT: &str = "oidc.circleci.com/project-id";
const ORIGIN: &str = "oidc.circleci.com/vcs-origin";
const REF: &str = "oidc.circleci.com/vcs-ref";
const SSH_RERUN: &str = "oidc.circleci.com/ssh-rerun";

/// The pipeline's definition. The organisation is the one in the subject, which every token has.
pub(super) fn identity(
    verified: &VerifiedClaims,
    organizations: &CircleciOrganizations,
) -> Result<Identity, PrincipalError> {
    let claims = JobClaims(verified.claims());
    let rerun = in_reach_of_people(&claims)?;
    if rerun && !organizations.allow_ssh_rerun {
        return Err(PrincipalError::SshRerun);
    }
    let project = project(&claims, organizations)?;
    let definition = claims.uuid("oidc.circleci.com/pipeline-definition-id")?;
    let pipeline = claims.uuid("oidc.circleci.com/pipeline-id")?;
    let workflow = claims.uuid("oidc.circleci.com/workflow-id")?;
    let job = claims.uuid("oidc.circleci.com/job-id")?;
    let name = format!("{API}/projects/{project}/pipeline-definitions/{definition}");
    let source = claims.optional(ORIGIN)?;
    let source = source.map(|origin| repository_url(ORIGIN, &origin, &organizations.source_hosts));
    let git_ref = match claims.optional(REF)? {
        Some(_) => Some(claims.full_ref(REF)?),
        None => None,
    };
    let extensions = FulcioExtensions {
        build_signer_uri: Some(name.clone()),
        runner_environment: rerun.then(|| "ssh-rerun".to_owned()),
        source_repository_uri: source.transpose()?,
        source_repository_ref: git_ref,
        build_config_uri: Some(format!("{API}/pipeline/{pipeline}/config")),
        run_invocation_uri: Some(format!("{APP}/workflow/{workflow}/job/{job}")),
        ..FulcioExtensions::default()
    };
    Ok(Identity { san: SubjectAlternativeName::Uri(name), extensions })
}

/// The project, when it is one of a listed organisation: `org/<id>/project/<id>/...`.
fn project(
    claims: &JobClaims<'_>,
    organizations: &CircleciOrganizations,
) -> Result<String, PrincipalError> {
    let subject = claims.text(SUBJECT)?;
    let mut segments = subject.split('/');
    let (Some("org"), Some(organization), Some("project"), Some(project)) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err(PrincipalError::Shape(SUBJECT));
    };
    if !is_uuid(organization) {
        return Err(PrincipalError::Shape(SUBJECT));
    }
    if claims.optional(ORGANIZATION)?.is_some_and(|claimed| claimed != organization) {
        return Err(PrincipalError::Contradiction { claim: SUBJECT, other: ORGANIZATION });
    }
    if !organizations.ids.iter().any(|listed| listed.eq_ignore_ascii_case(organization)) {
        return Err(PrincipalError::Owner(SUBJECT));
    }
    let claimed = claims.uuid(PROJECT)?;
    if claimed != project {
        return Err(PrincipalError::Contradiction { claim: SUBJECT, other: PROJECT });
    }
    Ok(claimed)
}

/// Whether somebody may have logged in to the job: anything but a clear no is a yes.
fn in_reach_of_people(claims: &JobClaims<'_>) -> Result<bool, PrincipalError> {
    Ok(match claims.0.typed::<serde_json::Value>(SSH_RERUN)? {
        None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) => false,
        Some(other) => other != "false",
    })
}
