use serde_json::json;

use super::*;

const SHA: &str = "714a629c0b401fdce83e847fc9589983fc6f46bc";

fn kind(base_url: &str) -> IssuerKind {
    IssuerKind::GitlabPipeline { base_url: base_url.to_owned() }
}

pub(super) fn public() -> IssuerKind {
    kind(IssuerKind::GITLAB)
}

pub(super) fn claims() -> Value {
    json!({
        "sub": "project_path:my-group/sub/my-project:ref_type:branch:ref:main",
        "namespace_id": "72", "namespace_path": "my-group/sub", "project_id": "20",
        "project_path": "my-group/sub/my-project", "user_login": "sample-user",
        "user_email": "sample-user@example.com", "pipeline_id": "574", "pipeline_source": "push",
        "user_identities": [{"provider": "github", "extern_uid": "2435223452345"}],
        "groups_direct": ["mygroup/mysubgroup"], "job_id": "302", "ref": "main",
        "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "environment": null, "runner_id": 1, "runner_environment": "gitlab-hosted", "sha": SHA,
        "project_visibility": "private", "ci_config_sha": SHA,
        "ci_config_ref_uri":
            "gitlab.com/my-group/sub/my-project//.gitlab-ci.yml@refs/heads/main"
    })
}

#[test]
fn maps_every_extension_as_fulcio_does() {
    let principal = map(public(), &claims()).unwrap();
    let name = "https://gitlab.com/my-group/sub/my-project//.gitlab-ci.yml@refs/heads/main";
    assert_eq!(principal.san, SubjectAlternativeName::Uri(name.to_owned()));
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: text(ISSUER),
            build_signer_uri: text(name),
            build_signer_digest: text(SHA),
            runner_environment: text("gitlab-hosted"),
            source_repository_uri: text("https://gitlab.com/my-group/sub/my-project"),
            source_repository_digest: text(SHA),
            source_repository_ref: text("refs/heads/main"),
            source_repository_identifier: text("20"),
            source_repository_owner_uri: text("https://gitlab.com/my-group/sub"),
            source_repository_owner_identifier: text("72"),
            build_config_uri: text(name),
            build_config_digest: text(SHA),
            build_trigger: text("push"),
            run_invocation_uri: text("https://gitlab.com/my-group/sub/my-project/-/jobs/302"),
            source_repository_visibility_at_signing: text("private"),
            ref_protected: text("true"),
            token_subject: text("project_path:my-group/sub/my-project:ref_type:branch:ref:main"),
            ..FulcioExtensions::default()
        }
    );
}

#[test]
fn records_what_protects_the_ref_and_the_environment() {
    let mut claims = claims();
    for (name, value) in [
        ("environment", "production"),
        ("environment_protected", "false"),
        ("environment_action", "start"),
        ("deployment_tier", "production"),
    ] {
        claims = with(claims, name, json!(value));
    }
    let extensions = map(public(), &claims).unwrap().extensions;
    assert_eq!(extensions.ref_protected.as_deref(), Some("true"));
    assert_eq!(extensions.environment_protected.as_deref(), Some("false"));
    assert_eq!(extensions.environment_action.as_deref(), Some("start"));
    assert_eq!(extensions.deployment_tier.as_deref(), Some("production"));

    let silent =
        with(with(claims.clone(), "ref_protected", json!(null)), "deployment_tier", json!(null));
    let extensions = map(public(), &silent).unwrap().extensions;
    assert_eq!((extensions.ref_protected, extensions.deployment_tier), (None, None));

    for (name, value) in [("environment_protected", "protected"), ("deployment_tier", "a\u{202e}b")]
    {
        assert!(map(public(), &with(claims.clone(), name, json!(value))).is_err(), "{name}");
    }
}

/// fulcio#2445: the server of one's own, not gitlab.com.
#[test]
fn names_the_server_of_its_own() {
    let claims = with(
        claims(),
        "ci_config_ref_uri",
        json!("git.corp:8443/my-group/sub/my-project//ci/release.yml@refs/heads/main"),
    );
    let principal = map(kind("https://git.corp:8443"), &claims).unwrap();
    assert_eq!(
        principal.san.as_str(),
        "https://git.corp:8443/my-group/sub/my-project//ci/release.yml@refs/heads/main"
    );
    let source = principal.extensions.source_repository_uri.unwrap();
    assert_eq!(source, "https://git.corp:8443/my-group/sub/my-project");
}

/// fulcio#2189: the definition is outside of the project.
#[test]
fn names_the_project_when_its_definition_is_elsewhere() {
    let claims =
        with(with(claims(), "ci_config_ref_uri", json!(null)), "ci_config_sha", json!(null));
    let principal = map(public(), &claims).unwrap();
    let name = "https://gitlab.com/my-group/sub/my-project@refs/heads/main";
    assert_eq!(principal.san.as_str(), name);
    let extensions = principal.extensions;
    assert_eq!(extensions.build_signer_uri.as_deref(), Some(name));
    assert_eq!(extensions.build_config_uri, None);
    assert_eq!((extensions.build_signer_digest, extensions.build_config_digest), (None, None));
}

#[test]
fn refuses_merge_requests_of_forks_whose_branch_is_called_main() {
    let fork = with(claims(), "ci_config_ref_uri", json!(null));
    for source in ["merge_request_event", "external_pull_request_event"] {
        let refused = map(public(), &with(fork.clone(), "pipeline_source", json!(source)));
        assert_eq!(refused.unwrap_err(), PrincipalError::Fork);
    }
}

/// GitLab writes the definition's URI also for a fork's merge request: of the parent project, at the
/// name of the fork's branch. Nothing else in a token from before 18.4 tells whose branch it is.
#[test]
fn a_merge_request_is_the_projects_own_only_where_the_token_says_so() {
    for source in ["merge_request_event", "external_pull_request_event"] {
        let old = with(claims(), "pipeline_source", json!(source));
        assert_eq!(map(public(), &old).unwrap_err(), PrincipalError::Fork, "{source}");
        let running = |project: &str| with(old.clone(), "job_project_path", json!(project));
        assert!(map(public(), &running("my-group/sub/my-project")).is_ok(), "{source}");
        let of_a_fork = map(public(), &running("other/my-project"));
        assert_eq!(of_a_fork.unwrap_err(), PrincipalError::Fork, "{source}");
    }
}

/// A fork's merge request can start a child pipeline, whose source is no longer `merge_request_event`.
#[test]
fn a_child_pipeline_does_not_hide_the_merge_request_of_a_fork() {
    let child = with(claims(), "pipeline_source", json!("parent_pipeline"));
    let open = with(child.clone(), "ref_protected", json!("false"));
    for config in [json!(null), claims()["ci_config_ref_uri"].clone()] {
        let open = with(open.clone(), "ci_config_ref_uri", config.clone());
        assert_eq!(map(public(), &open).unwrap_err(), PrincipalError::Fork, "{config}");
    }
    assert!(map(public(), &child).is_ok(), "no merge request of a fork is protected");
    let tag = with(open.clone(), "ref_type", json!("tag"));
    assert!(map(public(), &tag).is_ok(), "no merge request is a tag");
    let own = with(open, "job_project_path", json!("my-group/sub/my-project"));
    assert!(map(public(), &own).is_ok());
}

#[test]
fn tells_branches_from_tags_and_from_anything_else() {
    let of = |kind: &str, name: &str| {
        let claims = with(with(claims(), "ref_type", json!(kind)), "ref", json!(name));
        map(public(), &claims).map(|principal| principal.extensions.source_repository_ref.unwrap())
    };
    assert_eq!(of("tag", "v1").unwrap(), "refs/tags/v1");
    assert_eq!(of("branch", "feature/x").unwrap(), "refs/heads/feature/x");
    assert_eq!(of("branch", "refs/tags/v1").unwrap(), "refs/heads/refs/tags/v1");
    assert_eq!(of("Branch", "main").unwrap_err(), PrincipalError::Shape("ref_type"));
    for name in ["../../evil", "a..b", "a b", "a\\b", "/a", "a/", "x@refs/heads/main", "a:b"] {
        assert_eq!(of("branch", name).unwrap_err(), PrincipalError::Shape("ref"), "{name}");
    }
    assert_eq!(of("branch", "main\nfoo").unwrap_err(), PrincipalError::ControlCharacter("ref"));
    assert_eq!(of("branch", "\u{202e}niam").unwrap_err(), PrincipalError::ControlCharacter("ref"));
    assert_eq!(of("branch", &"a".repeat(2000)).unwrap_err(), PrincipalError::TooLong("ref"));
}

#[test]
fn refuses_a_definition_of_another_project_server_or_ref() {
    for config in [
        "gitlab.com/other/project//.gitlab-ci.yml@refs/heads/main",
        "gitlab.com/my-group/sub/my-project2//.gitlab-ci.yml@refs/heads/main",
        "gitlab.com.evil.example/my-group/sub/my-project//.gitlab-ci.yml@refs/heads/main",
        "git@gitlab.com/my-group/sub/my-project//.gitlab-ci.yml@refs/heads/main",
        "gitlab.com/my-group/sub/my-project/.gitlab-ci.yml@refs/heads/main",
        "gitlab.com/my-group/sub/my-project//.gitlab-ci.yml",
        "https://gitlab.com/my-group/sub/my-project//.gitlab-ci.yml@refs/heads/main",
    ] {
        let refused = map(public(), &with(claims(), "ci_config_ref_uri", json!(config)));
        let expected =
            PrincipalError::Contradiction { claim: "ci_config_ref_uri", other: "project_path" };
        assert_eq!(refused.unwrap_err(), expected, "{config}");
    }
    for config in [
        "gitlab.com/my-group/sub/my-project//../x.yml@refs/heads/main",
        "gitlab.com/my-group/sub/my-project//@refs/heads/main",
        "gitlab.com/my-group/sub/my-project//a.yml@refs/heads/x@refs/heads/main",
    ] {
        let refused = map(public(), &with(claims(), "ci_config_ref_uri", json!(config)));
        assert_eq!(refused.unwrap_err(), PrincipalError::Shape("ci_config_ref_uri"), "{config}");
    }
}

#[test]
fn refuses_paths_that_no_project_has_and_foreign_namespaces() {
    for path in ["project", "a//b", "../b", "a/..", "a/b@c", "a/b c", "a/b%2fc", "a/ü", "/a/b"] {
        let refused = map(public(), &with(claims(), "project_path", json!(path))).unwrap_err();
        assert_eq!(refused, PrincipalError::Shape("project_path"), "{path}");
    }
    for namespace in ["my-group", "other", "my-group/sub/my-project"] {
        let refused = map(public(), &with(claims(), "namespace_path", json!(namespace)));
        let expected =
            PrincipalError::Contradiction { claim: "project_path", other: "namespace_path" };
        assert_eq!(refused.unwrap_err(), expected, "{namespace}");
    }
}
