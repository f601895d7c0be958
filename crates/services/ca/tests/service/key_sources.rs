//! Where keys come from: roots, tokens, files and hosts of an issuer's own.

use std::path::{Path, PathBuf};

use ca::CaConfig;
use crypto::KeyType;
use identity::IssuerConfig;
use moment::UnixSeconds;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    audit_trail::Lines,
    jwk::TokenKey,
    stack::{NOW, Reply, Stack, Wishes, client_key, entry, request},
    tls_issuer::{Certificate, DISCOVERY, JWKS, TlsIssuer},
};

pub(crate) const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const ACCOUNT: &str = "system:serviceaccount:ci:builder";

/// An API server as kubeadm makes it: its own root, nothing for strangers, keys named by address.
pub(crate) struct Cluster {
    pub(crate) server: TlsIssuer,
    pub(crate) directory: TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let server = TlsIssuer::start(|_| CLUSTER.to_owned(), Certificate::default()).await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.crt"), &server.root_pem).unwrap();
        std::fs::write(directory.path().join("token"), "first\n").unwrap();
        server.demand("first");
        Self { server, directory }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// All that such a cluster needs, with `changes`; `null` takes a setting away.
    pub(crate) fn entry(&self, changes: &Value) -> IssuerConfig {
        let port = self.server.port;
        let mut settings = json!({
            "url": CLUSTER, "type": "kubernetes",
            "discovery_url": format!("https://localhost:{port}{DISCOVERY}"),
            "jwks_hosts": [format!("127.0.0.1:{port}")],
            "tls_roots_file": self.file("ca.crt"), "bearer_token_file": self.file("token")
        });
        let settings_map = settings.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            settings_map.insert(name.clone(), value.clone());
            if value.is_null() {
                settings_map.remove(name);
            }
        }
        entry(settings)
    }

    pub(crate) async fn stack(&self, changes: &Value, keys_dir: Option<&Path>, now: u64) -> Stack {
        let entry = self.entry(changes);
        Stack::with(Wishes {
            entries: Some(Box::new(move |_| vec![entry])),
            keys_dir: keys_dir.map(Path::to_owned),
            now,
            ..Wishes::default()
        })
        .await
    }
}

/// Asks with a pod's token signed by `key`.
pub(crate) async fn ask(stack: &Stack, key: &TokenKey) -> Reply {
    let now = signing::Clock::now(stack.clock.as_ref()).0;
    let claims = json!({
        "iss": CLUSTER, "aud": "sigstore", "iat": now, "exp": now + 300, "sub": ACCOUNT,
        "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "builder", "uid": "u"}}
    });
    let token = key.token(&json!({"alg": "ES256", "kid": "k1"}), &claims);
    stack.post(request(&token, &client_key(), ACCOUNT).to_string()).await
}

#[tokio::test]
async fn a_default_cluster_works_and_its_token_is_read_again() {
    let cluster = Cluster::start().await;
    let stack = cluster.stack(&json!({}), None, NOW).await;
    stack.verified_leaf(&ask(&stack, &cluster.server.key).await);
    std::fs::write(cluster.file("token"), "second").unwrap();
    cluster.server.demand("second");
    stack.clock.advance_ms(60 * 60 * 1000);
    let next = TokenKey::generate(KeyType::EcdsaP256);
    cluster.server.answer(JWKS, 200, &json!({"keys": [next.jwk("k1")]}));
    assert_eq!(ask(&stack, &next).await.status, 200);
    let paths: Vec<String> = cluster.server.requests().iter().map(|head| path(head)).collect();
    assert_eq!(paths, [DISCOVERY, JWKS, DISCOVERY, JWKS]);
}

fn path(head: &str) -> String {
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// What `check --online` says of `entry`.
async fn probe(entry: IssuerConfig) -> Result<(), String> {
    let config = CaConfig::new(vec![entry], "http://127.0.0.1:1".parse().unwrap());
    let probe = ca::probe_issuers(&config).await.unwrap().remove(0);
    probe.outcome.map(drop)
}

/// Each piece that is missing is named, by `check --online`; the signer gets 500, since trying again
/// is of no use.
#[tokio::test]
async fn what_lasts_is_500_and_names_the_setting() {
    let cluster = Cluster::start().await;
    assert_eq!(probe(cluster.entry(&json!({}))).await, Ok(()));
    let port = cluster.server.port;
    std::fs::write(cluster.file("other.crt"), foreign_root().await).unwrap();
    std::fs::write(cluster.file("bad-token"), "bad").unwrap();
    let elsewhere = format!("https://localhost:{port}/nowhere");
    for (changes, says, status) in [
        (json!({"tls_roots_file": null}), "tls_roots_file", 500),
        (json!({"tls_roots_file": cluster.file("other.crt")}), "tls_roots_file", 500),
        (json!({"tls_roots_file": cluster.file("missing")}), "cannot be read", 500),
        (json!({"tls_roots_file": cluster.file("token")}), "holds no PEM certificates", 500),
        (json!({"bearer_token_file": null}), "bearer_token_file", 500),
        (json!({"bearer_token_file": cluster.file("bad-token")}), "status 403", 500),
        (json!({"bearer_token_file": cluster.file("missing")}), "cannot be read", 500),
        (json!({"jwks_hosts": null}), "jwks_hosts", 500),
        (json!({"jwks_hosts": ["127.0.0.1"]}), "jwks_hosts", 500),
        (json!({"url": format!("{CLUSTER}/")}), "as it names itself", 500),
        (json!({"discovery_url": elsewhere}), "discovery_url", 503),
        (json!({"discovery_url": "https://localhost:1/x"}), "must reach it", 503),
        (json!({"discovery_url": "https://nowhere.invalid/x"}), "no address", 503),
    ] {
        let said = probe(cluster.entry(&changes)).await.unwrap_err();
        assert!(said.contains(says) && said.contains(CLUSTER), "{changes}: {said}");
        if changes.get("url").is_none() {
            let stack = cluster.stack(&changes, None, NOW).await;
            let code = if status == 500 { 13 } else { 14 };
            let refused = ask(&stack, &cluster.server.key).await;
            refused.refused(status, code);
            assert_eq!(refused.headers.contains_key("retry-after"), status == 503, "{changes}");
            let summary = stack.ca.issuer_health()[0].summary().unwrap();
            let kind = if status == 500 { "misconfigured" } else { "away" };
            assert!(summary.starts_with(kind), "{changes}: {summary}");
        }
    }
}

async fn foreign_root() -> String {
    TlsIssuer::start(|_| CLUSTER.to_owned(), Certificate::default()).await.root_pem
}

#[tokio::test]
async fn certificates_that_expired_or_are_of_another_name_are_told_apart() {
    for (certificate, says) in [
        (Certificate { expired: true, ..Certificate::default() }, "renew its certificate"),
        (
            Certificate { other_name: true, ..Certificate::default() },
            "by a name of its certificate",
        ),
        (Certificate { mutual: true, ..Certificate::default() }, "wants a client certificate"),
    ] {
        let server =
            TlsIssuer::start(|port| format!("https://localhost:{port}"), certificate).await;
        let directory = tempfile::tempdir().unwrap();
        let roots = directory.path().join("ca.crt");
        std::fs::write(&roots, &server.root_pem).unwrap();
        let url = format!("https://localhost:{}", server.port);
        let entry = entry(json!({"url": url, "type": "email", "tls_roots_file": roots}));
        let said = probe(entry).await.unwrap_err();
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn what_a_provider_says_is_checked_online() {
    let cluster = Cluster::start().await;
    let port = cluster.server.port;
    let keys = format!("https://127.0.0.1:{port}{JWKS}");
    let document = |algorithms: Value| {
        json!({"issuer": CLUSTER, "jwks_uri": keys,
            "id_token_signing_alg_values_supported": algorithms})
    };
    for (path, status, body, says) in [
        (DISCOVERY, 200, document(json!(["ES512"])), "set `algorithms`"),
        (DISCOVERY, 200, document(json!(["ES512", "ES256"])), ""),
        (DISCOVERY, 200, json!("<html>"), "not a discovery document"),
        (DISCOVERY, 404, json!(0), "status 404"),
        (DISCOVERY, 401, json!(0), "bearer_token_file"),
        (DISCOVERY, 500, json!(0), "status 500"),
        (JWKS, 200, json!({"keys": []}), "its set is empty"),
        (JWKS, 200, json!({"keys": [{}]}), "no usable keys"),
        (JWKS, 200, json!({"keys": [TokenKey::generate(KeyType::Ed25519).jwk("k")]}), "`EdDSA`"),
    ] {
        cluster.server.answer(DISCOVERY, 200, &document(json!(["ES256"])));
        cluster.server.answer(path, status, &body);
        match probe(cluster.entry(&json!({}))).await {
            Ok(()) => assert_eq!(says, "", "{body}"),
            Err(said) => assert!(!says.is_empty() && said.contains(says), "{body}: {said}"),
        }
    }
}

/// GHSA-f5mr-q85p-6hh6: a redirect took the service account's token along.
#[tokio::test]
async fn a_token_never_crosses_a_redirect() {
    let (cluster, other) = (Cluster::start().await, Cluster::start().await);
    let elsewhere = format!("https://localhost:{}{JWKS}", other.server.port);
    for path in [DISCOVERY, JWKS] {
        cluster.server.answer(path, 302, &json!(elsewhere));
        let stack = cluster.stack(&json!({}), None, NOW).await;
        ask(&stack, &cluster.server.key).await.refused(500, 13);
    }
    assert_eq!(other.server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn two_real_clusters_of_one_name_are_told_apart() {
    let (one, two) = (Cluster::start().await, Cluster::start().await);
    let entries =
        vec![one.entry(&json!({"cluster": "one"})), two.entry(&json!({"cluster": "two"}))];
    let wishes = Wishes { entries: Some(Box::new(move |_| entries)), ..Wishes::default() };
    let stack = Stack::with(wishes).await;
    for (cluster, name) in [(&one, "/clusters/one/"), (&two, "/clusters/two/")] {
        let leaf = stack.verified_leaf(&ask(&stack, &cluster.server.key).await);
        let san = leaf.subject_alternative_name().unwrap();
        assert!(san.as_str().contains(name), "{}", san.as_str());
    }
}

#[tokio::test]
async fn a_file_of_keys_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let (old, new) =
        (TokenKey::generate(KeyType::EcdsaP256), TokenKey::generate(KeyType::EcdsaP256));
    let write = |key: &TokenKey, id: &str| {
        std::fs::write(&path, json!({"keys": [key.jwk(id)]}).to_string()).unwrap();
    };
    write(&old, "k1");
    let entry = entry(json!({"url": CLUSTER, "type": "kubernetes", "keys_file": path}));
    assert!(ca::check_issuers(std::slice::from_ref(&entry)).is_empty());
    let entries = vec![entry.clone()];
    let wishes = Wishes { entries: Some(Box::new(move |_| entries)), ..Wishes::default() };
    let stack = Stack::with(wishes).await;
    stack.verified_leaf(&ask(&stack, &old).await);
    write(&new, "k1");
    stack.clock.advance_ms(2_000);
    assert_eq!(ask(&stack, &new).await.status, 200);
    // What was read so long ago is read anew before anything is said of a token.
    stack.clock.advance_ms(3_000);
    ask(&stack, &old).await.refused(400, 3);
    std::fs::remove_file(&path).unwrap();
    let problems = ca::check_issuers(&[entry]);
    assert!(problems[0].contains("keys.json cannot be read"), "{problems:?}");
}

#[test]
fn a_key_in_two_files_of_one_issuer_is_refused_by_check() {
    let directory = tempfile::tempdir().unwrap();
    let key = TokenKey::generate(KeyType::EcdsaP256);
    let of = |name: &str, keys: Value| {
        let path = directory.path().join(name);
        std::fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
        entry(json!({"url": CLUSTER, "type": "kubernetes", "keys_file": path, "cluster": name}))
    };
    let other = TokenKey::generate(KeyType::EcdsaP256);
    let one = of("one", json!([key.jwk("a")]));
    assert!(ca::check_issuers(&[one.clone(), of("two", json!([other.jwk("a")]))]).is_empty());
    let two = of("two", json!([other.jwk("a"), key.jwk("b")]));
    let problems = ca::check_issuers(&[one, two]);
    assert!(problems.len() == 1 && problems[0].contains("in two of its sources"), "{problems:?}");
}

/// All of an entry's files are looked at, as a fetch would; tokens that have expired are told apart,
/// since others may renew them.
#[test]
fn check_tells_every_file_that_is_not_what_it_should_be() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let entry_with = |token: &Path| {
        entry(json!({
            "url": CLUSTER, "type": "kubernetes", "tls_roots_file": file("roots.pem", "none"),
            "bearer_token_file": token
        }))
    };
    for empty in ["", " \n", "two words"] {
        let problems = ca::check_issuers(&[entry_with(&file("token", empty))]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("roots.pem holds no PEM certificates"), "{problems:?}");
        assert!(problems[1].contains("token holds no token"), "{problems:?}");
    }
    let jwt = |expires_at: u64| {
        let claims = json!({"exp": expires_at});
        TokenKey::generate(KeyType::EcdsaP256).token(&json!({"alg": "ES256"}), &claims)
    };
    for (name, content, expired) in
        [("old", jwt(NOW), true), ("good", jwt(NOW + 1), false), ("opaque", "x.y".into(), false)]
    {
        let path = file(name, &content);
        let entries = [entry_with(&path), entry_with(&path)];
        let told = ca::expired_tokens(&entries, UnixSeconds(NOW));
        assert_eq!(told, if expired { vec![path] } else { vec![] });
    }
}

#[tokio::test]
async fn check_online_tells_which_of_two_entries_of_one_url_fails() {
    let (one, two) = (Cluster::start().await, Cluster::start().await);
    two.server.answer(DISCOVERY, 404, &json!(0));
    let entries = vec![one.entry(&json!({"cluster": "a"})), two.entry(&json!({"cluster": "b"}))];
    let config = CaConfig::new(entries, "http://127.0.0.1:1".parse().unwrap());
    let probes = ca::probe_issuers(&config).await.unwrap();
    assert!(probes[0].outcome.is_ok());
    let said = probes[1].outcome.as_ref().unwrap_err();
    assert!(said.contains(&format!("localhost:{}", two.server.port)), "{said}");
}

/// What a file or the provider mends needs no change of a setting.
#[tokio::test]
async fn the_log_says_what_ends_a_fault_that_lasts() {
    let cluster = Cluster::start().await;
    std::fs::write(cluster.file("bad-token"), "bad").unwrap();
    for (changes, says) in [
        (json!({"bearer_token_file": cluster.file("bad-token")}), "until the file holds a token"),
        (json!({"bearer_token_file": cluster.file("missing")}), "until the file is what it should"),
        (json!({"tls_roots_file": cluster.file("token")}), "until the file is what it should"),
        (json!({"jwks_hosts": null}), "until a setting is changed"),
    ] {
        let lines = Lines::default();
        let _listening = lines.listen();
        let stack = cluster.stack(&changes, None, NOW).await;
        ask(&stack, &cluster.server.key).await.refused(500, 13);
        let text = lines.text();
        let line = text.lines().find(|line| line.contains("could not fetch the issuer's keys"));
        assert!(line.is_some_and(|line| line.contains(says)), "{changes}: {text}");
    }
}

/// A `keys_file` is the same statement: emptied it withdraws, broken or away it does not.
#[tokio::test]
async fn an_emptied_file_of_keys_withdraws_them_and_one_that_is_away_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let key = TokenKey::generate(KeyType::EcdsaP256);
    std::fs::write(&path, json!({"keys": [key.jwk("k1")]}).to_string()).unwrap();
    let entry = entry(json!({"url": CLUSTER, "type": "kubernetes", "keys_file": path}));
    let entries = vec![entry.clone()];
    let wishes = Wishes { entries: Some(Box::new(move |_| entries)), ..Wishes::default() };
    let stack = Stack::with(wishes).await;
    stack.verified_leaf(&ask(&stack, &key).await);
    for broken in [Some(""), Some("{\"keys\":["), None] {
        match broken {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        stack.clock.advance_ms(10_000);
        stack.ca.tick_issuers().await;
        assert_eq!(ask(&stack, &key).await.status, 200, "{broken:?}");
    }
    std::fs::write(&path, r#"{"keys":[]}"#).unwrap();
    stack.clock.advance_ms(10_000);
    stack.ca.tick_issuers().await;
    ask(&stack, &key).await.refused(503, 14);
    let problems = ca::check_issuers(&[entry]);
    assert!(problems[0].contains("publishes no keys"), "{problems:?}");
}

/// The usual state of a provider behind a proxy that ends TLS: another host was blamed.
#[tokio::test]
async fn keys_at_another_scheme_or_with_a_user_are_told_as_such() {
    let cluster = Cluster::start().await;
    let port = cluster.server.port;
    for (keys, says, advises) in [
        (format!("http://localhost:{port}{JWKS}"), "at `http:`", "X-Forwarded-Proto"),
        ("file:///etc/keys".to_owned(), "at `file:`", "`jwks_uri`"),
        (format!("https://u:p@127.0.0.1:{port}{JWKS}"), "with a user", "bearer_token_file"),
        (format!("https://u@localhost:{port}{JWKS}"), "with a user", "bearer_token_file"),
    ] {
        cluster.server.answer(DISCOVERY, 200, &json!({"issuer": CLUSTER, "jwks_uri": keys}));
        let asked = cluster.server.requests().len();
        let said = probe(cluster.entry(&json!({}))).await.unwrap_err();
        assert!(said.contains(says) && said.contains(advises), "{keys}: {said}");
        let new = cluster.server.requests().split_off(asked);
        assert!(new.iter().all(|head| path(head) == DISCOVERY), "{new:?}");
    }
}

/// What is wrong with a set is told, and no more of it repeated than fits a line.
#[tokio::test]
async fn check_online_names_what_is_wrong_and_repeats_little() {
    let cluster = Cluster::start().await;
    let port = cluster.server.port;
    let key = cluster.server.key.jwk("k1");
    let mut private = key.clone();
    private["d"] = json!("AAAA");
    for (set, says) in [
        (json!({"keys": vec![key.clone(); 65]}), "more than 64 keys"),
        (json!({"keys": [private]}), "make new keys"),
        (json!({}), "not a JWK Set"),
    ] {
        cluster.server.answer(JWKS, 200, &set);
        let said = probe(cluster.entry(&json!({}))).await.unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    cluster.server.answer(JWKS, 200, &json!({"keys": [key]}));
    let long: Vec<String> =
        (0..5000).map(|number| format!("X{number}{}", "y".repeat(120))).collect();
    let keys = format!("https://127.0.0.1:{port}{JWKS}");
    cluster.server.answer(
        DISCOVERY,
        200,
        &json!({"issuer": CLUSTER, "jwks_uri": keys, "id_token_signing_alg_values_supported": long}),
    );
    let said = probe(cluster.entry(&json!({}))).await.unwrap_err();
    assert!(said.len() < 4096 && said.contains("set `algorithms`"), "{} bytes", said.len());
    let host = format!("{}.example", "x".repeat(5000));
    let elsewhere = json!({"issuer": CLUSTER, "jwks_uri": format!("https://{host}/")});
    cluster.server.answer(DISCOVERY, 200, &elsewhere);
    let said = probe(cluster.entry(&json!({}))).await.unwrap_err();
    assert!(said.len() < 4096, "{} bytes", said.len());
}

/// What answers is no HTTP, or has a head without end: neither a firewall nor a key set.
#[tokio::test]
async fn an_answer_that_is_no_http_is_told_as_such() {
    use tokio::io::AsyncWriteExt;

    for answer in [b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), head_of(2 << 20)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(&answer).await;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        });
        let said = probe(entry(json!({"url": url, "type": "email"}))).await.unwrap_err();
        assert!(said.contains("must speak HTTP"), "{said}");
        serving.abort();
    }
}

fn head_of(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(length)).into_bytes()
}

/// A pipe is waited for when it is opened: `check` hung for ever.
#[test]
fn a_pipe_is_no_file_of_an_issuer() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let entry = entry(json!({"url": CLUSTER, "type": "kubernetes", "keys_file": pipe}));
    let (done, problems) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(ca::check_issuers(&[entry])));
    let problems = problems.recv_timeout(std::time::Duration::from_secs(5)).unwrap();
    assert!(problems[0].contains("pipe cannot be read"), "{problems:?}");
}

/// The proxy of the environment cannot know this machine's loopback; nobody listens at this one.
#[test]
fn loopback_is_asked_without_the_proxy_also_with_roots_of_its_own() {
    let test = "key_sources::a_default_cluster_works_and_its_token_is_read_again";
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}
