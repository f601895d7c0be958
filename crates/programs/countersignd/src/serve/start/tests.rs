//! Starts within this process.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer as _};
use serde_json::{Value, json};
use signing::{Clock, FixedClock, SystemClock};

use super::*;
use crate::{
    deployment::{ListedWriters, Writers},
    serve::init,
};

/// The sample for trying out, made, on ports that were free a moment ago.
async fn made(directory: &Path) -> Deployment {
    let file = directory.join("countersign.toml");
    let trial = include_str!("../../../../../../docs/samples/trial.toml");
    let data = directory.join("data").display().to_string();
    std::fs::write(&file, trial.replace("/var/tmp/countersign", &data)).unwrap();
    let mut deployment = crate::config::load(&file).unwrap();
    let held: Vec<_> =
        (0..7).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut ports = held.iter().map(|socket| socket.local_addr().unwrap().port());
    let mut port = || ports.next().unwrap();
    deployment.authorities[0].service.port = port();
    deployment.logs.iter_mut().for_each(|log| log.service.port = port());
    deployment.timestamp_authorities[0].service.port = port();
    deployment.repositories[0].service.port = port();
    deployment.listen.metrics_port = port();
    init(false, crate::config::load(&file).unwrap()).await.unwrap();
    deployment
}

fn opened(clock: Arc<dyn Clock>, store: Option<Arc<dyn LogStore>>) -> Opened {
    let (locks, sockets) = (Locks::default(), Vec::new());
    Opened { shared: Shared::new(clock), locks, store, sockets }
}

/// Status and body of `/readyz`.
async fn readiness(port: u16) -> (u16, Value) {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_chain_that_is_not_valid_now_keeps_nobody_else_from_starting() {
    const TEN_YEARS_S: u64 = 3_655 * 86_400;
    let directory = tempfile::tempdir().unwrap();
    let deployment = made(directory.path()).await;
    let clock = Arc::new(FixedClock::at(SystemClock.now().0 + TEN_YEARS_S));
    let opened = opened(Arc::clone(&clock) as Arc<dyn Clock>, None);
    let (running, _locks) = start(&[Part::All], &deployment, opened).await.unwrap();
    for (port, name) in [
        (deployment.authorities[0].service.port, "ca"),
        (deployment.timestamp_authorities[0].service.port, "tsa"),
        (deployment.listen.metrics_port, "ca"),
        (deployment.listen.metrics_port, "tsa"),
    ] {
        let (status, report) = readiness(port).await;
        let why = report["checks"][name].as_str().unwrap();
        assert!(status == 503 && why.contains("not valid"), "{name}: {report}");
    }
    for port in deployment.logs.iter().map(|log| log.service.port) {
        assert_eq!(readiness(port).await.0, 200);
    }
    assert_eq!(readiness(deployment.repositories[0].service.port).await.0, 200);
    clock.set(SystemClock.now().0);
    let (_, report) = readiness(deployment.listen.metrics_port).await;
    for name in ["ca", "tsa", "clock"] {
        assert_eq!(report["checks"][name], "ok", "{report}");
    }
    // Their first entries are of that time, so that nothing can follow before.
    for name in ["rekor1 writes", "rekor2 writes"] {
        let why = report["checks"][name].as_str().unwrap();
        assert!(why.contains("behind the latest time that was signed"), "{report}");
    }
    running.stop(None).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumped_leaves_the_trust_files_ready_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let deployment = made(directory.path()).await;
    let clock = Arc::new(FixedClock::at(SystemClock.now().0));
    let opened = opened(Arc::clone(&clock) as Arc<dyn Clock>, None);
    let (running, _locks) = start(&[Part::All], &deployment, opened).await.unwrap();
    clock.jump(120);
    for port in [&deployment.authorities[0].service, &deployment.logs[0].service].map(|of| of.port)
    {
        assert_eq!(readiness(port).await.0, 503);
    }
    let (status, report) = readiness(deployment.repositories[0].service.port).await;
    let told = report["degraded"].to_string();
    assert!(status == 200 && told.contains("the clock jumped 120 s ahead"), "{report}");
    running.stop(None).await.unwrap();
}

/// Each file below, with what is in it.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        if path.is_dir() {
            contents(&path)
        } else {
            BTreeMap::from([(path.clone(), std::fs::read(&path).unwrap())])
        }
    };
    entries.flat_map(read).collect()
}

#[tokio::test]
async fn a_start_that_fails_publishes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut deployment = made(directory.path()).await;
    let valid_from = wire::Timestamp::from_unix_seconds(1_767_744_000);
    deployment.logs.iter_mut().for_each(|log| log.service.valid_from = valid_from);
    let before = contents(&deployment.repositories[0].tuf_dir);
    let key = &deployment.timestamp_authorities[0].key.file;
    std::fs::remove_file(key).unwrap();
    let shared = Shared::new(Arc::new(SystemClock));
    let starting = start(&[Part::All], &deployment, opened(Arc::clone(&shared.clock), None));
    let Err(failed) = starting.await else { panic!("started without a key") };
    assert!(format!("{failed:#}").starts_with("tsa: the key "), "{failed:#}");
    assert!(contents(&deployment.repositories[0].tuf_dir) == before);
    open_repositories(&deployment, &shared, true).await.unwrap();
    assert!(
        contents(&deployment.repositories[0].tuf_dir) != before,
        "there was something to publish"
    );
}

/// Between its two steps, the database and the file, what the log has is read.
#[tokio::test]
async fn a_log_that_is_ended_while_it_runs_is_degraded_and_ready() {
    let directory = tempfile::tempdir().unwrap();
    let deployment = made(directory.path()).await;
    let store = database::open(&deployment).await.unwrap().unwrap();
    let opened = opened(Arc::new(SystemClock), Some(Arc::clone(&store)));
    let (running, _locks) = start(&[Part::Log], &deployment, opened).await.unwrap();
    let known = store.logs().await.unwrap();
    let record = known.iter().find(|record| record.spec.name == "rekor2").unwrap();
    store.freeze(record.id).await.unwrap();
    let note = "the log `rekor2` is frozen in the database and `active` in the configuration";
    let port = |name| deployment.log(name).unwrap().service.port;
    for port in [port("rekor2"), deployment.listen.metrics_port] {
        let told = async {
            loop {
                let (status, report) = readiness(port).await;
                assert_eq!(status, 200, "{report}");
                let degraded = report["degraded"]["rekor2"].as_str().unwrap_or_default();
                if degraded.starts_with(note) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    }
    assert_eq!(readiness(port("rekor1")).await.1.get("degraded"), None);
    running.stop(None).await.unwrap();
}

/// A request of Rekor v2.
fn entry() -> Value {
    let key = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    let signature = STANDARD.encode(key.sign_now(b"artifact").unwrap());
    let raw = STANDARD.encode(key.public_key().spki_der());
    json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(crypto::sha256(b"artifact")),
        "signature": {"content": signature, "verifier": {
            "publicKey": {"rawBytes": raw}, "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        }},
    }})
}

#[tokio::test]
async fn a_log_whose_disk_is_nearly_full_refuses_entries_says_so_and_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut deployment = made(directory.path()).await;
    // No disk has as much.
    let full = |log: &&mut crate::deployment::Log| log.service.name == "rekor2";
    let log = deployment.logs.iter_mut().find(full).unwrap();
    log.options.min_free_mib = Some(1 << 30);
    let port = log.service.port;
    let opened = opened(Arc::new(SystemClock), None);
    let (running, _locks) = start(&[Part::All], &deployment, opened).await.unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let refused = async {
        loop {
            let (status, report) = readiness(port).await;
            assert_eq!(status, 200, "{report}");
            if report["degraded"].to_string().contains("the disk is nearly full") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
    let client = reqwest::Client::new();
    let posted = client.post(format!("{url}/api/v2/log/entries")).json(&entry());
    let answer = posted.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let said: Value = answer.json().await.unwrap();
    assert_eq!(said["code"], 14, "{said}");
    assert!(said["message"].as_str().unwrap().contains("nearly full"), "{said}");
    let checkpoint = reqwest::get(format!("{url}/api/v2/checkpoint")).await.unwrap();
    assert_eq!(checkpoint.status(), 200);
    running.stop(None).await.unwrap();
}

/// As in containers, which have their ports to themselves.
#[test]
fn two_services_of_one_address_run_in_two_processes_and_not_in_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    let trial = include_str!("../../../../../../docs/samples/trial.toml");
    std::fs::write(&file, trial.replace("[tsa.default]", "[tsa.default]\nport = 5555")).unwrap();
    let deployment = crate::config::load(&file).unwrap();
    let told = "tsa.default: localhost at port 5555 is ca.default's too: no process can serve both \
                `ca` and `tsa`";
    assert!(deployment.warnings.iter().any(|warning| warning == told), "{deployment:?}");
    for part in [Part::Ca, Part::Tsa] {
        refuse_shared_addresses(&deployment, |one| part.includes(one)).unwrap();
    }
    let refused = refuse_shared_addresses(&deployment, |one| Part::All.includes(one));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("localhost at port 5555 is the address of"), "{refused}");
}

/// A port of nobody's, a path too many, and another log: each is told with the setting and the URL.
#[tokio::test]
async fn a_ct_url_that_is_not_the_log_is_found_by_asking() {
    let directory = tempfile::tempdir().unwrap();
    let mut deployment = made(directory.path()).await;
    let opened = opened(Arc::new(SystemClock), None);
    let (running, _locks) = start(&[Part::Log], &deployment, opened).await.unwrap();
    let url = |name: &str| {
        let port = deployment.log(name).unwrap().service.port;
        format!("http://localhost:{port}/")
    };
    let (ct, rekor1) = (url("ct"), url("rekor1"));
    let other_key = deployment.log("rekor1").unwrap().key.public_file.clone();
    for (url, expected) in [
        (ct.clone(), Ok(format!("{ct} is `ct`"))),
        (format!("{ct}path"), Err("the log answered with status 404")),
        (rekor1, Err("the log answered with status 404")),
        ("http://localhost:1/".to_owned(), Err("no answer")),
    ] {
        deployment.authorities[0].settings.ct.url = url.parse().unwrap();
        let said = crate::serve::issuers::ct_log(&deployment, &deployment.authorities[0]).await;
        match expected {
            Ok(words) => assert_eq!(said.unwrap(), words),
            Err(why) => {
                let said = format!("{:#}", said.unwrap_err());
                let setting =
                    format!("`ct_url` of [ca.default], {url}, is not where [log.ct] answers");
                assert!(said.starts_with(&setting) && said.contains(why), "{said}");
            }
        }
    }
    deployment.authorities[0].settings.ct.url = ct.parse().unwrap();
    deployment.logs.iter_mut().find(|log| log.service.name == "ct").unwrap().key.public_file =
        other_key;
    let said = crate::serve::issuers::ct_log(&deployment, &deployment.authorities[0]).await;
    let said = format!("{:#}", said.unwrap_err());
    assert!(said.contains("[log.ct] answers: "), "of another key: {said}");
    running.stop(None).await.unwrap();
}

/// A request of Rekor v2 by a key, bare or in a certificate.
fn entry_by(key: &LocalSigner, artifact: &[u8], certificate: Option<&[u8]>) -> Value {
    let raw =
        json!({"rawBytes": STANDARD.encode(certificate.unwrap_or(key.public_key().spki_der()))});
    let member = if certificate.is_some() { "x509Certificate" } else { "publicKey" };
    json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(crypto::sha256(artifact)),
        "signature": {"content": STANDARD.encode(key.sign_now(artifact).unwrap()), "verifier": {
            (member): raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        }},
    }})
}

/// A token of the development provider.
fn token(deployment: &Deployment, audience: &str) -> String {
    let provider = deployment.provider.as_ref().unwrap();
    let request = oidc::TokenRequest {
        ci: None,
        subject: None,
        email: Some("alice@acme.internal".to_owned()),
        audience: audience.to_owned(),
        overrides: Vec::new(),
        lifetime_s: 300,
    };
    let claims = request.claims(&provider.url.to_string(), SystemClock.now());
    oidc::Minter::new(provider.key.load().unwrap()).mint(claims).unwrap()
}

/// The certificate of `key` for who has the token.
async fn certificate(deployment: &Deployment, key: &LocalSigner) -> Vec<u8> {
    let proof = key.sign_now(b"alice@acme.internal").unwrap();
    let request = json!({
        "credentials": {"oidcIdentityToken": token(deployment, "sigstore")},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": key.public_key().to_pem()},
            "proofOfPossession": STANDARD.encode(proof),
        },
    });
    let port = deployment.authorities[0].service.port;
    let url = format!("http://127.0.0.1:{port}/api/v2/signingCert");
    let answer = reqwest::Client::new().post(url).json(&request).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let leaf = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0];
    let leaf = leaf.as_str().unwrap_or_else(|| panic!("{answer}"));
    x509::from_pem(leaf).unwrap().remove(0)
}

/// A deployment whose Rekor v2 log has listed writers: the CA, `key`, and the development provider.
async fn with_writers(directory: &Path, key: &LocalSigner) -> Deployment {
    let mut deployment = made(directory).await;
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    deployment.provider.as_mut().unwrap().port = port;
    let keys_url = format!("http://127.0.0.1:{port}/.well-known/jwks").parse().unwrap();
    let issuer = oidc::plain_issuer("http://localhost:3006", None).unwrap();
    let issuer = issuer.with_keys_from(keys_url);
    let ct = deployment.log("ct").unwrap().service.port;
    let settings = &mut deployment.authorities[0].settings;
    settings.issuers = vec![issuer.clone()];
    settings.ct.url = format!("http://127.0.0.1:{ct}/").parse().unwrap();
    let file = directory.join("release.pub");
    std::fs::write(&file, key.public_key().to_pem()).unwrap();
    let log = deployment.logs.iter_mut().find(|log| log.service.name == "rekor2").unwrap();
    log.options.writers = Writers::Listed(ListedWriters {
        authorities: vec!["default".to_owned()],
        keys: vec![file],
        issuers: vec![vec![issuer.for_service("http://localhost:3003").unwrap()]],
        audience: "http://localhost:3003".to_owned(),
        per_issuer: server::Allowance::default(),
        // Two of Alice, by a certificate or by a token; a bare key is nobody's.
        per_subject: server::Allowance {
            writes_per_day: std::num::NonZeroU32::new(2),
            ..server::Allowance::default()
        },
    });
    deployment
}

#[tokio::test]
async fn certificates_keys_and_tokens_that_are_listed_let_in_and_nothing_else_does() {
    let directory = tempfile::tempdir().unwrap();
    let new_key = || LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    let (listed, stranger, holder) = (new_key(), new_key(), new_key());
    let deployment = with_writers(directory.path(), &listed).await;
    let opened = opened(Arc::new(SystemClock), None);
    let parts = [Part::All, Part::OidcDev];
    let (running, _locks) = start(&parts, &deployment, opened).await.unwrap();
    let own = certificate(&deployment, &holder).await;
    // Of the same names, by a CA that made itself.
    let forged = {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
        let signer = LocalSigner::from_pkcs8_der(&key.serialize_der(), "forger").unwrap();
        (params.self_signed(&key).unwrap().der().to_vec(), signer)
    };
    let (for_log, for_ca) =
        (token(&deployment, "http://localhost:3003"), token(&deployment, "sigstore"));
    let port = deployment.log("rekor2").unwrap().service.port;
    let url = format!("http://127.0.0.1:{port}/api/v2/log/entries");
    for (request, token, expected) in [
        (entry_by(&holder, b"1", Some(&own)), None, 201),
        (entry_by(&listed, b"2", None), None, 201),
        (entry_by(&stranger, b"3", None), None, 403),
        (entry_by(&forged.1, b"4", Some(&forged.0)), None, 403),
        (entry_by(&stranger, b"5", None), Some(&for_log), 201),
        (entry_by(&stranger, b"6", None), Some(&for_ca), 401),
        (entry_by(&stranger, b"7", None), Some(&for_log), 429),
        (entry_by(&holder, b"8", Some(&own)), None, 429),
        (entry_by(&listed, b"9", None), None, 201),
    ] {
        let mut posted = reqwest::Client::new().post(&url).json(&request);
        if let Some(token) = token {
            posted = posted.bearer_auth(token);
        }
        let answer = posted.send().await.unwrap();
        let status = answer.status().as_u16();
        let again = answer.headers().get("retry-after").cloned();
        let said = answer.text().await.unwrap();
        assert_eq!(status, expected, "{request}: {said}");
        assert_eq!(again.is_some(), status == 429, "{again:?}");
        if status == 401 {
            assert!(said.contains("must be for `http://localhost:3003`"), "{said}");
        }
    }
    running.stop(None).await.unwrap();
}
