use serde_json::json;

use super::*;
use crate::AzureOrganization;

const ORGANIZATION: &str = "0ca3ddd9-f0b0-4635-a98c-5866526961b6";
const SHA: &str = "c291ea713801eb300054d353d279e7b02331f671";

fn organization() -> AzureOrganization {
    AzureOrganization::new(ORGANIZATION)
}

pub(super) fn kind() -> IssuerKind {
    IssuerKind::AzurePipeline(organization())
}

pub(super) fn claims() -> Value {
    json!({
        "jti": "90b75b0a-61b6-4b71-ba6f-11107d95f4c5", "sub": "p://contoso/My Project/release",
        "org_id": ORGANIZATION, "prj_id": "271ef6f7-5998-4b0f-86fb-4b54d9129990", "def_id": "12",
        "rpo_id": "4d1e0f6a-7b8c-4d9e-8f0a-1b2c3d4e5f60",
        "rpo_uri": "https://contoso@dev.azure.com/contoso/My%20Project/_git/app",
        "rpo_ver": SHA, "rpo_ref": "refs/heads/main", "run_id": "345"
    })
}

#[test]
fn maps_names_and_ids_of_the_pipeline_and_its_source() {
    let principal = map(kind(), &claims()).unwrap();
    let name = "https://dev.azure.com/contoso/My%20Project/_build?definitionId=12";
    assert_eq!(principal.san, SubjectAlternativeName::Uri(name.to_owned()));
    let text = |value: &str| Some(value.to_owned());
    let run = "https://dev.azure.com/contoso/My%20Project/_build/results?buildId=345";
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: text(ISSUER),
            build_signer_uri: text(name),
            source_repository_uri: text("https://dev.azure.com/contoso/My%20Project/_git/app"),
            source_repository_digest: text(SHA),
            source_repository_ref: text("refs/heads/main"),
            source_repository_identifier: text("4d1e0f6a-7b8c-4d9e-8f0a-1b2c3d4e5f60"),
            source_repository_owner_uri: text("https://dev.azure.com/contoso"),
            source_repository_owner_identifier: text(ORGANIZATION),
            build_config_uri: text(name),
            run_invocation_uri: text(run),
            token_subject: text("p://contoso/My Project/release"),
            ..FulcioExtensions::default()
        }
    );
}

#[test]
fn says_of_the_runner_only_what_the_operator_said() {
    let mut told = organization();
    told.runner_environment = Some("azure-hosted".to_owned());
    let principal = map(IssuerKind::AzurePipeline(told), &claims()).unwrap();
    assert_eq!(principal.extensions.runner_environment.as_deref(), Some("azure-hosted"));
}

#[test]
fn refuses_service_connections_unless_allowed() {
    let claims = with(claims(), "sub", json!("sc://contoso/My Project/connection"));
    assert_eq!(map(kind(), &claims).unwrap_err(), PrincipalError::ServiceConnection);
    let mut allowing = organization();
    allowing.allow_service_connections = true;
    let principal = map(IssuerKind::AzurePipeline(allowing), &claims).unwrap();
    assert_eq!(principal.challenges, ["sc://contoso/My Project/connection"]);
}

#[test]
fn refuses_every_other_organisation_whatever_it_is_called() {
    let other = "ffffffff-f0b0-4635-a98c-5866526961b6";
    let refused = map(kind(), &with(claims(), "org_id", json!(other))).unwrap_err();
    assert_eq!(refused, PrincipalError::Owner("org_id"));
    for odd in ["", "contoso", "{0ca3ddd9-f0b0-4635-a98c-5866526961b6}", "*"] {
        assert!(map(kind(), &with(claims(), "org_id", json!(odd))).is_err(), "{odd}");
    }
    let upper = with(claims(), "org_id", json!(ORGANIZATION.to_uppercase()));
    assert!(map(kind(), &upper).is_ok(), "a GUID has no case");
}

#[test]
fn refuses_subjects_that_name_no_pipeline() {
    for subject in [
        "p://contoso/project",
        "p://contoso/project/",
        "p:///project/pipeline",
        "p://con.toso/project/pipeline",
        "p://contoso@evil/project/pipeline",
        "p://contoso/../pipeline",
        "p://contoso/_build/pipeline",
        "p://contoso/a%2fb/pipeline",
        "p://contoso/a%2e%2e/pipeline",
        "p://contoso/a?definitionId=1&x/pipeline",
        "p://contoso/a#b/pipeline",
        "P://contoso/project/pipeline",
        "https://contoso/project/pipeline",
        "admin@contoso.example",
    ] {
        let refused = map(kind(), &with(claims(), "sub", json!(subject))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape("sub"), "{subject}");
    }
    let long = format!("p://contoso/{}/pipeline", "a".repeat(65));
    let refused = map(kind(), &with(claims(), "sub", json!(long))).unwrap_err();
    assert_eq!(refused, PrincipalError::Shape("sub"));
}

#[test]
fn reads_repositories_in_the_forms_that_azure_writes() {
    for (uri, expected) in [
        ("https://dev.azure.com/contoso/app/_git/app", "contoso/app/_git/app"),
        ("https://contoso@dev.azure.com/contoso/_git/app", "contoso/_git/app"),
        ("https://contoso.visualstudio.com/app/_git/lib", "contoso/app/_git/lib"),
        ("https://contoso.visualstudio.com/DefaultCollection/app/_git/lib", "contoso/app/_git/lib"),
        ("https://dev.azure.com/Contoso/My App/_git/lib", "contoso/My%20App/_git/lib"),
    ] {
        let principal = map(kind(), &with(claims(), "rpo_uri", json!(uri))).unwrap();
        let source = principal.extensions.source_repository_uri.unwrap();
        assert_eq!(source, format!("https://dev.azure.com/{expected}"), "{uri}");
    }
}

#[test]
fn refuses_repositories_of_others() {
    for uri in [
        "https://dev.azure.com/evil/app/_git/app",
        "https://evil@dev.azure.com/contoso/app/_git/app",
        "https://contoso@evil.example/contoso/app/_git/app",
        "https://evil.visualstudio.com/contoso/_git/app",
        "http://dev.azure.com/contoso/app/_git/app",
        "https://github.com/contoso/app.git",
    ] {
        let refused = map(kind(), &with(claims(), "rpo_uri", json!(uri))).unwrap_err();
        assert_eq!(refused, PrincipalError::SourceHost("rpo_uri"), "{uri}");
    }
    for uri in [
        "https://dev.azure.com/contoso/../evil/app/_git/app",
        "https://dev.azure.com/contoso/app/_git/..",
        "https://dev.azure.com/contoso/app/_git/app?x",
        "https://dev.azure.com/contoso/app/_git/%2e%2e",
        "https://dev.azure.com/contoso/app/_build/app",
    ] {
        let refused = map(kind(), &with(claims(), "rpo_uri", json!(uri))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape("rpo_uri"), "{uri}");
    }
}

#[test]
fn builds_foreign_repositories_only_where_the_operator_says() {
    let mut building = organization();
    building.source_hosts = vec!["github.com".to_owned()];
    let claims = with(claims(), "rpo_uri", json!("https://github.com/acme/app.git"));
    let extensions =
        map(IssuerKind::AzurePipeline(building), &with(claims, "rpo_id", json!("acme/app")))
            .unwrap()
            .extensions;
    assert_eq!(extensions.source_repository_uri.unwrap(), "https://github.com/acme/app");
    assert_eq!(extensions.source_repository_owner_uri, None, "not Azure's to say");
    assert_eq!(extensions.source_repository_owner_identifier, None);
}

#[test]
fn refuses_refs_and_commits_of_other_source_controls() {
    for (claim, value) in [
        ("rpo_ref", "$/Project/Main"),
        ("rpo_ref", "main"),
        ("rpo_ref", "refs/heads/../../evil"),
        ("rpo_ver", "12345"),
        ("def_id", "12&x=1"),
        ("def_id", "-1"),
        ("run_id", "1/../2"),
    ] {
        let refused = map(kind(), &with(claims(), claim, json!(value))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape(claim), "{value}");
    }
}
