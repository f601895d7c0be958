use serde_json::json;

use super::*;
use crate::BuildkiteOrganizations;

const SHA: &str = "9f3182061f1e2cca4702c368cbc039b7dc9d4485";
const ID: &str = "0184990a-4782-42b5-afc1-16715b10b8ff";

fn of(slugs: &[&str], ids: &[&str]) -> IssuerKind {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    IssuerKind::BuildkiteJob(BuildkiteOrganizations { slugs: owned(slugs), ids: owned(ids) })
}

pub(super) fn kind() -> IssuerKind {
    of(&["acme-inc"], &[])
}

pub(super) fn claims() -> Value {
    json!({
        "sub": "organization:acme-inc:pipeline:app:ref:refs/heads/main:commit:9f31:step:build",
        "organization_slug": "acme-inc", "pipeline_slug": "app", "build_number": 1,
        "build_branch": "main", "build_commit": SHA, "build_source": "webhook",
        "step_key": "build", "job_id": "0184990a-477b-4fa8-9968-496074483cee",
        "agent_id": ID, "runner_environment": "buildkite-hosted"
    })
}

#[test]
fn maps_the_pipeline_and_the_job() {
    let principal = map(kind(), &claims()).unwrap();
    let name = "https://buildkite.com/acme-inc/app";
    assert_eq!(principal.san, SubjectAlternativeName::Uri(name.to_owned()));
    let text = |value: &str| Some(value.to_owned());
    let run = "https://buildkite.com/acme-inc/app/builds/1#0184990a-477b-4fa8-9968-496074483cee";
    let subject = "organization:acme-inc:pipeline:app:ref:refs/heads/main:commit:9f31:step:build";
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: text(ISSUER),
            build_signer_uri: text(name),
            runner_environment: text("buildkite-hosted"),
            source_repository_digest: text(SHA),
            build_trigger: text("webhook"),
            run_invocation_uri: text(run),
            token_subject: text(subject),
            ..FulcioExtensions::default()
        }
    );
}

#[test]
fn refuses_every_organisation_that_is_not_listed() {
    for slug in ["acme", "acme-inc2", "Acme-Inc", "evil"] {
        let refused = map(kind(), &with(claims(), "organization_slug", json!(slug))).unwrap_err();
        assert_eq!(refused, PrincipalError::Owner("organization_slug"), "{slug}");
    }
    for odd in ["acme-inc/evil", "acme-inc?", "..", "a b"] {
        let refused = map(kind(), &with(claims(), "organization_slug", json!(odd))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape("organization_slug"), "{odd}");
        let refused = map(kind(), &with(claims(), "pipeline_slug", json!(odd))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape("pipeline_slug"), "{odd}");
    }
}

#[test]
fn a_slug_that_changed_hands_does_not_pass_where_ids_are_listed() {
    let strict = || of(&["acme-inc"], &[ID]);
    let missing = map(strict(), &claims()).unwrap_err();
    assert_eq!(missing, PrincipalError::Claim(ClaimError::Missing("organization_id")));
    let other = with(claims(), "organization_id", json!(ID.replace('0', "1")));
    assert_eq!(map(strict(), &other).unwrap_err(), PrincipalError::Owner("organization_id"));
    assert!(map(strict(), &with(claims(), "organization_id", json!(ID))).is_ok());
}

#[test]
fn says_no_commit_when_the_build_has_none_yet() {
    let principal = map(kind(), &with(claims(), "build_commit", json!("HEAD"))).unwrap();
    assert_eq!(principal.extensions.source_repository_digest, None);
    let refused = map(kind(), &with(claims(), "build_commit", json!("main"))).unwrap_err();
    assert_eq!(refused, PrincipalError::Shape("build_commit"));
}

#[test]
fn no_branch_name_reaches_a_ref() {
    for branch in ["main", "main\nfoo", "refs/heads/../../x", "evil:main"] {
        let principal = map(kind(), &with(claims(), "build_branch", json!(branch))).unwrap();
        assert_eq!(principal.extensions.source_repository_ref, None);
    }
}
