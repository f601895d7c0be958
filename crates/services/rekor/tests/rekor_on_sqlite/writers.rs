//! Who may write.

use std::{
    net::Ipv4Addr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, body::Body};
use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, PublicKey, Signer as _, sha256};
use futures::future::BoxFuture;
use http::{Request, header};
use http_body_util::BodyExt;
use rekor::{
    Doorkeeper, Rekor1, Rekor1Options, Rekor1Parts, Rekor2, Rekor2Options, Signer, WriterRefusal,
    Writers,
    http::{rekor1_protocol, rekor1_router, rekor2_protocol, rekor2_router},
};
use serde_json::{Value, json};
use server::{Allowance, CallerAddress, PeerLimits, Rate, harden};
use signing::SigningKey;
use testlog::{Answer, LogDir, Running, bulky, cpu, get};
use tower::ServiceExt;

const V1: &str = "/api/v1/log/entries";
const V2: &str = "/api/v2/log/entries";

/// Lets in who has `good` for a token, and who signs by a key.
struct Door {
    tokens: bool,
    keys: Vec<PublicKey>,
    /// How many signers it was asked about.
    asked: AtomicUsize,
}

impl Door {
    fn of(tokens: bool, keys: &[&LocalSigner]) -> Arc<Self> {
        let keys = keys.iter().map(|key| key.public_key().clone()).collect();
        Arc::new(Self { tokens, keys, asked: AtomicUsize::new(0) })
    }
}

impl Doorkeeper for Door {
    fn takes_tokens(&self) -> bool {
        self.tokens
    }

    fn takes_signers(&self) -> bool {
        !self.keys.is_empty()
    }

    fn bearer<'a>(&'a self, token: &'a str, _: u64) -> BoxFuture<'a, Result<(), WriterRefusal>> {
        Box::pin(async move {
            match token {
                "good" => Ok(()),
                "busy" => Err(WriterRefusal::Limited { retry_after_s: 9 }),
                "away" => {
                    let why = "the issuer gives no keys".to_owned();
                    Err(WriterRefusal::Unverified { why, retry_after_s: 7 })
                }
                _ => Err(WriterRefusal::Token("it has expired".to_owned())),
            }
        })
    }

    fn admits(&self, signer: &Signer, _: u64) -> Result<(), WriterRefusal> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        known(self.keys.contains(signer.key()))
    }
}

fn known(is_known: bool) -> Result<(), WriterRefusal> {
    if is_known { Ok(()) } else { Err(WriterRefusal::Signer) }
}

fn client() -> LocalSigner {
    LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap()
}

/// Both protocols, each on a log of its own, with one door.
async fn both(door: &Arc<Door>) -> Vec<(Running, LogDir, Router, &'static str)> {
    let (one, other) = (LogDir::new(), LogDir::new());
    let (first, second) = (one.start().await, other.start().await);
    let log = Arc::clone(&first.log);
    let key = SigningKey::new(Arc::clone(&first.signer), log.public_key().clone(), cpu());
    let writers = Writers::Listed(Arc::clone(door) as Arc<dyn Doorkeeper>);
    let options = Rekor1Options { writers: writers.clone(), ..Rekor1Options::default() };
    let parts = Rekor1Parts { log, key, cpu: cpu(), options };
    let rekor1 = Rekor1::start(parts, &first.tasks, first.shutdown.clone());
    let options = Rekor2Options { writers, ..Rekor2Options::default() };
    let rekor2 = Rekor2::new(Arc::clone(&second.log), cpu(), options);
    let v1 = harden(rekor1_router(rekor1), rekor1_protocol());
    let v2 = harden(rekor2_router(rekor2), rekor2_protocol());
    vec![(first, one, v1, V1), (second, other, v2, V2)]
}

/// A signature over `artifact` as each protocol is sent it.
fn proposed(path: &str, signer: &LocalSigner, artifact: &[u8]) -> Value {
    let b64 = |bytes: &[u8]| STANDARD.encode(bytes);
    let (digest, signature) = (sha256(artifact), signer.sign_now(artifact).unwrap());
    let key = signer.public_key();
    if path == V1 {
        json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(digest)}},
            "signature": {
                "content": b64(&signature),
                "publicKey": {"content": b64(key.to_pem().as_bytes())},
            },
        }})
    } else {
        json!({"hashedRekordRequestV002": {"digest": b64(&digest), "signature": {
            "content": b64(&signature),
            "verifier": {
                "publicKey": {"rawBytes": b64(key.spki_der())},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        }}})
    }
}

async fn write(router: &Router, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::post(path);
    if let Some(authorization) = token {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// The code in the body: v1 has the status there, v2 that of `google.rpc`.
fn assert_refused(answer: &Answer, path: &str, (status, rpc): (u16, u16), words: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["code"], if path == V1 { status } else { rpc }, "{json}");
    assert!(json["message"].as_str().unwrap().contains(words), "{json}");
}

#[tokio::test]
async fn a_log_of_callers_with_tokens_takes_nothing_without_a_good_one() {
    let door = Door::of(true, &[]);
    for (running, _place, router, path) in both(&door).await {
        let body = proposed(path, &client(), b"artifact");
        for token in [None, Some("Basic Z29vZA=="), Some("Bearer ")] {
            let answer = write(&router, path, token, &body).await;
            assert_refused(&answer, path, (401, 16), "Authorization: Bearer");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        let answer = write(&router, path, Some("Bearer bad"), &body).await;
        assert_refused(&answer, path, (401, 16), "it has expired");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        let answer = write(&router, path, Some("Bearer away"), &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "7"));
        let answer = write(&router, path, Some("Bearer busy"), &body).await;
        assert_refused(&answer, path, (429, 8), "try again in 9 s");
        assert_eq!(answer.header("retry-after"), "9");
        assert_eq!(running.log.checkpoint().head.size.0, 0, "nothing was written");
        let answer = write(&router, path, Some("bearer good"), &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        // Reading is for everybody.
        let read = if path == V1 { "/api/v1/log" } else { "/checkpoint" };
        assert_eq!(get(&router, read).await.status, 200);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_log_of_listed_signers_takes_no_good_signature_of_others() {
    let listed = client();
    let door = Door::of(false, &[&listed]);
    for (running, _place, router, path) in both(&door).await {
        let answer = write(&router, path, None, &proposed(path, &client(), b"artifact")).await;
        assert_refused(&answer, path, (403, 7), "may write");
        assert_eq!(running.log.checkpoint().head.size.0, 0, "nothing was written");
        // Where no tokens are taken, a header of somebody in between says nothing.
        let body = proposed(path, &listed, b"artifact");
        let answer = write(&router, path, Some("Bearer bad"), &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        running.stop().await;
    }
}

#[tokio::test]
async fn a_signature_that_does_not_verify_is_nobodys() {
    let listed = client();
    let door = Door::of(false, &[&listed]);
    for (running, _place, router, path) in both(&door).await {
        let (mut body, other) =
            (proposed(path, &listed, b"artifact"), proposed(path, &listed, b"another"));
        let place =
            if path == V1 { "/spec/signature" } else { "/hashedRekordRequestV002/signature" };
        *body.pointer_mut(place).unwrap() = other.pointer(place).unwrap().clone();
        assert_eq!(write(&router, path, None, &body).await.status, 400);
        running.stop().await;
    }
    assert_eq!(door.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_stranger_beside_a_listed_signer_is_not_let_in_with_it() {
    let (listed, stranger) = (client(), client());
    let door = Door::of(false, &[&listed]);
    let (running, _place, router, path) = both(&door).await.swap_remove(0);
    let payload = STANDARD.encode("payload");
    let message = b"DSSEv1 4 text 7 payload";
    let signed = |signers: &[&LocalSigner]| {
        let sign = |signer: &&LocalSigner| json!({"sig": STANDARD.encode(signer.sign_now(message).unwrap())});
        let signatures: Vec<Value> = signers.iter().map(sign).collect();
        let envelope = json!({"payloadType": "text", "payload": payload, "signatures": signatures});
        let keys = signers.iter().map(|signer| STANDARD.encode(signer.public_key().to_pem()));
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": {
            "envelope": envelope.to_string(), "verifiers": keys.collect::<Vec<_>>(),
        }}})
    };
    let answer = write(&router, path, None, &signed(&[&listed, &stranger])).await;
    assert_refused(&answer, path, (403, 7), "may write");
    let answer = write(&router, path, None, &signed(&[&listed])).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    running.stop().await;
}

/// A certificate is given to the doorkeeper as it came: what it says is for who knows its CA.
#[tokio::test]
async fn the_doorkeeper_sees_the_certificate_and_its_key() {
    struct Certificates(Vec<u8>);
    impl Doorkeeper for Certificates {
        fn takes_tokens(&self) -> bool {
            false
        }
        fn takes_signers(&self) -> bool {
            true
        }
        fn bearer<'a>(&'a self, _: &'a str, _: u64) -> BoxFuture<'a, Result<(), WriterRefusal>> {
            Box::pin(async { Err(WriterRefusal::NoToken) })
        }
        fn admits(&self, signer: &Signer, _: u64) -> Result<(), WriterRefusal> {
            known(signer.certificate() == Some(&self.0))
        }
    }
    let (der, key) = bulky(10);
    let signer = LocalSigner::from_pkcs8_der(&key.serialize_der(), "client").unwrap();
    let place = LogDir::new();
    let running = place.start().await;
    let writers = Writers::Listed(Arc::new(Certificates(der.clone())));
    let options = Rekor2Options { writers, ..Rekor2Options::default() };
    let rekor2 = Rekor2::new(Arc::clone(&running.log), cpu(), options);
    let router = harden(rekor2_router(rekor2), rekor2_protocol());
    let mut body = proposed(V2, &signer, b"artifact");
    assert_eq!(write(&router, V2, None, &body).await.status, 403, "a bare key");
    let verifier = &mut body["hashedRekordRequestV002"]["signature"]["verifier"];
    verifier.as_object_mut().unwrap().remove("publicKey");
    verifier["x509Certificate"] = json!({"rawBytes": STANDARD.encode(&der)});
    assert_eq!(write(&router, V2, None, &body).await.status, 201);
    running.stop().await;
}

#[tokio::test]
async fn a_peer_that_wrote_enough_is_told_when_it_may_come_in_each_protocols_form() {
    let rate = Rate { interval: Duration::from_hours(1), burst: NonZeroU32::MIN };
    let allowance = Allowance { rate: Some(rate), ..Allowance::default() };
    let door = Door::of(true, &[]);
    for (running, _place, router, path) in both(&door).await {
        let limits = PeerLimits::new("log.test", &allowance);
        let limited = router.layer(Extension(limits));
        let of = |last: u8| {
            let address = CallerAddress(Ipv4Addr::new(192, 0, 2, last).into());
            limited.clone().layer(Extension(address))
        };
        let body = proposed(path, &client(), b"artifact");
        assert_eq!(write(&of(1), path, Some("Bearer good"), &body).await.status, 201);
        // Before the token is looked at, and the body.
        for (token, body) in [("Bearer good", &body), ("Bearer bad", &Value::Null)] {
            let answer = write(&of(1), path, Some(token), body).await;
            assert_refused(&answer, path, (429, 8), "try again in 3600 s");
            assert_eq!(answer.header("retry-after"), "3600");
        }
        assert_eq!(write(&of(2), path, Some("Bearer good"), &body).await.status, 201);
        if path == V1 {
            let question = json!({"logIndexes": [0]});
            let retrieved = write(&of(1), "/api/v1/log/entries/retrieve", None, &question).await;
            assert_eq!(retrieved.status, 200, "a question: {}", retrieved.text());
        }
        running.stop().await;
    }
}
