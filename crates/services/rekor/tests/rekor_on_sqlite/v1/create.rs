//! `POST /api/v1/log/entries`.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use crypto::{KeyType, LocalSigner, SignatureAlgorithm, Signer};
use futures::future::join_all;
use http::Method;
use proptest::prelude::*;
use rekor::{OnDuplicate, Rekor1Options, ensure_first_entry};
use serde_json::{Value, json};
use store::LogStore;
use testlog::{
    LogDir, NOW, TREE_ID, Tampering, bulky, cpu, for_names, hostile_bodies, post, send, unavailable,
};

use super::{
    ENTRIES, Entry, assert_error, b64, create, create_many, get_entry, hashedrekord,
    hashedrekord_by, hashedrekord_of, pem_of, rekor1_of, router, router_of,
};
use tlog::TreeSize;

#[tokio::test]
async fn creates_an_entry_with_timestamp_proof_and_headers() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    for expected in 0..3 {
        let artifact = format!("artifact {expected}");
        let request = hashedrekord(artifact.as_bytes());
        let answer = post(&router, ENTRIES, request.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let entry = Entry::verified(&place, &answer.json());
        assert_eq!((entry.index, entry.integrated_at), (expected, NOW));
        assert_eq!(entry.tree_size, expected + 1);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("etag"), entry.id);
        assert_eq!(answer.header("location"), format!("/api/v1/log/entries/{}", entry.id));
        let body: Value = serde_json::from_slice(&entry.body).unwrap();
        assert_eq!(body["kind"], "hashedrekord");
        assert_eq!(body["spec"]["data"], request["spec"]["data"]);
    }
    running.stop().await;
}

#[tokio::test]
async fn logs_envelopes_and_attestations_too() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    let (payload_type, payload) = ("application/vnd.in-toto+json", r#"{"subject":[]}"#);
    let pae = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
    let envelope = json!({
        "payloadType": payload_type,
        "payload": b64(payload),
        "signatures": [{"sig": b64(signer.sign_now(pae.as_bytes()).unwrap())}],
    });
    let pem = signer.public_key().to_pem();
    let dsse = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "proposedContent": {"envelope": envelope.to_string(), "verifiers": [b64(&pem)]},
    }});
    let entry = create(&place, &router, &dsse).await;
    let body: Value = serde_json::from_slice(&entry.body).unwrap();
    assert_eq!((&body["kind"], &body["apiVersion"]), (&json!("dsse"), &json!("0.0.1")));
    running.stop().await;
}

#[tokio::test]
async fn a_repeated_entry_is_the_stored_one() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    create_many(&place, &router, 2).await;
    let request = hashedrekord(b"twice");
    let first = create(&place, &router, &request).await;
    place.clock.set(NOW + 1000);
    let again = create(&place, &router, &request).await;
    assert!(again.is_same(&first), "{again:?}\n{first:?}");
    create_many(&place, &router, 1).await;
    let later = create(&place, &router, &request).await;
    assert!(later.is_same(&first));
    assert_eq!((later.tree_size, later.integrated_at), (4, NOW));
    running.stop().await;
}

#[tokio::test]
async fn a_repeated_entry_is_a_conflict_when_that_is_asked_for() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let options = Rekor1Options { on_duplicate: OnDuplicate::Conflict, ..Rekor1Options::default() };
    let router = router_of(rekor1_of(&running, Arc::clone(&place.signer), cpu(), options));
    let request = hashedrekord(b"twice");
    let first = create(&place, &router, &request).await;
    let conflict = post(&router, ENTRIES, request.to_string()).await;
    let message = format!(
        "an equivalent entry already exists in the transparency log with UUID {}",
        first.id
    );
    assert_error(&conflict, 409, 409, &message);
    assert_eq!(conflict.header("location"), format!("/api/v1/log/entries/{}", first.id));
    let stored = get_entry(&place, &router, conflict.header("location")).await;
    assert!(stored.is_same(&first));
    running.stop().await;
}

#[tokio::test]
async fn an_entry_submitted_many_times_at_once_enters_once() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let request = hashedrekord(b"at once").to_string();
    let answers = join_all((0..40).map(|_| post(&router, ENTRIES, request.clone()))).await;
    let entries: Vec<Entry> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 201, "{}", answer.text());
            Entry::verified(&place, &answer.json())
        })
        .collect();
    let first = entries.first().unwrap();
    assert!(entries.iter().all(|entry| entry.is_same(first)), "one index, one timestamp");
    assert_eq!(running.log.checkpoint().head.size, TreeSize(1));
    running.stop().await;
}

#[tokio::test]
async fn refuses_what_does_not_verify() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    let other = LocalSigner::generate(KeyType::EcdsaP256, "other").unwrap();
    let good = hashedrekord_by(&signer, b"x");
    let with = |pointer: &str, value: Value| {
        let mut request = good.clone();
        *request.pointer_mut(pointer).unwrap() = value;
        request
    };
    let key = "/spec/signature/publicKey/content";
    for (what, request) in [
        ("another key", with(key, json!(b64(other.public_key().to_pem())))),
        ("another artifact", with("/spec/data/hash/value", json!("0".repeat(64)))),
        ("a short hash", with("/spec/data/hash/value", json!("00"))),
        ("an unknown hash", with("/spec/data/hash/algorithm", json!("md5"))),
        ("no signature", with("/spec/signature/content", json!(""))),
        ("no key", with("/spec/signature/publicKey", Value::Null)),
        ("no PEM", with(key, json!(b64("key")))),
        ("no spec", with("/spec", Value::Null)),
    ] {
        let answer = post(&router, ENTRIES, request.to_string()).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_error(&answer, 400, 400, "");
    }
    assert_eq!(running.log.checkpoint().head.size, TreeSize(0));
    running.stop().await;
}

#[tokio::test]
async fn unknown_kinds_and_versions_are_told_which_ones_are_known() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    for (kind, version) in [("hashedrekord", "0.0.2"), ("rekord", "0.0.1"), ("", ""), ("x", "9")] {
        let mut request = hashedrekord(b"x");
        request["kind"] = json!(kind);
        request["apiVersion"] = json!(version);
        let answer = post(&router, ENTRIES, request.to_string()).await;
        assert_error(&answer, 400, 400, "");
        if !kind.is_empty() {
            assert_error(
                &answer,
                400,
                400,
                "hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1, intoto 0.0.2",
            );
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn hostile_bodies_are_refused_in_the_protocols_form() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    for (what, body) in hostile_bodies(&hashedrekord(b"x").to_string()) {
        let answer = post(&router, ENTRIES, body).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_error(&answer, 400, 400, "");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_entry_that_no_tile_can_hold_is_413_and_names_the_limit() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    // The certificate is PEM in base64: 46 KB are more than 65,535 bytes.
    let (certificate, key) = bulky(37_000);
    let signer = LocalSigner::from_pkcs8_pem(&key.serialize_pem(), "client").unwrap();
    let pem = pem_of(&certificate);
    let request = hashedrekord_of(b"x", &signer.sign_now(b"x").unwrap(), &pem);
    let answer = post(&router, ENTRIES, request.to_string()).await;
    assert_error(&answer, 413, 413, "65535");
    assert_eq!(running.log.checkpoint().head.size, TreeSize(0));
    running.stop().await;
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_413_before_it_is_read() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let long = vec![b' '; 4 * 1024 * 1024 + 1];
    assert_error(&post(&router, ENTRIES, long).await, 413, 413, "4194304 bytes");
    let endless = futures::stream::repeat_with(|| {
        Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 64 * 1024]))
    });
    let endless = Body::from_stream(endless);
    let answer = send(&router, Method::POST, ENTRIES, endless).await;
    assert_error(&answer, 413, 413, "4194304 bytes");
    running.stop().await;
}

#[tokio::test]
async fn an_overloaded_log_says_when_to_come_back() {
    let place = LogDir::rekor1();
    let store = Tampering::new(place.open_store().await);
    let mut config = place.config();
    config.limits.queue_entries = 0;
    let running = place.start_with(Arc::clone(&store) as Arc<dyn LogStore>, config).await.unwrap();
    let answer = post(&router(&running), ENTRIES, hashedrekord(b"x").to_string()).await;
    assert_error(&answer, 503, 503, "queue is full");
    assert_eq!(answer.header("retry-after"), "1");
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_is_503_without_our_insides() {
    let place = LogDir::rekor1();
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    let router = router(&running);
    store.fail_append(unavailable());
    let answer = post(&router, ENTRIES, hashedrekord(b"x").to_string()).await;
    assert_error(&answer, 503, 503, "the log's store is unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!answer.text().contains("injected"), "{}", answer.text());
    create(&place, &router, &hashedrekord(b"x")).await;
    running.stop().await;
}

#[tokio::test]
async fn a_frozen_log_says_so_and_stays_readable() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let entry = create(&place, &router(&running), &hashedrekord(b"x")).await;
    running.store.freeze(running.log.record().id).await.unwrap();
    running.stop().await;

    let running = place.start().await;
    let router = router(&running);
    let answer = post(&router, ENTRIES, hashedrekord(b"y").to_string()).await;
    assert_error(&answer, 405, 405, "frozen");
    let stored = get_entry(&place, &router, &format!("{ENTRIES}/{}", entry.id)).await;
    assert!(stored.is_same(&entry));
    running.stop().await;
}

#[tokio::test]
async fn the_first_entry_of_a_log_is_its_own() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    assert!(ensure_first_entry(&running.log).await.unwrap());
    assert!(!ensure_first_entry(&running.log).await.unwrap());
    let router = router(&running);
    let first = get_entry(&place, &router, &format!("{ENTRIES}?logIndex=0")).await;
    let body: Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!((&body["kind"], &body["apiVersion"]), (&json!("hashedrekord"), &json!("0.0.1")));
    assert_eq!(create(&place, &router, &hashedrekord(b"x")).await.index, 1);
    assert!(first.id.starts_with(&format!("{TREE_ID:016x}")));
    running.stop().await;
}

#[tokio::test]
async fn keys_of_every_client_algorithm_sign_entries() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let (der, key) = for_names(&["a@example.com"]);
    let signer = LocalSigner::from_pkcs8_pem(&key.serialize_pem(), "client").unwrap();
    assert_eq!(signer.algorithm(), SignatureAlgorithm::EcdsaP256Sha256);
    let request = hashedrekord_of(b"x", &signer.sign_now(b"x").unwrap(), &pem_of(&der));
    let entry = create(&place, &router, &request).await;
    let body: Value = serde_json::from_slice(&entry.body).unwrap();
    assert_eq!(body["spec"]["signature"]["publicKey"]["content"], b64(pem_of(&der)));
    running.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn mutated_requests_are_refused_or_stored_and_nothing_else(
        at in 0usize..400,
        byte: u8,
        cut in prop::option::of(0usize..400),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = LogDir::rekor1();
            let running = place.start().await;
            let mut body = hashedrekord(b"x").to_string().into_bytes();
            let at = at % body.len();
            body[at] = byte;
            body.truncate(cut.unwrap_or(body.len()));
            let answer = post(&router(&running), ENTRIES, body).await;
            if answer.status == 201 {
                Entry::verified(&place, &answer.json());
            } else {
                assert_error(&answer, 400, 400, "");
                assert_eq!(running.log.checkpoint().head.size, TreeSize(0));
            }
            running.stop().await;
        });
    }
}
