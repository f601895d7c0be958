use moment::UnixSeconds;
use serde_json::json;

use super::*;

fn root_with_log(valid_for: &serde_json::Value) -> Vec<u8> {
    let key = crypto::LocalSigner::generate(crypto::KeyType::Ed25519, "log").unwrap();
    let key = crypto::Signer::public_key(&key).clone();
    let log = json!({
        "baseUrl": "http://localhost:3003", "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": wire::Base64(key.spki_der().to_vec()),
            "keyDetails": "PKIX_ED25519", "validFor": valid_for},
        "logId": {"keyId": wire::Base64(vec![7; 32])}
    });
    json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [log]})
        .to_string()
        .into_bytes()
}

#[test]
fn takes_host_and_window_of_a_log_with_both_ends() {
    let range = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:10Z"});
    let trust = Trust::from_json(&root_with_log(&range)).unwrap();
    let log = trust.log(&[7; 32]).unwrap();
    assert_eq!(log.host, "localhost");
    let start = 1_767_225_600;
    let inside = [start - 1, start, start + 10, start + 11];
    let inside = inside.map(|at| log.window.contains(UnixSeconds(at)));
    assert_eq!(inside, [false, true, true, false]);
    assert!(trust.log(&[8; 32]).is_none());
}

/// One instance of each kind, valid as `valid_for` says.
fn root_with_each(valid_for: &serde_json::Value) -> [(InstanceKind, Vec<u8>); 4] {
    let log: serde_json::Value = serde_json::from_slice(&root_with_log(valid_for)).unwrap();
    let authority = json!({"uri": "http://localhost:3003", "certChain": {"certificates": []},
        "validFor": valid_for});
    [
        (InstanceKind::Log, "tlogs", log["tlogs"][0].clone()),
        (InstanceKind::CtLog, "ctlogs", log["tlogs"][0].clone()),
        (InstanceKind::CertificateAuthority, "certificateAuthorities", authority.clone()),
        (InstanceKind::TimestampAuthority, "timestampAuthorities", authority),
    ]
    .map(|(kind, member, instance)| {
        let root = json!({member: [instance], "mediaType": log["mediaType"]});
        (kind, root.to_string().into_bytes())
    })
}

#[test]
fn rejects_an_instance_of_any_kind_that_does_not_say_from_when_it_is_valid() {
    for range in [json!(null), json!({}), json!({"end": "2026-01-01T00:00:00Z"})] {
        for (expected, root) in root_with_each(&range) {
            let error = Trust::from_json(&root).unwrap_err();
            assert!(
                matches!(&error, TrustError::NoStart(kind, url)
                    if *kind == expected && url == "http://localhost:3003"),
                "{error}"
            );
        }
    }
}

#[test]
fn rejects_an_instance_of_any_kind_whose_validity_ends_before_it_begins() {
    let at = |second| json!({"start": "2026-01-01T00:00:01Z", "end": second});
    for (expected, root) in root_with_each(&at("2026-01-01T00:00:00Z")) {
        let error = Trust::from_json(&root).unwrap_err();
        assert!(matches!(error, TrustError::EndsBeforeStart(kind, _) if kind == expected));
    }
    for (_, root) in root_with_each(&at("2026-01-01T00:00:01Z")) {
        Trust::from_json(&root).unwrap();
    }
}

#[test]
fn names_what_it_cannot_use_with_the_reason() {
    let range = json!({"start": "2026-01-01T00:00:00Z"});
    let mut roots = root_with_each(&range)
        .map(|(kind, root)| (kind, serde_json::from_slice::<serde_json::Value>(&root).unwrap()));
    roots[0].1["tlogs"][0]["publicKey"]["rawBytes"] = json!("AAAA");
    roots[1].1["ctlogs"][0]["logId"]["keyId"] = json!("AAAA");
    for ((kind, root), reason) in roots.into_iter().zip([
        "not a valid SubjectPublicKeyInfo",
        "its id has 3 bytes, not 32",
        "its chain has no certificate",
        "the chain has no certificate",
    ]) {
        let trust = Trust::from_json(root.to_string().as_bytes()).unwrap();
        let [unusable] = trust.unusable() else { panic!("{kind} is usable") };
        assert_eq!((unusable.kind, unusable.url.as_str()), (kind, "http://localhost:3003"));
        assert!(unusable.reason.contains(reason), "{unusable}");
        let error = trust.lacks(kind, Check::LogEntry, "it is unknown");
        assert_eq!(error.cause, Cause::NoUsableTrust);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn rejects_a_log_that_is_listed_twice() {
    let range = json!({"start": "2026-01-01T00:00:00Z"});
    let mut root: serde_json::Value = serde_json::from_slice(&root_with_log(&range)).unwrap();
    let log = root["tlogs"][0].clone();
    root["tlogs"].as_array_mut().unwrap().push(log);
    let error = Trust::from_json(root.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, TrustError::LogTwice(..)));
}

#[test]
fn rejects_what_is_no_trusted_root() {
    assert!(matches!(Trust::from_json(b"{}"), Err(TrustError::Json(_))));
    let long = vec![b' '; MAX_TRUSTED_ROOT_LEN + 1];
    assert!(matches!(Trust::from_json(&long), Err(TrustError::TooLong)));
}

#[test]
fn finds_the_host_of_a_url() {
    for (url, host) in [
        ("http://localhost:3003", Some("localhost")),
        ("https://log.example/path?x", Some("log.example")),
        ("http://127.0.0.2:3003/", Some("127.0.0.2")),
        ("http://[::1]:3003", Some("[::1]")),
        ("https://user@host", Some("host")),
        ("localhost", None),
        ("http://", None),
    ] {
        assert_eq!(host_of(url), host, "{url}");
    }
}
