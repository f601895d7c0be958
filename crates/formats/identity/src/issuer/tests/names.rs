//! No two issuers vouch for one name.

use serde_json::{Value, json};

use super::from_json;
use crate::{IssuerConfig, IssuerConfigError, IssuerSet, name_conflicts};

fn issuer(kind: &str, url: &str, changes: &Value) -> IssuerConfig {
    let mut settings =
        json!({"type": kind, "url": url, "audiences": ["https://sign.acme.example"]});
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    from_json(settings).unwrap()
}

fn email(host: &str, domains: &[&str]) -> IssuerConfig {
    issuer("email", &format!("https://{host}"), &json!({ "domains": domains }))
}

fn conflict(one: &IssuerConfig, other: &IssuerConfig) -> Option<String> {
    let conflicts = name_conflicts(&[one.clone(), other.clone()]);
    let mirrored = name_conflicts(&[other.clone(), one.clone()]);
    assert_eq!(conflicts.len(), mirrored.len(), "order does not matter");
    conflicts.first().map(|conflict| conflict.error.to_string())
}

const GUID: &str = "0ca3ddd9-f0b0-4635-a98c-5866526961b6";
const OTHER: &str = "1ca3ddd9-f0b0-4635-a98c-5866526961b6";

#[test]
fn two_issuers_do_not_vouch_for_the_addresses_of_one_domain() {
    let keycloak = email("sso.acme.example", &["acme.example", "acme.test"]);
    let entra = email("login.example", &["ACME.example"]);
    let said = conflict(&keycloak, &entra).unwrap();
    for part in ["https://sso.acme.example", "https://login.example", "`domains`"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(said.contains("shares_names_with"), "{said}");
    assert_eq!(conflict(&keycloak, &email("login.example", &["example.org"])), None);
    assert!(
        conflict(&keycloak, &email("login.example", &["*.example.org", "acme.test"])).is_some()
    );
    let open = issuer("email", "https://open.example", &json!({"open_to_all": true}));
    assert!(conflict(&keycloak, &open).unwrap().contains("`domains`"));
    let set = IssuerSet::new(vec![keycloak, entra]).unwrap_err();
    assert!(matches!(set, IssuerConfigError::SharedNames { .. }), "{set}");
}

#[test]
fn the_operator_may_say_that_two_share_names() {
    let keycloak = email("sso.acme.example", &["acme.example"]);
    let shares = |url: &str| {
        let settings = json!({"domains": ["acme.example"], "shares_names_with": [url]});
        issuer("email", "https://login.example", &settings)
    };
    assert_eq!(conflict(&keycloak, &shares("https://sso.acme.example")), None);
    let said = name_conflicts(&[keycloak.clone(), shares("https://gone.example")]);
    assert_eq!(said.len(), 2, "the conflict, and a statement about nobody: {said:?}");
    assert!(matches!(said[1].error, IssuerConfigError::SharesWithNobody { .. }), "{said:?}");
}

fn check_cases(cases: Vec<(IssuerConfig, IssuerConfig, bool)>) {
    for (one, other, overlap) in cases {
        let found = conflict(&one, &other);
        assert_eq!(found.is_some(), overlap, "{one:?} {other:?}: {found:?}");
    }
}

#[test]
fn each_kind_of_issuer_has_names_of_its_own() {
    let kubernetes = |url: &str, cluster: Option<&str>| {
        let settings = cluster.map_or(json!({}), |cluster| json!({ "cluster": cluster }));
        issuer("kubernetes", url, &settings)
    };
    let azure = |id: &str| {
        issuer("azure-pipeline", &format!("https://vstoken.dev.azure.com/{id}"), &json!({}))
    };
    let circleci =
        |url: &str, ids: &[&str]| issuer("circleci-job", url, &json!({ "organization_ids": ids }));
    let buildkite = |url: &str, slugs: &[&str]| {
        issuer("buildkite-job", url, &json!({ "organizations": slugs }))
    };
    let github = |url: &str, base: &str| {
        let settings = json!({"base_url": base, "required_claims": {"repository_owner_id": 1}});
        issuer("github-workflow", url, &settings)
    };
    let cases = vec![
        (kubernetes("https://a.example", None), kubernetes("https://b.example", None), true),
        (kubernetes("https://a.example", None), kubernetes("https://b.example", Some("b")), false),
        (
            kubernetes("https://a.example", Some("b")),
            kubernetes("https://b.example", Some("b")),
            true,
        ),
        (
            kubernetes("https://a.example", Some("a")),
            kubernetes("https://b.example", Some("b")),
            false,
        ),
        (azure(GUID), azure(OTHER), false),
        (
            circleci("https://oidc.circleci.com", &[GUID, OTHER]),
            circleci(&format!("https://oidc.circleci.com/org/{GUID}"), &[GUID]),
            true,
        ),
        (
            circleci("https://oidc.circleci.com", &[OTHER]),
            circleci(&format!("https://oidc.circleci.com/org/{GUID}"), &[GUID]),
            false,
        ),
        (
            buildkite("https://agent.buildkite.com", &["acme", "b"]),
            buildkite("https://agent.example", &["Acme"]),
            true,
        ),
        (
            buildkite("https://agent.buildkite.com", &["acme"]),
            buildkite("https://agent.example", &["acme-2"]),
            false,
        ),
        (
            github("https://token.actions.githubusercontent.com", "https://github.com"),
            github("https://token.actions.githubusercontent.com/acme", "https://github.com"),
            true,
        ),
        (
            github("https://token.actions.githubusercontent.com", "https://github.com"),
            github("https://ghes.example/_services/token", "https://ghes.example"),
            false,
        ),
        (
            github("https://git.example/_services/token", "https://Git.example:443"),
            issuer("gitlab-pipeline", "https://git.example", &json!({})),
            true,
        ),
    ];
    check_cases(cases);
}

#[test]
fn names_below_a_configured_domain_or_url_are_compared_with_each_other() {
    let uri = |url: &str, domain: &str| issuer("uri", url, &json!({ "subject_domain": domain }));
    let machine = |url: &str, base: &str| {
        issuer("machine", url, &json!({"provider": "okta", "base_url": base}))
    };
    let jenkins = |url: &str| issuer("jenkins-job", url, &json!({}));
    let bitbucket = |url: &str, workspace: &str| {
        issuer("bitbucket-pipeline", url, &json!({"workspace": workspace, "workspace_id": GUID}))
    };
    let cases = vec![
        (
            uri("https://a.acme.example", "https://acme.example"),
            uri("https://b.acme.example", "https://acme.example"),
            true,
        ),
        (
            uri("https://a.acme.example", "https://a.acme.example"),
            uri("https://b.acme.example", "https://b.acme.example"),
            false,
        ),
        (
            uri("https://sso.acme.example/x", "https://sso.acme.example"),
            machine("https://sso.acme.example/y", "https://sso.acme.example/y"),
            true,
        ),
        (
            machine("https://a.example", "https://acme.example/robots"),
            machine("https://b.example", "https://acme.example/robots"),
            true,
        ),
        (
            machine("https://a.example", "https://acme.example/robots"),
            machine("https://b.example", "https://acme.example/robots-2"),
            false,
        ),
        (jenkins("https://ci.example/oidc"), jenkins("https://ci.example/oidc/job/folder"), true),
        (bitbucket("https://a.example", "acme"), bitbucket("https://b.example", "acme"), true),
        (bitbucket("https://a.example", "acme"), bitbucket("https://b.example", "b"), false),
        (
            email("a.example", &["acme.example"]),
            uri("https://b.acme.example", "https://acme.example"),
            false,
        ),
    ];
    check_cases(cases);
}

#[test]
fn one_realm_serves_people_and_machines_and_two_clusters_of_one_name_have_names_apart() {
    let url = "https://sso.acme.example/realms/acme";
    let people = issuer("email", url, &json!({"domains": ["acme.example"]}));
    let machines = issuer("machine", url, &json!({"provider": "keycloak"}));
    assert_eq!(conflict(&people, &machines), None);

    let cluster = |settings| issuer("kubernetes", "https://kubernetes.default.svc", &settings);
    let shares = |keys: &str| json!({"shares_names_with": ["https://kubernetes.default.svc"], "keys_file": keys});
    assert!(
        conflict(&cluster(shares("/a")), &cluster(shares("/b"))).is_some(),
        "nothing tells them apart"
    );
    let named = |name: &str| cluster(json!({"cluster": name, "keys_file": format!("/{name}")}));
    assert_eq!(conflict(&named("a"), &named("b")), None);
    assert_eq!(
        conflict(&cluster(json!({})), &cluster(json!({}))),
        None,
        "one cluster, two entries"
    );
}

#[test]
fn no_claim_makes_one_issuer_pass_for_another() {
    let dex = |host: &str, values: &[&str], domain: &str| {
        issuer(
            "email",
            &format!("https://{host}"),
            &json!({
                "domains": [domain], "issuer_claim": ["federated_claims", "connector_id"],
                "issuer_claim_values": values
            }),
        )
    };
    let hosted = json!({"domains": ["b.example"], "required_claims": {"hd": "b.example"}});
    let google = issuer("email", "https://accounts.google.com", &hosted);
    let plain = dex("dex.example", &["google", "github"], "a.example");
    assert_eq!(conflict(&plain, &google), None);
    for value in ["https://accounts.google.com", "https://Accounts.google.com/"] {
        let said = conflict(&dex("dex.example", &["github", value], "a.example"), &google).unwrap();
        assert!(said.contains("issuer_claim_values"), "{said}");
    }
    let own = dex("dex.example", &["https://dex.example"], "a.example");
    assert_eq!(name_conflicts(&[own]).len(), 1, "its own plain tokens have that name");
    let second = dex("dex-2.example", &["github"], "c.example");
    assert_eq!(name_conflicts(&[plain, second]).len(), 2, "two connectors of one name");
}

#[test]
fn a_conflict_is_told_at_the_entry_that_can_say_that_it_is_meant() {
    let settings = json!({"domains": ["acme.example"], "allow_loopback_http": true});
    let dev = issuer("email", "http://localhost:3006", &settings);
    let keycloak = email("sso.acme.example", &["acme.example"]);
    for (pair, position) in [([dev.clone(), keycloak.clone()], 1), ([keycloak.clone(), dev], 0)] {
        let [conflict] = &name_conflicts(&pair)[..] else { panic!() };
        assert_eq!(conflict.position, position);
        let said = conflict.error.to_string();
        let line = "write into the entry of `https://sso.acme.example` the line \
                    `shares_names_with = [\"http://localhost:3006\"]`";
        assert!(said.contains(line), "{said}");
    }
}

/// To say that they share names would change nothing, and was proposed.
#[test]
fn two_clusters_of_one_name_are_not_told_to_share() {
    let cluster = |keys: &str| {
        issuer("kubernetes", "https://kubernetes.default.svc", &json!({ "keys_file": keys }))
    };
    let said = conflict(&cluster("/a"), &cluster("/b")).unwrap();
    assert!(said.contains("set `cluster`") && said.contains("cannot part them"), "{said}");
}

#[test]
fn the_challenge_is_the_claim_that_names_people() {
    let named = |claim: Value| {
        let settings = json!({
            "domains": ["acme.example"], "name_claim": claim, "skip_email_verification": true
        });
        issuer("email", "https://sso.acme.example", &settings).challenge_claim().to_owned()
    };
    assert_eq!(named(json!("upn")), "upn");
    assert_eq!(named(json!(["identity", "mail"])), "sub");
    assert_eq!(email("sso.acme.example", &["acme.example"]).challenge_claim(), "email");
}
