//! The client's exit codes and sentences for everything that goes wrong around it.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::fs;

use e2e::{Database, Said, Stack, said};
use serde_json::Value;
use signing::{Clock, SystemClock};

fn refused(said: &Said, code: i32, what: &str) {
    assert_eq!(said.code, Some(code), "{what}: {said:?}");
    assert!(!said.stderr.trim().is_empty(), "{what} was refused without a word");
    assert!(!said.stderr.contains("panicked"), "{what}: {said:?}");
}

/// Claims under a signature that is not the issuer's. Of a token that is older than the keys: one as young
/// could be by a key that has only just come, and is to be tried again.
fn forged(stack: &Stack) -> String {
    let issued_at = format!("iat={}", SystemClock.now().0 - 120);
    let claims = ["--email", "alice@acme.internal", "--claim", &issued_at];
    let token = stack.token_file("older", &claims).unwrap();
    let jwt = fs::read_to_string(token.trim_start_matches('@')).unwrap();
    let (claims, signature) = jwt.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let file = stack.work().join("forged");
    fs::write(&file, format!("{claims}.{first}{}", &signature[1..])).unwrap();
    format!("@{}", file.display())
}

#[test]
fn answers_each_failure_with_its_exit_code_and_writes_nothing() {
    let mut stack = Stack::start(Database::Sqlite).unwrap();
    let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
    let expired = ["--email", "alice@acme.internal", "--expires-in", "-60"];
    let expired = stack.token_file("expired", &expired).unwrap();
    let foreign = ["--email", "alice@acme.internal", "--aud", "somebody-else"];
    let foreign = stack.token_file("foreign", &foreign).unwrap();
    let artifact = stack.work().join("artifact");
    fs::write(&artifact, "content").unwrap();
    let bundle = stack.work().join("artifact.sigstore.json");
    let sign = |stack: &Stack, file: &str, token: &str| {
        let mut command = stack.countersign();
        said(command.args(["sign", file, "--identity-token", token])).unwrap()
    };
    let name = artifact.to_str().unwrap();
    refused(&sign(&stack, "/no/such/file", &token), 2, "a missing file");
    refused(&sign(&stack, name, "@/no/such/token"), 2, "a missing token file");
    refused(&sign(&stack, name, "not-a-token"), 2, "a token that is none");
    refused(&sign(&stack, name, &forged(&stack)), 4, "a token with another signature");
    refused(&sign(&stack, name, &expired), 4, "an expired token");
    refused(&sign(&stack, name, &foreign), 4, "a token for another audience");
    let mut no_trust = stack.countersign();
    no_trust.env_remove("COUNTERSIGN_TRUST_CONFIG").env("HOME", stack.work());
    no_trust.args(["sign", name, "--identity-token", &token]);
    refused(&said(&mut no_trust).unwrap(), 2, "no trust at all");
    stack.kill().unwrap();
    refused(&sign(&stack, name, &token), 3, "unreachable services");
    assert!(!bundle.exists(), "a failed signing wrote a bundle");
    let leftovers: Vec<_> = fs::read_dir(stack.work())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("sigstore"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn refuses_malformed_bundles() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let artifact = stack.work().join("artifact");
    fs::write(&artifact, "content").unwrap();
    let file = stack.work().join("bad.json");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (what, content) in [
        ("an empty file", String::new()),
        ("garbage", "\u{0}\u{1}garbage".to_owned()),
        ("truncated JSON", r#"{"mediaType":"application/vnd.dev"#.to_owned()),
        ("another type", "[1,2,3]".to_owned()),
        ("deep nesting", deep),
        ("nothing known", "{}".to_owned()),
        ("32 MiB", format!("\"{}\"", "A".repeat(32 << 20))),
    ] {
        fs::write(&file, content).unwrap();
        let mut verify = stack.countersign();
        verify.arg("verify").arg(&artifact).arg("--bundle").arg(&file);
        verify.args(["--certificate-identity", "a", "--certificate-oidc-issuer", "b"]);
        refused(&said(&mut verify).unwrap(), 1, what);
    }
}

#[test]
fn json_output_is_json_on_success_and_failure() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
    let artifact = stack.work().join("artifact");
    fs::write(&artifact, "content").unwrap();
    let mut sign = stack.countersign();
    sign.args(["sign", "--output", "json", "--identity-token", &token]).arg(&artifact);
    let signed = said(&mut sign).unwrap();
    assert_eq!(signed.code, Some(0), "{signed:?}");
    serde_json::from_str::<Value>(&signed.stdout).unwrap();
    for (identity, code) in [("alice@acme.internal", 0), ("bob@acme.internal", 1)] {
        let mut verify = stack.countersign();
        verify.args(["verify", "--output", "json", "--certificate-identity", identity]);
        verify.args(["--certificate-oidc-issuer", stack.ready("oidc")]).arg(&artifact);
        let said = said(&mut verify).unwrap();
        assert_eq!(said.code, Some(code), "{said:?}");
        serde_json::from_str::<Value>(&said.stdout).unwrap();
    }
}
