//! One pattern is many issuers, and several entries may be about one.

use serde_json::{Value, json};

use super::from_json;
use crate::{IssuerConfig, IssuerConfigError, name_conflicts};

const REALMS: &str = "https://sso.acme.example/realms/*";
const A: &str = "https://sso.acme.example/realms/a";
const B: &str = "https://sso.acme.example/realms/b";

/// A pattern is of everybody where it does not list its issuers: what is asked here is their names.
fn issuer(kind: &str, url: &str, changes: &Value) -> IssuerConfig {
    let is_pattern = url.contains('*');
    let url_setting = if is_pattern { "url_pattern" } else { "url" };
    let mut settings = json!({"type": kind, url_setting: url, "audiences": ["a"]});
    if is_pattern && changes.get("required_claims").is_none() {
        settings["open_to_all"] = true.into();
    }
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    from_json(settings).unwrap()
}

fn with(settings: &Value, name: &str, value: Value) -> Value {
    let mut settings = settings.clone();
    settings[name] = value;
    settings
}

fn conflicts(issuers: &[IssuerConfig]) -> Vec<String> {
    name_conflicts(issuers).iter().map(|conflict| conflict.error.to_string()).collect()
}

/// Every kind that a pattern can have and whose names do not say of which issuer they are.
fn of_one_name() -> Vec<(&'static str, Value)> {
    let template = json!({"subject_alternative_name": "https://acme.example/{p}"});
    let id = "0ca3ddd9-f0b0-4635-a98c-5866526961b6";
    vec![
        ("email", json!({"domains": ["acme.example"]})),
        ("uri", json!({"subject_domain": "https://acme.example"})),
        (
            "email-or-uri",
            json!({"domains": ["acme.example"], "subject_domain": "https://acme.example"}),
        ),
        ("spiffe", json!({"trust_domains": ["acme.example"]})),
        ("username", json!({"subject_domain": "acme.example"})),
        ("machine", json!({"provider": "okta", "base_url": "https://acme.example"})),
        ("github-workflow", json!({"base_url": "https://git.acme.example"})),
        ("gitlab-pipeline", json!({"base_url": "https://git.acme.example"})),
        ("azure-pipeline", json!({"organization_id": id})),
        ("jenkins-job", json!({"base_url": "https://ci.acme.example"})),
        ("buildkite-job", json!({"organizations": ["acme"]})),
        ("circleci-job", json!({"organization_ids": [id]})),
        ("bitbucket-pipeline", json!({"workspace": "acme", "workspace_id": id})),
        ("ci-provider", json!({"base_url": "https://acme.example", "template": template})),
        // Names of the issuer's own host, which all of them have.
        ("ci-provider", json!({ "template": template })),
        ("kubernetes", json!({})),
    ]
}

/// Two realms with keys and administrators of their own both gave `ceo@acme.example`.
#[test]
fn a_pattern_whose_issuers_share_names_is_refused_unless_it_says_so() {
    for (kind, settings) in of_one_name() {
        let said = conflicts(&[issuer(kind, REALMS, &settings)]);
        assert_eq!(said.len(), 1, "{kind}: {said:?}");
        for part in [REALMS, "`iss` in `required_claims`", "shares_names_with"] {
            assert!(said[0].contains(part), "{kind}: {said:?}");
        }
        for (demanded, refused) in [
            (json!(A), false),
            (json!([A, A]), false),
            (json!([A, B]), true),
            // No issuer of the pattern, so that it counts for nothing.
            (json!([A, "https://sso.acme.example"]), false),
        ] {
            let settings = with(&settings, "required_claims", json!({ "iss": demanded }));
            let said = conflicts(&[issuer(kind, REALMS, &settings)]);
            assert_eq!(!said.is_empty(), refused, "{kind} {demanded}: {said:?}");
        }
        let shared = with(&settings, "shares_names_with", json!([REALMS]));
        assert_eq!(conflicts(&[issuer(kind, REALMS, &shared)]), [""; 0], "{kind}");
        // All but one of them were retired: nothing is wrong with that.
        let one_left = with(&shared, "required_claims", json!({ "iss": A }));
        assert_eq!(conflicts(&[issuer(kind, REALMS, &one_left)]), [""; 0], "{kind}");
        let exact = with(&settings, "shares_names_with", json!([A]));
        let said = conflicts(&[issuer(kind, REALMS, &exact)]);
        assert_eq!(said.len(), 2, "{kind}: the pattern, and a statement about nobody: {said:?}");
    }
}

#[test]
fn entries_of_one_pattern_with_different_issuers_are_different_providers() {
    for (kind, settings) in of_one_name() {
        let of = |iss: &str| {
            let settings = with(&settings, "required_claims", json!({"iss": iss, "x": iss}));
            issuer(kind, REALMS, &settings)
        };
        assert_eq!(conflicts(&[of(A), of(B)]).len(), 1, "{kind}");
        assert_eq!(conflicts(&[of(A), of(A)]), [""; 0], "{kind}: one provider");
        let exact = issuer(kind, A, &settings);
        assert_eq!(conflicts(&[exact.clone(), of(A)]), [""; 0], "{kind}: one provider");
        assert_eq!(conflicts(&[exact, of(B)]).len(), 1, "{kind}");
    }
}

#[test]
fn what_a_pattern_leaves_open_parts_names_where_they_have_it() {
    let template = json!({"subject_alternative_name": "https://{host}/{p}"});
    let ci = |url: &str| issuer("ci-provider", url, &json!({ "template": template }));
    let jenkins = |url: &str, base: &str| issuer("jenkins-job", url, &json!({ "base_url": base }));
    let base = "https://jenkins.acme.example";
    for (pattern, parted) in [
        (issuer("ci-provider", REALMS, &json!({ "template": template })), false),
        (ci("https://*.ci.acme.example/oidc"), true),
        (ci("https://*.ci.acme.example/*"), false),
        (jenkins("https://jenkins.acme.example/oidc/job/*", base), true),
        (jenkins("https://jenkins.acme.example/*/oidc/job/team", base), false),
        (jenkins("https://jenkins.acme.example/*/job/oidc/job/*", base), false),
        (jenkins("https://jenkins.acme.example/o*/job/team", base), false),
    ] {
        let said = conflicts(std::slice::from_ref(&pattern));
        assert_eq!(said.is_empty(), parted, "{pattern:?}: {said:?}");
    }
    let twice = ci("https://*.ci.acme.example/oidc");
    assert_eq!(conflicts(&[twice.clone(), twice]), [""; 0], "each issuer is one provider");
}

/// The wildcard was compared as a character.
#[test]
fn names_of_a_pattern_are_those_of_its_issuers() {
    let template = json!({"subject_alternative_name": "{server}/{p}"});
    let open = json!({ "template": template });
    let ci = issuer("ci-provider", "https://*.ci.acme.example/oidc", &open);
    let forge = |base: &str| {
        let settings = json!({"base_url": base, "template": template});
        issuer("ci-provider", "https://forge.partner.example", &settings)
    };
    let gitlab = |url: &str| issuer("gitlab-pipeline", url, &json!({}));
    let jenkins = issuer(
        "jenkins-job",
        "https://jenkins.acme.example/oidc/job/*",
        &json!({
            "base_url": "https://jenkins.acme.example"
        }),
    );
    let old = |url: &str, base: &str| issuer("jenkins-job", url, &json!({ "base_url": base }));
    let job = "https://old.acme.example/oidc/job/team1";
    for (one, other, shared) in [
        (&ci, forge("https://team1.ci.acme.example"), true),
        (&ci, forge("https://team1.ci.acme.example/acme"), true),
        (&ci, forge("https://team1.cd.acme.example"), false),
        (&ci, gitlab("https://team1.ci.acme.example"), true),
        (&ci, gitlab("https://a.team1.ci.acme.example"), false),
        (&ci, issuer("ci-provider", "https://t*.ci.acme.example/x", &open), true),
        (&jenkins, old(job, "https://jenkins.acme.example"), true),
        (&jenkins, old("https://old.acme.example/oidc", "https://jenkins.acme.example"), true),
        (&jenkins, old(job, "https://old.acme.example"), false),
    ] {
        for pair in [[one.clone(), other.clone()], [other.clone(), one.clone()]] {
            assert_eq!(conflicts(&pair).len(), usize::from(shared), "{pair:?}");
        }
    }
}

/// Keys of two, one name, one issuer in the certificate: no statement makes that sound.
#[test]
fn names_are_not_shared_where_the_certificates_issuer_is_one_too() {
    for (kind, settings) in of_one_name() {
        let says = |url: &str| json!([url]);
        let keyed = |url: &str, file: &str, shares: &str| {
            let settings = with(&settings, "keys_file", json!(file));
            issuer(kind, url, &with(&settings, "shares_names_with", says(shares)))
        };
        for (one, other) in [
            (keyed(A, "/one", A), keyed(A, "/two", A)),
            (keyed(A, "/one", A), keyed(REALMS, "/two", REALMS)),
            (
                keyed(REALMS, "/one", REALMS),
                keyed("https://sso.acme.example/realms/a*", "/two", REALMS),
            ),
        ] {
            let said = conflicts(&[one.clone(), other.clone()]);
            let told = said.iter().any(|said| said.contains("not even the certificate's issuer"));
            assert!(told, "{kind}: {one:?} {other:?}: {said:?}");
        }
        let (one, other) = (keyed(A, "/one", B), keyed(B, "/two", A));
        assert_eq!(conflicts(&[one, other]), [""; 0], "{kind}: the issuer tells them apart");
    }
}

#[test]
fn connectors_of_one_name_are_not_told_apart_by_a_statement() {
    let dex = |url: &str, value: &str, shares: &str| {
        let settings = json!({
            "domains": ["acme.example"], "issuer_claim": "connector",
            "issuer_claim_values": [value], "shares_names_with": [shares]
        });
        issuer("email", url, &settings)
    };
    let said = conflicts(&[dex(A, "github", B), dex(B, "github", A)]);
    assert!(said.iter().any(|said| said.contains("not even")), "{said:?}");
    assert_eq!(conflicts(&[dex(A, "github", B), dex(B, "ldap", A)]), [""; 0]);
    let many = conflicts(&[dex(REALMS, "github", REALMS)]);
    assert!(many.len() == 1 && !many[0].contains("shares_names_with"), "{many:?}");
}

/// A person whose subject the provider takes from a form was given the name of a machine.
#[test]
fn a_person_of_a_provider_has_no_name_of_its_machines_and_jobs() {
    let url = "https://okta.acme.example";
    let machine = issuer("machine", url, &json!({"provider": "okta"}));
    let people = |kind: &str| {
        let mut settings = json!({ "subject_domain": url });
        if kind == "email-or-uri" {
            settings["domains"] = json!(["acme.example"]);
        }
        issuer(kind, url, &settings)
    };
    for kind in ["uri", "email-or-uri"] {
        let said = conflicts(&[machine.clone(), people(kind)]);
        assert!(said.len() == 1 && said[0].contains("/clients"), "{kind}: {said:?}");
        let gitlab = issuer("gitlab-pipeline", url, &json!({}));
        assert_eq!(conflicts(&[people(kind), gitlab]).len(), 1, "{kind}");
    }
    assert_eq!(conflicts(&[people("uri"), people("email-or-uri")]), [""; 0]);
    let names = json!({"subject_domain": "acme.example"});
    assert_eq!(conflicts(&[machine, issuer("username", url, &names)]), [""; 0], "no URIs");
}

#[test]
fn owners_ids_part_names_at_the_platform_alone() {
    let (id, other) =
        ("0ca3ddd9-f0b0-4635-a98c-5866526961b6", "1ca3ddd9-f0b0-4635-a98c-5866526961b6");
    let azure =
        |url: &str, id: &str| issuer("azure-pipeline", url, &json!({"organization_id": id}));
    let circleci =
        |url: &str, id: &str| issuer("circleci-job", url, &json!({"organization_ids": [id]}));
    let platform = |id: &str| format!("https://vstoken.dev.azure.com/{id}");
    for url in ["https://ado.partner.example", "https://vstoken.dev.azure.com.partner.example"] {
        assert_eq!(conflicts(&[azure(&platform(id), id), azure(url, other)]).len(), 1, "{url}");
    }
    for url in ["https://circle.partner.example", "https://oidc.circleci.com:8443"] {
        let own = circleci("https://oidc.circleci.com", id);
        let said = conflicts(&[own, circleci(url, other)]);
        assert!(said.len() == 1 && said[0].contains("set `organization_ids` or `url`"), "{said:?}");
    }
    let own = [azure(&platform(id), id), azure(&platform(other), other)];
    assert_eq!(conflicts(&own), [""; 0]);
}

#[test]
fn an_exact_url_with_a_wildcard_is_taken_for_what_it_was_to_be() {
    let built = IssuerConfig::new_loopback(REALMS, vec!["a".to_owned()], super::email());
    let error = built.unwrap_err();
    assert_eq!(error, IssuerConfigError::Wildcard(REALMS.to_owned()));
    assert!(error.to_string().contains("`url_pattern`"));
}
