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
fn verified_addresses_of_own_domains_tell_an_owner_where_no_claim_does() {
    for url in
        ["https://oauth2.sigstore.dev/auth", "https://appleid.apple.com", "https://gitlab.com"]
    {
        assert!(of("email", url, &json!({})).unwrap_err().contains(", or `domains`"), "{url}");
        assert!(of("email", url, &json!({"domains": ["acme.example"]})).is_ok(), "{url}");
        assert!(of("email", url, &json!({"open_to_all": true})).is_ok(), "{url}");
        let unverified = json!({"domains": ["acme.example"], "skip_email_verification": true});
        let refused = of("email", url, &unverified).unwrap_err();
        assert!(refused.contains("serves every") && !refused.contains("or `domains`"), "{url}");
        // With an account alone, addresses would still be of every domain.
        let account = json!({"required_claims": {"sub": "1", "project_id": "1"}});
        assert!(of("email", url, &account).is_err(), "{url}");
    }
}

/// An account that its owner made with the company's address is verified for ever, also after it has
/// left; those that the company made have `hd`.
#[test]
fn a_verified_address_of_google_or_slack_does_not_make_its_account_the_companys() {
    for (url, claim, value) in [
        ("https://accounts.google.com", "hd", "acme.example"),
        ("https://slack.com", "https://slack.com/team_id", "T1"),
        ("https://login.salesforce.com", "organization_id", "00D"),
        ("https://securetoken.google.com", "iss", "https://securetoken.google.com"),
    ] {
        let domains = json!({"domains": ["acme.example"]});
        let refused = of("email", url, &domains).unwrap_err();
        assert!(refused.contains(claim) && !refused.contains("or `domains`"), "{url}: {refused}");
        let pinned = with(domains.clone(), "required_claims", json!({ claim: value }));
        assert!(of("email", url, &pinned).is_ok(), "{url}");
        let open = with(domains, "open_to_all", json!(true));
        assert!(of("email", url, &open).is_ok(), "{url}");
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

fn pattern(kind: &str, url: &str, changes: &Value) -> Result<crate::IssuerConfig, String> {
    let mut settings = json!({"type": kind, "url_pattern": url, "audiences": ["sigstore"]});
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    from_json(settings)
}

const IN_CHINA: &str = "https://login.partner.microsoftonline.cn/0ca3ddd9/v2.0";

/// Pattern, an issuer of it that is the operator's.
const OF_WHOEVER: [(&str, &str); 24] = [
    ("https://oidc.eks.*.amazonaws.com/id/*", "https://oidc.eks.eu-central-1.amazonaws.com/id/A"),
    (
        "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/*",
        "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/A",
    ),
    ("https://oidc-eks.eu-west-1.api.aws/id/*", "https://oidc-eks.eu-west-1.api.aws/id/A"),
    (
        "https://*.*.eu-central-1.amazonaws.com/id/*",
        "https://oidc.eks.eu-central-1.amazonaws.com/id/A",
    ),
    (
        "https://container.googleapis.com/v1/projects/*/locations/*/clusters/*",
        "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
    ),
    (
        "https://container.googleapis.com/*/projects/acme/*",
        "https://container.googleapis.com/v1/projects/acme/l",
    ),
    ("https://*.oic.prod-aks.azure.com/*/*/", "https://west.oic.prod-aks.azure.com/t/c/"),
    (
        "https://chinaeast2.oic.prod-aks.azure.cn/*/*/",
        "https://chinaeast2.oic.prod-aks.azure.cn/t/c/",
    ),
    ("https://*.oic.prod-aks.azure.us/*/*/", "https://west.oic.prod-aks.azure.us/t/c/"),
    // As in upstream's own configuration.
    ("https://oidc.prod-aks.azure.com/*", "https://oidc.prod-aks.azure.com/c"),
    ("https://login.partner.microsoftonline.cn/*/v2.0", IN_CHINA),
    ("https://sts.chinacloudapi.cn/*/", "https://sts.chinacloudapi.cn/0ca3ddd9/"),
    ("https://*.b2clogin.com/*/v2.0", "https://acme.b2clogin.com/0ca3ddd9/v2.0"),
    ("https://securetoken.google.com/*", "https://securetoken.google.com/acme"),
    (
        "https://cognito-idp.eu-west-1.amazonaws.com/*",
        "https://cognito-idp.eu-west-1.amazonaws.com/p",
    ),
    ("https://s3.us-east-1.amazonaws.com/*", "https://s3.us-east-1.amazonaws.com/acme-oidc"),
    ("https://*.s3.us-east-1.amazonaws.com", "https://acme.s3.us-east-1.amazonaws.com"),
    ("https://*.tokens.sts.global.api.aws", "https://a1.tokens.sts.global.api.aws"),
    ("https://token.actions.*.ghe.com", "https://token.actions.acme.ghe.com"),
    ("https://*.okta.com", "https://acme.okta.com"),
    ("https://*.app.spacelift.io", "https://acme.app.spacelift.io"),
    ("https://*.google.com/*", "https://securetoken.google.com/acme"),
    // Neither is a host that no list has the operator's own: nobody here can tell.
    ("https://*.acme.example/realms/x", "https://sso.acme.example/realms/x"),
    ("https://sso.acme.example/realms/*", "https://sso.acme.example/realms/x"),
];

#[test]
fn a_pattern_lists_its_issuers_or_is_called_open() {
    for (url, own) in OF_WHOEVER {
        for (kind, settings) in [
            ("kubernetes", json!({})),
            ("email", json!({"domains": ["acme.example"], "skip_email_verification": true})),
        ] {
            let refused = pattern(kind, url, &settings).unwrap_err();
            let asks = refused.contains("`iss`") || refused.contains("claims `");
            assert!(asks && refused.contains("`open_to_all = true`"), "{url}: {refused}");
            let rule =
                |iss: Value| with(settings.clone(), "required_claims", json!({ "iss": iss }));
            let listed = pattern(kind, url, &rule(json!([own])));
            assert!(listed.is_ok(), "{url} {kind}: {listed:?}");
            // `iss` is compared, not matched.
            assert!(pattern(kind, url, &rule(json!([own, url]))).is_err(), "{url} {kind}");
            let nobody = with(settings.clone(), "required_claims", json!({"event_name": "push"}));
            assert!(pattern(kind, url, &nobody).is_err(), "{url} {kind}");
            let open = with(settings, "open_to_all", json!(true));
            assert!(pattern(kind, url, &open).is_ok(), "{url} {kind}");
        }
    }
}

/// The list of issuers is what is left of a pattern: one that serves strangers is no better in it.
#[test]
fn an_issuer_of_strangers_in_the_list_needs_its_own_claim() {
    let iss = |iss: &str| {
        json!({
            "base_url": "https://github.com",
            "required_claims": {"iss": ["https://a.acme.example", iss]}
        })
    };
    for url in [
        "https://*.actions.githubusercontent.com",
        "https://*.*.githubusercontent.com",
        "https://t*k*n.actions.githubusercontent.com",
        "https://token.actions.githubusercontent.com/*",
    ] {
        let listed = pattern("github-workflow", url, &iss(GITHUB)).unwrap_err();
        assert!(listed.contains("every repository"), "{url}: {listed}");
        let mut both = iss(GITHUB);
        both["required_claims"]["repository_owner_id"] = json!("4747");
        assert!(pattern("github-workflow", url, &both).is_ok(), "{url}");
    }
    let domains = |iss: &str| json!({"domains": ["acme.example"], "required_claims": {"iss": iss}});
    let entra = "https://login.microsoftonline.com/*/v2.0";
    for tenant in ["common", "9188040d-6c67-4c5b-b112-36a304b66dad"] {
        let url = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        assert!(pattern("email", entra, &domains(&url)).unwrap_err().contains("serves every"));
    }
    let google = pattern("email", "https://*.google.com", &domains("https://accounts.google.com"));
    assert!(google.unwrap_err().contains("`hd`"));
}

/// A claim tells the owner at one host of a pattern, and nothing at its neighbours, whose keys are
/// somebody else's.
#[test]
fn a_known_host_below_a_wildcard_says_nothing_of_its_neighbours() {
    let claims = |name: &str| json!({"required_claims": {name: GUID}});
    for (kind, url, settings) in [
        ("kubernetes", "https://*.actions.githubusercontent.com", claims("repository_owner_id")),
        ("kubernetes", "https://*.vercel.com", claims("owner_id")),
        ("kubernetes", "https://*.azure.com/*", claims("org_id")),
        ("kubernetes", "https://*.dev.azure.com/*", claims("org_id")),
        ("buildkite-job", "https://*.buildkite.com", json!({"organizations": ["acme"]})),
        ("email", "https://*.apple.com/*", json!({"domains": ["acme.example"]})),
        ("email", "https://*.sigstore.dev/auth", json!({"domains": ["acme.example"]})),
    ] {
        let refused = pattern(kind, url, &settings).unwrap_err();
        assert!(refused.contains("every issuer that its wildcards fit"), "{url}: {refused}");
    }
}

#[test]
fn a_pattern_that_a_known_hosts_path_or_claim_ties_to_an_owner_needs_no_more() {
    let aks = format!("https://*.oic.prod-aks.azure.com/{GUID}/*/");
    for (kind, url, settings) in [
        (
            "kubernetes",
            "https://container.googleapis.com/v1/projects/acme/locations/*/clusters/*",
            json!({}),
        ),
        ("kubernetes", aks.as_str(), json!({})),
        (
            "kubernetes",
            "https://token.actions.githubusercontent.com/*",
            json!({"required_claims": {"enterprise": "acme"}}),
        ),
        (
            "email",
            "https://login.microsoftonline.com/*/v2.0",
            json!({"domains": ["acme.example"], "required_claims": {"tid": GUID}}),
        ),
        (
            "kubernetes",
            "https://*-oidc.buddyusercontent.com",
            json!({"required_claims": {"workspace_id": "1"}}),
        ),
    ] {
        assert!(pattern(kind, url, &settings).is_ok(), "{url}");
        let open = with(settings, "open_to_all", json!(true));
        assert!(pattern(kind, url, &open).unwrap_err().contains("change nothing"), "{url}");
    }
}

#[test]
fn the_shared_issuers_of_all_clouds_and_services_are_known() {
    for (url, claim) in [
        ("https://login.partner.microsoftonline.cn/common/v2.0", "tid"),
        ("https://login.chinacloudapi.cn/common/v2.0", "tid"),
        ("https://login.microsoftonline.us/organizations/v2.0", "tid"),
        ("https://app.terraform.io", "terraform_organization_id"),
        ("https://app.eu.terraform.io", "terraform_organization_name"),
        ("https://api.pulumi.com/oidc", "https://pulumi.com/org"),
        ("https://api.pulumi.com/oidc/v2", "https://pulumi.com/org_id"),
        ("https://oidc.fly.io", "org_id"),
        ("https://identity.depot.dev", "repository_owner_id"),
        ("https://oidc.modal.com", "workspace_id"),
        ("https://login.app.env0.com/", "sub"),
        ("https://salsa.debian.org", "namespace_path"),
        ("https://oauth2.sigstage.dev/auth", "email"),
        ("https://www.linkedin.com/oauth", "sub"),
        ("https://api.login.yahoo.com", "sub"),
        ("https://issuer.enforce.dev", "sub"),
    ] {
        let refused = of("kubernetes", url, &json!({})).unwrap_err();
        assert!(refused.contains("serves every") && refused.contains(claim), "{url}: {refused}");
        let pinned = json!({"required_claims": {claim: "acme"}});
        assert!(of("kubernetes", url, &pinned).is_ok(), "{url} {claim}");
    }
    // Each of these is one owner's, as its URL says.
    for url in [
        IN_CHINA,
        "https://token.actions.acme.ghe.com",
        "https://oidc.fly.io/acme",
        "https://securetoken.google.com/acme",
        "https://a1.tokens.sts.global.api.aws",
        "https://oidc-eks.eu-west-1.api.aws/id/A",
        "https://evil-gitlab.com",
    ] {
        assert!(of("kubernetes", url, &json!({})).is_ok(), "{url}");
    }
}
