//! Issuers that anybody can get a token from.

use serde_json::{Value, json};

use super::from_json;

fn of(kind: &str, url: &str, changes: &Value) -> Result<crate::IssuerConfig, String> {
    let mut settings = json!({"type": kind, "audiences": ["https://sign.acme.example"]});
    settings[if url.contains('*') { "url_pattern" } else { "url" }] = url.into();
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    from_json(settings)
}

fn uri(subject_domain: &str) -> Value {
    json!({ "subject_domain": subject_domain })
}

fn with(mut settings: Value, name: &str, value: Value) -> Value {
    settings.as_object_mut().unwrap().insert(name.to_owned(), value);
    settings
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const GUID: &str = "0ca3ddd9-f0b0-4635-a98c-5866526961b6";

/// Type, URL, further settings, claims that would do, one of them with a value.
fn shared() -> Vec<(&'static str, String, Value, &'static str, &'static str)> {
    let url = str::to_owned;
    let domains = json!({"domains": ["acme.example"]});
    let entra = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    vec![
        ("github-workflow", url(GITHUB), json!({}), "repository_owner_id", "4747"),
        ("github-workflow", url(GITHUB), json!({}), "enterprise", "acme"),
        ("gitlab-pipeline", url("https://gitlab.com"), json!({}), "namespace_path", "acme"),
        (
            "uri",
            url("https://oidc.circleci.com"),
            uri("https://oidc.circleci.com"),
            "oidc.circleci.com/org-id",
            GUID,
        ),
        (
            "uri",
            url("https://agent.buildkite.com"),
            uri("https://agent.buildkite.com"),
            "organization_id",
            GUID,
        ),
        ("email", entra("common"), domains.clone(), "tid", GUID),
        ("email", entra("organizations"), domains.clone(), "tid", GUID),
        ("email", entra("consumers"), domains.clone(), "tid", GUID),
        ("email", entra("*"), domains.clone(), "tid", GUID),
        ("email", entra("9188040d-6c67-4c5b-b112-36a304b66dad"), domains.clone(), "oid", GUID),
        ("machine", entra("common"), json!({"provider": "entra"}), "tid", GUID),
        (
            "uri",
            url("https://eu-oidc.buddyusercontent.com"),
            uri("https://eu-oidc.buddyusercontent.com"),
            "workspace_domain",
            "acme",
        ),
    ]
}

#[test]
fn what_serves_the_world_needs_a_claim_of_an_owner_or_to_be_called_open() {
    for (kind, url, settings, claim, value) in shared() {
        let refused = of(kind, &url, &settings).unwrap_err();
        assert!(refused.contains("serves every") && refused.contains(claim), "{url}: {refused}");
        assert!(refused.contains("`open_to_all = true`"), "{refused}");
        let pinned = with(settings.clone(), "required_claims", json!({ claim: value }));
        assert!(of(kind, &url, &pinned).is_ok(), "{url} {claim}");
        let nobody = with(settings.clone(), "required_claims", json!({ "event_name": "push" }));
        assert!(of(kind, &url, &nobody).is_err(), "{url}: a rule that ties it to nobody");
        let dry = with(settings.clone(), "dry_run_claims", json!({ claim: value }));
        assert!(of(kind, &url, &dry).is_err(), "{url}: a rule that is not enforced");
        if kind != "email" {
            let open = with(settings, "open_to_all", json!(true));
            assert!(of(kind, &url, &open).is_ok(), "{url}");
            let twice = with(pinned, "open_to_all", json!(true));
            assert!(of(kind, &url, &twice).unwrap_err().contains("change nothing"), "{url}");
        }
    }
}

#[test]
fn the_tenant_of_all_personal_accounts_is_nobodys() {
    let settings = json!({
        "domains": ["acme.example"],
        "required_claims": {"tid": ["9188040d-6c67-4c5b-b112-36a304b66dad"]}
    });
    let url = "https://login.microsoftonline.com/common/v2.0";
    assert!(of("email", url, &settings).unwrap_err().contains("serves every tenant"));
}

#[test]
fn verified_addresses_of_own_domains_tell_an_owner() {
    for url in ["https://accounts.google.com", "https://oauth2.sigstore.dev/auth"] {
        assert!(of("email", url, &json!({})).unwrap_err().contains(", or `domains`"), "{url}");
        assert!(of("email", url, &json!({"domains": ["acme.example"]})).is_ok(), "{url}");
        assert!(of("email", url, &json!({"open_to_all": true})).is_ok(), "{url}");
        // With `hd` alone, addresses would still be of every domain.
        let hosted = json!({"required_claims": {"hd": "acme.example"}});
        assert!(of("email", url, &hosted).is_err(), "{url}");
    }
}

#[test]
fn what_the_url_or_the_type_ties_to_an_owner_needs_no_more() {
    let circleci = format!("https://oidc.circleci.com/org/{GUID}");
    let azure = format!("https://vstoken.dev.azure.com/{GUID}");
    let entra = format!("https://login.microsoftonline.com/{GUID}/v2.0");
    for (kind, url, settings) in [
        ("github-workflow", "https://token.actions.githubusercontent.com/acme", json!({})),
        ("github-workflow", "https://ghes.acme.example/_services/token", json!({})),
        ("gitlab-pipeline", "https://gitlab.acme.example", json!({})),
        ("circleci-job", circleci.as_str(), json!({})),
        ("circleci-job", "https://oidc.circleci.com", json!({"organization_ids": [GUID]})),
        ("azure-pipeline", azure.as_str(), json!({})),
        ("buildkite-job", "https://agent.buildkite.com", json!({"organizations": ["acme"]})),
        ("email", entra.as_str(), json!({"domains": ["acme.example"]})),
        ("kubernetes", "https://oidc.eks.eu-central-1.amazonaws.com/id/AB", json!({})),
    ] {
        assert!(of(kind, url, &settings).is_ok(), "{url}");
    }
}

#[test]
fn a_pattern_of_managed_clusters_is_tied_by_its_path_or_by_the_issuers_listed() {
    use crate::{ClaimRules, IssuerKind, issuer::strangers::Owners};
    let check = |url: &str, rules: Value, open_to_all: bool| {
        let rules: ClaimRules = serde_json::from_value(rules).unwrap();
        let kind = IssuerKind::Kubernetes { cluster: None };
        Owners { url, kind: &kind, rules: &rules, has_domains: false, open_to_all }.check()
    };
    for url in [
        "https://oidc.eks.*.amazonaws.com/id/*",
        "https://oidc.eks.eu-central-1.amazonaws.com/id/*",
        "https://container.googleapis.com/v1/projects/*/locations/*/clusters/*",
        "https://*.oic.prod-aks.azure.com/*/*/",
        // As in upstream's own configuration.
        "https://oidc.prod-aks.azure.com/*",
        "https://*.acme.example/realms/x",
    ] {
        assert!(check(url, json!({}), false).is_err(), "{url}");
        assert!(check(url, json!({"iss": ["https://x"]}), false).is_ok(), "{url}");
        assert!(check(url, json!({}), true).is_ok(), "{url}");
    }
    let aks = format!("https://*.oic.prod-aks.azure.com/{GUID}/*/");
    for url in [
        "https://container.googleapis.com/v1/projects/acme/locations/*/clusters/*",
        aks.as_str(),
        "https://sso.acme.example/realms/*",
    ] {
        assert!(check(url, json!({}), false).is_ok(), "{url}");
    }
}
