//! Keyless signing and verification, end to end: identities, repositories, references.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{fs, path::Path};

use e2e::{Database, Said, Stack, said};
use serde_json::Value;

fn attest(stack: &Stack, artifact: &Path, token: &str) -> Said {
    let mut command = stack.countersign();
    command.args(["attest", "generate-and-sign", "--keyless", "--identity-token", token]);
    said(command.arg("--subjects").arg(artifact)).unwrap()
}

fn verify(stack: &Stack, artifact: &Path, policy: &[&str]) -> Said {
    let mut command = stack.countersign();
    command.args(["attest", "verify", "--keyless", "--subjects"]).arg(artifact).args(policy);
    said(&mut command).unwrap()
}

fn artifact(stack: &Stack, name: &str) -> std::path::PathBuf {
    let path = stack.work().join(name);
    fs::write(&path, format!("contents of {name}")).unwrap();
    path
}

fn bundle_of(artifact: &Path) -> Value {
    let name = format!("{}.sigstore.json", artifact.display());
    serde_json::from_slice(&fs::read(name).unwrap()).unwrap()
}

fn round_trip(database: Database) {
    let stack = Stack::start(database).unwrap();
    let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
    let artifact = artifact(&stack, "app");
    let attested = attest(&stack, &artifact, &token);
    assert_eq!(attested.code, Some(0), "{attested:?}");
    let issuer = stack.ready("oidc").to_owned();
    let identity = |subject: &'static str| {
        vec!["--certificate-identity", subject, "--certificate-oidc-issuer"]
    };
    let mut policy = identity("alice@acme.internal");
    policy.push(&issuer);
    assert_eq!(verify(&stack, &artifact, &policy).code, Some(0));
    let mut policy = identity("bob@acme.internal");
    policy.push(&issuer);
    assert_eq!(verify(&stack, &artifact, &policy).code, Some(1));
    let mut policy = identity("alice@acme.internal");
    policy.push("https://issuer.example");
    assert_eq!(verify(&stack, &artifact, &policy).code, Some(1));
    fs::write(&artifact, "another artifact").unwrap();
    assert_eq!(verify(&stack, &artifact, &[]).code, Some(1));
    let jwt = fs::read_to_string(token.trim_start_matches('@')).unwrap();
    let signature = jwt.rsplit('.').next().unwrap();
    assert!(!stack.log().contains(signature), "the server logged a token");
}

#[test]
fn attests_and_verifies_on_sqlite() {
    round_trip(Database::Sqlite);
}

#[test]
fn attests_and_verifies_on_postgres() {
    round_trip(Database::postgres("countersign_e2e_keyless").unwrap());
}

#[test]
fn signs_plain_files_and_uri_identities() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let token = stack.token_file::<&str>("token", &[]).unwrap();
    let artifact = artifact(&stack, "plain");
    let mut sign = stack.countersign();
    let signed = said(sign.arg("sign").arg(&artifact).args(["--identity-token", &token])).unwrap();
    assert_eq!(signed.code, Some(0), "{signed:?}");
    let mut any = stack.countersign();
    any.arg("verify").arg(&artifact).args(["--certificate-identity-regexp", "^http://"]);
    any.args(["--certificate-oidc-issuer", stack.ready("oidc")]);
    let verified = said(&mut any).unwrap();
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let mut none = stack.countersign();
    assert_eq!(said(none.arg("verify").arg(&artifact)).unwrap().code, Some(2));
}

#[test]
fn holds_a_github_build_to_its_repository_and_reference() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let claims = ["--ci", "github", "--claim", "repository=my-org/my-secure-repo"];
    let token = stack.token_file("token", &claims).unwrap();
    let artifact = artifact(&stack, "built");
    let attested = attest(&stack, &artifact, &token);
    assert_eq!(attested.code, Some(0), "{attested:?}");
    let repo = |name, reference| {
        verify(&stack, &artifact, &["--verify-repo", name, "--verify-ref", reference])
    };
    let good = repo("my-org/my-secure-repo", "main");
    assert_eq!(good.code, Some(0), "{good:?}");
    assert_eq!(repo("my-org/my-secure-repo", "refs/heads/main").code, Some(0));
    for (name, reference) in [
        ("my-org/another-repo", "main"),
        ("my-org/my-secure", "main"),
        ("my-org/my-secure-repo-2", "main"),
        ("org/my-secure-repo", "main"),
        ("evil/my-org/my-secure-repo", "main"),
        ("my-org/my-secure-repo", "develop"),
        ("my-org/my-secure-repo", "mai"),
        ("my-org/my-secure-repo", "main2"),
        ("my-org/my-secure-repo", "refs/tags/main"),
    ] {
        let refused = repo(name, reference);
        assert_eq!(refused.code, Some(1), "{name} {reference}: {refused:?}");
    }
    assert_eq!(repo("my-org", "main").code, Some(2));
    certificate_has_every_github_extension(&artifact);
}

/// Extensions 1.1 to 1.24 of Fulcio, but 1.7, which is a name form.
fn certificate_has_every_github_extension(artifact: &Path) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bundle = bundle_of(artifact);
    let raw = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap();
    let der = STANDARD.decode(raw).unwrap();
    // DER of the object identifier 1.3.6.1.4.1.57264.1, without its last arc.
    let prefix = [0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x83, 0xBF, 0x30, 0x01];
    for arc in (1..=24).filter(|arc| *arc != 7) {
        let oid = [prefix.as_slice(), &[arc]].concat();
        let count = der.windows(oid.len()).filter(|window| *window == oid).count();
        assert_eq!(count, 1, "extension 1.{arc}");
    }
}
