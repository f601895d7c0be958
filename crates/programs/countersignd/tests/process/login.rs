//! Who may log in over HTTP: this machine, while nobody else reaches the stack.

use serde_json::Value;

use crate::harness::Dev;

async fn discovery(dev: &Dev) -> Value {
    let url = format!("{}/.well-known/openid-configuration", dev.url("oidc"));
    serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap()
}

/// The status of a request to the page, under the name `host`.
async fn page(dev: &Dev, host: Option<&str>) -> u16 {
    let url = format!("{}/device", dev.url("oidc"));
    let mut request = reqwest::Client::new().get(url);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_stack_on_loopback_names_and_serves_its_login() {
    let dev = Dev::started();
    let discovery = discovery(&dev).await;
    let base = dev.url("oidc");
    assert_eq!(discovery["authorization_endpoint"], format!("{base}/auth"));
    assert_eq!(discovery["token_endpoint"], format!("{base}/token"));
    assert_eq!(page(&dev, None).await, 200);
    assert_eq!(page(&dev, Some("evil.example")).await, 400);
}

#[tokio::test]
async fn a_stack_that_was_told_so_has_no_login() {
    let mut dev = Dev::new();
    dev.start(&["--no-login"]);
    assert!(discovery(&dev).await.get("token_endpoint").is_none());
    assert_eq!(page(&dev, None).await, 404);
    let token = dev.run("token", &["--email", "alice@example.com"]);
    assert!(token.status.success(), "whoever can read the data directory is anybody");
}
