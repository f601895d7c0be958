//! Upstream's own tokens through the imported configuration. `upstream.json` says where each comes from.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{Principal, PrincipalError, UnverifiedClaims};
use moment::UnixSeconds;
use serde_json::json;
use toml::Value as Toml;

use super::*;

/// Beside the token's own texts nothing of upstream's tests has a time.
const NOW: u64 = 1_700_000_000;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    /// File and test of upstream, and what was changed.
    source: String,
    config: Value,
    /// What an operator completes the translation with.
    #[serde(default)]
    completed: Table,
    claims: Value,
    /// None: refused.
    san: Option<String>,
    #[serde(default)]
    extensions: BTreeMap<String, String>,
}

fn vectors() -> Vec<Case> {
    let vectors: Vectors = serde_json::from_str(include_str!("upstream.json")).unwrap();
    vectors.cases
}

fn complete(table: &mut Table, completed: &Table) {
    for (key, value) in completed {
        match (table.get_mut(key), value) {
            (Some(Toml::Table(inner)), Toml::Table(more)) => complete(inner, more),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

/// The imported issuer, with what only its operator knows.
fn issuer(case: &Case) -> Result<IssuerConfig, String> {
    let import = Import::of(&case.config.to_string()).unwrap();
    let [entry] = import.entries.as_slice() else { panic!("{}: {import:?}", case.source) };
    let mut table = entry.table.clone();
    complete(&mut table, &case.completed);
    let mut open = table.clone();
    open.insert("open_to_all".to_owned(), Toml::Boolean(true));
    read_back(&open).or_else(|_| read_back(&table))
}

fn mapped(issuer: &IssuerConfig, claims: &Value) -> Result<Principal, PrincipalError> {
    let mut all = json!({"aud": "sigstore"});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    all["exp"] = (NOW + 600).into();
    all["iat"] = NOW.into();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = encode(r#"{"alg":"RS256"}"#);
    let token = format!("{header}.{}.{}", encode(&all.to_string()), encode("s"));
    let verdict = issuer.explain(&UnverifiedClaims::parse(&token).unwrap(), UnixSeconds(NOW));
    assert_eq!(verdict.token, []);
    verdict.principal
}

#[test]
fn upstreams_tokens_get_upstreams_names_and_extensions() {
    let mut count = 0;
    for case in vectors() {
        let issuer = issuer(&case).unwrap_or_else(|fault| panic!("{}: {fault}", case.source));
        let principal = match (mapped(&issuer, &case.claims), &case.san) {
            (Err(_), None) => continue,
            (Ok(principal), Some(_)) => principal,
            (principal, _) => panic!("{}: {principal:?}", case.source),
        };
        assert_eq!(Some(principal.san.as_str()), case.san.as_deref(), "{}", case.source);
        let extensions = principal.extensions.named();
        let extensions: BTreeMap<String, String> = extensions
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(extensions, case.extensions, "{}", case.source);
        count += 1;
    }
    assert!(count >= 16, "only {count} tokens were compared");
}

#[test]
fn every_issuer_type_of_upstream_is_among_the_tokens() {
    let of = |case: &Case| {
        let issuers = case.config["OIDCIssuers"].as_object().unwrap();
        issuers.values().map(|issuer| issuer["Type"].as_str().unwrap().to_owned()).next()
    };
    let mut types: Vec<String> = vectors().iter().filter_map(of).collect();
    types.sort();
    types.dedup();
    assert_eq!(
        types,
        [
            "buildkite-job",
            "chainguard-identity",
            "ci-provider",
            "codefresh-workflow",
            "email",
            "github-workflow",
            "gitlab-pipeline",
            "kubernetes",
            "spiffe",
            "uri",
            "username"
        ]
    );
}

fn notes(config: &str) -> String {
    let import = Import::of(config).unwrap();
    let mut all = import.notes.clone();
    all.extend(import.entries.iter().flat_map(|entry| entry.notes.clone()));
    all.join("\n")
}

#[test]
fn what_upstream_reads_over_is_named() {
    for (config, said) in [
        ("oidc-isuers: {}\n", "`oidc-isuers` is no setting"),
        (
            "oidc-issuers:\n  https://a.example:\n    type: email\n    clientid: x\n    audiense: y\n",
            "`audiense`",
        ),
        (
            "oidc-issuers:\n  https://a.example:\n    issuer-url: https://b.example\n    type: email\n",
            "(`https://b.example`) disagree",
        ),
        ("oidc-issuers:\n  https://a.example:\n    type: email\n", "there is no `client-id`"),
        (
            "oidc-issuers:\n  https://a.example:\n    type: x\n    challenge-claim: sub\n",
            "`x` is unknown",
        ),
        (
            "oidc-issuers:\n  https://a.example:\n    type: ci-provider\n    ci-provider: x\n",
            "no usable `x`",
        ),
        (
            "ci-issuer-metadata:\n  x:\n    subject-alternative-name-template: '{{ range .a }}'\n",
            "`range`",
        ),
        (
            "oidc-issuers:\n  https://a.example:\n    type: uri\n    subject-domain: https://a.example:8443/\n",
            "compares `https://a.example` alone",
        ),
        (
            "oidc-issuers:\n  https://a.example:\n    type: spiffe\n",
            "`spiffe-trust-domain` is missing",
        ),
        (
            "oidc-issuers:\n  https://a.example:\n    type: email\n    client-id: x\n",
            "add `domains`",
        ),
        (
            "oidc-issuers:\n  https://gitlab.com:\n    type: gitlab-pipeline\n    client-id: x\n",
            "serves every project on gitlab.com: demand one of the claims",
        ),
    ] {
        let notes = notes(config);
        assert!(notes.contains(said), "{config}: {notes}");
    }
}

#[test]
fn the_output_is_toml_that_the_program_reads() {
    let config = "oidc-issuers:\n  https://a.example:\n    type: uri\n    client-id: x\n    \
                  subject-domain: https://a.example\n    ca-cert: PEM\n  https://b.example:\n    \
                  type: uri\n    client-id: x\n    subject-domain: https://b.example\nmeta-issuers:\n  \
                  https://*.c.example/id/*:\n    type: kubernetes\n    client-id: x\n";
    let import = Import::of(config).unwrap();
    let text = import.text("main").unwrap();
    assert!(text.contains("url_pattern = \"https://*.c.example/id/*\""), "{text}");
    assert!(text.contains("tls_roots_file"), "{text}");
    let table: Table = text.parse().unwrap();
    let issuers = table["ca"]["main"]["issuer"].as_array().unwrap();
    assert!(!issuers.is_empty());
    for issuer in issuers {
        read_back(issuer.as_table().unwrap()).unwrap();
    }
    for entry in import.entries.iter().filter(|entry| entry.fault.is_some()) {
        assert!(entry.notes.iter().any(|note| note.contains("printed as a comment")));
    }
}

/// Fulcio lets them: one name for the pods of every cluster.
#[test]
fn issuers_whose_names_meet_are_not_printed_as_if_they_went_together() {
    let config = "oidc-issuers:\n  https://one.example:\n    type: kubernetes\n    client-id: x\n  \
                  https://two.example:\n    type: kubernetes\n    client-id: x\n";
    let import = Import::of(config).unwrap();
    let table: Table = import.text("main").unwrap().parse().unwrap();
    assert_eq!(table["ca"]["main"]["issuer"].as_array().unwrap().len(), 1);
    let said = import.entries[1].notes.join("\n");
    assert!(said.contains("printed as a comment") && said.contains("`cluster`"), "{said}");
}

/// Fulcio lets all issuers of a pattern vouch for one name; here the operator says so.
#[test]
fn a_pattern_whose_issuers_share_names_says_so() {
    let config = "meta-issuers:\n  https://c.acme.example/id/*:\n    type: kubernetes\n    \
                  client-id: x\n  https://ci.acme.example/*:\n    type: uri\n    client-id: x\n    \
                  subject-domain: https://ci.acme.example\n";
    let import = Import::of(config).unwrap();
    for entry in &import.entries {
        let issuer = read_as_open(&entry.table).unwrap();
        assert_eq!(issuer.shares_names_with(), std::slice::from_ref(&entry.name));
        assert_eq!(identity::name_conflicts(&[issuer]), Vec::new());
        let said = entry.notes.join("\n");
        assert!(said.contains("may vouch for the same names, as with Fulcio"), "{said}");
    }
    // Connectors of one name at every issuer: no statement makes that sound.
    let dex = Import::of(&config.replace("uri\n", "uri\n    issuer-claim: $.c\n")).unwrap();
    assert!(dex.entries.iter().any(|entry| entry.fault.is_some()));
}

/// As Dex's tokens are: `{"federated_claims": {"connector_id": "github"}}`.
#[test]
fn an_issuer_claim_leads_into_objects() {
    let config = "oidc-issuers:\n  https://dex.example:\n    type: email\n    client-id: sigstore\n    \
                  issuer-claim: $.federated_claims.connector_id\n";
    let mut table = Import::of(config).unwrap().entries.remove(0).table;
    table.insert("open_to_all".to_owned(), Toml::Boolean(true));
    table.insert(
        "issuer_claim_values".to_owned(),
        Toml::Array(vec![Toml::String("github".to_owned())]),
    );
    let claims = json!({
        "iss": "https://dex.example", "sub": "s", "email": "a@b.example", "email_verified": true,
        "federated_claims": {"connector_id": "github"}
    });
    let principal = mapped(&read_back(&table).unwrap(), &claims).unwrap();
    assert_eq!(principal.extensions.issuer.as_deref(), Some("github"));
}

#[test]
fn hostile_files_are_refused() {
    assert!(Import::of("[]").is_err() && Import::of("").is_err());
    let direction =
        "oidc-issuers:\n  https://a.example:\n    type: email\n    client-id: \"a\\u202eb\"\n";
    assert!(Import::of(direction).unwrap().text("x").is_err());
}

/// Fulcio's YAML knows `client-id` alone, and its JSON `ClientID` in any case.
#[test]
fn settings_are_those_that_fulcio_reads_in_the_files_format() {
    let yaml = "oidc-issuers:\n  https://a.example:\n    type: kubernetes\n    client-id: acme-only\n    \
                clientid: sigstore\n    Type: email\n    SkipEmailVerification: true\nOIDCIssuers:\n  \
                https://b.example:\n    type: kubernetes\n    client-id: x\n";
    let import = Import::of(yaml).unwrap();
    let [entry] = import.entries.as_slice() else { panic!("{import:?}") };
    assert_eq!(entry.table["audiences"], Toml::Array(vec![Toml::String("acme-only".to_owned())]));
    assert_eq!(entry.table["type"].as_str(), Some("kubernetes"));
    assert!(!entry.table.contains_key("skip_email_verification"));
    let said = notes(yaml);
    for name in ["clientid", "Type", "SkipEmailVerification", "OIDCIssuers"] {
        assert!(said.contains(&format!("`{name}` is no setting of ")), "{name}: {said}");
    }
    assert!(said.contains("Fulcio ignores it (in YAML it is `client-id`)"), "{said}");

    let json = |settings: Value| {
        let mut issuer = json!({"Type": "email", "ClientID": "x"});
        issuer.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        json!({"OIDCIssuers": {"https://a.example": issuer}}).to_string()
    };
    for (settings, skips) in [
        (json!({"SkipEmailVerification": true}), true),
        (json!({"skipemailverification": true}), true),
        (json!({"skip-email-verification": true}), false),
        (json!({"skip_email_verification": true}), false),
        (json!({"SkipEmailVerification": "true"}), false),
    ] {
        let import = Import::of(&json(settings.clone())).unwrap();
        let table = &import.entries[0].table;
        assert_eq!(table.contains_key("skip_email_verification"), skips, "{settings}");
        let said = import.entries[0].notes.join("\n");
        assert_eq!(said.contains("no setting of an issuer") || said.contains("neither"), !skips);
    }
    for (word, skips) in [("True", true), ("yes", true), ("no", false), ("maybe", false)] {
        let yaml = format!(
            "oidc-issuers:\n  https://a.example:\n    type: email\n    skip-email-verification: {word}\n"
        );
        let import = Import::of(&yaml).unwrap();
        assert_eq!(
            import.entries[0].table.contains_key("skip_email_verification"),
            skips,
            "{word}"
        );
    }
}

#[test]
fn two_spellings_of_one_setting_are_not_chosen_from() {
    let issuer = json!({"Type": "kubernetes", "ClientID": "acme-only", "clientid": "sigstore"});
    let import = Import::of(&json!({"OIDCIssuers": {"https://a.example": issuer}}).to_string());
    let import = import.unwrap();
    assert!(import.entries.is_empty() && import.lost);
    let said = import.notes.join("\n");
    assert!(said.contains("`ClientID` and `clientid` are one setting"), "{said}");
    let twice = json!({"OIDCIssuers": {}, "oidcissuers": {}});
    assert!(Import::of(&twice.to_string()).is_err());
    let extensions = json!({"BuildTrigger": "a", "buildTrigger": "b"});
    let provider = json!({"SubjectAlternativeNameTemplate": "x", "ExtensionTemplates": extensions});
    let import = Import::of(&json!({"CIIssuerMetadata": {"p": provider}}).to_string()).unwrap();
    assert!(import.lost, "{import:?}");
}

/// `build-signer-uri` is nothing to the reader of JSON, and `BuildSignerURI` nothing to that of YAML.
#[test]
fn extensions_are_spelled_by_the_format_too_and_no_default_is_lost() {
    let yaml = "ci-issuer-metadata:\n  p:\n    subject-alternative-name-template: https://a.example/{{ .a }}\n    \
                default-template-values: {url: https://a.example}\n    extension-templates:\n      \
                build-trigger: event\n      BuildConfigDigest: sha\noidc-issuers:\n  https://a.example:\n    \
                type: ci-provider\n    ci-provider: p\n    client-id: x\n";
    let import = Import::of(yaml).unwrap();
    let template = import.entries[0].table["template"].as_table().unwrap();
    assert!(
        template.contains_key("build_trigger") && !template.contains_key("build_config_digest")
    );
    assert!(notes(yaml).contains("`BuildConfigDigest` is no setting of the extensions"));
    let lost = yaml.replace("{url: https://a.example}", "{url: true}");
    assert!(notes(&lost).contains("the default `url` is no text"));
}

#[test]
fn only_a_platforms_own_hosts_have_its_word_for_its_machines() {
    let runners = |host: &str| {
        let config = format!(
            "oidc-issuers:\n  https://{host}:\n    type: ci-provider\n    ci-provider: p\n    client-id: x\n\
             ci-issuer-metadata:\n  p:\n    subject-alternative-name-template: https://{host}/{{{{ .a }}}}\n"
        );
        let import = Import::of(&config).unwrap();
        import.entries[0].table["template"].get("hosted_runners").map(Toml::to_string)
    };
    for host in
        ["acme-gitlab.com", "evil-token.actions.githubusercontent.com", "gitlab.com.evil.example"]
    {
        assert_eq!(runners(host), None, "{host}");
    }
    for host in
        ["gitlab.com", "token.actions.githubusercontent.com", "eu-oidc.buddyusercontent.com"]
    {
        assert!(runners(host).is_some_and(|runners| runners.contains("-hosted")), "{host}");
    }
}

/// Fulcio asks the fixed entry alone, so that a token of it to `sigstore` is refused there.
#[test]
fn a_wildcard_that_fits_a_fixed_issuer_is_not_printed_as_if_it_counted() {
    let config = "oidc-issuers:\n  https://login.acme.example/realms/corp:\n    client-id: https://acme-only.example\n    \
                  type: username\n    subject-domain: acme.example\nmeta-issuers:\n  \
                  https://login.acme.example/realms/*:\n    client-id: sigstore\n    type: uri\n    \
                  subject-domain: https://apps.acme.example\n  \
                  https://container.googleapis.com/v1/projects/acme/locations/*/clusters/*:\n    \
                  client-id: x\n    type: kubernetes\n";
    let text = |config: &str| {
        let text = Import::of(config).unwrap().text("main").unwrap();
        let table: Table = text.parse().unwrap();
        (text, table["ca"]["main"]["issuer"].as_array().unwrap().len())
    };
    let (said, count) = text(config);
    assert_eq!(count, 2, "{said}");
    assert!(
        said.contains("such as `https://login.acme.example/realms/corp`: Fulcio asks"),
        "{said}"
    );
    // Also where it would be whole, and where the fixed one could not be translated.
    let tied = config.replace(
        "oidc-issuers:\n",
        "oidc-issuers:\n  https://container.googleapis.com/v1/projects/acme/locations/l/clusters/c:\n    type: x\n",
    );
    let (said, count) = text(&tied);
    assert_eq!(count, 1, "{said}");
    assert!(said.contains("locations/l/clusters/c`: Fulcio asks"), "{said}");
}

#[test]
fn many_issuers_of_one_large_provider_do_not_fill_the_memory() {
    let issuers: serde_json::Map<String, Value> = (0..1000)
        .map(|n| {
            let issuer = json!({"Type": "ci-provider", "CIProvider": "p", "ClientID": "x"});
            (format!("https://a{n}.example"), issuer)
        })
        .collect();
    let template = format!("https://a.example/{}", "x".repeat(100_000));
    let config = json!({
        "OIDCIssuers": issuers, "CIIssuerMetadata": {"p": {"SubjectAlternativeNameTemplate": template}}
    });
    let error = Import::of(&config.to_string()).unwrap_err().to_string();
    assert!(error.contains("becomes longer than"), "{error}");
}
