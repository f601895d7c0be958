mod all_pairs;
mod names;
mod patterns;
mod strangers;

use super::*;

const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn email() -> IssuerKind {
    IssuerKind::Email { skip_verification: false }
}

fn audiences() -> Vec<String> {
    vec!["sigstore".to_owned()]
}

fn from_json(settings: serde_json::Value) -> Result<IssuerConfig, String> {
    serde_json::from_value(settings).map_err(|error| error.to_string())
}

/// Settings of a sound e-mail issuer with `changes` on top.
fn settings(changes: &serde_json::Value) -> serde_json::Value {
    let mut settings = serde_json::json!({
        "url": "https://login.example.com", "audiences": ["sigstore"], "type": "email"
    });
    let changes = changes.as_object().unwrap().clone();
    settings.as_object_mut().unwrap().extend(changes);
    if settings["type"] == "email" && settings.get("open_to_all").is_none() {
        settings
            .as_object_mut()
            .unwrap()
            .entry("domains")
            .or_insert(serde_json::json!(["a.example"]));
    }
    settings
}

#[test]
fn defaults_are_narrow() {
    let issuer = IssuerConfig::new(GITHUB, audiences(), email()).unwrap();
    assert_eq!(issuer.algorithms(), [JwsAlgorithm::Rs256, JwsAlgorithm::Es256]);
    assert_eq!(issuer.clock_skew(), Duration::from_mins(5));
    assert_eq!(issuer.max_lifetime(), Duration::from_hours(24));
    assert_eq!((issuer.max_age(), issuer.jwks_uri()), (None, None));
}

#[test]
fn reads_every_setting() {
    let issuer = from_json(settings(&serde_json::json!({
        "skip_email_verification": true, "jwks_uri": "https://keys.example.org/jwks",
        "algorithms": ["EdDSA"], "clock_skew_s": 10, "max_age_s": 600, "max_lifetime_s": 900
    })))
    .unwrap();
    assert_eq!(*issuer.kind(), IssuerKind::Email { skip_verification: true });
    assert_eq!(issuer.jwks_uri().unwrap().as_str(), "https://keys.example.org/jwks");
    assert_eq!(issuer.algorithms(), [JwsAlgorithm::EdDsa]);
    assert_eq!(
        (issuer.clock_skew(), issuer.max_age()),
        (Duration::from_secs(10), Some(Duration::from_mins(10)))
    );
    assert_eq!(issuer.max_lifetime(), Duration::from_mins(15));
}

#[test]
fn base_urls_are_told_from_the_issuers_that_tell_them() {
    let of = |kind: &str, url: &str| {
        let owner = if kind == "github-workflow" { "repository_owner_id" } else { "namespace_id" };
        let issuer = from_json(settings(&serde_json::json!({
            "type": kind, "url": url, "required_claims": {owner: 4747}
        })));
        issuer.map(|issuer| match issuer.kind() {
            IssuerKind::GithubWorkflow { base_url } | IssuerKind::GitlabPipeline { base_url } => {
                base_url.clone()
            }
            _ => String::new(),
        })
    };
    for (kind, url, base_url) in [
        ("github-workflow", GITHUB, "https://github.com"),
        (
            "github-workflow",
            "https://token.actions.githubusercontent.com/acme",
            "https://github.com",
        ),
        ("github-workflow", "https://ghes.corp/_services/token", "https://ghes.corp"),
        ("github-workflow", "https://token.actions.acme.ghe.com", "https://acme.ghe.com"),
        ("gitlab-pipeline", "https://gitlab.com", "https://gitlab.com"),
        ("gitlab-pipeline", "https://git.corp/gitlab", "https://git.corp/gitlab"),
    ] {
        assert_eq!(of(kind, url).unwrap(), base_url, "{url}");
    }
    for url in [
        "https://login.example.com",
        "https://token.actions.githubusercontent.com.evil.example",
        "https://token.actions.evil.example/x.ghe.com",
    ] {
        assert!(of("github-workflow", url).unwrap_err().contains("needs `base_url`"), "{url}");
    }
    let told = serde_json::json!({"type": "github-workflow", "base_url": "https://ghes.corp"});
    assert_eq!(
        *from_json(settings(&told)).unwrap().kind(),
        IssuerKind::GithubWorkflow { base_url: "https://ghes.corp".to_owned() }
    );
}

#[test]
fn refuses_unknown_settings_and_values() {
    for changes in [
        serde_json::json!({"audience": "sigstore"}),
        serde_json::json!({"type": "spiffe"}),
        serde_json::json!({"type": "spiffe", "trust_domains": []}),
        serde_json::json!({"type": "spiffe", "trust_domains": ["Acme.example"]}),
        serde_json::json!({"type": "username"}),
        serde_json::json!({"type": "username", "subject_domain": "https://example.com"}),
        serde_json::json!({"type": "username", "subject_domain": "example.com!evil.org"}),
        serde_json::json!({"type": "username", "subject_domain": "example.org"}),
        serde_json::json!({"trust_domains": ["acme.example"]}),
        serde_json::json!({"algorithms": ["none"]}),
        serde_json::json!({"algorithms": ["HS256"]}),
        serde_json::json!({"algorithms": []}),
        serde_json::json!({"audiences": []}),
        serde_json::json!({"audiences": [""]}),
        serde_json::json!({"max_age_s": -1}),
        serde_json::json!({"jwks_uri": "http://keys.example.org/jwks"}),
    ] {
        assert!(from_json(settings(&changes)).is_err(), "{changes}");
    }
}

#[test]
fn refuses_settings_that_the_kind_would_ignore() {
    for changes in [
        serde_json::json!({"subject_domain": "https://example.com"}),
        serde_json::json!({"base_url": "https://github.com"}),
        serde_json::json!({"type": "kubernetes", "skip_email_verification": false}),
    ] {
        let error = from_json(settings(&changes)).unwrap_err();
        assert!(error.contains("has no use for"), "{error}");
    }
}

#[test]
fn uri_needs_a_subject_domain_of_its_own() {
    let of = |domain: Option<&str>| {
        from_json(settings(&serde_json::json!({"type": "uri", "subject_domain": domain})))
    };
    assert!(of(Some("https://example.com")).is_ok());
    assert!(of(None).unwrap_err().contains("needs `subject_domain`"));
    assert!(of(Some("https://example.org")).unwrap_err().contains("not of the issuer's host"));
    assert!(of(Some("example.com")).is_err());
}

#[test]
fn refuses_issuer_urls_that_are_not_plain_https() {
    for url in [
        "",
        "example.com",
        "ftp://example.com",
        "https://user@example.com",
        "https://user:secret@example.com",
        "https://example.com?x=https://trusted.example",
        "https://example.com#x",
        "https://example.com\\x",
        " https://example.com",
        "https://exa mple.com",
        "https://example.com/\t",
    ] {
        let error = IssuerConfig::new_loopback(url, audiences(), email()).unwrap_err();
        assert!(matches!(error, IssuerConfigError::Url(_)), "{url}: {error}");
    }
}

#[test]
fn allows_http_only_on_loopback_and_only_when_told() {
    for url in ["http://localhost:3006", "http://127.0.0.1:1", "http://[::1]:1/github"] {
        let error = IssuerConfig::new(url, audiences(), email()).unwrap_err();
        assert!(matches!(error, IssuerConfigError::PlainHttp(_)), "{url}");
        assert!(IssuerConfig::new_loopback(url, audiences(), email()).is_ok(), "{url}");
    }
    for url in ["http://example.com", "http://localhost.example.com", "http://10.0.0.1"] {
        let error = IssuerConfig::new_loopback(url, audiences(), email()).unwrap_err();
        assert!(matches!(error, IssuerConfigError::PlainHttp(_)), "{url}");
    }
}

#[test]
fn refuses_base_urls_that_would_double_slashes() {
    for base_url in ["", "github.com", "https://github.com/", "https://github.com?x", "file:///x"] {
        let kind = IssuerKind::GithubWorkflow { base_url: base_url.to_owned() };
        let error = IssuerConfig::new(GITHUB, audiences(), kind).unwrap_err();
        assert_eq!(error, IssuerConfigError::BaseUrl(base_url.to_owned()));
    }
}

#[test]
fn addresses_are_of_listed_domains_or_of_all_as_said() {
    let of = |changes: serde_json::Value| {
        let mut settings = serde_json::json!({
            "url": "https://login.example.com", "audiences": ["x"], "type": "email"
        });
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        from_json(settings)
    };
    let error = of(serde_json::json!({})).unwrap_err();
    assert!(error.contains("`domains`") && error.contains("`open_to_all = true`"), "{error}");
    assert!(of(serde_json::json!({"open_to_all": true})).is_ok());
    assert!(of(serde_json::json!({"domains": ["acme.example", "*.acme.example"]})).is_ok());
    for odd in [
        serde_json::json!({"domains": ["acme.example"], "open_to_all": true}),
        serde_json::json!({"domains": [], "open_to_all": true}),
        serde_json::json!({"domains": []}),
        serde_json::json!({"domains": ["*"]}),
        serde_json::json!({"domains": ["com"]}),
        serde_json::json!({"domains": ["a@acme.example"]}),
        serde_json::json!({"type": "kubernetes", "domains": ["acme.example"]}),
        serde_json::json!({"type": "kubernetes", "open_to_all": true}),
        serde_json::json!({"type": "kubernetes", "name_claim": "upn"}),
    ] {
        assert!(of(odd.clone()).is_err(), "{odd}");
    }
}

#[test]
fn another_claim_names_people_only_where_the_operator_answers_for_it() {
    let of = |changes: serde_json::Value| from_json(settings(&changes));
    let error = of(serde_json::json!({"name_claim": "upn"})).unwrap_err();
    assert!(error.contains("upn") && error.contains("users cannot set"), "{error}");
    for claim in [serde_json::json!("upn"), serde_json::json!(["identity", "mail"])] {
        let issuer =
            of(serde_json::json!({"name_claim": claim, "skip_email_verification": true})).unwrap();
        assert!(issuer.people().name_claim().is_some());
    }
    for odd in [
        serde_json::json!({"name_claim": [], "skip_email_verification": true}),
        serde_json::json!({"name_claim": "", "skip_email_verification": true}),
        serde_json::json!({"name_claim": vec!["a"; 9], "skip_email_verification": true}),
        serde_json::json!({"issuer_claim": "x"}),
        serde_json::json!({"issuer_claim": "x", "issuer_claim_values": []}),
        serde_json::json!({"issuer_claim": "x", "issuer_claim_values": ["a\nb"]}),
        serde_json::json!({"issuer_claim_values": ["x"]}),
    ] {
        assert!(of(odd.clone()).is_err(), "{odd}");
    }
}

#[test]
fn machines_are_of_a_provider_that_is_known() {
    let of = |changes: serde_json::Value| {
        let mut settings = serde_json::json!({
            "url": "https://sso.acme.example/realms/acme/", "audiences": ["x"], "type": "machine"
        });
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        from_json(settings)
    };
    for provider in ["keycloak", "entra", "auth0", "okta", "rfc9068"] {
        let issuer = of(serde_json::json!({"provider": provider})).unwrap();
        let IssuerKind::Machine(machines) = issuer.kind() else { panic!("{issuer:?}") };
        assert_eq!(machines.base_url, "https://sso.acme.example/realms/acme");
    }
    assert!(of(serde_json::json!({})).unwrap_err().contains("needs `provider`"));
    for odd in [
        serde_json::json!({"provider": "adfs"}),
        serde_json::json!({"provider": "okta", "clients": []}),
        serde_json::json!({"provider": "okta", "clients": [""]}),
        serde_json::json!({"provider": "okta", "base_url": "http://acme.example"}),
        serde_json::json!({"provider": "okta", "base_url": "https://acme.example/"}),
        serde_json::json!({"provider": "okta", "base_url": "https://acme.example/*"}),
        serde_json::json!({"provider": "okta", "domains": ["acme.example"]}),
    ] {
        assert!(of(odd.clone()).is_err(), "{odd}");
    }
}

#[test]
fn a_set_finds_by_the_exact_url_and_holds_each_once() {
    let issuer = IssuerConfig::new(GITHUB, audiences(), email()).unwrap();
    let set = IssuerSet::new(vec![issuer.clone()]).unwrap();
    assert_eq!(set.candidates(GITHUB).count(), 1);
    for iss in ["", "https://token.actions.githubusercontent.com/", "https://token.actions"] {
        assert_eq!(set.candidates(iss).count(), 0, "{iss}");
    }
    let twice = IssuerSet::new(vec![issuer.clone(), issuer]).unwrap_err();
    assert_eq!(twice, IssuerConfigError::Duplicate(GITHUB.to_owned()));
}

/// Two kubeadm clusters have one issuer name; one realm serves people and machines.
#[test]
fn entries_of_one_url_differ_in_keys_type_or_rules() {
    let url = "https://kubernetes.default.svc.cluster.local";
    let entry = |changes: serde_json::Value| {
        from_json(settings(&serde_json::json!({"url": url, "type": "kubernetes"})))
            .and_then(|_| {
                let mut all = settings(&serde_json::json!({"url": url, "type": "kubernetes"}));
                all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
                from_json(all)
            })
            .unwrap()
    };
    let plain = entry(serde_json::json!({}));
    for changes in [
        serde_json::json!({"keys_file": "/one.json", "cluster": "one"}),
        serde_json::json!({"tls_roots_file": "/one.crt", "cluster": "one"}),
        serde_json::json!({"discovery_url": "https://10.0.0.1:6443/", "cluster": "one"}),
        serde_json::json!({"cluster": "one"}),
        serde_json::json!({"type": "email", "domains": ["acme.example"]}),
        serde_json::json!({"audiences": ["other"]}),
        serde_json::json!({"required_claims": {"sub": ["x"]}}),
    ] {
        let pair = IssuerSet::new(vec![plain.clone(), entry(changes.clone())]).unwrap();
        assert_eq!(pair.candidates(url).count(), 2, "{changes}");
    }
    for changes in [
        serde_json::json!({"max_age_s": 60}),
        serde_json::json!({"clock_skew_s": 1}),
        serde_json::json!({"algorithms": ["RS256"]}),
    ] {
        let twice = IssuerSet::new(vec![plain.clone(), entry(changes.clone())]);
        assert_eq!(twice.unwrap_err(), IssuerConfigError::Duplicate(url.to_owned()), "{changes}");
    }
    let many = (0..257).map(|number| entry(serde_json::json!({"cluster": format!("c{number}")})));
    let many = IssuerSet::new(many.collect()).unwrap_err();
    let said = many.to_string();
    assert!(said.contains("has 257 entries") && said.contains("at most 256"), "{said}");
}

#[test]
fn a_pattern_and_an_exact_url_are_both_candidates() {
    let eks = "https://oidc.eks.eu-central-1.amazonaws.com/id/AB";
    let exact = from_json(serde_json::json!({
        "url": eks, "type": "kubernetes", "audiences": ["a"], "cluster": "prod"
    }));
    let pattern = from_json(serde_json::json!({
        "url_pattern": "https://oidc.eks.*.amazonaws.com/id/*", "type": "kubernetes",
        "audiences": ["b"], "open_to_all": true,
        "shares_names_with": ["https://oidc.eks.*.amazonaws.com/id/*"]
    }));
    let set = IssuerSet::new(vec![exact.unwrap(), pattern.unwrap()]).unwrap();
    assert_eq!(set.candidates(eks).count(), 2);
    assert_eq!(set.candidates("https://oidc.eks.us-east-1.amazonaws.com/id/CD").count(), 1);
    assert_eq!(set.candidates("https://oidc.eks.us-east-1.amazonaws.com/id/CD/").count(), 0);
}

const GUID: &str = "0ca3ddd9-f0b0-4635-a98c-5866526961b6";

#[test]
fn each_ci_is_configured_by_what_its_issuer_does_not_tell() {
    let azure = format!("https://vstoken.dev.azure.com/{GUID}");
    let issuer = from_json(serde_json::json!({"type": "azure-pipeline", "url": azure})).unwrap();
    assert_eq!(issuer.audiences(), ["api://AzureADTokenExchange"]);
    assert_eq!(*issuer.kind(), IssuerKind::AzurePipeline(AzureOrganization::new(GUID)));

    let bitbucket = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc";
    let issuer = from_json(serde_json::json!({
        "type": "bitbucket-pipeline", "url": bitbucket, "workspace": "acme",
        "workspace_id": format!("{{{}}}", GUID.to_uppercase())
    }))
    .unwrap();
    assert_eq!(issuer.audiences(), [format!("ari:cloud:bitbucket::workspace/{GUID}")]);

    let circleci = format!("https://oidc.circleci.com/org/{GUID}");
    let issuer = from_json(serde_json::json!({
        "type": "circleci-job", "url": circleci, "audiences": ["sigstore"]
    }))
    .unwrap();
    let organizations = CircleciOrganizations::new(vec![GUID.to_owned()]);
    assert_eq!(*issuer.kind(), IssuerKind::CircleciJob(organizations));

    for url in ["https://ci.corp/jenkins/oidc", "https://ci.corp/jenkins/oidc/job/a/job/b"] {
        let issuer = from_json(serde_json::json!({
            "type": "jenkins-job", "url": url, "audiences": ["sigstore"],
            "claims": {"source_repository_uri": "git_url"}, "source_hosts": ["git.corp.example"]
        }))
        .unwrap();
        let IssuerKind::JenkinsJob(controller) = issuer.kind() else { panic!("{issuer:?}") };
        assert_eq!(controller.url, "https://ci.corp/jenkins");
    }

    let issuer = from_json(serde_json::json!({
        "type": "buildkite-job", "url": "https://agent.buildkite.com", "audiences": ["sigstore"],
        "organizations": ["acme"], "organization_ids": [GUID]
    }));
    assert!(issuer.is_ok());
    let issuer = from_json(serde_json::json!({
        "type": "kubernetes", "url": "https://kubernetes.default.svc", "audiences": ["sigstore"],
        "cluster": "prod-1"
    }))
    .unwrap();
    assert_eq!(*issuer.kind(), IssuerKind::Kubernetes { cluster: Some("prod-1".to_owned()) });
}

#[test]
fn an_issuer_of_many_owners_is_trusted_for_none_unless_they_are_named() {
    let other = GUID.replace('0', "1");
    let azure = format!("https://vstoken.dev.azure.com/{GUID}");
    let circleci = format!("https://oidc.circleci.com/org/{GUID}");
    let bitbucket = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc";
    for settings in [
        serde_json::json!({"type": "azure-pipeline", "url": "https://vstoken.dev.azure.com"}),
        serde_json::json!({"type": "azure-pipeline", "url": "https://vstoken.dev.azure.com/x"}),
        serde_json::json!({"type": "azure-pipeline", "url": azure, "organization_id": other}),
        serde_json::json!({"type": "azure-pipeline", "url": azure, "source_hosts": ["*"]}),
        serde_json::json!({"type": "buildkite-job", "url": "https://agent.buildkite.com"}),
        serde_json::json!({"type": "buildkite-job", "url": "https://agent.buildkite.com",
            "organizations": []}),
        serde_json::json!({"type": "buildkite-job", "url": "https://agent.buildkite.com",
            "organizations": ["a/b"]}),
        serde_json::json!({"type": "buildkite-job", "url": "https://agent.buildkite.com",
            "organizations": ["a"], "organization_ids": ["x"]}),
        serde_json::json!({"type": "circleci-job", "url": "https://oidc.circleci.com"}),
        serde_json::json!({"type": "circleci-job", "url": circleci, "organization_ids": [other]}),
        serde_json::json!({"type": "circleci-job", "url": circleci,
            "organization_ids": [GUID, other]}),
        serde_json::json!({"type": "bitbucket-pipeline", "url": bitbucket, "workspace": "evil",
            "workspace_id": GUID}),
        serde_json::json!({"type": "bitbucket-pipeline", "url": bitbucket, "workspace": "acme"}),
        serde_json::json!({"type": "jenkins-job", "url": "https://ci.corp/other"}),
        serde_json::json!({"type": "jenkins-job", "url": "https://ci.corp/oidc",
            "claims": {"source_repository_uri": "git_url"}}),
        serde_json::json!({"type": "jenkins-job", "url": "https://ci.corp/oidc",
            "claims": {"source_repository_ref": "sub"}}),
        serde_json::json!({"type": "jenkins-job", "url": "https://ci.corp/oidc",
            "claims": {"subject": "x"}}),
        serde_json::json!({"type": "kubernetes", "url": "https://k.corp", "cluster": "a/b"}),
        serde_json::json!({"type": "gitlab-pipeline", "url": "https://gitlab.com",
            "organizations": ["a"]}),
    ] {
        let mut with_audience = settings.clone();
        with_audience["audiences"] = serde_json::json!(["sigstore"]);
        assert!(from_json(with_audience).is_err(), "{settings}");
    }
}

#[test]
fn only_issuers_with_a_fixed_audience_have_one_by_default() {
    for (kind, url) in [
        ("gitlab-pipeline", "https://gitlab.com"),
        ("kubernetes", "https://kubernetes.default.svc"),
        ("github-workflow", GITHUB),
    ] {
        let owners = serde_json::json!({"namespace_id": 1, "repository_owner_id": 1});
        let settings = serde_json::json!({"type": kind, "url": url, "required_claims": owners});
        let error = from_json(settings).unwrap_err();
        assert!(error.contains("needs at least one audience"), "{error}");
    }
}

#[test]
fn required_claims_need_values_that_could_be() {
    let of = |values: serde_json::Value| {
        from_json(settings(
            &serde_json::json!({"required_claims": {"repository_owner_id": values}}),
        ))
    };
    let issuer = of(serde_json::json!(["65", "66"])).unwrap();
    assert_eq!(issuer.required_claims().texts_of("repository_owner_id"), ["65", "66"]);
    let many = vec!["x"; 257];
    for odd in [serde_json::json!([]), serde_json::json!([""]), serde_json::json!(many)] {
        assert!(of(odd).unwrap_err().contains("repository_owner_id"));
    }
    for alike in [serde_json::json!("65"), serde_json::json!(65), serde_json::json!([65])] {
        assert_eq!(of(alike).unwrap().required_claims().texts_of("repository_owner_id"), ["65"]);
    }
}
