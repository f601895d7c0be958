use serde_json::json;

use super::*;
use crate::CircleciOrganizations;

const ORGANIZATION: &str = "c1ec1111-2b3c-4d5e-8f60-718293a4b5c6";
const PROJECT: &str = "5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22";

fn organizations() -> CircleciOrganizations {
    CircleciOrganizations::new(vec![ORGANIZATION.to_owned()])
}

pub(super) fn kind() -> IssuerKind {
    IssuerKind::CircleciJob(organizations())
}

pub(super) fn claims() -> Value {
    json!({
        "sub": format!("org/{ORGANIZATION}/project/{PROJECT}/user/u/vcs-origin/o/vcs-ref/r"),
        "oidc.circleci.com/context-ids": ["0b8a2a3e-5d5e-4f86-9c5e-3f1f8f0f7a11"],
        "oidc.circleci.com/job-id": "0b1c2d3e-4f50-4617-8829-3a4b5c6d7e8f",
        "oidc.circleci.com/org-id": ORGANIZATION,
        "oidc.circleci.com/pipeline-definition-id": "1c2d3e4f-5061-4728-893a-4b5c6d7e8f90",
        "oidc.circleci.com/pipeline-id": "2d3e4f50-6172-4839-8a4b-5c6d7e8f90a1",
        "oidc.circleci.com/project-id": PROJECT, "oidc.circleci.com/ssh-rerun": false,
        "oidc.circleci.com/vcs-origin": "github.com/acme/widgets",
        "oidc.circleci.com/vcs-ref": "refs/heads/main",
        "oidc.circleci.com/workflow-id": "3e4f5061-7283-494a-8b5c-6d7e8f90a1b2"
    })
}

#[test]
fn maps_the_pipelines_definition_and_the_job() {
    let principal = map(kind(), &claims()).unwrap();
    let name = format!(
        "https://circleci.com/api/v2/projects/{PROJECT}/pipeline-definitions/1c2d3e4f-5061-4728-893a-4b5c6d7e8f90"
    );
    assert_eq!(principal.san, SubjectAlternativeName::Uri(name.clone()));
    let text = |value: &str| Some(value.to_owned());
    let config = "https://circleci.com/api/v2/pipeline/2d3e4f50-6172-4839-8a4b-5c6d7e8f90a1/config";
    let run = "https://app.circleci.com/workflow/3e4f5061-7283-494a-8b5c-6d7e8f90a1b2/job/0b1c2d3e-4f50-4617-8829-3a4b5c6d7e8f";
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: text(ISSUER),
            build_signer_uri: Some(name),
            source_repository_uri: text("https://github.com/acme/widgets"),
            source_repository_ref: text("refs/heads/main"),
            build_config_uri: text(config),
            run_invocation_uri: text(run),
            token_subject: Some(claims()["sub"].as_str().unwrap().to_owned()),
            ..FulcioExtensions::default()
        }
    );
}

#[test]
fn refuses_jobs_that_somebody_may_have_logged_in_to() {
    const CLAIM: &str = "oidc.circleci.com/ssh-rerun";
    for value in [json!(true), json!("true"), json!("True"), json!(1), json!("yes"), json!([])] {
        let refused = map(kind(), &with(claims(), CLAIM, value.clone())).unwrap_err();
        assert_eq!(refused, PrincipalError::SshRerun, "{value}");
    }
    for value in [json!(false), json!("false"), json!(null)] {
        let extensions = map(kind(), &with(claims(), CLAIM, value)).unwrap().extensions;
        assert_eq!(extensions.runner_environment, None);
    }
    let mut allowing = organizations();
    allowing.allow_ssh_rerun = true;
    let allowed = map(IssuerKind::CircleciJob(allowing), &with(claims(), CLAIM, json!(true)));
    assert_eq!(allowed.unwrap().extensions.runner_environment.as_deref(), Some("ssh-rerun"));
}

#[test]
fn refuses_every_organisation_that_is_not_listed() {
    let other = "ffffffff-2b3c-4d5e-8f60-718293a4b5c6";
    let subject = format!("org/{other}/project/{PROJECT}/user/u");
    let claims = with(claims(), "sub", json!(subject));
    let refused = map(kind(), &claims).unwrap_err();
    let contradiction =
        PrincipalError::Contradiction { claim: "sub", other: "oidc.circleci.com/org-id" };
    assert_eq!(refused, contradiction);
    for org_id in [json!(other), json!(null)] {
        let refused = map(kind(), &with(claims.clone(), "oidc.circleci.com/org-id", org_id));
        assert_eq!(refused.unwrap_err(), PrincipalError::Owner("sub"));
    }
}

#[test]
fn refuses_subjects_of_another_form_or_project() {
    for subject in [
        format!("project/{PROJECT}/org/{ORGANIZATION}"),
        format!("org//org/{ORGANIZATION}/project/{PROJECT}"),
        format!("org/{ORGANIZATION}"),
        format!("ORG/{ORGANIZATION}/project/{PROJECT}"),
        "admin@acme.example".to_owned(),
    ] {
        let refused = map(kind(), &with(claims(), "sub", json!(subject))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape("sub"), "{subject}");
    }
    let other = with(claims(), "oidc.circleci.com/project-id", json!(ORGANIZATION));
    let expected =
        PrincipalError::Contradiction { claim: "sub", other: "oidc.circleci.com/project-id" };
    assert_eq!(map(kind(), &other).unwrap_err(), expected);
}

#[test]
fn refuses_origins_on_hosts_that_are_not_listed_and_odd_refs() {
    for origin in ["evil.example/acme/widgets", "github.com.evil.example/a/b", "a@github.com/a/b"] {
        let refused = map(kind(), &with(claims(), "oidc.circleci.com/vcs-origin", json!(origin)));
        let expected = PrincipalError::SourceHost("oidc.circleci.com/vcs-origin");
        assert_eq!(refused.unwrap_err(), expected, "{origin}");
    }
    for git_ref in ["main", "refs/heads/../../x", "refs/heads/x@refs/heads/main"] {
        let refused = map(kind(), &with(claims(), "oidc.circleci.com/vcs-ref", json!(git_ref)));
        let expected = PrincipalError::Shape("oidc.circleci.com/vcs-ref");
        assert_eq!(refused.unwrap_err(), expected, "{git_ref}");
    }
}

#[test]
fn a_forks_change_keeps_the_forks_name() {
    let claims =
        with(claims(), "oidc.circleci.com/vcs-origin", json!("github.com/mallory/widgets"));
    let claims = with(claims, "oidc.circleci.com/vcs-ref", json!("refs/heads/pull/7"));
    let extensions = map(kind(), &claims).unwrap().extensions;
    assert_eq!(extensions.source_repository_uri.unwrap(), "https://github.com/mallory/widgets");
    assert_eq!(extensions.source_repository_ref.unwrap(), "refs/heads/pull/7");
}

#[test]
fn projects_without_a_repository_name_none() {
    let claims = with(claims(), "oidc.circleci.com/vcs-origin", json!(null));
    let claims = with(claims, "oidc.circleci.com/vcs-ref", json!(""));
    let extensions = map(kind(), &claims).unwrap().extensions;
    assert_eq!((extensions.source_repository_uri, extensions.source_repository_ref), (None, None));
}
