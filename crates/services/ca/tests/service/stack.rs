//! A certificate authority with its surroundings, and a caller.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use axum::{Router, body::Body};
use base64::{Engine, engine::general_purpose::STANDARD};
use ca::{Ca, CaConfig, CaParts};
use crypto::{KeyType, LocalSigner, Signer};
use http::{HeaderMap, Request, StatusCode, header};
use identity::{IssuerConfig, IssuerKind, SubjectDomain};
use moment::UnixSeconds;
use serde_json::{Value, json};
use signing::{CpuPool, FixedClock, Lane, Overloaded};
use tokio::{sync::oneshot, task::JoinSet};
use tower::ServiceExt;
use x509::{CertificateChain, LeafView, verify_leaf_chain};

use crate::{authority::authority, ct_log::TestLog, issuer::TestIssuer};

/// 2026-09-21T14:13:20Z.
pub(crate) const NOW: u64 = 1_790_000_000;

pub(crate) const YEAR: u64 = 365 * 24 * 60 * 60;

/// A running authority that believes one issuer.
pub(crate) struct Stack {
    pub(crate) issuer: TestIssuer,
    pub(crate) log: TestLog,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) chain: CertificateChain,
    pub(crate) cpu: CpuPool,
    pub(crate) router: Router,
    pub(crate) ca: Arc<Ca>,
}

/// Makes the entries of a configuration for the issuer that runs.
pub(crate) type Entries = dyn FnOnce(&TestIssuer) -> Vec<IssuerConfig>;

/// What a test wants otherwise than usual.
pub(crate) struct Wishes {
    pub(crate) kind: IssuerKind,
    pub(crate) token_key: KeyType,
    /// First and last second of the CA's certificates.
    pub(crate) validity: (u64, u64),
    pub(crate) settings: fn(&mut CaConfig),
    /// All entries of the configuration, in place of one of `kind`.
    pub(crate) entries: Option<Box<Entries>>,
    pub(crate) keys_dir: Option<std::path::PathBuf>,
    pub(crate) now: u64,
    /// Longest time for a request, else that of the protocol.
    pub(crate) timeout: Option<Duration>,
    pub(crate) signer: fn(LocalSigner) -> Arc<dyn Signer>,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            kind: IssuerKind::Email { skip_verification: false },
            token_key: KeyType::EcdsaP256,
            validity: (NOW - YEAR, NOW + YEAR),
            settings: |_| {},
            entries: None,
            keys_dir: None,
            now: NOW,
            timeout: None,
            signer: |signer| Arc::new(signer),
        }
    }
}

/// Too much work for the threads, until it is dropped.
pub(crate) struct Flood {
    _release: mpsc::Sender<()>,
    _jobs: JoinSet<Result<(), Overloaded>>,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(Wishes::default()).await
    }

    pub(crate) async fn of_kind(kind: IssuerKind) -> Self {
        Self::with(Wishes { kind, ..Wishes::default() }).await
    }

    pub(crate) async fn with(wishes: Wishes) -> Self {
        let issuer = TestIssuer::start(wishes.token_key).await;
        let (chain, key) = authority(wishes.validity.0, wishes.validity.1);
        let clock = Arc::new(FixedClock::at(wishes.now));
        let log = TestLog::start(chain.certificates(), Arc::clone(&clock)).await;
        let audiences = vec!["sigstore".to_owned()];
        let trusted = match wishes.entries {
            Some(entries) => entries(&issuer),
            None => {
                vec![IssuerConfig::new_loopback(&issuer.url, audiences, wishes.kind).unwrap()]
            }
        };
        let mut config = CaConfig::new(trusted, log.url.parse().unwrap());
        config.oidc.keys_dir = wishes.keys_dir;
        (wishes.settings)(&mut config);
        let cpu = CpuPool::new(1);
        let parts = CaParts {
            signer: (wishes.signer)(key),
            chain: chain.clone(),
            ct_public_key: log.public_key().clone(),
            clock: clock.clone(),
            cpu: cpu.clone(),
        };
        let ca = Arc::new(Ca::new(config, parts).unwrap());
        let mut protocol = ca::protocol();
        protocol.timeout = wishes.timeout.unwrap_or(protocol.timeout);
        let router = server::harden(ca::http::router(Arc::clone(&ca)), protocol);
        Self { issuer, log, clock, chain, cpu, router, ca }
    }

    /// Keeps the one thread for computing busy, its queue of new work full, and more steps of accepted
    /// work waiting than that has room for.
    pub(crate) async fn flood(&self) -> Flood {
        let (release, busy) = mpsc::channel::<()>();
        let (started, occupied) = oneshot::channel();
        let occupy = move || {
            started.send(()).unwrap();
            busy.recv().unwrap_err();
        };
        let (mut jobs, pool) = (JoinSet::new(), self.cpu.clone());
        jobs.spawn(async move { pool.run(occupy).await });
        // Else the thread, not yet awake, could find the step of accepted work first.
        occupied.await.unwrap();
        while jobs.try_join_next().is_none() {
            let pool = self.cpu.clone();
            jobs.spawn(async move { pool.run(|| ()).await });
            tokio::task::yield_now().await;
        }
        for _ in 0..jobs.len() {
            let pool = self.cpu.clone();
            jobs.spawn(async move { pool.run_in(&mut Lane::Next, || ()).await });
            tokio::task::yield_now().await;
        }
        Flood { _release: release, _jobs: jobs }
    }

    /// Claims that the e-mail issuer's tokens have, with `changes`.
    pub(crate) fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer.url, "aud": "sigstore", "iat": NOW, "exp": NOW + 300,
            "sub": "user-17", "email": EMAIL, "email_verified": true
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    }

    pub(crate) fn token(&self) -> String {
        self.issuer.token(&self.claims(&json!({})))
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: body.to_vec() }
    }

    pub(crate) async fn post(&self, body: impl Into<Body>) -> Reply {
        let request = Request::post("/api/v2/signingCert").body(body.into()).unwrap();
        self.send(request).await
    }

    /// Asks for a certificate with a fresh P-256 key that signed the e-mail address.
    pub(crate) async fn ask(&self, token: &str) -> Reply {
        self.post(request(token, &client_key(), EMAIL).to_string()).await
    }

    /// Checks all that a verifier checks, and returns the leaf.
    pub(crate) fn verified_leaf(&self, reply: &Reply) -> LeafView {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        self.verified_chain(&reply.certificates())
    }

    /// Checks all that a verifier checks, and returns the leaf.
    pub(crate) fn verified_chain(&self, certificates: &[Vec<u8>]) -> LeafView {
        let [leaf, intermediate, root] = certificates else {
            panic!("{} certificates", certificates.len())
        };
        assert_eq!(
            [intermediate, root],
            [&self.chain.certificates()[0], &self.chain.certificates()[1]]
        );
        verify_leaf_chain(leaf, &[intermediate], &[root], UnixSeconds(NOW)).unwrap();
        x509::verify_embedded_sct(leaf, intermediate, self.log.public_key()).unwrap();
        LeafView::from_der(leaf).unwrap()
    }
}

pub(crate) const EMAIL: &str = "Some.One@example.com";

pub(crate) fn uri_kind() -> IssuerKind {
    IssuerKind::Uri { subject_domain: SubjectDomain::parse("http://127.0.0.1").unwrap() }
}

pub(crate) fn client_key() -> LocalSigner {
    LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap()
}

/// A request with a proof of possession over `challenge`.
pub(crate) fn request(token: &str, key: &LocalSigner, challenge: &str) -> Value {
    let proof = key.sign_now(challenge.as_bytes()).unwrap();
    raw_request(token, &key.public_key().to_pem(), &proof)
}

pub(crate) fn raw_request(token: &str, public_key: &str, proof: &[u8]) -> Value {
    json!({
        "credentials": {"oidcIdentityToken": token},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": public_key},
            "proofOfPossession": STANDARD.encode(proof)
        }
    })
}

/// One entry of the configuration, `http` on loopback being allowed.
pub(crate) fn entry(mut settings: Value) -> IssuerConfig {
    settings["allow_loopback_http"] = json!(true);
    if settings.get("audiences").is_none() {
        settings["audiences"] = json!(["sigstore"]);
    }
    if settings["type"] == "email" && settings.get("domains").is_none() {
        settings["open_to_all"] = json!(true);
    }
    serde_json::from_value(settings).unwrap()
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The DER certificates of an answer that has exactly the one member it must have.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1);
        let chain = json["signedCertificateEmbeddedSct"]["chain"].as_object().unwrap();
        assert_eq!(chain.len(), 1);
        let pems = chain["certificates"].as_array().unwrap().iter();
        pems.map(|pem| {
            let pem = pem.as_str().unwrap();
            assert_eq!(pem.trim(), pem);
            x509::from_pem(pem).unwrap().remove(0)
        })
        .collect()
    }

    /// Asserts an error body of exactly Fulcio's shape and returns its message.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: u8) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let json = self.json();
        assert_eq!(json["code"], code, "{json}");
        assert_eq!(json["details"], json!([]));
        assert_eq!(json.as_object().unwrap().len(), 3);
        json["message"].as_str().unwrap().to_owned()
    }
}
