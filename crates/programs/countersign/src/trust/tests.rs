use std::fs;

use moment::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

fn trusted_root() -> Value {
    json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"})
}

fn signing_config(ca_url: &str) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [{"url": ca_url, "majorApiVersion": 1}]
    })
}

fn trust_config(ca_url: &str) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": trusted_root(), "signingConfig": signing_config(ca_url)
    })
}

/// Files by name, each in a directory that goes with this value.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn put(&self, name: &str, content: &Value) -> PathBuf {
        self.put_bytes(name, content.to_string().as_bytes())
    }

    fn put_bytes(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// The CA that the files lead to; `None` where they name no services.
fn authority_of(files: &TrustFiles) -> Option<String> {
    let loaded = LoadedTrust::load(files).unwrap();
    let endpoints = loaded.endpoints(&UrlOverrides::default(), NOW).unwrap();
    endpoints.certificate_authority.map(|url| url.to_string())
}

#[test]
fn prefers_what_was_given_over_the_default() {
    let files = Files::new();
    let root = Some(files.put("root", &trusted_root()));
    let given = Some(files.put("given", &trust_config("http://given")));
    let default = Some(files.put("default", &trust_config("http://default")));
    let signing = Some(files.put("signing", &signing_config("http://signing")));
    let of = |trusted_root: &Option<PathBuf>, trust_config: &Option<PathBuf>, signing_config| {
        authority_of(&TrustFiles {
            trusted_root: trusted_root.clone(),
            trust_config: trust_config.clone(),
            signing_config,
            default_trust_config: default.clone(),
        })
    };
    assert_eq!(of(&None, &None, None).unwrap(), "http://default");
    assert_eq!(of(&None, &None, signing.clone()).unwrap(), "http://signing");
    assert_eq!(of(&None, &given, None).unwrap(), "http://given");
    assert_eq!(of(&root, &given, None).unwrap(), "http://given");
    assert_eq!(of(&root, &given, signing.clone()).unwrap(), "http://signing");
    // Services of an instance that the given root does not list are not used unasked.
    assert_eq!(of(&root, &None, None), None);
    assert_eq!(of(&root, &None, signing).unwrap(), "http://signing");
}

#[test]
fn takes_no_trust_from_services_alone() {
    let files = Files::new();
    let signing_config = Some(files.put("signing", &signing_config("http://signing")));
    for files in [TrustFiles::default(), TrustFiles { signing_config, ..TrustFiles::default() }] {
        assert!(matches!(LoadedTrust::load(&files), Err(TrustFileError::NoTrust)));
    }
}

#[test]
fn names_the_file_that_cannot_be_used() {
    let files = Files::new();
    let fail = |trusted_root: Option<PathBuf>| {
        let files = TrustFiles { trusted_root, ..TrustFiles::default() };
        let error = LoadedTrust::load(&files).unwrap_err();
        assert!(error.to_string().contains("named"), "{error}");
        error
    };
    let missing = Some(files.0.path().join("named"));
    assert!(matches!(fail(missing), TrustFileError::Unreadable { .. }));
    let json = files.put("named", &json!({}));
    assert!(matches!(fail(Some(json)), TrustFileError::Json { .. }));
    let long = files.put_bytes("named", &vec![b' '; MAX_TRUSTED_ROOT_LEN + 1]);
    assert!(matches!(fail(Some(long)), TrustFileError::TooLong { .. }));
    let mut root = trusted_root();
    root["tlogs"] = json!([{"baseUrl": "http://log"}]);
    assert!(matches!(fail(Some(files.put("named", &root))), TrustFileError::Root { .. }));
}

fn loaded(signing_config: &Value) -> LoadedTrust {
    let mut config = signing_config.clone();
    config["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.2+json".into();
    LoadedTrust {
        trust: Trust::from_root(serde_json::from_value(trusted_root()).unwrap()).unwrap(),
        signing_config: Some(serde_json::from_value(config).unwrap()),
        names: ForgeOfNames::Pinned(names::Said::default()),
    }
}

fn endpoints(signing_config: &Value) -> Result<Endpoints, TrustFileError> {
    loaded(signing_config).endpoints(&UrlOverrides::default(), NOW)
}

fn shown(urls: &[ServiceUrl]) -> Vec<String> {
    urls.iter().map(ToString::to_string).collect()
}

#[test]
fn chooses_the_first_service_that_is_valid_and_of_our_version() {
    let from = |start: &str, end: Option<&str>| json!({"start": start, "end": end});
    let config = json!({"rekorTlogUrls": [
        {"url": "http://later", "majorApiVersion": 2, "validFor": from("2026-01-01T00:00:01Z", None)},
        {"url": "http://v3", "majorApiVersion": 3},
        {"url": "http://v1", "majorApiVersion": 1},
        {"url": "http://over", "majorApiVersion": 2,
            "validFor": from("2025-01-01T00:00:00Z", Some("2025-12-31T23:59:59Z"))},
        {"url": "http://now", "majorApiVersion": 2,
            "validFor": from("2026-01-01T00:00:00Z", Some("2026-01-01T00:00:00Z"))},
        {"url": "http://older", "majorApiVersion": 2}
    ]});
    let log = endpoints(&config).unwrap().transparency_log.unwrap();
    assert_eq!(log.url.to_string(), "http://now");
}

#[test]
fn speaks_the_highest_version_that_the_instance_offers() {
    let log = |url: &str, version: u32, operator: &str| json!({"url": url, "majorApiVersion": version, "operator": operator});
    for (logs, url, protocol) in [
        (
            json!([log("http://v1", 1, "a"), log("http://v2", 2, "a")]),
            "http://v2",
            LogProtocol::RekorV2,
        ),
        (
            json!([log("http://v1", 1, "a"), log("http://b", 2, "b")]),
            "http://b",
            LogProtocol::RekorV2,
        ),
        (
            json!([log("http://v3", 3, "a"), log("http://v1", 1, "a")]),
            "http://v1",
            LogProtocol::RekorV1,
        ),
    ] {
        let chosen = endpoints(&json!({"rekorTlogUrls": logs})).unwrap().transparency_log.unwrap();
        assert_eq!((chosen.url.to_string().as_str(), chosen.protocol), (url, Some(protocol)));
    }
}

#[test]
fn knows_what_a_log_at_a_given_url_speaks_or_leaves_it_open() {
    let log = |url: &str, version: u32| json!({"url": url, "majorApiVersion": version});
    let mut loaded = loaded(&json!({"rekorTlogUrls": [
        log("http://localhost:3000", 1), log("http://localhost:3003/", 2),
        log("http://both", 1), log("http://both", 2), log("http://new", 9),
    ]}));
    let key = |details: &str| json!({"rawBytes": "AAAA", "keyDetails": details, "validFor": {"start": "2026-01-01T00:00:00Z"}});
    let trusted = |url: &str, details: &str| json!({"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": key(details), "logId": {"keyId": "AAAA"}});
    let mut root = trusted_root();
    root["tlogs"] = json!([
        trusted("http://only-trusted", "PKIX_ED25519"),
        trusted("http://either", "PKIX_ECDSA_P256_SHA_256"),
    ]);
    loaded.trust = Trust::from_root(serde_json::from_value(root).unwrap()).unwrap();
    for (url, protocol) in [
        ("http://localhost:3000", Some(LogProtocol::RekorV1)),
        ("http://localhost:3000/path", Some(LogProtocol::RekorV1)),
        ("http://localhost:3003", Some(LogProtocol::RekorV2)),
        ("https://localhost:3003", None),
        ("http://localhost", None),
        ("http://both", None),
        ("http://new", None),
        ("http://only-trusted", Some(LogProtocol::RekorV2)),
        ("http://either", None),
    ] {
        let urls = UrlOverrides { transparency_log: Some(url.into()), ..Default::default() };
        let chosen = loaded.endpoints(&urls, NOW).unwrap().transparency_log.unwrap();
        assert_eq!(chosen.protocol, protocol, "{url}");
    }
}

#[test]
fn rejects_a_list_of_which_nothing_can_be_used() {
    let config = json!({"rekorTlogUrls": [{"url": "http://v3", "majorApiVersion": 3}]});
    let error = endpoints(&config).unwrap_err();
    let said = "no transparency log with major API version 1 or 2";
    assert!(error.to_string().contains(said), "{error}");
    let url = UrlOverrides { transparency_log: Some("http://given".into()), ..Default::default() };
    let chosen = loaded(&config).endpoints(&url, NOW).unwrap();
    assert_eq!(chosen.transparency_log.unwrap().url.to_string(), "http://given");
}

#[test]
fn uses_as_many_timestamp_authorities_as_the_selector_says() {
    let service =
        |url: &str, operator: &str| json!({"url": url, "majorApiVersion": 1, "operator": operator});
    let urls = [service("http://a1", "a"), service("http://a2", "a"), service("http://b", "b")];
    let chosen = |tsa_config: Value| {
        let config = json!({"tsaUrls": urls, "tsaConfig": tsa_config});
        endpoints(&config).map(|endpoints| shown(&endpoints.timestamp_authorities))
    };
    assert_eq!(chosen(json!(null)).unwrap(), ["http://a1"]);
    assert_eq!(chosen(json!({"selector": "ANY"})).unwrap(), ["http://a1"]);
    assert_eq!(chosen(json!({"selector": "ALL"})).unwrap(), ["http://a1", "http://b"]);
    assert_eq!(chosen(json!({"selector": "EXACT", "count": 2})).unwrap().len(), 2);
    for count in [0, 3] {
        let error = chosen(json!({"selector": "EXACT", "count": count})).unwrap_err();
        assert!(matches!(error, TrustFileError::TooFewServices { usable: 2, .. }), "{error}");
    }
}

#[test]
fn rejects_a_demand_for_several_logs() {
    let log =
        |operator: &str| json!({"url": "http://log", "majorApiVersion": 2, "operator": operator});
    let config =
        json!({"rekorTlogUrls": [log("a"), log("b")], "rekorTlogConfig": {"selector": "ALL"}});
    assert!(matches!(endpoints(&config), Err(TrustFileError::SeveralLogs(2))));
}

/// What a root beside this `countersign.json` says of bare names.
fn forge_beside(instance: Option<&Value>) -> Result<Option<String>, TrustFileError> {
    let files = Files::new();
    if let Some(instance) = instance {
        files.put("countersign.json", instance);
    }
    let trusted_root = Some(files.put("root", &trusted_root()));
    let loaded = LoadedTrust::load(&TrustFiles { trusted_root, ..TrustFiles::default() }).unwrap();
    loaded.forge().map(|forge| forge.map(|forge| forge.url()))
}

fn instance(forge: &Value) -> Value {
    json!({"mediaType": "application/vnd.countersign.instance.v1+json", "forge": forge})
}

#[test]
fn reads_the_forge_of_bare_names_beside_the_trust_file() {
    let named = instance(&json!({"url": "https://GitHub.com/"}));
    assert_eq!(forge_beside(Some(&named)).unwrap().as_deref(), Some("https://github.com"));
    let newer = instance(&json!({"url": "https://git.acme.example", "kind": "forgejo", "x": 1}));
    assert_eq!(forge_beside(Some(&newer)).unwrap().as_deref(), Some("https://git.acme.example"));
    assert_eq!(forge_beside(Some(&instance(&Value::Null))).unwrap(), None);
    assert_eq!(forge_beside(None).unwrap(), None);
}

#[test]
fn takes_no_forge_from_a_broken_document() {
    for broken in [
        json!({}),
        json!({"mediaType": "application/vnd.countersign.instance.v2+json"}),
        instance(&json!("https://github.com")),
        instance(&json!({"url": "http://github.com"})),
        instance(&json!({"url": "https://github.com/acme"})),
        instance(&json!({"url": "https://github.com", "kind": "gitlab"})),
        instance(&json!({"url": "https://github.com", "x": "y".repeat(20_000)})),
    ] {
        let error = forge_beside(Some(&broken)).unwrap_err();
        assert!(matches!(error, TrustFileError::Instance { .. }), "{broken}: {error}");
        assert!(error.to_string().contains("countersign.json"), "{error}");
    }
}

#[test]
fn rejects_urls_that_are_none_without_repeating_them() {
    let url = UrlOverrides { certificate_authority: Some("secret@x".into()), ..Default::default() };
    let error = loaded(&json!({})).endpoints(&url, NOW).unwrap_err();
    assert!(matches!(error, TrustFileError::Url { .. }));
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn reads_the_signing_configs_of_public_instances() {
    for name in ["public-good.v0.2.json", "staging.v0.2.json"] {
        let config = vectors::read(format!("signing-config/{name}"));
        let config: Value = serde_json::from_slice(&config).unwrap();
        let url =
            UrlOverrides { transparency_log: Some("http://log".into()), ..Default::default() };
        let chosen = loaded(&config).endpoints(&url, NOW).unwrap();
        assert!(chosen.certificate_authority.is_some());
        assert_eq!(chosen.timestamp_authorities.len(), 1);
    }
}

proptest! {
    #[test]
    fn never_uses_a_service_outside_its_validity(start in 0..2_000_000_000_u64, length in 0..1_000_000_000_u64, now in 0..3_000_000_000_u64) {
        let text = |at: u64| serde_json::to_value(wire::Timestamp::from_unix_seconds(at)).unwrap();
        let valid_for = json!({"start": text(start), "end": text(start + length)});
        let config = json!({"caUrls": [{"url": "http://ca", "majorApiVersion": 1, "validFor": valid_for}]});
        let chosen = loaded(&config).endpoints(&UrlOverrides::default(), UnixSeconds(now));
        prop_assert_eq!(chosen.is_ok(), (start..=start + length).contains(&now));
    }
}
