//! No two branches, files or accounts have one name by the spelling of a claim.

use serde_json::json;

use super::*;

/// Texts that were, or may be read as, the name of another: `freigäbe`, `a b`, `"`, `main`.
const ESCAPED: [&str; 4] = ["freig%C3%A4be", "a%20b", "%22", "m%61in"];

fn provider(name: &str) -> IssuerKind {
    let issuer: IssuerConfig = serde_json::from_value(json!({
        "type": "ci-provider", "url": ISSUER, "audiences": ["sigstore"],
        "template": {"subject_alternative_name": name}
    }))
    .unwrap();
    issuer.kind().clone()
}

/// A kind, claims of its jobs, and the claim that is `value` in place of `main`.
fn jobs() -> Vec<(IssuerKind, Value, &'static str)> {
    let elsewhere = with(gitlab::claims(), "ci_config_ref_uri", Value::Null);
    vec![
        (github(), github_claims(), "job_workflow_ref"),
        (github(), github_claims(), "workflow_ref"),
        (gitlab::public(), gitlab::claims(), "ci_config_ref_uri"),
        (gitlab::public(), elsewhere, "ref"),
        (
            provider("https://issuer.example/x@refs/heads/{branch}"),
            json!({"sub": "s", "branch": "main"}),
            "branch",
        ),
        (
            provider("https://issuer.example/{path | path}"),
            json!({"sub": "s", "path": "a/main/b"}),
            "path",
        ),
        (provider("{url}"), json!({"sub": "s", "url": "https://issuer.example/main"}), "url"),
    ]
}

#[test]
fn a_claim_with_an_escape_of_its_own_is_refused_where_names_are_escaped() {
    for (kind, claims, name) in jobs() {
        let text = claims[name].as_str().unwrap().replace("tags/v1", "heads/main");
        let of = |value: &str| {
            let text = text.replace("main", value);
            map(kind.clone(), &with(claims.clone(), name, json!(text)))
        };
        assert!(of("main").is_ok(), "{name}");
        for escaped in ESCAPED {
            let refused = of(escaped).unwrap_err();
            assert_eq!(refused, PrincipalError::TwoSpellings(name.to_owned()), "{escaped}");
            assert!(refused.to_string().contains(&format!("`{name}`")), "{refused}");
        }
        assert!(of("freig\u{e4}be").is_ok(), "{name}");
        // What parts URIs, and `%` itself, is another text escaped than plain.
        assert!(of("a%25C3").is_ok(), "{name}");
    }
}

#[test]
fn an_escaped_value_of_a_template_may_hold_any_escape() {
    let name = |job: &str| {
        let kind = provider("https://issuer.example/jobs/{job | path_escape}");
        map(kind, &json!({"sub": "s", "job": job})).unwrap().san.as_str().to_owned()
    };
    assert_eq!(name("\u{e4}"), "https://issuer.example/jobs/%C3%A4");
    assert_eq!(name("%C3%A4"), "https://issuer.example/jobs/%25C3%25A4");
}

#[test]
fn owners_whose_names_differ_in_a_letter_that_looks_alike_stay_apart() {
    let of = |owner: &str| {
        let kind = provider("https://issuer.example/{owner | lower}/app");
        map(kind, &json!({"sub": "s", "owner": owner}))
    };
    assert_eq!(of("AcmeK").unwrap().san.as_str(), "https://issuer.example/acmek/app");
    let refused = of("acme\u{212a}").unwrap_err();
    let expected = PrincipalError::TemplateClaim("owner".to_owned(), "subject_alternative_name");
    assert_eq!(refused, expected);
}

/// A derived reader takes the members' values in a list for the object.
#[test]
fn a_list_is_no_service_account() {
    let subject = "system:serviceaccount:ci:b";
    for claim in [
        json!(["ci", ["b"]]),
        json!(["ci", {"name": "b"}]),
        json!({"namespace": "ci", "serviceaccount": ["b"]}),
        json!({"namespace": ["ci"], "serviceaccount": {"name": "b"}}),
        json!({"namespace": "ci", "serviceaccount": {"name": ["b"]}}),
    ] {
        let claims = json!({"sub": subject, "kubernetes.io": claim});
        let refused = map(IssuerKind::Kubernetes { cluster: None }, &claims).unwrap_err();
        let wrong = PrincipalError::Claim(ClaimError::WrongType("kubernetes.io"));
        assert_eq!(refused, wrong, "{claims}");
    }
}
