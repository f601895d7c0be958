//! The files: their exact shape, how they are written, how they are served.
#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

mod common;

use std::{collections::BTreeSet, fs, sync::Arc};

use axum::{Router, body::Body, extract::Request};
use common::{NOW, START, deployment, log, since};
use countersign_trust::{TrustError, TrustFiles, protocol, router};
use crypto::KeyType;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use wire::{Timestamp, trust::TimeRange};

fn files() -> TrustFiles {
    TrustFiles::build(&deployment(), NOW).unwrap()
}

fn document(files: &TrustFiles, name: &str) -> Value {
    let file = files.files().iter().find(|file| file.name == name).unwrap();
    serde_json::from_slice(&file.content).unwrap()
}

#[test]
fn makes_exactly_the_files_of_the_design() {
    let names: Vec<_> = files().files().iter().map(|file| file.name).collect();
    let expected = [
        "trusted_root.json",
        "trusted_root.jsonl",
        "signing_config.v0.2.json",
        "client_trust_config.json",
        "fulcio_chain.pem",
        "rekor2.pub",
        "ctlog.pub",
        "tsa_chain.pem",
    ];
    assert_eq!(names, expected);
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
    let text = |name: &str| {
        let file = files.files().iter().find(|file| file.name == name).unwrap();
        String::from_utf8(file.content.to_vec()).unwrap()
    };
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

fn served() -> Router {
    service::harden(router(Arc::new(files())), protocol())
}

async fn ask(request: Request) -> (StatusCode, HeaderMap, String) {
    let response = served().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str) -> Request {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn serves_every_file_with_its_type_and_tag() {
    for file in files().files() {
        let (status, headers, body) = ask(get(&format!("/{}", file.name))).await;
        assert_eq!(status, StatusCode::OK, "{}", file.name);
        assert_eq!(headers[header::CONTENT_TYPE], file.content_type);
        assert!(headers[header::ETAG].to_str().unwrap().starts_with('"'));
        assert!(!body.is_empty());
    }
}

#[tokio::test]
async fn answers_304_to_a_known_tag_and_200_to_another() {
    let files = Arc::new(files());
    let tag = files.files()[0].etag.clone();
    let app = router(files);
    let conditional = |tags: String| {
        let request = Request::get("/trusted_root.json").header(header::IF_NONE_MATCH, tags);
        app.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let response = conditional(known.clone()).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(response.headers()[header::ETAG], tag.as_str());
    }
    for unknown in ["\"x\"", "", "x"] {
        let response = conditional(unknown.to_owned()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{unknown}");
    }
}

#[tokio::test]
async fn answers_404_for_what_does_not_exist() {
    for path in [
        "/root.json",
        "/2.root.json",
        "/timestamp.json",
        "/rekor1.pub",
        "/cosign2.env",
        "/signing_config.rekor1.v0.2.json",
        "/targets/trusted_root.json",
        "/../keys/ca.key",
        "/%2e%2e/keys/ca.key",
        "/trusted_root.json%00",
        "/trusted_root.json%ff",
    ] {
        assert_eq!(ask(get(path)).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let post = Request::builder().method(Method::POST).uri("/trusted_root.json");
    let (status, _, body) = ask(post.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(body, "this method is not allowed here\n");
}

#[tokio::test]
async fn the_page_names_every_file_and_escapes_what_it_shows() {
    let (status, headers, body) = ask(get("/")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    for file in files().files() {
        assert!(body.contains(&format!("href=\"{}\"", file.name)), "{}", file.name);
    }
    for expected in ["cosign sign-blob", "sigstore --trust-config", "countersign verify"] {
        assert!(body.contains(expected), "{expected}");
    }
    let mut odd = deployment();
    odd.operator = "<script>&\"".to_owned();
    let page = TrustFiles::build(&odd, NOW).unwrap().page().content.clone();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("&lt;script&gt;&amp;&quot;") && !page.contains("<script>"));
}
