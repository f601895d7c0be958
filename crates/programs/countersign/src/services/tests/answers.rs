use crypto::{KeyType, LocalSigner, Signer};
use entry::rekor2::Verifier;
use serde_json::{Value, json};
use wire::bundle::{HashOutput, TransparencyLogEntry};

use super::{Server, quick_http, response};
use crate::services::{
    CertificateAuthority, IdentityToken, LogProtocol, ProposedEntry, RekorV1, ServiceError,
    TransparencyLog, ask_protocol, identity_token::tests::token_of,
};

fn token() -> IdentityToken {
    token_of(r#"{"email":"a@b.example","sub":"42"}"#)
}

async fn certify(answer: &Value) -> (Result<Vec<Vec<u8>>, ServiceError>, Server) {
    let server = Server::always(response("200 OK", "", answer.to_string().as_bytes())).await;
    let authority = CertificateAuthority::new(quick_http(), server.url().try_into().unwrap());
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let proof = key.sign_now(CertificateAuthority::challenge(&token()).as_bytes()).unwrap();
    (authority.certificate(&token(), key.public_key(), proof).await, server)
}

fn malformed<T: std::fmt::Debug>(result: Result<T, ServiceError>, reason: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, ServiceError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test]
async fn asks_fulcio_with_token_key_and_proof() {
    let chain = json!({"certificates": [x509::to_pem(b"leaf").trim_end(), x509::to_pem(b"ca")]});
    let answer = json!({"signedCertificateEmbeddedSct": {"chain": chain}});
    let (certificates, server) = certify(&answer).await;
    assert_eq!(certificates.unwrap(), [b"leaf".to_vec(), b"ca".to_vec()]);
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.head.starts_with("post /api/v2/signingcert "));
    let request: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(request["credentials"]["oidcIdentityToken"], token().compact());
    let key = &request["publicKeyRequest"]["publicKey"]["content"];
    let key = crypto::PublicKey::from_pem(key.as_str().unwrap()).unwrap();
    let proof = request["publicKeyRequest"]["proofOfPossession"].as_str().unwrap();
    let proof = wire::Base64::decode(proof).unwrap();
    x509::proof::verify_challenge(&key, "a@b.example", proof.as_slice()).unwrap();
}

#[tokio::test]
async fn rejects_what_is_no_certificate() {
    let embedded = |certificates: Value| json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}});
    let pem = x509::to_pem(b"leaf");
    for (answer, reason) in [
        (json!({}), "not a certificate"),
        (json!("text"), "not a certificate"),
        (embedded(json!([])), "chain is empty"),
        (embedded(json!(["text"])), "a certificate: "),
        (embedded(json!(vec![pem.clone(); 9])), "chain is too long"),
        (
            json!({"signedCertificateDetachedSct": {"chain": {"certificates": [pem]}}}),
            "beside the certificate",
        ),
    ] {
        malformed(certify(&answer).await.0, reason);
    }
}

#[tokio::test]
async fn asks_rekor_for_a_hashedrekord() {
    let entry = json!({
        "logIndex": "7", "logId": {"keyId": "AAAA"}, "integratedTime": "0", "inclusionPromise": null,
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "inclusionProof": {"logIndex": "7", "rootHash": "AAAA", "treeSize": "8", "hashes": [],
            "checkpoint": {"envelope": "text"}},
        "canonicalizedBody": "e30="
    });
    let server = Server::always(response("201 Created", "", entry.to_string().as_bytes())).await;
    let log = TransparencyLog::new(quick_http(), server.url());
    let key = LocalSigner::generate(KeyType::EcdsaP384, "test").unwrap();
    let signature = key.sign_now(b"message").unwrap();
    let digest = crypto::digest(crypto::HashAlgorithm::Sha384, b"message");
    let verifier = Verifier::from_public_key(key.public_key());
    let logged =
        log.log(&digest, &signature, &verifier, Some(&token_of(r#"{"sub":"me"}"#))).await.unwrap();
    assert_eq!((logged.log_index, logged.inclusion_promise), (wire::Int64(7), None));
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.head.starts_with("post /api/v2/log/entries "));
    assert!(seen.head.contains("\r\nauthorization: bearer "));
    // The log's own verification is the judge of the request.
    let options = entry::rekor2::Options { legacy_dsse: false };
    let verified = entry::rekor2::verify_request(&seen.body, &options).unwrap();
    let expected = entry::rekor2::canonical_body(&digest, &signature, &verifier);
    assert_eq!(verified.body(), expected);
}

#[tokio::test]
async fn rejects_what_is_no_log_entry() {
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    for answer in [&b"[]"[..], b"", br#"{"logIndex":"x"}"#, br#"{"unknown":1}"#] {
        let server = Server::always(response("201 Created", "", answer)).await;
        let log = TransparencyLog::new(quick_http(), server.url());
        let verifier = Verifier::from_public_key(key.public_key());
        malformed(log.log(&[0; 32], b"signature", &verifier, None).await, "not a log entry");
    }
}

/// A proposal, and the answer of a log that took it; `tree` is in the id and in the origin.
fn rekor1_answer(tree: (i64, &str)) -> (ProposedEntry, Value) {
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let digest = HashOutput {
        algorithm: wire::HashAlgorithm::Sha2_256,
        digest: crypto::sha256(b"message").to_vec().into(),
    };
    let signature = key.sign_now(b"message").unwrap();
    let pem = key.public_key().to_pem();
    let proposed = ProposedEntry::hashedrekord(&digest, &signature, &pem).unwrap();
    let body = proposed.body().to_vec();
    let leaf_hash = tlog::leaf_hash(&body);
    let entry = json!({
        "body": wire::Base64::from(body), "integratedTime": 7, "logID": "00", "logIndex": 3,
        "verification": {"signedEntryTimestamp": "AAAA", "inclusionProof": {
            "checkpoint": format!("localhost - {}\n4\n", tree.1), "hashes": ["00"], "logIndex": 3,
            "rootHash": "00", "treeSize": 4}}
    });
    (proposed, json!({format!("{:016x}{leaf_hash}", tree.0): entry}))
}

async fn log_v1(
    proposed: &ProposedEntry,
    status: &str,
    answer: &Value,
) -> (Result<TransparencyLogEntry, ServiceError>, Server) {
    let server = Server::always(response(status, "", answer.to_string().as_bytes())).await;
    let log = RekorV1::new(quick_http(), server.url());
    (log.log(proposed, None).await, server)
}

#[tokio::test]
async fn asks_rekor_v1_for_the_entry_that_it_expects() {
    let (proposed, answer) = rekor1_answer((5, "5"));
    let (entry, server) = log_v1(&proposed, "201 Created", &answer).await;
    let entry = entry.unwrap();
    assert_eq!((entry.log_index, entry.integrated_time), (wire::Int64(3), wire::Int64(7)));
    assert_eq!(entry.canonicalized_body.as_slice(), proposed.body());
    assert_eq!(entry.kind_version.version, "0.0.1");
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.head.starts_with("post /api/v1/log/entries "));
    let options = entry::rekor1::Options::default();
    let verified = entry::rekor1::verify_proposed(&seen.body, &options).unwrap();
    assert_eq!(verified.body(), proposed.body());
}

#[tokio::test]
async fn takes_no_other_entry_or_tree_from_rekor_v1() {
    for (tree, good) in [
        ((5, "5"), true),
        ((0, "5"), true),
        ((5, "6"), false),
        ((5, ""), false),
        ((-1, "5"), false),
    ] {
        let (proposed, answer) = rekor1_answer(tree);
        let (entry, _) = log_v1(&proposed, "201 Created", &answer).await;
        assert_eq!(entry.is_ok(), good, "{tree:?}: {entry:?}");
    }
    let ((proposed, _), (_, other)) = (rekor1_answer((5, "5")), rekor1_answer((5, "5")));
    let (entry, _) = log_v1(&proposed, "201 Created", &other).await;
    let error = entry.unwrap_err();
    assert!(matches!(error, ServiceError::Untrusted { .. }), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[tokio::test]
async fn rejects_what_is_no_entry_of_rekor_v1() {
    let (proposed, good) = rekor1_answer((5, "5"));
    let id = good.as_object().unwrap().keys().next().unwrap().clone();
    for place in
        ["verification", "verification/inclusionProof", "verification/signedEntryTimestamp"]
    {
        let mut answer = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap_or(("", place));
        let parent = if parent.is_empty() { format!("/{id}") } else { format!("/{id}/{parent}") };
        answer.pointer_mut(&parent).unwrap().as_object_mut().unwrap().remove(name);
        let (entry, _) = log_v1(&proposed, "201 Created", &answer).await;
        malformed(entry, "not a log entry");
    }
    for answer in [json!([]), json!({}), json!({"a": {}, "b": {}})] {
        malformed(log_v1(&proposed, "201 Created", &answer).await.0, "not a log entry");
    }
}

#[tokio::test]
async fn asks_a_log_that_has_the_entry_for_it() {
    let (proposed, answer) = rekor1_answer((5, "5"));
    let stored = answer.to_string();
    let server = Server::start(move |_, seen| {
        let status = if seen.head.starts_with("post ") { "409 Conflict" } else { "200 OK" };
        // A location elsewhere, which nobody follows.
        let location = "location: http://127.0.0.1:9/elsewhere\r\n";
        Some(response(status, location, stored.as_bytes()))
    })
    .await;
    let entry = RekorV1::new(quick_http(), server.url())
        .log(&proposed, Some(&token_of(r#"{"sub":"me"}"#)))
        .await
        .unwrap();
    assert_eq!(entry.log_index, wire::Int64(3));
    let [posted, got] = server.seen().try_into().unwrap();
    assert!(posted.head.starts_with("post /api/v1/log/entries "));
    assert!(posted.head.contains("\r\nauthorization: bearer "));
    // In place of the credentials that its URL has.
    assert_eq!(posted.head.matches("authorization: ").count(), 1, "{}", posted.head);
    assert!(!got.head.contains("authorization: bearer "), "reading is for everybody");
    let path = format!("get /api/v1/log/entries/{} ", tlog::leaf_hash(proposed.body()));
    assert!(got.head.starts_with(&path), "{}", got.head);
}

#[tokio::test]
async fn asks_a_log_what_it_speaks() {
    let info = json!({"rootHash": "00", "signedTreeHead": "", "treeID": "1", "treeSize": 0});
    for (status, answer, protocol) in [
        ("200 OK", info, Some(LogProtocol::RekorV1)),
        ("404 Not Found", json!({"code": 5}), Some(LogProtocol::RekorV2)),
        ("200 OK", json!("welcome"), None),
        ("400 Bad Request", json!({}), None),
    ] {
        let server = Server::always(response(status, "", answer.to_string().as_bytes())).await;
        let found = ask_protocol(&quick_http(), &server.url()).await;
        assert_eq!(found.ok(), protocol, "{status} {answer}");
        assert!(server.seen()[0].head.starts_with("get /api/v1/log "));
    }
}
