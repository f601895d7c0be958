//! `countersignd token`: what it prints, and that the running provider's keys verify it.

use crate::harness::Dev;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Map, Value};

/// The token's claims, verified as a relying party does: discovery, keys, signature.
async fn verified(dev: &Dev, path: &str, arguments: &[&str]) -> Map<String, Value> {
    let output = dev.run("token", arguments);
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).unwrap();
    assert!(!token.contains('\n'));

    let issuer = format!("{}{path}", dev.url("oidc"));
    let fetch = async |url: &str| reqwest::get(url).await.unwrap().text().await.unwrap();
    let discovery = fetch(&format!("{issuer}/.well-known/openid-configuration")).await;
    let discovery: Value = serde_json::from_str(&discovery).unwrap();
    assert_eq!(discovery["issuer"], issuer);
    let keys: JwkSet =
        serde_json::from_str(&fetch(discovery["jwks_uri"].as_str().unwrap()).await).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["sigstore"]);
    validation.set_issuer(&[&issuer]);
    jsonwebtoken::decode(&token, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn tokens_of_every_issuer_verify_with_the_running_provider() {
    let dev = Dev::started();
    let plain = verified(&dev, "", &[]).await;
    assert_eq!(plain["sub"], format!("{}/developer", dev.url("oidc")));

    let person = verified(&dev, "", &["--email", "alice@example.com"]).await;
    assert_eq!(person["email"], "alice@example.com");
    assert_eq!(person["email_verified"], true);

    let repository = ["--ci", "github", "--claim", "repository=my-org/my-secure-repo"];
    let job = verified(&dev, "/github", &repository).await;
    assert_eq!(job["repository"], "my-org/my-secure-repo");
    assert_eq!(job["repository_owner"], "my-org");

    let namespace = ["--ci", "kubernetes", "--claim", "kubernetes.io.namespace=prod"];
    let account = verified(&dev, "/kubernetes", &namespace).await;
    assert_eq!(account["sub"], "system:serviceaccount:prod:builder");
}

#[test]
fn an_unknown_ci_system_is_a_usage_error_that_names_the_known_ones() {
    let dev = Dev::new();
    let output = dev.run("token", &["--ci", "travis"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("travis") && said.contains("bitbucket"), "{said}");
}

#[test]
fn without_a_started_stack_it_says_what_to_do() {
    let dev = Dev::new();
    let output = dev.run("token", &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("has `countersignd dev` run with it"), "{said}");

    std::fs::create_dir_all(dev.data_dir()).unwrap();
    let said = String::from_utf8(dev.run("token", &[]).stderr).unwrap();
    assert!(said.contains("start `countersignd dev` first"), "{said}");
}

#[test]
fn it_works_after_the_stack_has_ended() {
    let mut dev = Dev::started();
    dev.terminate();
    assert!(dev.run("token", &["--sub", "x", "--expires-in", "-5"]).status.success());
}
