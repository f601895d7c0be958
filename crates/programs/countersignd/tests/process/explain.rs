//! `countersignd explain-token` and `import-fulcio-config` as a terminal sees them.

use std::fs;

use crate::harness::{Dev, program};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_sample_is_explained_with_the_running_providers_keys_and_never_shown() {
    let dev = Dev::started();
    let token = text(dev.run("token", &["--ci", "github"]).stdout);
    let file = dev.path("sample");
    fs::write(&file, &token).unwrap();
    let argument = format!("@{}", file.display());

    let output = dev.run("explain-token", &["--online", &argument]);
    let said = text(output.stdout);
    assert!(output.status.success(), "{said} {}", text(output.stderr));
    for shown in [
        "candidate of type github-workflow:",
        "  signature: valid",
        "  granted",
        "1.3.6.1.4.1.57264.1.9 build_signer_uri: https://github.com/acme/widgets/",
        "proof of possession may sign: ",
    ] {
        assert!(said.contains(shown), "{shown}\n{said}");
    }
    assert!(token.split('.').all(|part| !said.contains(part)), "{said}");

    // Another's signature.
    let other = text(dev.run("token", &["--ci", "gitlab"]).stdout);
    let forged =
        format!("{}.{}", token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    fs::write(&file, &forged).unwrap();
    let output = dev.run("explain-token", &["--online", "--output", "json", &argument]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["granted"], false);
    assert_eq!(report["candidates"][0]["signature"], "invalid");

    // Garbage is not quoted back.
    let output = dev.run("explain-token", &["secret.secret.secret"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(output.stderr).contains("secret.secret"));
}

#[test]
fn an_import_prints_what_can_be_used_and_says_what_cannot() {
    let dev = Dev::new();
    fs::create_dir_all(dev.data_dir()).unwrap();
    let file = dev.path("fulcio.yaml");
    let config = "define:\n  - &ci \"my-ci\"\noidc-issuers:\n  https://ci.acme.example:\n    \
                  issuer-url: https://ci.acme.example\n    client-id: acme\n    type: ci-provider\n    \
                  ci-provider: *ci\n    audience: x\n  https://old.acme.example:\n    client-id: acme\n    \
                  type: vms\nci-issuer-metadata:\n  *ci:\n    subject-alternative-name-template: \
                  \"https://ci.acme.example/{{ .job }}\"\n";
    fs::write(&file, config).unwrap();
    let mut command = program();
    let output = command.arg("import-fulcio-config").arg(&file).output().unwrap();
    let (toml, said) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(toml.contains("\n[[ca.default.issuer]]\n"), "{toml}");
    assert!(
        toml.contains("subject_alternative_name = \"https://ci.acme.example/{job}\""),
        "{toml}"
    );
    assert!(said.contains("`audience` is no setting of an issuer"), "{said}");
    assert!(said.contains("https://old.acme.example: not translated: the type `vms`"), "{said}");
}
