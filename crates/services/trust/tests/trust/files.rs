//! The files: their exact shape, how they are written, how they are served.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::common::{NOW, REKOR1, START, deployment, log, public_key, since, with_rekor1};
use crypto::KeyType;
use serde_json::{Value, json};
use trust::{
    Authority, Deployment, LogKey, State, TilesKey, TrustError, TrustFiles, lint::Finding,
};
use wire::{Timestamp, trust::TimeRange};

fn files() -> TrustFiles {
    TrustFiles::build(&deployment(), NOW).unwrap()
}

fn document(files: &TrustFiles, name: &str) -> Value {
    let file = files.files().iter().find(|file| file.name == name).unwrap();
    serde_json::from_slice(&file.content).unwrap()
}

fn names(deployment: &Deployment) -> Vec<&'static str> {
    let files = TrustFiles::build(deployment, NOW).unwrap();
    files.files().iter().map(|file| file.name).collect()
}

#[test]
fn makes_exactly_the_files_of_the_design() {
    let mut expected = vec![
        "trusted_root.json",
        "trusted_root.jsonl",
        "signing_config.v0.2.json",
        "client_trust_config.json",
        "countersign.json",
        "fulcio_chain.pem",
        "rekor2.pub",
        "ctlog.pub",
        "tsa_chain.pem",
    ];
    assert_eq!(names(&deployment()), expected);
    expected.extend([
        "signing_config.rekor1.v0.2.json",
        "rekor1.pub",
        "rekor1_tiles.vkey",
        "cosign2.env",
    ]);
    assert_eq!(names(&with_rekor1()), expected);
}

/// Auth0's issuer ends in a slash, and cosign demands the very `iss` of the tokens.
#[test]
fn the_url_of_the_identity_provider_is_kept_to_the_letter() {
    const AUTH0: &str = "https://acme.auth0.example/";
    let deployment = Deployment { oidc_url: AUTH0.to_owned(), ..with_rekor1() };
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    for name in ["signing_config.v0.2.json", "signing_config.rekor1.v0.2.json"] {
        assert_eq!(document(&files, name)["oidcUrls"][0]["url"], AUTH0, "{name}");
    }
    let config = document(&files, "client_trust_config.json");
    assert_eq!(config["signingConfig"]["oidcUrls"][0]["url"], AUTH0);
    let variables = files.files().iter().find(|file| file.name == "cosign2.env").unwrap();
    let variables = std::str::from_utf8(&variables.content).unwrap();
    for name in ["COSIGN_OIDC_ISSUER", "GITSIGN_OIDC_ISSUER"] {
        assert!(variables.contains(&format!("{name}={AUTH0}\n")), "{variables}");
    }
}

#[test]
fn the_first_log_is_rekor_1_and_the_first_service_rekor_2() {
    let deployment = with_rekor1();
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let root = document(&files, "trusted_root.json");
    assert_eq!(root["tlogs"][0]["baseUrl"], REKOR1);
    assert_eq!(root["tlogs"][0]["publicKey"]["keyDetails"], "PKIX_ECDSA_P256_SHA_256");
    let spki_hash = deployment.rekor1_logs[0].public_key.spki_sha256();
    assert_eq!(root["tlogs"][0]["logId"]["keyId"], wire::Base64(spki_hash.to_vec()).encode());
    assert_eq!(root["tlogs"][1]["baseUrl"], "http://localhost:3003");

    let urls = |name: &str| {
        let config = document(&files, name);
        let services = config["rekorTlogUrls"].as_array().unwrap();
        let pair = |service: &Value| {
            (service["url"].as_str().unwrap().to_owned(), service["majorApiVersion"].clone())
        };
        services.iter().map(pair).collect::<Vec<_>>()
    };
    let v1 = (REKOR1.to_owned(), json!(1));
    let v2 = ("http://localhost:3003".to_owned(), json!(2));
    assert_eq!(urls("signing_config.v0.2.json"), [v2, v1.clone()]);
    assert_eq!(urls("signing_config.rekor1.v0.2.json"), [v1]);
    let joined = document(&files, "client_trust_config.json");
    assert_eq!(joined["signingConfig"], document(&files, "signing_config.v0.2.json"));
}

#[test]
fn a_newer_rekor_1_log_does_not_come_before_rekor_2_in_the_signing_config() {
    let mut deployment = with_rekor1();
    deployment.rekor1_logs[0].valid_for = since(START + 1);
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let config = document(&files, "signing_config.v0.2.json");
    assert_eq!(config["rekorTlogUrls"][0]["majorApiVersion"], 2);
}

#[test]
fn refuses_keys_that_a_rekor_1_log_and_its_tiles_cannot_have() {
    let mut deployment = with_rekor1();
    deployment.rekor1_logs[0].public_key = public_key(KeyType::Ed25519);
    let error = TrustFiles::build(&deployment, NOW).unwrap_err();
    let TrustError::Findings(findings) = error else { panic!("{error}") };
    assert!(findings.contains(&Finding::Rekor1Key(REKOR1.to_owned())), "{findings:?}");

    for (origin, key_type) in [
        ("localhost/rekor1", KeyType::EcdsaP256),
        ("localhost - 1", KeyType::Ed25519),
        ("a+b", KeyType::Ed25519),
        ("", KeyType::Ed25519),
    ] {
        let origin = origin.to_owned();
        let mut deployment = with_rekor1();
        deployment.rekor1_logs[0].tiles =
            Some(TilesKey { origin: origin.clone(), public_key: public_key(key_type) });
        let error = TrustFiles::build(&deployment, NOW).unwrap_err();
        let TrustError::Findings(findings) = error else { panic!("{error}") };
        assert_eq!(findings, [Finding::TilesKey(origin)]);
    }
}

#[test]
fn the_verifier_key_line_is_what_c2sp_notes_have() {
    let deployment = with_rekor1();
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let line = text(&files, "rekor1_tiles.vkey");
    let raw = deployment.rekor1_logs[0].tiles.as_ref().unwrap().public_key.raw().to_vec();
    let hash = crypto::sha256(&[b"localhost/rekor1\n\x01".as_slice(), &raw].concat());
    let key = wire::Base64([vec![1], raw].concat()).encode();
    assert_eq!(line, format!("localhost/rekor1+{}+{key}\n", hex::encode(&hash[..4])));
}

/// What a shell has in a variable after it read the file.
fn sourced(directory: &Path, variable: &str) -> String {
    let script = format!(". ./cosign2.env && sh -c 'printf %s \"${variable}\"'");
    let output = Command::new("sh").arg("-c").arg(script).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_shell_reads_the_environment_file_and_finds_every_file() {
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join("it's a \"$HOME\" `id`");
    let mut deployment = with_rekor1();
    for trust_dir in [None, Some(odd.clone())] {
        deployment.trust_dir.clone_from(&trust_dir);
        TrustFiles::build(&deployment, NOW).unwrap().write_to(&odd).unwrap();
        for (variable, name) in [
            ("SIGSTORE_ROOT_FILE", "fulcio_chain.pem"),
            ("SIGSTORE_REKOR_PUBLIC_KEY", "rekor1.pub"),
            ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "ctlog.pub"),
            ("SIGSTORE_TSA_CERTIFICATE_FILE", "tsa_chain.pem"),
        ] {
            let path = sourced(&odd, variable);
            assert!(Path::new(&path).is_absolute(), "{path}");
            assert!(fs::read(&path).is_ok(), "{path}");
            assert!(path.ends_with(name), "{path}");
        }
        assert_eq!(sourced(&odd, "COSIGN_REKOR_URL"), REKOR1);
        assert_eq!(sourced(&odd, "GITSIGN_FULCIO_URL"), "http://localhost:5555");
        assert_eq!(sourced(&odd, "GITSIGN_OIDC_ISSUER"), "http://localhost:3006");
    }
}

#[test]
fn the_environment_file_of_a_plain_directory_needs_no_shell() {
    let mut deployment = with_rekor1();
    deployment.trust_dir = Some("/srv/trust".into());
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let environment = text(&files, "cosign2.env");
    assert!(environment.contains("\nSIGSTORE_ROOT_FILE=/srv/trust/fulcio_chain.pem\n"));
}

fn text(files: &TrustFiles, name: &str) -> String {
    let file = files.files().iter().find(|file| file.name == name).unwrap();
    String::from_utf8(file.content.to_vec()).unwrap()
}

/// Every member of a document, as a path without list indices.
fn members(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = format!("{prefix}.{name}");
                found.insert(path.clone());
                members(&path, value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(prefix, item, found)),
        _ => {}
    }
}

#[test]
fn the_trusted_root_has_no_member_that_an_old_strict_reader_does_not_know() {
    let mut found = BTreeSet::new();
    members("", &document(&files(), "trusted_root.json"), &mut found);
    let log = |list: &str| {
        [
            "",
            ".baseUrl",
            ".hashAlgorithm",
            ".publicKey",
            ".publicKey.rawBytes",
            ".publicKey.keyDetails",
            ".publicKey.validFor",
            ".publicKey.validFor.start",
            ".logId",
            ".logId.keyId",
        ]
        .map(|member| format!(".{list}{member}"))
    };
    let authority = |list: &str| {
        [
            "",
            ".subject",
            ".subject.organization",
            ".subject.commonName",
            ".uri",
            ".certChain",
            ".certChain.certificates",
            ".certChain.certificates.rawBytes",
            ".validFor",
            ".validFor.start",
        ]
        .map(|member| format!(".{list}{member}"))
    };
    let expected: BTreeSet<String> = [".mediaType".to_owned()]
        .into_iter()
        .chain(log("tlogs"))
        .chain(log("ctlogs"))
        .chain(authority("certificateAuthorities"))
        .chain(authority("timestampAuthorities"))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_trusted_root_carries_the_legacy_media_type_and_the_right_log_ids() {
    let deployment = deployment();
    let root = document(&TrustFiles::build(&deployment, NOW).unwrap(), "trusted_root.json");
    assert_eq!(root["mediaType"], "application/vnd.dev.sigstore.trustedroot+json;version=0.1");
    assert_eq!(root["tlogs"][0]["publicKey"]["keyDetails"], "PKIX_ED25519");
    assert_eq!(root["ctlogs"][0]["publicKey"]["keyDetails"], "PKIX_ECDSA_P256_SHA_256");
    assert_eq!(root["tlogs"][0]["publicKey"]["validFor"]["start"], "2026-01-01T00:00:00Z");

    let key = &deployment.rekor2_logs[0].public_key;
    let named = crypto::sha256(&[b"localhost\n\x01".as_slice(), key.raw()].concat());
    let expected = wire::Base64(named.to_vec()).encode();
    assert_eq!(root["tlogs"][0]["logId"]["keyId"], expected);
    let spki_hash = deployment.ct_logs[0].public_key.spki_sha256();
    let expected = wire::Base64(spki_hash.to_vec()).encode();
    assert_eq!(root["ctlogs"][0]["logId"]["keyId"], expected);
}

#[test]
fn the_signing_config_is_exactly_what_all_clients_take() {
    let service = |url: &str, version: u32| {
        json!([{
            "url": url,
            "majorApiVersion": version,
            "validFor": {"start": "2026-01-01T00:00:00Z"},
            "operator": "acme.internal",
        }])
    };
    let expected = json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service("http://localhost:5555", 1),
        "oidcUrls": service("http://localhost:3006", 1),
        "rekorTlogUrls": service("http://localhost:3003", 2),
        "tsaUrls": service("http://localhost:3004/api/v1/timestamp", 1),
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    });
    assert_eq!(document(&files(), "signing_config.v0.2.json"), expected);
}

#[test]
fn the_client_trust_config_joins_both_documents() {
    let files = files();
    let expected = json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": document(&files, "trusted_root.json"),
        "signingConfig": document(&files, "signing_config.v0.2.json"),
    });
    assert_eq!(document(&files, "client_trust_config.json"), expected);
}

#[test]
fn the_lines_file_is_one_line_that_ends_in_a_newline() {
    let files = files();
    let lines = files.files().iter().find(|file| file.name == "trusted_root.jsonl").unwrap();
    let text = std::str::from_utf8(&lines.content).unwrap();
    assert_eq!(text.find('\n'), Some(text.len() - 1));
    assert_eq!(document(&files, "trusted_root.jsonl"), document(&files, "trusted_root.json"));
}

#[test]
fn key_files_hold_what_is_in_use() {
    let deployment = deployment();
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let text = |name: &str| text(&files, name);
    assert_eq!(text("rekor2.pub"), deployment.rekor2_logs[0].public_key.to_pem());
    assert_eq!(text("ctlog.pub"), deployment.ct_logs[0].public_key.to_pem());
    for (name, authorities) in [
        ("fulcio_chain.pem", &deployment.certificate_authorities),
        ("tsa_chain.pem", &deployment.timestamp_authorities),
    ] {
        let blocks = pem::parse_many(text(name)).unwrap();
        let chain: Vec<_> = blocks.iter().map(|block| block.contents().to_vec()).collect();
        assert_eq!(chain, authorities[0].chain_der, "{name}");
        assert!(text(name).ends_with("-----END CERTIFICATE-----\n"));
    }
}

#[test]
fn past_logs_stay_trusted_with_their_end_and_are_no_longer_used() {
    let mut deployment = deployment();
    let mut past = log("http://log2025.acme.internal", KeyType::Ed25519);
    past.origin = "log2025.acme.internal".to_owned();
    let end = Timestamp::from_unix_seconds(START);
    past.valid_for = TimeRange { end, ..since(START - 86_400) };
    past.state = State::Frozen;
    deployment.rekor2_logs.push(past);

    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let root = document(&files, "trusted_root.json");
    assert_eq!(root["tlogs"][0]["baseUrl"], "http://log2025.acme.internal");
    assert_eq!(root["tlogs"][0]["publicKey"]["validFor"]["end"], "2026-01-01T00:00:00Z");
    assert_eq!(root["tlogs"][1]["baseUrl"], "http://localhost:3003");
    let config = document(&files, "signing_config.v0.2.json");
    assert_eq!(config["rekorTlogUrls"].as_array().unwrap().len(), 1);
    assert_eq!(config["rekorTlogUrls"][0]["url"], "http://localhost:3003");
}

/// Signers ignore times, and the newest of all may be staged.
#[test]
fn clients_are_sent_to_active_services_alone_and_verify_by_all_of_them() {
    let mut deployment = with_rekor1();
    for (state, start) in [(State::Staged, 9), (State::Frozen, 5), (State::Retired, 3)] {
        let url = format!("http://{state}.acme.internal");
        let origin = format!("{state}.acme.internal");
        let of = |key_type| LogKey {
            origin: origin.clone(),
            valid_for: since(START + start),
            state,
            ..log(&url, key_type)
        };
        deployment.rekor2_logs.push(of(KeyType::Ed25519));
        deployment.ct_logs.push(of(KeyType::EcdsaP256));
        for (authorities, path) in [
            (&mut deployment.certificate_authorities, ""),
            (&mut deployment.timestamp_authorities, "/api/v1/timestamp"),
        ] {
            let (url, valid_for) = (format!("{url}{path}"), since(START + start));
            let other = Authority { url, valid_for, state, ..authorities[0].clone() };
            authorities.insert(0, other);
        }
    }
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let root = document(&files, "trusted_root.json");
    for (list, count) in
        [("tlogs", 5), ("ctlogs", 4), ("certificateAuthorities", 4), ("timestampAuthorities", 4)]
    {
        assert_eq!(root[list].as_array().unwrap().len(), count, "{list}");
    }
    let config = document(&files, "signing_config.v0.2.json");
    for (list, expected) in [
        ("caUrls", &["http://localhost:5555"] as &[&str]),
        ("tsaUrls", &["http://localhost:3004/api/v1/timestamp"]),
        ("rekorTlogUrls", &["http://localhost:3003", REKOR1]),
    ] {
        let services = config[list].as_array().unwrap();
        let urls: Vec<_> = services.iter().map(|one| one["url"].as_str().unwrap()).collect();
        assert_eq!(urls, expected, "{list}");
    }
    let active = &deployment.rekor2_logs[0].public_key;
    assert_eq!(text(&files, "rekor2.pub"), active.to_pem());
    assert_eq!(text(&files, "ctlog.pub"), deployment.ct_logs[0].public_key.to_pem());
    assert!(text(&files, "cosign2.env").contains("COSIGN_FULCIO_URL=http://localhost:5555\n"));
}

#[test]
fn a_tenant_may_have_a_rekor_1_log_alone_and_needs_one_log_that_is_active() {
    let mut deployment = with_rekor1();
    deployment.rekor2_logs.clear();
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    assert!(files.files().iter().all(|file| file.name != "rekor2.pub"));
    let config = document(&files, "signing_config.v0.2.json");
    assert_eq!(config["rekorTlogUrls"].as_array().unwrap().len(), 1);
    deployment.rekor1_logs[0].state = State::Staged;
    let error = TrustFiles::build(&deployment, NOW).unwrap_err();
    assert!(!error.to_string().is_empty(), "{error}");
}

#[test]
fn a_state_is_one_of_four_words() {
    for state in State::ALL {
        assert_eq!(state.name().parse(), Ok(state));
    }
    assert!("Active".parse::<State>().is_err() && "".parse::<State>().is_err());
}

#[test]
fn refuses_a_rekor_origin_that_is_not_the_host() {
    for origin in ["localhost:3003", "http://localhost:3003", "localhost - 1", "LOCALHOST"] {
        let mut deployment = deployment();
        deployment.rekor2_logs[0].origin = origin.to_owned();
        let error = TrustFiles::build(&deployment, NOW).unwrap_err();
        assert!(matches!(error, TrustError::Findings(_)), "{origin}: {error}");
    }
}

#[test]
fn writing_twice_changes_nothing_and_repairs_what_differs() {
    let directory = tempfile::tempdir().unwrap();
    let trust_dir = directory.path().join("trust");
    let files = files();
    files.write_to(&trust_dir).unwrap();
    let modified = |name: &str| fs::metadata(trust_dir.join(name)).unwrap().modified().unwrap();
    let before = modified("ctlog.pub");
    fs::write(trust_dir.join("trusted_root.json"), "half a fi").unwrap();

    files.write_to(&trust_dir).unwrap();
    assert_eq!(modified("ctlog.pub"), before);
    for file in files.files() {
        assert_eq!(fs::read(trust_dir.join(file.name)).unwrap(), file.content, "{}", file.name);
    }
    assert_eq!(fs::read_dir(&trust_dir).unwrap().count(), files.files().len());
}

#[test]
fn the_forge_of_bare_names_is_in_a_document_of_our_own() {
    let media_type = "application/vnd.countersign.instance.v1+json";
    let expected = json!({"mediaType": media_type, "forge": {"url": "https://github.com"}});
    assert_eq!(document(&files(), "countersign.json"), expected);
    let mut deployment = deployment();
    deployment.forge = None;
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    assert_eq!(document(&files, "countersign.json"), json!({"mediaType": media_type}));
}

#[test]
fn the_audience_of_tokens_is_there_too_and_of_the_cas_own_domain() {
    let mut deployment = deployment();
    deployment.audience = Some("https://localhost".to_owned());
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    assert_eq!(document(&files, "countersign.json")["audience"], "https://localhost");
    for other in ["sts.amazonaws.com", "https://sign.acme.example", ""] {
        deployment.audience = Some(other.to_owned());
        let error = TrustFiles::build(&deployment, NOW).unwrap_err();
        let TrustError::Findings(findings) = error else { panic!("{error}") };
        assert!(matches!(findings.as_slice(), [Finding::Audience { .. }]), "{other}");
    }
}
