//! What templates make of claims, and of hostile ones.

use serde_json::json;

use super::*;

const SHA: &str = "c291ea713801eb300054d353d279e7b02331f671";

fn kind(extra: &Value) -> IssuerKind {
    let mut template = json!({
        "subject_alternative_name": "{$url}/{repository | path}/jobs/{job}@{ref | path}",
        "source_repository_ref": "{ref?}",
        "source_repository_digest": "{sha?}",
        "runner_environment": "{runner?}",
        "source_repository_identifier": "{repository_id?}",
        "source_repository_uri": "{origin?}",
        "github_workflow_name": "{workflow?}",
        "run_invocation_uri": "{$url}/{repository | path}/runs/{run_id | default \"0\"}",
        "build_trigger": "{deep.trigger.kind?}",
        "values": {"url": "https://issuer.example"}
    });
    template.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    template["subject_alternative_name"] = extra
        .get("subject_alternative_name")
        .cloned()
        .unwrap_or("{$url}/{repository | path}/jobs/{job}".into());
    let settings = json!({"url": ISSUER, "type": "ci-provider", "audiences": ["sigstore"],
        "source_hosts": ["git.example"], "template": template});
    let issuer: IssuerConfig = serde_json::from_value(settings).unwrap();
    issuer.kind().clone()
}

fn claims() -> Value {
    json!({"sub": "x", "repository": "acme/app", "job": "build", "ref": "refs/heads/main",
        "sha": SHA, "workflow": "Build & <Test> 'x' \"y\" + z", "repository_id": 9_007_199_254_740_993_u64,
        "deep": {"trigger": {"kind": true}}, "run_id": "7"})
}

fn mapped(claims: &Value) -> Result<Principal, PrincipalError> {
    map(kind(&json!({})), claims)
}

#[test]
fn claims_keep_their_types_and_their_bytes() {
    let principal = mapped(&claims()).unwrap();
    assert_eq!(principal.san.as_str(), "https://issuer.example/acme/app/jobs/build");
    let of = |value: Option<String>| value.unwrap();
    let extensions = principal.extensions;
    // fulcio#2023: HTML escapes; fulcio#2406: 9.007199254740992e+15.
    assert_eq!(of(extensions.github_workflow_name), "Build & <Test> 'x' \"y\" + z");
    assert_eq!(of(extensions.source_repository_identifier), "9007199254740993");
    assert_eq!(of(extensions.build_trigger), "true");
    assert_eq!(of(extensions.run_invocation_uri), "https://issuer.example/acme/app/runs/7");
}

#[test]
fn null_is_missing_and_never_text() {
    let mut claims = claims();
    for name in ["ref", "sha", "repository_id", "workflow"] {
        claims[name] = Value::Null;
    }
    claims["deep"] = json!({"trigger": null});
    claims["run_id"] = json!("");
    let extensions = mapped(&claims).unwrap().extensions;
    assert_eq!(extensions.source_repository_ref, None);
    assert_eq!(extensions.build_trigger, None);
    assert_eq!(
        extensions.run_invocation_uri.as_deref(),
        Some("https://issuer.example/acme/app/runs/0")
    );
    let refused = mapped(&with(claims, "job", Value::Null)).unwrap_err();
    let missing = PrincipalError::TemplateMissing("job".to_owned(), "subject_alternative_name");
    assert_eq!(refused, missing);
}

#[test]
fn a_claim_is_text_and_no_template() {
    let claims = with(claims(), "workflow", json!("{job} {{.sub}} ${JOB} {$url}"));
    let extensions = mapped(&claims).unwrap().extensions;
    assert_eq!(extensions.github_workflow_name.as_deref(), Some("{job} {{.sub}} ${JOB} {$url}"));
}

#[test]
fn every_result_is_held_to_what_the_presets_check() {
    for (name, value) in [
        ("job", json!("a/b")),
        ("job", json!("..")),
        ("job", json!("%2e%2e")),
        ("job", json!("a%2fb")),
        ("job", json!("a?b")),
        ("job", json!("a#b")),
        ("job", json!("a\\b")),
        ("job", json!("a\nb")),
        ("job", json!("a\u{202e}b")),
        ("job", json!("100%")),
        ("job", json!("x".repeat(2000))),
        ("job", json!(["a"])),
        ("job", json!({"a": 1})),
        ("job", json!(1.5)),
        ("repository", json!("acme/app/../../evil/app")),
        ("repository", json!("/acme/app")),
        ("repository", json!("acme/app/")),
        ("repository", json!("a///b")),
        ("ref", json!("main")),
        ("ref", json!("refs/heads/x@refs/heads/main")),
        ("sha", json!("HEAD")),
        ("runner", json!("github-hosted")),
        ("origin", json!("https://evil.example/acme/app")),
        ("origin", json!("https://git.example@evil.example/acme")),
        ("origin", json!("https://git.example:8443/acme")),
        ("origin", json!("http://git.example/acme")),
        ("origin", json!("HTTPS://git.example/acme")),
        ("origin", json!("//git.example/acme")),
        ("origin", json!("https://git.example/../x")),
        ("origin", json!("javascript:alert(1)")),
        ("deep", json!("flat")),
    ] {
        let refused = mapped(&with(claims(), name, value.clone()));
        assert!(refused.is_err(), "{name} = {value}: {refused:?}");
    }
    for (name, value) in [
        ("origin", json!("https://git.example/acme/app")),
        ("origin", json!("https://issuer.example/acme/app")),
        ("runner", json!("self-hosted")),
        ("runner", json!("linux-pool")),
        ("job", json!("größe 1")),
    ] {
        assert!(mapped(&with(claims(), name, value.clone())).is_ok(), "{name} = {value}");
    }
}

#[test]
fn a_branch_cannot_end_a_name_early() {
    let kind = kind(&json!({"subject_alternative_name": "{$url}/{workflow_ref | path}"}));
    let of = |text: &str| map(kind.clone(), &with(claims(), "workflow_ref", json!(text)));
    assert!(of("acme/app/.forgejo/workflows/ci.yml@refs/heads/a@b").is_ok());
    for text in [
        "acme/app/ci.yml@refs/heads/x@refs/heads/main",
        "acme/app/ci.yml@refs/heads/",
        "acme/app/ci.yml@refs/heads/a..b",
        "acme/app/ci.yml@refs/",
    ] {
        assert!(of(text).is_err(), "{text}");
    }
}

#[test]
fn the_name_is_on_the_server_that_the_issuer_speaks_for() {
    let of = |name: &str, claim: &str| {
        let kind = kind(&json!({"subject_alternative_name": name}));
        map(kind, &with(claims(), "url", json!(claim))).is_ok()
    };
    assert!(of("{url}/x", ISSUER));
    assert!(of("https://{url | path}", "issuer.example/x"));
    for (name, claim) in [
        ("{url}/x", "https://evil.example"),
        ("https://{url | path}", "evil.example/x"),
        ("https://issuer.example{url}", ".evil.example"),
        ("https://issuer.example{url | path}", ".evil.example/x"),
        ("https://evil.example/{url}", "x"),
        ("{url}", ISSUER),
        ("{url}", "https://issuer.example/"),
    ] {
        assert!(!of(name, claim), "{name} {claim}");
    }
    // A source host is for repositories, and not for the name.
    assert!(!of("{url}/x", "https://git.example"));
}

/// `https://issuer.example/acme` and `app` is not `https://issuer.example` and `acme/app`.
#[test]
fn a_url_of_a_claim_brings_no_path_of_its_own_before_other_claims() {
    let of = |url: &str, repository: &str| {
        let kind = kind(&json!({"subject_alternative_name": "{url}/{repository | path}"}));
        map(kind, &with(with(claims(), "url", json!(url)), "repository", json!(repository)))
    };
    assert!(of("https://issuer.example", "acme/app").is_ok());
    assert!(of("https://issuer.example/acme", "app").is_err());
}

#[test]
fn leave_is_given_by_name() {
    let hosted = kind(&json!({"hosted_runners": ["acme-hosted"]}));
    assert!(map(hosted.clone(), &with(claims(), "runner", json!("acme-hosted"))).is_ok());
    assert!(map(hosted, &with(claims(), "runner", json!("github-hosted"))).is_err());
    let unshaped =
        kind(&json!({"unshaped": ["source_repository_ref", "source_repository_digest"]}));
    let short = with(with(claims(), "ref", json!("main")), "sha", json!("r1234"));
    assert!(map(unshaped.clone(), &short).is_ok());
    let odd = with(short, "ref", json!("x@refs/heads/main"));
    assert!(map(unshaped, &odd).is_err());
}

proptest! {
    #[test]
    fn no_claim_moves_the_name_to_another_job(job in ".{0,40}") {
        if let Ok(principal) = mapped(&with(claims(), "job", json!(job))) {
            let name = principal.san.as_str();
            let rest = name.strip_prefix("https://issuer.example/acme/app/jobs/").unwrap();
            prop_assert!(!rest.is_empty() && !rest.contains(['/', '?', '#', '\\']));
        }
    }
}
