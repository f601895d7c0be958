//! Each trap that was seen to break a client is found.

use crate::common::{NOW, chain, deployment, public_key, since, with_rekor1};
use crypto::KeyType;
use trust::{
    Deployment, TrustError, TrustFiles,
    lint::{self, Finding},
};
use wire::{
    Base64, HashAlgorithm, PublicKeyDetails,
    countersign::Forge,
    trust::{
        CertificateAuthority, ClientTrustConfig, LogId, ServiceConfiguration, ServiceSelector,
        SigningConfig, TrustedRoot, TrustedRootMediaType, X509Certificate,
    },
};

fn good() -> ClientTrustConfig {
    let files = TrustFiles::build(&deployment(), NOW).unwrap();
    let file = files.files().iter().find(|f| f.name == "client_trust_config.json").unwrap();
    serde_json::from_slice(&file.content).unwrap()
}

/// The findings of a good trusted root after one change.
fn root_findings(change: impl FnOnce(&mut TrustedRoot)) -> Vec<Finding> {
    let mut root = good().trusted_root;
    change(&mut root);
    lint::trusted_root(&root)
}

/// The findings of a good signing config after one change.
fn config_findings(change: impl FnOnce(&mut SigningConfig)) -> Vec<Finding> {
    let ClientTrustConfig { trusted_root, mut signing_config, .. } = good();
    change(&mut signing_config);
    lint::signing_config(&signing_config, &trusted_root, NOW)
}

fn set_key(log: &mut wire::trust::TransparencyLogInstance, key_type: KeyType, details: &str) {
    let key = public_key(key_type);
    log.public_key.raw_bytes = Base64(key.spki_der().to_vec());
    log.public_key.key_details = serde_json::from_value(details.into()).unwrap();
    log.log_id = LogId { key_id: Base64(key.spki_sha256().to_vec()) };
}

fn set_chain(authority: &mut CertificateAuthority, chain: Vec<Vec<u8>>) {
    let certificate = |der| X509Certificate { raw_bytes: Base64(der) };
    authority.cert_chain.certificates = chain.into_iter().map(certificate).collect();
}

const REKOR: &str = "http://localhost:3003";
const CT: &str = "http://localhost:6962";
const CA: &str = "http://localhost:5555";
const TSA: &str = "http://localhost:3004/api/v1/timestamp";

#[test]
fn finds_nothing_in_good_files() {
    assert_eq!(root_findings(|_| ()), []);
    assert_eq!(config_findings(|_| ()), []);
}

#[test]
fn finds_a_media_type_that_go_and_python_refuse() {
    for media_type in [TrustedRootMediaType::V0_1, TrustedRootMediaType::V0_2] {
        assert_eq!(root_findings(|root| root.media_type = media_type), [Finding::MediaType]);
    }
}

#[test]
fn finds_an_empty_list() {
    assert_eq!(root_findings(|root| root.tlogs.clear()), [Finding::Missing("tlogs")]);
    assert_eq!(root_findings(|root| root.ctlogs.clear()), [Finding::Missing("ctlogs")]);
    let found = root_findings(|root| root.certificate_authorities.clear());
    assert_eq!(found, [Finding::Missing("certificateAuthorities")]);
    let found = root_findings(|root| root.timestamp_authorities.clear());
    assert_eq!(found, [Finding::Missing("timestampAuthorities")]);
}

#[test]
fn finds_a_missing_start_everywhere() {
    let missing = |name: &str| [Finding::NoStart(name.to_owned())];
    assert_eq!(root_findings(|r| r.tlogs[0].public_key.valid_for = None), missing(REKOR));
    let no_start = Some(wire::trust::TimeRange::default());
    assert_eq!(root_findings(|r| r.ctlogs[0].public_key.valid_for = no_start), missing(CT));
    let found = root_findings(|r| r.certificate_authorities[0].valid_for = None);
    assert_eq!(found, missing(CA));
    let found = root_findings(|r| r.timestamp_authorities[0].valid_for = no_start);
    assert_eq!(found, missing(TSA));
    assert_eq!(config_findings(|c| c.ca_urls[0].valid_for = None), missing(CA));
}

#[test]
fn finds_log_keys_that_clients_do_not_take() {
    let p384 = "PKIX_ECDSA_P384_SHA_384";
    let found = root_findings(|r| set_key(&mut r.ctlogs[0], KeyType::EcdsaP384, p384));
    assert_eq!(found, [Finding::CtKey(CT.to_owned())]);
    let found = root_findings(|r| set_key(&mut r.tlogs[0], KeyType::EcdsaP384, p384));
    assert_eq!(found, [Finding::RekorKey(REKOR.to_owned())]);
    let p256 = "PKIX_ECDSA_P256_SHA_256";
    assert_eq!(root_findings(|r| set_key(&mut r.tlogs[0], KeyType::EcdsaP256, p256)), []);
}

#[test]
fn finds_a_key_that_is_not_what_its_details_say() {
    let wrong = [Finding::LogKey(REKOR.to_owned())];
    let details = PublicKeyDetails::PkixEcdsaP256Sha256;
    assert_eq!(root_findings(|r| r.tlogs[0].public_key.key_details = details), wrong);
    assert_eq!(root_findings(|r| r.tlogs[0].public_key.raw_bytes = Base64(vec![0x30])), wrong);
}

#[test]
fn finds_a_log_id_of_another_form() {
    let found = root_findings(|r| {
        // What `cosign trusted-root create` writes without `origin=`.
        let key = crypto::PublicKey::from_spki_der(&r.tlogs[0].public_key.raw_bytes.0).unwrap();
        r.tlogs[0].log_id.key_id = Base64(key.spki_sha256().to_vec());
    });
    assert_eq!(found, [Finding::LogId(REKOR.to_owned())]);
    let found = root_findings(|r| r.tlogs[0].base_url = "http://other:3003".to_owned());
    assert_eq!(found, [Finding::LogId("http://other:3003".to_owned())]);
    let found = root_findings(|r| r.tlogs.push(r.tlogs[0].clone()));
    assert_eq!(found, [Finding::DuplicateLogId(REKOR.to_owned())]);
}

#[test]
fn finds_trees_of_another_hash_and_members_that_old_readers_refuse() {
    let found = root_findings(|r| r.tlogs[0].hash_algorithm = HashAlgorithm::Sha2_512);
    assert_eq!(found, [Finding::TreeHash(REKOR.to_owned())]);
    let found = root_findings(|r| r.tlogs[0].operator = "acme".to_owned());
    assert_eq!(found, [Finding::NewMember(REKOR.to_owned())]);
    let found = root_findings(|r| r.ctlogs[0].checkpoint_key_id = Some(LogId::default()));
    assert_eq!(found, [Finding::NewMember(CT.to_owned())]);
    let found = root_findings(|r| r.certificate_authorities[0].operator = "acme".to_owned());
    assert_eq!(found, [Finding::NewMember(CA.to_owned())]);
}

#[test]
fn finds_urls_without_scheme_or_host() {
    for url in ["localhost:3003", "rekor.acme.internal", "ftp://localhost", "", "http://"] {
        let found = root_findings(|r| r.tlogs[0].base_url = url.to_owned());
        assert_eq!(found, [Finding::Url(url.to_owned())]);
    }
}

#[test]
fn finds_broken_chains() {
    let broken = [Finding::Chain(CA.to_owned())];
    let upside_down = root_findings(|r| {
        r.certificate_authorities[0].cert_chain.certificates.reverse();
    });
    assert_eq!(upside_down, broken);
    let rootless = root_findings(|r| {
        r.certificate_authorities[0].cert_chain.certificates.pop();
    });
    assert_eq!(rootless, broken);
    let garbage = root_findings(|r| {
        r.certificate_authorities[0].cert_chain.certificates[0].raw_bytes = Base64(vec![1, 2, 3]);
    });
    assert_eq!(garbage, broken);
}

#[test]
fn finds_another_organization() {
    let found = root_findings(|r| {
        set_chain(&mut r.certificate_authorities[0], chain("Other", "Other CA", true));
    });
    assert_eq!(found, [Finding::Organization(CA.to_owned())]);
}

#[test]
fn finds_timestamp_chains_that_python_or_go_refuse() {
    let bad = [Finding::TsaChain(TSA.to_owned())];
    let found = root_findings(|r| {
        set_chain(&mut r.timestamp_authorities[0], chain("Acme", "A CA", true));
    });
    assert_eq!(found, bad);
    let found = root_findings(|r| {
        let root = chain("Acme", "Acme TSA", false).pop().unwrap();
        set_chain(&mut r.timestamp_authorities[0], vec![root]);
    });
    assert_eq!(found, bad);
    let found = root_findings(|r| {
        r.timestamp_authorities.push(r.timestamp_authorities[0].clone());
    });
    assert_eq!(found, [Finding::DuplicateTsa(TSA.to_owned())]);
}

#[test]
fn finds_lists_without_configuration_and_the_reverse() {
    let rekor = [Finding::ServicesWithoutConfiguration("rekorTlogUrls")];
    let tsa = [Finding::ServicesWithoutConfiguration("tsaUrls")];
    assert_eq!(config_findings(|c| c.tsa_urls.clear()), tsa);
    assert_eq!(config_findings(|c| c.tsa_config = None), tsa);
    assert_eq!(config_findings(|c| c.rekor_tlog_urls.clear()), rekor);
    assert_eq!(config_findings(|c| c.rekor_tlog_config = None), rekor);
}

#[test]
fn finds_selectors_that_js_refuses() {
    for selector in [ServiceSelector::All, ServiceSelector::Exact, ServiceSelector::Undefined] {
        let configuration = Some(ServiceConfiguration { selector, count: 1 });
        let found = config_findings(|c| c.tsa_config = configuration);
        assert_eq!(found, [Finding::Selector("tsaUrls")]);
    }
}

#[test]
fn finds_api_versions_that_clients_do_not_know() {
    let unknown = |url: &str| [Finding::ApiVersion(url.to_owned())];
    assert_eq!(config_findings(|c| c.ca_urls[0].major_api_version = 2), unknown(CA));
    assert_eq!(config_findings(|c| c.tsa_urls[0].major_api_version = 0), unknown(TSA));
    assert_eq!(config_findings(|c| c.rekor_tlog_urls[0].major_api_version = 3), unknown(REKOR));
    // An Ed25519 log speaks no version 1.
    let found = config_findings(|c| c.rekor_tlog_urls[0].major_api_version = 1);
    assert_eq!(found, [Finding::Rekor1Key(REKOR.to_owned())]);
}

#[test]
fn finds_services_of_the_future() {
    let found = config_findings(|c| c.rekor_tlog_urls[0].valid_for = Some(since(NOW.0 + 1)));
    assert_eq!(found, [Finding::FutureStart(REKOR.to_owned())]);
    assert_eq!(config_findings(|c| c.rekor_tlog_urls[0].valid_for = Some(since(NOW.0))), []);
}

#[test]
fn finds_incomplete_timestamp_urls_and_base_urls_with_a_slash() {
    for url in ["http://localhost:3004", "http://localhost:3004/"] {
        let found = config_findings(|c| c.tsa_urls[0].url = url.to_owned());
        assert_eq!(found, [Finding::TsaPath(url.to_owned())]);
    }
    let slashed = format!("{CA}/");
    let found = config_findings(|c| c.ca_urls[0].url.clone_from(&slashed));
    assert_eq!(found, [Finding::TrailingSlash(slashed)]);
    let auth0 = "https://acme.auth0.example/";
    assert_eq!(config_findings(|c| c.oidc_urls[0].url = auth0.to_owned()), []);
}

#[test]
fn finds_services_that_nobody_can_verify() {
    for (change, url) in [
        ((|c, url| c.rekor_tlog_urls[0].url = url) as fn(&mut SigningConfig, String), "http://r"),
        (|c, url| c.ca_urls[0].url = url, "http://c"),
        (|c, url| c.tsa_urls[0].url = url, "http://t/api/v1/timestamp"),
    ] {
        let found = config_findings(|config| change(config, url.to_owned()));
        assert_eq!(found, [Finding::Untrusted(url.to_owned())]);
    }
}

#[test]
fn finds_nothing_in_both_signing_configs_of_a_deployment_with_rekor_1() {
    let files = TrustFiles::build(&with_rekor1(), NOW).unwrap();
    let read = |name: &str| {
        let file = files.files().iter().find(|file| file.name == name).unwrap();
        file.content.clone()
    };
    let root: TrustedRoot = serde_json::from_slice(&read("trusted_root.json")).unwrap();
    assert_eq!(lint::trusted_root(&root), []);
    for name in ["signing_config.v0.2.json", "signing_config.rekor1.v0.2.json"] {
        let config: SigningConfig = serde_json::from_slice(&read(name)).unwrap();
        assert_eq!(lint::signing_config(&config, &root, NOW), [], "{name}");
    }
}

#[test]
fn finds_forges_that_our_own_client_would_not_take() {
    let of = |url: &str, kind: Option<&str>| {
        let forge = Forge { url: url.to_owned(), kind: kind.map(str::to_owned) };
        TrustFiles::build(&Deployment { forge: Some(forge), ..deployment() }, NOW)
    };
    of("https://github.com", Some("github")).unwrap();
    of("https://git.acme.example:8443", Some("gitlab")).unwrap();
    for (url, kind) in [
        ("http://github.com", None),
        ("https://github.com/acme", None),
        ("https://u:p@github.com", None),
        ("github.com", None),
        ("https://github.com", Some("gitlab")),
        ("https://git.acme.example", Some("forgejo")),
    ] {
        let error = of(url, kind).unwrap_err();
        let TrustError::Findings(findings) = error else { panic!("{error}") };
        assert!(
            matches!(findings.as_slice(), [Finding::Forge { url: found, .. }] if found == url),
            "{url}"
        );
    }
}

#[test]
fn finds_nothing_in_the_public_deployments_files() {
    let root = vectors::read("trusted-roots/public-good.json");
    let root: TrustedRoot = serde_json::from_slice(&root).unwrap();
    let config = vectors::read("signing-config/public-good.v0.2.json");
    let config: SigningConfig = serde_json::from_slice(&config).unwrap();
    assert_eq!(lint::trusted_root(&root), []);
    assert_eq!(lint::signing_config(&config, &root, NOW), []);
}
