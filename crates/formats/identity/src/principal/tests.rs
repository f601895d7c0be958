mod azure;
mod bitbucket;
mod buildkite;
mod ci_provider;
mod circleci;
mod documented;
mod gitlab;
mod jenkins;
mod machines;
mod names;
mod owners;
mod people;
mod spellings;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moment::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{SubjectDomain, UnverifiedClaims};

const ISSUER: &str = "https://issuer.example";
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn map(kind: IssuerKind, claims: &Value) -> Result<Principal, PrincipalError> {
    map_from(ISSUER, kind, claims)
}

fn map_from(url: &str, kind: IssuerKind, claims: &Value) -> Result<Principal, PrincipalError> {
    let issuer = IssuerConfig::new(url, vec!["sigstore".to_owned()], kind).unwrap();
    let mut all = json!({"iss": url, "aud": "sigstore", "exp": NOW.0 + 60});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    verified(&all, &issuer).principal(&issuer)
}

fn verified(claims: &Value, issuer: &IssuerConfig) -> VerifiedClaims {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token =
        format!("{}.{}.{}", encode(r#"{"alg":"RS256"}"#), encode(&claims.to_string()), encode("s"));
    let unverified = UnverifiedClaims::parse(&token).unwrap();
    unverified.verify(issuer, NOW, |_, _| true).unwrap()
}

fn email() -> IssuerKind {
    IssuerKind::Email { skip_verification: false }
}

fn uri() -> IssuerKind {
    IssuerKind::Uri { subject_domain: SubjectDomain::parse(ISSUER).unwrap() }
}

fn email_or_uri() -> IssuerKind {
    IssuerKind::EmailOrUri { subject_domain: SubjectDomain::parse(ISSUER).unwrap() }
}

fn github() -> IssuerKind {
    IssuerKind::GithubWorkflow { base_url: IssuerKind::GITHUB.to_owned() }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims.as_object_mut().unwrap().insert(name.to_owned(), value);
    claims
}

fn github_claims() -> Value {
    json!({
        "sub": "repo:octo-org/octo-repo:environment:prod",
        "repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org",
        "repository_owner_id": "65", "repository_visibility": "private", "ref": "refs/heads/main",
        "ref_type": "branch", "sha": "0af3", "workflow": "Build & <Test> 'x' \"y\" + z",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/caller.yml@refs/heads/main",
        "workflow_sha": "1bf4", "job_workflow_sha": "2cf5",
        "job_workflow_ref": "octo-org/shared/.github/workflows/build.yml@refs/tags/v1",
        "event_name": "push", "run_id": "9007199254740993", "run_attempt": "2",
        "runner_environment": "github-hosted", "environment": "prod", "actor": "octocat"
    })
}

#[test]
fn email_keeps_the_address_as_given() {
    let claims = json!({"sub": "17", "email": "Some.One+x@Example.com", "email_verified": true});
    let principal = map(email(), &claims).unwrap();
    assert_eq!(principal.san, SubjectAlternativeName::Email("Some.One+x@Example.com".to_owned()));
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: Some(ISSUER.to_owned()),
            token_subject: Some("17".to_owned()),
            ..FulcioExtensions::default()
        }
    );
    assert_eq!(principal.challenges, ["Some.One+x@Example.com", "17"]);
}

#[test]
fn email_must_be_verified() {
    let claims = json!({"sub": "17", "email": "a@example.com"});
    for verified in [json!(null), json!(false), json!("false"), json!(1), json!("yes")] {
        let refused = map(email(), &with(claims.clone(), "email_verified", verified)).unwrap_err();
        assert_eq!(refused, PrincipalError::EmailNotVerified);
    }
    assert_eq!(map(email(), &claims).unwrap_err(), PrincipalError::EmailNotVerified);
    for verified in [json!("true"), json!("True")] {
        assert!(map(email(), &with(claims.clone(), "email_verified", verified)).is_ok());
    }
}

#[test]
fn email_verification_is_skipped_only_when_told() {
    let kind = IssuerKind::Email { skip_verification: true };
    let principal = map(kind, &json!({"sub": "17", "email": "a@example.com"})).unwrap();
    assert_eq!(principal.challenges, ["a@example.com", "17"]);
}

#[test]
fn email_must_be_there_and_be_one() {
    let verified = json!({"sub": "17", "email_verified": true});
    for missing in [verified.clone(), with(verified.clone(), "email", json!(null))] {
        let refused = map(email(), &missing).unwrap_err();
        assert_eq!(refused, PrincipalError::Claim(ClaimError::Missing("email")));
    }
    let refused = map(email(), &with(verified.clone(), "email", json!("a b@c"))).unwrap_err();
    assert_eq!(refused, PrincipalError::Email);
    let refused = map(email(), &with(verified, "email", json!(["a@b"]))).unwrap_err();
    assert_eq!(refused, PrincipalError::Claim(ClaimError::WrongType("email")));
}

#[test]
fn email_needs_no_subject() {
    let principal = map(email(), &json!({"email": "a@b", "email_verified": true})).unwrap();
    assert_eq!((principal.extensions.token_subject, principal.challenges.len()), (None, 1));
}

#[test]
fn uri_is_the_subject_below_its_domain() {
    let subject = format!("{ISSUER}/team/app&<x>").replace(['<', '>'], "");
    let principal = map(uri(), &json!({ "sub": subject })).unwrap();
    assert_eq!(principal.san, SubjectAlternativeName::Uri(subject.clone()));
    assert_eq!(principal.challenges, [subject]);
}

#[test]
fn uri_refuses_subjects_elsewhere() {
    for subject in [
        "https://issuer.example.evil.org/x",
        "https://evil-issuer.example/x",
        "https://issuer.example@evil.org/x",
        "http://issuer.example/x",
        "https://issuer.example/%",
        "a@issuer.example",
    ] {
        let refused = map(uri(), &json!({ "sub": subject })).unwrap_err();
        assert_eq!(refused, PrincipalError::SubjectDomain(ISSUER.to_owned()), "{subject}");
    }
    let refused = map(uri(), &json!({"sub": null})).unwrap_err();
    assert_eq!(refused, PrincipalError::Claim(ClaimError::Missing("sub")));
}

#[test]
fn uri_leads_nowhere_but_where_it_seems_to() {
    for path in [
        "/a/../b",
        "/a/./b",
        "/..",
        "/%2e%2e/b",
        "/a%2f..%2fb",
        "/a%5cb",
        "/a%0ab",
        "/%E2%80%AEb",
        "/%252e%252e/b",
    ] {
        let refused = map(uri(), &json!({"sub": format!("{ISSUER}{path}")})).unwrap_err();
        assert!(matches!(refused, PrincipalError::Name(_)), "{path}: {refused}");
    }
}

#[test]
fn challenges_hold_a_verified_address_of_any_kind_of_issuer() {
    let claims = json!({"sub": "https://issuer.example/x", "email": "a@b", "email_verified": true});
    assert_eq!(map(uri(), &claims).unwrap().challenges, ["a@b", "https://issuer.example/x"]);
    for (claim, value) in
        [("email_verified", json!(false)), ("email", json!("")), ("email", json!(5))]
    {
        let principal = map(uri(), &with(claims.clone(), claim, value)).unwrap();
        assert_eq!(principal.challenges, ["https://issuer.example/x"]);
    }
}

#[test]
fn email_or_uri_follows_the_token() {
    let uri_token = json!({"sub": "https://issuer.example/robot", "email": null});
    let email_token = json!({"sub": "17", "email": "a@b", "email_verified": true});
    let unverified = json!({"sub": "https://issuer.example/robot", "email": "a@b"});
    let name = |claims| map(email_or_uri(), claims).map(|principal| principal.san);
    assert!(matches!(name(&uri_token), Ok(SubjectAlternativeName::Uri(_))));
    assert!(matches!(name(&email_token), Ok(SubjectAlternativeName::Email(_))));
    assert_eq!(name(&unverified), Err(PrincipalError::EmailNotVerified));
}

#[test]
fn github_maps_every_extension_as_fulcio_does() {
    let principal = map(github(), &github_claims()).unwrap();
    let name = "https://github.com/octo-org/shared/.github/workflows/build.yml@refs/tags/v1";
    assert_eq!(principal.san, SubjectAlternativeName::Uri(name.to_owned()));
    let text = |value: &str| Some(value.to_owned());
    let caller =
        "https://github.com/octo-org/octo-repo/.github/workflows/caller.yml@refs/heads/main";
    let run = "https://github.com/octo-org/octo-repo/actions/runs/9007199254740993/attempts/2";
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: text(ISSUER),
            github_workflow_trigger: text("push"),
            github_workflow_sha: text("0af3"),
            github_workflow_name: text("Build & <Test> 'x' \"y\" + z"),
            github_workflow_repository: text("octo-org/octo-repo"),
            github_workflow_ref: text("refs/heads/main"),
            build_signer_uri: text(name),
            build_signer_digest: text("2cf5"),
            runner_environment: text("github-hosted"),
            source_repository_uri: text("https://github.com/octo-org/octo-repo"),
            source_repository_digest: text("0af3"),
            source_repository_ref: text("refs/heads/main"),
            source_repository_identifier: text("74"),
            source_repository_owner_uri: text("https://github.com/octo-org"),
            source_repository_owner_identifier: text("65"),
            build_config_uri: text(caller),
            build_config_digest: text("1bf4"),
            build_trigger: text("push"),
            run_invocation_uri: text(run),
            source_repository_visibility_at_signing: text("private"),
            deployment_environment: text("prod"),
            token_subject: text("repo:octo-org/octo-repo:environment:prod"),
            ..FulcioExtensions::default()
        }
    );
    assert_eq!(principal.challenges, ["repo:octo-org/octo-repo:environment:prod"]);
}

#[test]
fn github_records_whether_the_ref_is_protected() {
    let recorded = |value: Value| {
        let claims = with(github_claims(), "ref_protected", value);
        map(github(), &claims).map(|principal| principal.extensions.ref_protected)
    };
    for (value, text) in [
        (json!("true"), Some("true")),
        (json!("false"), Some("false")),
        (json!(true), Some("true")),
        (json!(false), Some("false")),
        // Not said is neither.
        (json!(null), None),
        (json!(""), None),
    ] {
        assert_eq!(recorded(value).unwrap().as_deref(), text);
    }
    assert_eq!(map(github(), &github_claims()).unwrap().extensions.ref_protected, None);
    for value in [json!("True"), json!("yes"), json!("true\n"), json!(1)] {
        assert!(recorded(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn github_needs_each_of_its_sixteen_claims() {
    const OPTIONAL: [&str; 3] = ["environment", "actor", "ref_type"];
    let claims = github_claims();
    let mandatory: Vec<&String> = claims
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| !OPTIONAL.contains(&name.as_str()))
        .collect();
    assert_eq!(mandatory.len(), 17, "sixteen and sub");
    for name in mandatory {
        for nothing in [json!(null), json!("")] {
            let refused = map(github(), &with(claims.clone(), name, nothing)).unwrap_err();
            assert!(matches!(refused, PrincipalError::Claim(ClaimError::Missing(_))), "{name}");
        }
    }
}

#[test]
fn github_omits_an_absent_environment() {
    for nothing in [json!(null), json!("")] {
        let principal = map(github(), &with(github_claims(), "environment", nothing)).unwrap();
        assert_eq!(principal.extensions.deployment_environment, None);
    }
}

#[test]
fn github_keeps_large_integers_exact() {
    let claims = with(github_claims(), "run_id", json!(9_007_199_254_740_993_u64));
    let run = map(github(), &claims).unwrap().extensions.run_invocation_uri.unwrap();
    assert!(run.ends_with("/actions/runs/9007199254740993/attempts/2"), "{run}");
}

#[test]
fn github_names_the_enterprise_server() {
    let kind = IssuerKind::GithubWorkflow { base_url: "https://ghes.corp".to_owned() };
    let principal = map(kind, &github_claims()).unwrap();
    assert!(principal.san.as_str().starts_with("https://ghes.corp/octo-org/shared/"));
    let extensions = principal.extensions;
    assert_eq!(extensions.source_repository_uri.unwrap(), "https://ghes.corp/octo-org/octo-repo");
}

#[test]
fn github_encodes_only_the_name() {
    let workflow = "o/r/.github/workflows/größe x.yml@refs/heads/a%2Fb";
    let claims = with(github_claims(), "job_workflow_ref", json!(workflow));
    let principal = map(github(), &claims).unwrap();
    let encoded =
        "https://github.com/o/r/.github/workflows/gr%C3%B6%C3%9Fe%20x.yml@refs/heads/a%2Fb";
    assert_eq!(principal.san.as_str(), encoded);
    let raw = format!("https://github.com/{workflow}");
    assert_eq!(principal.extensions.build_signer_uri, Some(raw));

    let claims = with(github_claims(), "job_workflow_ref", json!("o/r/100%"));
    let refused = map(github(), &claims).unwrap_err();
    assert_eq!(refused, PrincipalError::NotUriText("job_workflow_ref"));
}

#[test]
fn github_refuses_repositories_that_are_none_and_paths_that_lead_elsewhere() {
    for repository in [
        "acme",
        "/widgets",
        "acme/",
        "acme/widgets/x",
        "acme/../evil",
        "../evil/widgets",
        "acme/..",
        "acme/widgets@evil",
        "evil@acme/widgets",
        "acme/widgets?x",
        "acme/widgets#x",
        "acme/wid%67ets",
        "acme\\widgets",
        "acme/w idgets",
        "acme/wídgets",
        "https://github.com/acme/widgets",
    ] {
        let owner = repository.split('/').next().unwrap();
        let claims = with(github_claims(), "repository_owner", json!(owner));
        let refused = map(github(), &with(claims, "repository", json!(repository))).unwrap_err();
        let empty = PrincipalError::Claim(ClaimError::Missing("repository_owner"));
        assert!(refused == PrincipalError::Repository("repository") || refused == empty);
    }
    for claim in ["job_workflow_ref", "workflow_ref"] {
        for workflow in [
            "@evil.example/acme/widgets",
            "//evil.example/acme",
            "acme@evil/widgets/.github/workflows/w.yml@refs/heads/main",
            "acme/widgets/../../evil/repo/.github/workflows/w.yml@refs/heads/main",
            "acme//w.yml@refs/heads/main",
            "https://evil.example/acme/widgets/w.yml@refs/heads/main",
        ] {
            let refused = map(github(), &with(github_claims(), claim, json!(workflow)));
            assert_eq!(refused.unwrap_err(), PrincipalError::Repository(claim), "{workflow}");
        }
    }
}

#[test]
fn github_refuses_an_owner_who_is_not_the_repositorys() {
    let claims = with(github_claims(), "repository_owner", json!("evil"));
    assert_eq!(map(github(), &claims).unwrap_err(), PrincipalError::RepositoryOwner);
}

#[test]
fn no_claim_that_reaches_the_certificate_holds_control_characters() {
    const UNUSED: [&str; 2] = ["actor", "ref_type"];
    let claims = github_claims();
    for name in claims.as_object().unwrap().keys().filter(|name| !UNUSED.contains(&name.as_str())) {
        for control in ["\n", "\r", "\0", "\u{1b}[2J", "\u{85}"] {
            let value = format!("{}{control}", claims[name].as_str().unwrap());
            let refused = map(github(), &with(claims.clone(), name, json!(value))).unwrap_err();
            let expected = matches!(
                refused,
                PrincipalError::ControlCharacter(_) | PrincipalError::NotUriText(_)
            );
            assert!(expected, "{name}: {refused}");
        }
    }
    let claims = json!({"sub": "17\nroot", "email": "a@example.com", "email_verified": true});
    assert_eq!(map(email(), &claims).unwrap_err(), PrincipalError::ControlCharacter("sub"));
}

#[test]
fn kubernetes_names_the_service_account() {
    let claims = json!({
        "sub": "system:serviceaccount:team-a:builder",
        "kubernetes.io": {"namespace": "team-a", "pod": {"name": "p"},
            "serviceaccount": {"name": "builder", "uid": "u"}, "warnafter": 1}
    });
    let principal = map(IssuerKind::Kubernetes { cluster: None }, &claims).unwrap();
    let name = "https://kubernetes.io/namespaces/team-a/serviceaccounts/builder";
    assert_eq!(principal.san, SubjectAlternativeName::Uri(name.to_owned()));
    assert_eq!(principal.challenges, ["system:serviceaccount:team-a:builder"]);
}

#[test]
fn kubernetes_refuses_a_subject_that_is_another_account_than_the_nested_claims() {
    let kind = || IssuerKind::Kubernetes { cluster: None };
    let nested = json!({"namespace": "team-a", "serviceaccount": {"name": "builder"}});
    for subject in [
        "system:serviceaccount:team-a:deployer",
        "system:serviceaccount:kube-system:builder",
        "system:serviceaccount:team-a:builder:x",
        "system:serviceaccount:team-a:builder ",
        "System:serviceaccount:team-a:builder",
        "system:serviceaccount:team-a/builder",
        "system:node:team-a:builder",
        "team-a:builder",
        "builder",
    ] {
        let claims = json!({"sub": subject, "kubernetes.io": nested});
        let refused = map(kind(), &claims).unwrap_err();
        assert_eq!(
            refused,
            PrincipalError::Contradiction { claim: "sub", other: "kubernetes.io" },
            "{subject}"
        );
    }
    let refused = map(kind(), &json!({"kubernetes.io": nested})).unwrap_err();
    assert_eq!(refused, PrincipalError::Claim(ClaimError::Missing("sub")));
    // A colon in a name would let two accounts have one subject.
    let split = json!({"namespace": "a", "serviceaccount": {"name": "b:c"}});
    let claims = json!({"sub": "system:serviceaccount:a:b:c", "kubernetes.io": split});
    assert_eq!(map(kind(), &claims).unwrap_err(), PrincipalError::ServiceAccount);
}

#[test]
fn kubernetes_refuses_the_tokens_of_secrets_and_says_why() {
    let claims = json!({
        "sub": "system:serviceaccount:team-a:builder",
        "kubernetes.io/serviceaccount/namespace": "team-a",
        "kubernetes.io/serviceaccount/service-account.name": "builder",
        "kubernetes.io": {"namespace": "team-a", "serviceaccount": {"name": "builder"}}
    });
    let refused = map(IssuerKind::Kubernetes { cluster: None }, &claims).unwrap_err();
    assert_eq!(refused, PrincipalError::LegacyServiceAccount);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let payload = r#"{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:a:b"}"#;
    let token = [encode(r#"{"alg":"RS256"}"#), encode(payload), encode("s")].join(".");
    let refused = UnverifiedClaims::parse(&token).unwrap_err();
    assert_eq!(refused, crate::TokenError::LegacyServiceAccount);
    assert!(refused.to_string().contains("kubectl create token"), "{refused}");
}

#[test]
fn kubernetes_refuses_nameless_and_foreign_accounts() {
    for claim in [
        json!({}),
        json!({"namespace": "a"}),
        json!({"namespace": "a", "serviceaccount": null}),
        json!({"namespace": "a", "serviceaccount": {"name": ""}}),
        json!({"namespace": "", "serviceaccount": {"name": "b"}}),
        json!({"namespace": "a/serviceaccounts/x", "serviceaccount": {"name": "b"}}),
        json!({"namespace": "A", "serviceaccount": {"name": "b"}}),
        json!({"namespace": "..", "serviceaccount": {"name": "b"}}),
        json!({"namespace": "a.b", "serviceaccount": {"name": "b"}}),
        json!({"namespace": "a", "serviceaccount": {"name": ".."}}),
        json!({"namespace": "a", "serviceaccount": {"name": "b."}}),
        json!({"namespace": "-a", "serviceaccount": {"name": "b"}}),
        json!({"namespace": "a", "serviceaccount": {"name": "b%2F"}}),
        json!({"namespace": "a".repeat(64), "serviceaccount": {"name": "b"}}),
    ] {
        let claims = json!({"sub": "s", "kubernetes.io": claim});
        let refused = map(IssuerKind::Kubernetes { cluster: None }, &claims).unwrap_err();
        assert_eq!(refused, PrincipalError::ServiceAccount, "{claims}");
    }
    for claim in [json!("a"), json!({"namespace": 1}), json!([])] {
        let claims = json!({"sub": "s", "kubernetes.io": claim});
        assert!(map(IssuerKind::Kubernetes { cluster: None }, &claims).is_err(), "{claims}");
    }
}

proptest! {
    #[test]
    fn claims_reach_extensions_byte_exact(value in "[ -~äß日]{1,60}") {
        let claims = with(github_claims(), "workflow", json!(value));
        let extensions = map(github(), &claims).unwrap().extensions;
        prop_assert_eq!(extensions.github_workflow_name, Some(value));
    }
}
