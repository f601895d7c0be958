//! What names mean: a repository without a host, and an identity without its issuer.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{fs, process::Command};

use e2e::{Database, Said, Stack, said};
use serde_json::{Value, json};

/// The line that most people will type first.
const FOUNDING: [&str; 9] = [
    "attest",
    "verify",
    "--subjects",
    "dist/artifact",
    "--keyless",
    "--verify-repo",
    "my-org/my-secure-repo",
    "--verify-ref",
    "main",
];

/// An attestation of `dist/artifact` by a job of that repository on that forge.
fn attest(stack: &Stack, ci: &str, claims: &[&str]) {
    fs::create_dir_all(stack.work().join("dist")).unwrap();
    fs::write(stack.work().join("dist/artifact"), "built").unwrap();
    let claims = claims.iter().flat_map(|claim| ["--claim", claim]);
    let options: Vec<&str> = ["--ci", ci].into_iter().chain(claims).collect();
    let token = stack.token_file("token", &options).unwrap();
    let mut attest = stack.countersign();
    attest.args(["attest", "generate-and-sign", "--subjects", "dist/artifact", "--keyless"]);
    let attested = said(attest.args(["--identity-token", &token])).unwrap();
    assert_eq!(attested.code, Some(0), "{attested:?}");
}

fn pin(stack: &Stack) -> Said {
    let mut init = stack.countersign_alone();
    init.args(["trust", "init", "--url", stack.ready("trust"), "--root"]);
    said(init.arg(stack.trust_file("root.json"))).unwrap()
}

#[track_caller]
fn exits(command: &mut Command, arguments: &[&str], code: i32, words: &str) {
    let ran = said(command.args(arguments)).unwrap();
    assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
    assert!((ran.stdout.clone() + &ran.stderr).contains(words), "{arguments:?}: {ran:?}");
}

#[test]
fn the_founding_line_works_wherever_trust_is_configured_or_pinned() {
    let mut stack = Stack::start(Database::Sqlite).unwrap();
    attest(&stack, "github", &["repository=my-org/my-secure-repo"]);
    // By COUNTERSIGN_TRUST_CONFIG.
    exits(&mut stack.countersign(), &FOUNDING, 0, "SLSA build L2");
    // By options.
    for (option, file) in
        [("--trust-config", "client_trust_config.json"), ("--trusted-root", "trusted_root.json")]
    {
        let file = stack.trust_file(file).display().to_string();
        let line = [&FOUNDING[..], &[option, &file]].concat();
        exits(&mut stack.countersign_alone(), &line, 0, "SLSA build L2");
    }
    // By a pin, with nobody to ask any more.
    exits(&mut stack.countersign_alone(), &FOUNDING, 2, "trust init");
    let pinned = pin(&stack);
    assert_eq!(pinned.code, Some(0), "{pinned:?}");
    stack.kill().unwrap();
    exits(&mut stack.countersign_alone(), &FOUNDING, 0, "SLSA build L2");
    // A pin from before there was a document names no forge.
    let file = stack.pin().join("pinned.json");
    let mut old: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(old.as_object_mut().unwrap().remove("instance").is_some());
    fs::write(&file, old.to_string()).unwrap();
    exits(&mut stack.countersign_alone(), &FOUNDING, 2, "https://HOST/my-org/my-secure-repo");
    let whole = "https://github.com/my-org/my-secure-repo";
    let line = FOUNDING.map(|word| if word == "my-org/my-secure-repo" { whole } else { word });
    exits(&mut stack.countersign_alone(), &line, 0, "SLSA build L2");
}

#[test]
fn a_name_is_of_one_forge_in_that_forges_letters() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let verify = |arguments: &[&str], code: i32, words: &str| {
        let line = [&FOUNDING[..5], arguments].concat();
        exits(&mut stack.countersign(), &line, code, words);
    };
    attest(&stack, "github", &["repository=my-org/my-secure-repo"]);
    for name in
        ["My-Org/My-Secure-Repo", "my-org/my-secure-repo.git", "github.com/MY-ORG/my-secure-repo/"]
    {
        verify(&["--verify-repo", name], 0, "verified");
    }
    verify(&["--verify-org", "MY-ORG"], 0, "verified");
    verify(&["--verify-ref", "Main"], 1, "ref");
    let gitlab = format!("{}/gitlab", stack.ready("oidc"));
    let contradiction =
        ["--verify-repo", "my-org/my-secure-repo", "--certificate-oidc-issuer", &gitlab];
    verify(&contradiction, 2, "https://github.com");

    // The same path on another forge, with the same CA behind it.
    let path = "my-org/my-secure-repo";
    let config = format!("ci_config_ref_uri=gitlab.com/{path}//.gitlab-ci.yml@refs/heads/main");
    attest(&stack, "gitlab", &[&format!("project_path={path}"), "namespace_path=my-org", &config]);
    verify(&["--verify-repo", path], 1, "https://gitlab.com/my-org/my-secure-repo");
    verify(&["--verify-org", "my-org"], 1, "https://gitlab.com/my-org/my-secure-repo");
    verify(&["--verify-repo", "https://gitlab.com/My-Org/my-secure-repo"], 0, "verified");
    exits(&mut stack.countersign(), &FOUNDING, 1, "`source`");
    // Nothing names a forge but the issuer.
    let alone = stack.work().join("root.json");
    fs::copy(stack.trust_file("trusted_root.json"), &alone).unwrap();
    let alone = alone.display().to_string();
    let by_issuer = ["--certificate-oidc-issuer", &gitlab, "--trusted-root", &alone];
    verify(&[&["--verify-repo", path][..], &by_issuer].concat(), 0, "verified");
    verify(&["--verify-repo", path, "--trusted-root", &alone], 2, "--certificate-oidc-issuer");
    let broken = json!({"mediaType": "text/plain"}).to_string();
    fs::write(stack.work().join("countersign.json"), broken).unwrap();
    verify(&["--verify-repo", path, "--trusted-root", &alone], 2, "countersign.json");
}

#[test]
fn an_issuer_alone_says_that_it_takes_anybody() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    attest(&stack, "github", &["repository=my-org/my-secure-repo"]);
    let issuer = format!("{}/github", stack.ready("oidc"));
    let verify = |arguments: &[&str], code: i32, words: &str| {
        let line = [&FOUNDING[..5], arguments].concat();
        exits(&mut stack.countersign(), &line, code, words);
    };
    verify(&[], 0, "any identity of the trusted CAs");
    verify(&["--verify-ref", "main"], 0, "any identity of the trusted CAs");
    verify(&["--certificate-oidc-issuer", &issuer], 0, "any identity of that issuer");
    verify(&["--certificate-identity-regexp", "my-secure-repo"], 2, "--certificate-oidc-issuer");
    let unanchored =
        ["--certificate-identity-regexp", "my-secure-repo", "--certificate-oidc-issuer", &issuer];
    verify(&unanchored, 0, "anchor it");
}
