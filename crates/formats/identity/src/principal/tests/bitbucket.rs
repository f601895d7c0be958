use serde_json::json;

use super::*;
use crate::BitbucketWorkspace;

const WORKSPACE: &str = "b17b0c4e-5d6f-4a7b-8c9d-0e1f2a3b4c5d";
const REPOSITORY: &str = "4f506172-8394-4a5b-8c6d-7e8f90a1b2c3";
const ENVIRONMENT: &str = "{50617283-94a5-4b6c-8d7e-8f90a1b2c3d4}";

pub(super) fn kind() -> IssuerKind {
    IssuerKind::BitbucketPipeline(BitbucketWorkspace {
        slug: "acme".to_owned(),
        id: WORKSPACE.to_owned(),
    })
}

pub(super) fn claims() -> Value {
    let step = "{61728394-a5b6-4c7d-8e8f-90a1b2c3d4e5}";
    json!({
        "sub": format!("{{{REPOSITORY}}}:{ENVIRONMENT}:{step}"),
        "branchName": "main", "deploymentEnvironmentUuid": ENVIRONMENT,
        "pipelineUuid": "{83940516-c7d8-4e9f-90a1-b2c3d4e5f607}",
        "repositoryUuid": format!("{{{REPOSITORY}}}"), "stepUuid": step,
        "workspaceUuid": format!("{{{WORKSPACE}}}")
    })
}

#[test]
fn maps_the_repository_by_its_uuid() {
    let principal = map(kind(), &claims()).unwrap();
    let name = format!("https://bitbucket.org/acme/%7B{REPOSITORY}%7D");
    assert_eq!(principal.san, SubjectAlternativeName::Uri(name.clone()));
    let run = format!(
        "{name}/pipelines/results/%7B83940516-c7d8-4e9f-90a1-b2c3d4e5f607%7D/steps/%7B61728394-a5b6-4c7d-8e8f-90a1b2c3d4e5%7D"
    );
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: Some(ISSUER.to_owned()),
            build_signer_uri: Some(name.clone()),
            source_repository_uri: Some(name),
            source_repository_ref: Some("refs/heads/main".to_owned()),
            source_repository_identifier: Some(format!("{{{REPOSITORY}}}")),
            source_repository_owner_uri: Some("https://bitbucket.org/acme".to_owned()),
            source_repository_owner_identifier: Some(format!("{{{WORKSPACE}}}")),
            run_invocation_uri: Some(run),
            deployment_environment: Some(ENVIRONMENT.to_owned()),
            token_subject: Some(claims()["sub"].as_str().unwrap().to_owned()),
            ..FulcioExtensions::default()
        }
    );
}

#[test]
fn the_name_is_the_same_in_every_run() {
    let other = "{00000000-a5b6-4c7d-8e8f-90a1b2c3d4e5}";
    let claims2 = with(claims(), "stepUuid", json!(other));
    let claims2 = with(claims2, "sub", json!(format!("{{{REPOSITORY}}}:{other}")));
    let name = |claims| map(kind(), claims).unwrap().san;
    assert_eq!(name(&claims()), name(&claims2));
}

#[test]
fn refuses_other_workspaces_and_repositories_of_others() {
    let other = format!("{{{}}}", WORKSPACE.replace('b', "c"));
    let refused = map(kind(), &with(claims(), "workspaceUuid", json!(other))).unwrap_err();
    assert_eq!(refused, PrincipalError::Owner("workspaceUuid"));
    let refused = map(kind(), &with(claims(), "repositoryUuid", json!(other))).unwrap_err();
    assert_eq!(refused, PrincipalError::Contradiction { claim: "sub", other: "repositoryUuid" });
}

#[test]
fn refuses_uuids_without_braces_and_what_is_none() {
    for claim in ["workspaceUuid", "repositoryUuid", "pipelineUuid", "stepUuid"] {
        for odd in [WORKSPACE, "{}", "{{b17b0c4e}}", "{../../evil}", "{b17b0c4e-5d6f}"] {
            let refused = map(kind(), &with(claims(), claim, json!(odd))).unwrap_err();
            assert_eq!(refused, PrincipalError::Shape(claim), "{odd}");
        }
    }
}

#[test]
fn builds_of_no_branch_have_no_ref_and_odd_branches_no_certificate() {
    let principal = map(kind(), &with(claims(), "branchName", json!(null))).unwrap();
    assert_eq!(principal.extensions.source_repository_ref, None);
    for branch in ["a..b", "a b", "x@refs/heads/main", "../x", "a\\b"] {
        let refused = map(kind(), &with(claims(), "branchName", json!(branch))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape("branchName"), "{branch}");
    }
}
