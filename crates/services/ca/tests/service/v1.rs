//! Fulcio v1, as cosign 2 and gitsign speak it.

use axum::body::Body;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use crypto::{KeyType, LocalSigner, Signer};
use http::{Request, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use x509::LeafView;

use crate::{
    ct_log::LogAnswer,
    stack::{EMAIL, Reply, Stack, client_key},
};

/// A body as the Go client makes it, with the key as base64 of `public_key`.
pub(crate) fn body(key: &LocalSigner, public_key: &[u8], challenge: &str) -> Value {
    json!({
        "publicKey": {"content": STANDARD.encode(public_key), "algorithm": "ecdsa"},
        "signedEmailAddress": STANDARD.encode(key.sign_now(challenge.as_bytes()).unwrap()),
        "certificateSigningRequest": null
    })
}

async fn post(stack: &Stack, token: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post("/api/v1/signingCert")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(body.into());
    stack.send(request.unwrap()).await
}

fn pems(text: &str) -> Vec<Vec<u8>> {
    x509::from_pem(text).unwrap()
}

/// Checks status, headers and chain of an answer.
fn verified(stack: &Stack, reply: &Reply) -> LeafView {
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/pem-certificate-chain");
    assert!(!reply.headers.contains_key("sct"), "only of an SCT that is not embedded");
    assert_eq!(reply.text().trim(), reply.text());
    stack.verified_chain(&pems(reply.text()))
}

#[tokio::test]
async fn answers_201_with_the_chain_as_pem_and_the_leaf_first() {
    let (stack, key) = (Stack::start().await, client_key());
    let body = body(&key, key.public_key().to_pem().as_bytes(), EMAIL);
    let leaf = verified(&stack, &post(&stack, &stack.token(), body.to_string()).await);
    assert_eq!(leaf.public_key(), key.public_key());
    assert_eq!(leaf.subject_alternative_name().unwrap().as_str(), EMAIL);
}

#[tokio::test]
async fn takes_the_key_as_pem_or_der_in_either_base64() {
    let stack = Stack::start().await;
    for key_type in [KeyType::EcdsaP256, KeyType::Ed25519, KeyType::Rsa2048] {
        let key = LocalSigner::generate(key_type, "client").unwrap();
        let (pem, der) = (key.public_key().to_pem(), key.public_key().spki_der());
        for content in [
            STANDARD.encode(&pem),
            STANDARD.encode(format!("a comment\n{pem}")),
            STANDARD.encode(der),
            URL_SAFE_NO_PAD.encode(der),
        ] {
            let mut body = body(&key, der, EMAIL);
            body["publicKey"]["content"] = json!(content);
            let leaf = verified(&stack, &post(&stack, &stack.token(), body.to_string()).await);
            assert_eq!(leaf.public_key(), key.public_key());
        }
    }
}

#[tokio::test]
async fn ignores_the_algorithm_unknown_members_and_nulls() {
    let (stack, key) = (Stack::start().await, client_key());
    let sound = body(&key, key.public_key().spki_der(), EMAIL);
    for algorithm in [json!(null), json!(""), json!("ECDSA"), json!("made up"), json!(7)] {
        let mut body = sound.clone();
        body["publicKey"]["algorithm"] = algorithm;
        body["unknown"] = json!({"deep": [1]});
        verified(&stack, &post(&stack, &stack.token(), body.to_string()).await);
    }
    let mut body = sound;
    body["publicKey"].as_object_mut().unwrap().remove("algorithm");
    body.as_object_mut().unwrap().remove("certificateSigningRequest");
    verified(&stack, &post(&stack, &stack.token(), body.to_string()).await);
}

#[tokio::test]
async fn takes_the_token_from_the_header_only() {
    let (stack, key) = (Stack::start().await, client_key());
    let mut body = body(&key, key.public_key().spki_der(), EMAIL);
    body["credentials"] = json!({"oidcIdentityToken": stack.token()});
    let refused = post(&stack, "", body.to_string()).await.refused(400, 3);
    assert!(refused.contains("no identity token"), "{refused}");
    let bare = Request::post("/api/v1/signingCert")
        .header(header::AUTHORIZATION, stack.token())
        .body(Body::from(body.to_string()));
    verified(&stack, &stack.send(bare.unwrap()).await);
}

#[tokio::test]
async fn a_certificate_signing_request_comes_before_a_key() {
    let (stack, other) = (Stack::start().await, client_key());
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let mut body = body(&other, other.public_key().spki_der(), EMAIL);
    body["certificateSigningRequest"] = json!(STANDARD.encode(&csr));
    for public_key in [body["publicKey"].clone(), json!(null)] {
        body["publicKey"] = public_key;
        let leaf = verified(&stack, &post(&stack, &stack.token(), body.to_string()).await);
        assert_eq!(leaf.public_key().raw(), key.public_key_raw());
    }
    body["certificateSigningRequest"] = json!("");
    let refused = post(&stack, &stack.token(), body.to_string()).await.refused(400, 3);
    assert!(refused.contains("one of publicKey"), "{refused}");
    body["certificateSigningRequest"] = json!(STANDARD.encode(&csr[..csr.len() / 2]));
    let refused = post(&stack, &stack.token(), body.to_string()).await.refused(400, 3);
    assert!(refused.contains("signing request"), "{refused}");
}

#[tokio::test]
async fn refuses_wrong_proofs_and_keys() {
    let (stack, key) = (Stack::start().await, client_key());
    let spki = key.public_key().spki_der();
    for (body, what) in [
        (body(&key, spki, "someone@else.example"), "proof of possession"),
        (body(&client_key(), spki, EMAIL), "proof of possession"),
        (body(&key, &spki[..40], EMAIL), "not acceptable"),
        (body(&key, b"", EMAIL), "not acceptable"),
        (body(&key, b"-----BEGIN PRIVATE KEY-----", EMAIL), "not acceptable"),
        (body(&key, &vec![0x30; 20_000], EMAIL), "not acceptable"),
    ] {
        let refused = post(&stack, &stack.token(), body.to_string()).await.refused(400, 3);
        assert!(refused.contains(what), "{refused}");
    }
    assert_eq!(stack.log.submissions(), 0);
}

#[tokio::test]
async fn refuses_what_is_no_request() {
    let (stack, key) = (Stack::start().await, client_key());
    let sound = body(&key, key.public_key().spki_der(), EMAIL);
    for (path, value) in [
        ("/publicKey", json!("key")),
        ("/publicKey/content", json!("not base64!")),
        ("/publicKey/content", json!(5)),
        ("/signedEmailAddress", json!({})),
        ("/certificateSigningRequest", json!([])),
    ] {
        let mut body = sound.clone();
        *body.pointer_mut(path).unwrap() = value;
        post(&stack, &stack.token(), body.to_string()).await.refused(400, 3);
    }
    let twice = sound.to_string().replacen('{', r#"{"signedEmailAddress":"AA==","#, 1);
    for body in ["", "null", "{}", "[]", "{", twice.as_str()] {
        let refused = post(&stack, &stack.token(), body.to_owned()).await.refused(400, 3);
        assert!(refused.contains("request is not valid"), "{body}: {refused}");
    }
}

#[tokio::test]
async fn has_the_limits_of_v2() {
    let stack = Stack::start().await;
    let long = |length| format!("{{\"unknown\":\"{}\"}}", ".".repeat(length));
    let refused = post(&stack, "", long(4 << 20)).await.refused(400, 3);
    assert!(refused.contains("longer than 65536 bytes"), "{refused}");
    post(&stack, "", long(5 << 20)).await.refused(413, 8);
    let dots = ".".repeat(4 << 20);
    let refused = post(&stack, &dots, "{}").await.refused(400, 3);
    assert!(refused.contains("request is not valid"), "{refused}");
    let key = client_key();
    let body = body(&key, key.public_key().spki_der(), EMAIL).to_string();
    let refused = post(&stack, &dots, body).await.refused(400, 3);
    assert!(refused.contains("longer than 16384 bytes"), "{refused}");
}

#[tokio::test]
async fn a_failing_log_is_503_with_retry_after() {
    let (stack, key) = (Stack::start().await, client_key());
    stack.log.answer(LogAnswer::Status(503));
    let body = body(&key, key.public_key().spki_der(), EMAIL);
    let reply = post(&stack, &stack.token(), body.to_string()).await;
    reply.refused(503, 14);
    assert_eq!(reply.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn root_cert_has_the_whole_chain() {
    let stack = Stack::start().await;
    let request = Request::get("/api/v1/rootCert").body(Body::empty());
    let reply = stack.send(request.unwrap()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers[header::CONTENT_TYPE], "application/pem-certificate-chain");
    assert_eq!(pems(reply.text()), stack.chain.certificates());
    assert_eq!(reply.text().trim(), reply.text());
}

#[tokio::test]
async fn wrong_methods_are_501() {
    let stack = Stack::start().await;
    for (method, path) in [("GET", "signingCert"), ("PUT", "signingCert"), ("POST", "rootCert")] {
        let request = Request::builder().method(method).uri(format!("/api/v1/{path}"));
        stack.send(request.body(Body::empty()).unwrap()).await.refused(501, 12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_body_gets_an_answer_of_the_protocol(
        body in prop::collection::vec(any::<u8>(), 0..200),
        key in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stack = Stack::start().await;
            post(&stack, &stack.token(), body).await.refused(400, 3);
            let request = json!({"publicKey": {"content": STANDARD.encode(key)}}).to_string();
            post(&stack, &stack.token(), request).await.refused(400, 3);
        });
    }
}
