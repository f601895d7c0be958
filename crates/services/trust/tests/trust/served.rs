//! How files, metadata and the page are served.

use std::sync::Arc;

use crate::common::{NOW, TufKeys, deployment, with_rekor1};
use axum::{Router, body::Body, extract::Request};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use signing::FixedClock;
use tempfile::TempDir;
use tower::ServiceExt;
use trust::{Deployment, TrustFiles, protocol, router};

/// A deployment as it is served.
struct Served {
    files: Arc<TrustFiles>,
    app: Router,
    _directory: TempDir,
}

impl Served {
    async fn new(deployment: &Deployment) -> Self {
        let files = Arc::new(TrustFiles::build(deployment, NOW).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(NOW.0));
        let repository = TufKeys::generate().open(directory.path(), &clock, &files).await.unwrap();
        let app = server::harden(router(Arc::clone(&files), repository), protocol());
        Self { files, app, _directory: directory }
    }

    async fn ask(&self, request: Request) -> (StatusCode, HeaderMap, String) {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        serde_json::from_str(&body).unwrap()
    }

    /// Paths of all TUF files, as a client finds them.
    async fn walk(&self) -> Vec<String> {
        let timestamp = self.json("/timestamp.json").await;
        let version = &timestamp["signed"]["meta"]["snapshot.json"]["version"];
        let snapshot = format!("/{version}.snapshot.json");
        let version = &self.json(&snapshot).await["signed"]["meta"]["targets.json"]["version"];
        let targets = format!("/{version}.targets.json");
        let document = self.json(&targets).await;
        let named = document["signed"]["targets"].as_object().unwrap();
        let path = |(name, target): (&String, &Value)| {
            format!("/targets/{}.{name}", target["hashes"]["sha256"].as_str().unwrap())
        };
        let mut paths: Vec<String> = named.iter().map(path).collect();
        paths.extend([snapshot, targets, "/1.root.json".to_owned()]);
        paths
    }
}

#[tokio::test]
async fn serves_every_file_with_its_type_and_tag() {
    let served = Served::new(&with_rekor1()).await;
    for file in served.files.files() {
        let (status, headers, body) = served.get(&format!("/{}", file.name)).await;
        assert_eq!(status, StatusCode::OK, "{}", file.name);
        assert_eq!(headers[header::CONTENT_TYPE], file.content_type);
        assert!(headers[header::ETAG].to_str().unwrap().starts_with('"'));
        assert_eq!(body.as_bytes(), file.content);
    }
}

#[tokio::test]
async fn answers_304_to_a_known_tag_and_200_to_another() {
    let served = Served::new(&deployment()).await;
    for path in ["/trusted_root.json", "/timestamp.json", "/1.root.json", "/"] {
        let tag = served.get(path).await.1[header::ETAG].to_str().unwrap().to_owned();
        let conditional = |tags: &str| {
            Request::get(path).header(header::IF_NONE_MATCH, tags).body(Body::empty()).unwrap()
        };
        for known in [&tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
            let (status, headers, body) = served.ask(conditional(known)).await;
            assert_eq!(status, StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(headers[header::ETAG], tag.as_str());
            assert_eq!(body, "");
        }
        for unknown in ["\"x\"", "", "x"] {
            assert_eq!(served.ask(conditional(unknown)).await.0, StatusCode::OK, "{unknown}");
        }
    }
}

#[tokio::test]
async fn a_client_can_walk_from_the_timestamp_to_every_target() {
    let served = Served::new(&with_rekor1()).await;
    let paths = served.walk().await;
    // Three documents, rekor.pub, ctfe.pub, two certificates of the CA and of the TSA, three of metadata.
    assert_eq!(paths.len(), 3 + 2 + 2 + 2 + 3);
    for path in paths {
        let (status, headers, _) = served.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let caching = headers[header::CACHE_CONTROL].to_str().unwrap();
        assert!(caching.contains("immutable"), "{path}: {caching}");
    }
    for path in ["/timestamp.json", "/root.json", "/trusted_root.json", "/"] {
        assert_eq!(served.get(path).await.1[header::CACHE_CONTROL], "no-cache", "{path}");
    }
    let (newest, first) = (served.get("/root.json").await.2, served.get("/1.root.json").await.2);
    assert_eq!(newest, first);
}

#[tokio::test]
async fn targets_have_the_names_and_usages_that_older_clients_choose_by() {
    let served = Served::new(&with_rekor1()).await;
    let document = served.json("/1.targets.json").await;
    let usage = |name: &str| {
        let custom = &document["signed"]["targets"][name]["custom"]["sigstore"];
        (custom["usage"].clone(), custom["status"].clone(), custom["uri"].clone())
    };
    for (name, expected, uri) in [
        ("rekor.pub", "Rekor", "http://localhost:3000"),
        ("ctfe.pub", "CTFE", "http://localhost:6962"),
        ("fulcio_v1.crt.pem", "Fulcio", "http://localhost:5555"),
        ("fulcio_intermediate_v1.crt.pem", "Fulcio", "http://localhost:5555"),
        ("tsa_leaf.crt.pem", "TSA", "http://localhost:3004/api/v1/timestamp"),
        ("tsa_root.crt.pem", "TSA", "http://localhost:3004/api/v1/timestamp"),
    ] {
        assert_eq!(usage(name), (expected.into(), "Active".into(), uri.into()), "{name}");
    }
    for name in ["trusted_root.json", "signing_config.v0.2.json"] {
        let target = &document["signed"]["targets"][name];
        assert!(target["length"].is_u64() && target.get("custom").is_none(), "{name}");
    }
}

#[tokio::test]
async fn answers_404_for_what_does_not_exist() {
    let served = Served::new(&deployment()).await;
    for path in [
        "/2.root.json",
        "/0.root.json",
        "/01.root.json",
        "/snapshot.json",
        "/targets.json",
        "/2.snapshot.json",
        "/rekor1.pub",
        "/cosign2.env",
        "/signing_config.rekor1.v0.2.json",
        "/targets/trusted_root.json",
        "/targets/",
        "/targets/../1.root.json",
        "/targets/%2e%2e%2f1.root.json",
        "/targets/..%2f..%2fkeys%2fca.key",
        "/../keys/ca.key",
        "/%2e%2e/keys/ca.key",
        "/trusted_root.json%00",
        "/trusted_root.json%ff",
        "/targets%2f1.root.json",
        "/favicon.ico",
    ] {
        let (status, headers, body) = served.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(!body.contains('<'), "{path}: {body}");
        let content_type = headers[header::CONTENT_TYPE].to_str().unwrap();
        assert!(content_type.starts_with("text/plain"), "{path}: {content_type}");
    }
    let post = Request::builder().method(Method::POST).uri("/trusted_root.json");
    let (status, _, body) = served.ask(post.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(body, "this method is not allowed here\n");
}

/// The texts of all elements with an attribute, by its value. The page's own markup only.
fn marked(page: &str, attribute: &str) -> Vec<(String, String)> {
    let mark = format!(" {attribute}=\"");
    let marks = page.split(&mark).skip(1);
    let element = |rest: &str| {
        let (value, rest) = rest.split_once('"').unwrap();
        let text = rest.split_once('>').unwrap().1.split_once('<').unwrap().0;
        (value.to_owned(), text.to_owned())
    };
    marks.map(element).collect()
}

#[tokio::test]
async fn commands_have_the_identity_providers_url_to_the_letter() {
    const AUTH0: &str = "https://acme.auth0.example/";
    let development = trust::Development { url: AUTH0.to_owned(), token_command: None };
    let deployment = trust::Deployment {
        oidc_url: AUTH0.to_owned(),
        development: Some(development),
        ..with_rekor1()
    };
    let (_, _, page) = Served::new(&deployment).await.get("/").await;
    let services = marked(&page, "data-service");
    assert!(services.contains(&("oidc".to_owned(), AUTH0.to_owned())), "{services:?}");
    assert!(page.contains(&format!("--certificate-oidc-issuer {AUTH0} ")), "{page}");
    assert!(page.contains(&format!("--cert-oidc-issuer {AUTH0}github")), "one slash, not two");
    assert!(!page.contains(&format!("{AUTH0}/")));
}

#[tokio::test]
async fn the_page_tells_clients_that_look_at_tokens_of_an_audience_of_its_own() {
    const OPTION: &str = "--oidc-client-id ";
    let mut deployment = with_rekor1();
    let (_, _, page) = Served::new(&deployment).await.get("/").await;
    assert!(!page.contains(OPTION) && !page.contains("gitsign.clientID"), "{page}");
    deployment.audience = Some("https://localhost".to_owned());
    deployment.development = Some(provider("countersignd token --data-dir /somewhere"));
    let (_, _, page) = Served::new(&deployment).await.get("/").await;
    assert_eq!(page.matches("--oidc-client-id https://localhost FILE").count(), 1, "{page}");
    assert!(page.contains("--aud https://localhost "), "{page}");
    assert!(page.contains("git config gitsign.clientID https://localhost"), "{page}");
}

fn provider(token_command: &str) -> trust::Development {
    let url = "http://localhost:3006".to_owned();
    trust::Development { url, token_command: Some(token_command.to_owned()) }
}

/// It named a directory of `dev`, which no container and no service of its own has.
#[tokio::test]
async fn the_page_shows_the_token_command_of_its_operator_and_no_other() {
    let mut deployment = with_rekor1();
    let commands = |page: &str| marked(page, "data-command");
    let (_, _, page) = Served::new(&deployment).await.get("/").await;
    assert!(!page.contains("countersignd token"), "{page}");
    assert!(!commands(&page).iter().any(|(id, _)| id == "begin-token"));
    assert!(page.contains("--cert-oidc-issuer https://token.actions.githubusercontent.com"));
    deployment.development = Some(provider("docker-compose exec -T oidc-dev countersignd token"));
    let (_, _, page) = Served::new(&deployment).await.get("/").await;
    let shown = commands(&page).into_iter().find(|(id, _)| id == "begin-token").unwrap().1;
    let expected = "docker-compose exec -T oidc-dev countersignd token --email alice@example.com &gt; token.jwt";
    assert_eq!(shown, expected);
    assert!(page.contains("--cert-oidc-issuer http://localhost:3006/github"));
}

/// Files that came by HTTP stood among what is verified by TUF, and nothing said so.
#[tokio::test]
async fn what_no_client_verifies_is_fetched_in_one_place_that_says_so() {
    let (_, _, page) = Served::new(&with_rekor1()).await.get("/").await;
    let (verified, by_files) = page.split_once("<section id=\"by-files\"").unwrap();
    assert!(by_files.contains("<strong>Nothing verifies these files</strong>"));
    let fetched =
        verified.split(" -O ").skip(1).map(|rest| rest.split_whitespace().next().unwrap());
    assert_eq!(fetched.collect::<Vec<_>>(), ["http://localhost:3005/root.json"]);
    for option in ["--trusted-root ", "--trust-config ", "TRUST_CONFIG", ". ./cosign2.env"] {
        assert!(!verified.contains(option), "{option}");
        assert!(by_files.contains(option) || option == "TRUST_CONFIG", "{option}");
    }
    assert!(
        verified.contains("countersign trust init --url http://localhost:3005 --root root.json")
    );
}

#[tokio::test]
async fn the_page_names_every_file_service_fingerprint_and_client() {
    let deployment = with_rekor1();
    let served = Served::new(&deployment).await;
    let (status, headers, page) = served.get("/").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    for file in served.files.files() {
        assert!(page.contains(&format!("href=\"{}\"", file.name)), "{}", file.name);
    }
    assert!(page.contains("href=\"root.json\""));

    let services = marked(&page, "data-service");
    let ids: Vec<_> = services.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["ca", "rekor2", "rekor1", "tsa", "ct", "oidc", "trust"]);
    assert_eq!(services[3].1, "http://localhost:3004/api/v1/timestamp");

    let root = hex::encode(crypto::sha256(served.get("/root.json").await.2.as_bytes()));
    let fingerprints = marked(&page, "data-fingerprint");
    assert!(fingerprints.contains(&("root.json".to_owned(), root)));
    let key = hex::encode(deployment.rekor1_logs[0].public_key.spki_sha256());
    assert!(fingerprints.contains(&("rekor1-0".to_owned(), key)));
    assert_eq!(fingerprints.len(), 1 + 2 + 2 + 3);

    let clients: Vec<_> = marked(&page, "data-client").into_iter().map(|(id, _)| id).collect();
    let expected = [
        "begin",
        "countersign",
        "cosign3",
        "cosign2",
        "gitsign",
        "sigstore-python",
        "sigstore-js",
        "sigstore-go",
        "openssl",
        "gh",
        "by-files",
    ];
    assert_eq!(clients, expected);
}

#[tokio::test]
async fn every_button_copies_something_that_is_there() {
    let page = Served::new(&with_rekor1()).await.get("/").await.2;
    let buttons = marked(&page, "data-copy");
    assert!(buttons.len() > 30, "{}", buttons.len());
    for (id, _) in buttons {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_and_runs_only_its_own_script() {
    let (_, headers, page) = Served::new(&with_rekor1()).await.get("/").await;
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
        let inline = page.split_once(&format!("<{tag}>")).unwrap().1;
        let inline = inline.split_once(&format!("</{tag}>")).unwrap().0;
        let digest = wire::Base64(crypto::sha256(inline.as_bytes()).to_vec()).encode();
        assert!(policy.contains(&format!("{directive} 'sha256-{digest}'")), "{tag}");
        assert_eq!(page.matches(&format!("<{tag}")).count(), 1, "{tag}");
    }
    for outside in [" src=", "@import", "url(", " style=", " onclick="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn without_rekor_1_no_client_of_it_is_named() {
    let page = Served::new(&deployment()).await.get("/").await.2;
    let clients: Vec<_> = marked(&page, "data-client").into_iter().map(|(id, _)| id).collect();
    for client in ["cosign2", "gitsign", "sigstore-js"] {
        assert!(!clients.iter().any(|id| id == client), "{client}");
    }
    assert!(!page.contains("rekor1"));
}

#[tokio::test]
async fn the_page_escapes_for_html_and_for_the_shell() {
    let mut odd = deployment();
    odd.operator = "<script>&\"'".to_owned();
    odd.trust_url = "http://localhost:3005/$(id)'<b>".to_owned();
    let page = Served::new(&odd).await.get("/").await.2;
    assert!(page.contains("<h1>Trust of &lt;script&gt;&amp;&quot;&#39;</h1>"));
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.contains("<b>"));
    let expected = r"--mirror &#39;http://localhost:3005/$(id)&#39;\&#39;&#39;&lt;b&gt;&#39; ";
    assert!(page.contains(expected), "{page}");
}
