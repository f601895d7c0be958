//! The API of Rekor v2.

use std::sync::Arc;

use axum::Router;
use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer, sha256};
use http::{Method, StatusCode};
use proptest::prelude::*;
use rekor::{
    OnDuplicate, Rekor2, Rekor2Options, ensure_first_entry,
    http::{rekor2_protocol, rekor2_router},
};
use serde_json::{Value, json};
use server::harden;
use store::{Fault, FaultyStore, LogStore};
use testlog::{LogDir, ORIGIN, Running, bulky, cpu, get, hostile_bodies, post, send};
use tlog::{LeafIndex, NodeHash, SignedNote, TreeSize, leaf_hash, verify_inclusion};

const ENTRIES: &str = "/api/v2/log/entries";

pub(crate) fn router(running: &Running, options: Rekor2Options) -> Router {
    harden(rekor2_router(Rekor2::new(Arc::clone(&running.log), cpu(), options)), rekor2_protocol())
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().expect("int64 must be a string").parse().unwrap()
}

pub(crate) fn hashedrekord(artifact: &[u8]) -> Value {
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    json!({"hashedRekordRequestV002": {
        "digest": b64(sha256(artifact)),
        "signature": {
            "content": b64(signer.sign_now(artifact).unwrap()),
            "verifier": {
                "publicKey": {"rawBytes": b64(signer.public_key().spki_der())},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    }})
}

/// Verifies an answer as a client does.
fn verify(place: &LogDir, answer: &Value) -> u64 {
    let proof = &answer["inclusionProof"];
    let note: SignedNote = proof["checkpoint"]["envelope"].as_str().unwrap().parse().unwrap();
    let key_id: [u8; 32] = bytes(&answer["logId"]["keyId"]).try_into().unwrap();
    let checkpoint = note.verified_checkpoint(place.signer.public_key(), ORIGIN, &key_id).unwrap();
    assert_eq!(checkpoint.head.size.0, number(&proof["treeSize"]));
    assert_eq!(checkpoint.head.root.0.to_vec(), bytes(&proof["rootHash"]));
    let path: Vec<NodeHash> = proof["hashes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| NodeHash::try_from(bytes(hash).as_slice()).unwrap())
        .collect();
    let index = number(&answer["logIndex"]);
    assert_eq!(index, number(&proof["logIndex"]));
    let leaf = leaf_hash(&bytes(&answer["canonicalizedBody"]));
    verify_inclusion(&leaf, LeafIndex(index), &path, &checkpoint.head).unwrap();
    index
}

#[tokio::test]
async fn creates_an_entry_and_shows_every_member() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    for expected in 0..3 {
        let artifact = format!("artifact {expected}");
        let answer = post(&router, ENTRIES, hashedrekord(artifact.as_bytes()).to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        let json = answer.json();
        assert_eq!(verify(&place, &json), expected);
        let members: Vec<&String> = json.as_object().unwrap().keys().collect();
        let mut all = [
            "logIndex",
            "logId",
            "kindVersion",
            "integratedTime",
            "inclusionPromise",
            "inclusionProof",
            "canonicalizedBody",
        ];
        all.sort_unstable();
        assert_eq!(members, all);
        assert_eq!(json["integratedTime"], "0");
        assert_eq!(json["inclusionPromise"], Value::Null);
        assert_eq!(json["kindVersion"], json!({"kind": "hashedrekord", "version": "0.0.2"}));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_dsse_envelope_becomes_a_hashedrekord_when_that_is_on() {
    let place = LogDir::new();
    let running = place.start().await;
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    let (payload_type, payload) = ("application/vnd.in-toto+json", "{}");
    let pae = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
    let request = json!({"dsseRequestV002": {
        "envelope": {
            "payload": b64(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": b64(signer.sign_now(pae.as_bytes()).unwrap()), "keyid": ""}],
        },
        "verifiers": [{
            "publicKey": {"rawBytes": b64(signer.public_key().spki_der())},
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        }],
    }})
    .to_string();
    let on = post(&router(&running, Rekor2Options::default()), ENTRIES, request.clone()).await;
    assert_eq!(on.status, StatusCode::CREATED, "{}", on.text());
    verify(&place, &on.json());
    let body: Value = serde_json::from_slice(&bytes(&on.json()["canonicalizedBody"])).unwrap();
    let digest = &body["spec"]["hashedRekordV002"]["data"]["digest"];
    assert_eq!(bytes(digest), sha256(pae.as_bytes()));

    let options = Rekor2Options { legacy_dsse: false, ..Rekor2Options::default() };
    let off = post(&router(&running, options), ENTRIES, request).await;
    assert_eq!(off.status, StatusCode::BAD_REQUEST);
    assert!(off.json()["message"].as_str().unwrap().contains("hashedrekord"));
    running.stop().await;
}

#[tokio::test]
async fn a_duplicate_is_created_again_or_a_conflict_as_configured() {
    let place = LogDir::new();
    let running = place.start().await;
    let request = hashedrekord(b"artifact").to_string();
    let idempotent = router(&running, Rekor2Options::default());
    let first = post(&idempotent, ENTRIES, request.clone()).await;
    post(&idempotent, ENTRIES, hashedrekord(b"other").to_string()).await;
    let second = post(&idempotent, ENTRIES, request.clone()).await;
    assert_eq!(second.status, StatusCode::CREATED);
    assert_eq!(verify(&place, &second.json()), 0);
    assert_eq!(second.json()["canonicalizedBody"], first.json()["canonicalizedBody"]);
    assert_eq!(number(&second.json()["inclusionProof"]["treeSize"]), 2);

    let options = Rekor2Options { on_duplicate: OnDuplicate::Conflict, ..Rekor2Options::default() };
    let conflict = post(&router(&running, options), ENTRIES, request).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    assert_eq!(conflict.header("x-log-index"), "0");
    assert_eq!(conflict.json()["code"], 6);
    assert!(conflict.json()["message"].as_str().unwrap().ends_with("with index 0"));
    running.stop().await;
}

#[tokio::test]
async fn hostile_bodies_are_refused_in_the_protocols_form() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    let valid = hashedrekord(b"x");
    for (what, body) in hostile_bodies(&valid.to_string()) {
        let answer = post(&router, ENTRIES, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
        is_status(&answer.json(), 3, what);
    }
    let mut unknown = valid.clone();
    unknown["hashedRekordRequestV002"]["extra"] = json!(1);
    let mut wrong_type = valid.clone();
    wrong_type["hashedRekordRequestV002"]["digest"] = json!({"a": 1});
    let mut bad_signature = valid.clone();
    bad_signature["hashedRekordRequestV002"]["digest"] = json!(b64([7; 32]));
    let empty = json!({});
    for body in [unknown, wrong_type, bad_signature, empty] {
        let answer = post(&router, ENTRIES, body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        is_status(&answer.json(), 3, "shape");
    }
    assert_eq!(running.log.checkpoint().head.size, TreeSize(0));
    running.stop().await;
}

fn is_status(json: &Value, code: u64, what: &str) {
    assert_eq!(json["code"], code, "{what}");
    assert!(!json["message"].as_str().unwrap().is_empty(), "{what}");
    assert_eq!(json["details"], json!([]), "{what}");
}

#[tokio::test]
async fn oversized_bodies_are_413() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    let answer = post(&router, ENTRIES, vec![b'.'; 4 * 1024 * 1024 + 1]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    is_status(&answer.json(), 3, "body");
    assert!(answer.json()["message"].as_str().unwrap().contains("4194304"));
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_longer_than_any_is_refused_and_the_limit_named() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    let (certificate, key) = bulky(60_000);
    let signer = LocalSigner::from_pkcs8_der(key.serialized_der(), "bulky").unwrap();
    let request = json!({"hashedRekordRequestV002": {
        "digest": b64(sha256(b"x")),
        "signature": {
            "content": b64(signer.sign_now(b"x").unwrap()),
            "verifier": {
                "x509Certificate": {"rawBytes": b64(certificate)},
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            },
        },
    }});
    let answer = post(&router, ENTRIES, request.to_string()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    is_status(&answer.json(), 3, "entry");
    assert!(answer.text().contains("16384"), "{}", answer.text());
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_is_503_with_retry_after_and_no_insides() {
    let place = LogDir::new();
    let store = Arc::new(FaultyStore::new(place.open_store().await));
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    let router = router(&running, Rekor2Options::default());
    store.fail_append(Fault::Failed);
    let request = hashedrekord(b"x").to_string();
    let answer = post(&router, ENTRIES, request.clone()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "1");
    is_status(&answer.json(), 14, "store");
    assert!(!answer.text().contains("injected"));
    assert_eq!(post(&router, ENTRIES, request).await.status, StatusCode::CREATED);
    running.stop().await;
}

#[tokio::test]
async fn a_frozen_log_says_so() {
    let place = LogDir::new();
    let running = place.start().await;
    running.store.freeze(running.log.record().id).await.unwrap();
    let router = router(&running, Rekor2Options::default());
    let answer = post(&router, ENTRIES, hashedrekord(b"x").to_string()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.text().contains("frozen"));
    running.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_in_the_protocols_form() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    for path in ["/", "/api/v2/log", "/api/v2/log/entries/1", "/checkpoints", "/tile", "/tile/"] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        is_status(&answer.json(), 5, path);
    }
    for (method, path) in
        [(Method::PUT, ENTRIES), (Method::GET, ENTRIES), (Method::POST, "/checkpoint")]
    {
        let answer = send(&router, method, path, axum::body::Body::empty()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    running.stop().await;
}

#[tokio::test]
async fn tolerates_doubled_and_trailing_slashes() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    let answer = post(&router, "//api//v2/log/entries/", hashedrekord(b"x").to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    running.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_give_an_answer_in_the_protocols_form(
        junk in prop::collection::vec(any::<u8>(), 0..300),
        cut in 0usize..400,
        flip in any::<u8>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = LogDir::new();
            let running = place.start().await;
            let router = router(&running, Rekor2Options::default());
            let mut nearly = hashedrekord(b"x").to_string().into_bytes();
            let at = cut % nearly.len();
            nearly[at] ^= flip;
            for body in [junk, nearly] {
                let answer = post(&router, ENTRIES, body).await;
                if answer.status != StatusCode::CREATED {
                    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
                    is_status(&answer.json(), 3, "junk");
                }
            }
            running.stop().await;
        });
    }
}

#[tokio::test]
async fn an_empty_log_gets_a_first_entry_so_that_no_client_has_index_0() {
    let place = LogDir::new();
    let running = place.start().await;
    assert!(ensure_first_entry(&running.log).await.unwrap());
    assert!(!ensure_first_entry(&running.log).await.unwrap());
    assert_eq!(running.log.checkpoint().head.size, TreeSize(1));
    let stored = running.log.entries(LeafIndex(0)..LeafIndex(1)).await.unwrap();
    let body: Value = serde_json::from_slice(&stored[0].body).unwrap();
    let digest = &body["spec"]["hashedRekordV002"]["data"]["digest"];
    assert_eq!(bytes(digest), sha256(ORIGIN.as_bytes()));
    running.stop().await;
}
