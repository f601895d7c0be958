//! Upstream's own tokens through the imported configuration. `upstream.json` says where each comes from.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{Principal, PrincipalError, UnverifiedClaims};
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
    let verdict = issuer.explain(&UnverifiedClaims::parse(&token).unwrap(), NOW);
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
            "add `required_claims`",
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
    let table: Table = import.text("main").unwrap().parse().unwrap();
    let issuers = table["ca"]["main"]["issuer"].as_array().unwrap();
    let read = |issuer: &Toml| read_back(issuer.as_table().unwrap()).unwrap();
    let issuers: Vec<_> = issuers.iter().map(read).collect();
    assert_eq!((issuers.len(), identity::name_conflicts(&issuers)), (2, Vec::new()));
    for (entry, issuer) in import.entries.iter().zip(&issuers) {
        assert_eq!(issuer.shares_names_with(), std::slice::from_ref(&entry.name));
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
