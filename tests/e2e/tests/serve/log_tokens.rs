//! A log of callers with a token: `countersign` has one for it, and sends it to that log alone.

use std::fs;

use e2e::{Client, Database, Said, countersignd, said};

use super::Deployment;

/// A token of the development provider for `audience`.
fn token(deployment: &Deployment, audience: &str) -> String {
    let data = deployment.data("oidc-dev");
    let arguments = ["token", "--email", "alice@acme.internal", "--aud", audience, "--data-dir"];
    said(countersignd().args(arguments).arg(data)).unwrap().stdout
}

#[test]
fn a_log_of_callers_with_a_token_takes_entries_of_a_client_that_has_one() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    let config = fs::read_to_string(deployment.config()).unwrap();
    let writers = format!("writers = [\"issuer:{}\"]", deployment.url(6));
    fs::write(deployment.config(), config.replace("writers = \"open\"", &writers)).unwrap();
    deployment.init();
    deployment.start_all();

    let client = deployment.client();
    let artifact = deployment.services.path().join("artifact");
    fs::write(&artifact, "artifact").unwrap();
    let sign = |client: &Client, more: &[&str]| -> Said {
        let identity = ["sign", "--identity-token", &client.token];
        client.run(&[&identity, more].concat(), &artifact).unwrap()
    };
    let refused = |more: &[&str], code: i32, why: &str| {
        let said = sign(&client, more);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.stderr.contains(why), "{said:?}");
    };
    let (own, other) = (token(&deployment, &deployment.url(3)), token(&deployment, "http://other"));
    refused(&[], 4, "--log-token");
    refused(&["--log-token", &other], 4, "the transparency log");
    refused(&["--log-token", &client.token], 2, "the one for the CA");
    let signed = sign(&client, &["--log-token", &own]);
    assert_eq!(signed.code, Some(0), "{signed:?}");
    assert_eq!(client.verify(&artifact).unwrap().code, Some(0));

    // Rekor v1 has an audience of its own.
    let first = deployment.url(2);
    refused(&["--rekor-url", &first, "--log-token", &own], 4, "the transparency log");
    let signed =
        sign(&client, &["--rekor-url", &first, "--log-token", &token(&deployment, &first)]);
    assert_eq!(signed.code, Some(0), "{signed:?}");
    deployment.terminate();

    // What the log knew of the issuer outlives a start while that one is away.
    for part in ["log", "ca", "tsa", "trust"] {
        deployment.start(part);
    }
    fs::write(&artifact, "another artifact").unwrap();
    let signed = sign(&client, &["--log-token", &own]);
    assert_eq!(signed.code, Some(0), "{signed:?}");
    deployment.terminate();
}
