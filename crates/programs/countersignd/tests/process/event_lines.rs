//! What callers send neither writes log lines nor appears in them.

use std::path::Path;

use serde_json::json;

use crate::harness::Dev;

fn token(dev: &Dev) -> String {
    String::from_utf8(dev.run("token", &["--email", "alice@example.com"]).stdout).unwrap()
}

fn post(dev: &Dev) -> reqwest::RequestBuilder {
    reqwest::Client::new().post(format!("{}/api/v2/signingCert", dev.url("ca")))
}

/// What the CA answers to a key whose PEM label, which its error quotes, is `label`.
async fn asked_with_key_of(dev: &Dev, label: &str) -> reqwest::Response {
    let pem = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let key = json!({"publicKey": {"content": pem}, "proofOfPossession": ""});
    let body = json!({"publicKeyRequest": key}).to_string();
    post(dev).bearer_auth(token(dev)).body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_caller_cannot_write_lines_of_its_own() {
    let dev = Dev::started();
    let label = "X\n2026-01-01T00:00:00Z  INFO audit: forged";
    let answer = asked_with_key_of(&dev, label).await;
    assert_eq!(answer.status(), 400);
    let log = dev.log();
    assert!(log.contains("forged"), "the refusal is logged: {log}");
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z")), "{log}");
}

#[tokio::test]
async fn a_caller_cannot_move_the_cursor_or_turn_text_around() {
    let dev = Dev::started();
    let hostile = "X\u{1b}[2J\u{9b}1A\u{7f}\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}forged";
    let refused = asked_with_key_of(&dev, hostile).await;
    let refused = refused.text().await.unwrap();
    assert!(dev.log().contains("forged"), "the refusal is logged: {}", dev.log());
    let entry = json!({"kind": hostile, "apiVersion": hostile, "spec": {}}).to_string();
    let create = format!("{}/api/v1/log/entries", dev.url("rekor1"));
    let answer = reqwest::Client::new().post(create).body(entry).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let said = answer.text().await.unwrap();
    for (what, text) in [("the log", dev.log()), ("the CA", refused), ("the log's answer", said)] {
        let active = |c: char| c != '\n' && !(' '..='~').contains(&c) && !c.is_alphabetic();
        assert!(!text.contains(active), "{what}: {text:?}");
    }
}

#[tokio::test]
async fn no_token_and_no_key_is_logged_at_any_level() {
    let mut dev = Dev::new();
    dev.start(&["--log", "trace"]);
    let (in_header, in_body) = (token(&dev), token(&dev));
    let body = json!({
        "credentials": {"oidcIdentityToken": in_body},
        "certificateSigningRequest": "QQ=="
    });
    for body in [body.to_string(), "{".to_owned()] {
        let answer = post(&dev).bearer_auth(&in_header).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400);
    }
    let log = dev.log();
    for part in in_header.split('.').chain(in_body.split('.')).skip(1) {
        assert!(!log.contains(part), "a token was logged");
    }
    for key in std::fs::read_dir(dev.path("keys")).unwrap() {
        assert_keeps_secret(&log, &key.unwrap().path());
    }
}

fn assert_keeps_secret(log: &str, key: &Path) {
    let pem = std::fs::read_to_string(key).unwrap();
    for line in pem.lines().filter(|line| !line.starts_with('-')) {
        assert!(!log.contains(line), "{} was logged", key.display());
    }
}
