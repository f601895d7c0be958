//! Bodies that are no requests, and those that are too much.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, header};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::stack::{EMAIL, Stack, client_key, request};

#[tokio::test]
async fn refuses_garbage_truncated_and_wrongly_typed_bodies() {
    let stack = Stack::start().await;
    let sound = request(&stack.token(), &client_key(), EMAIL).to_string();
    let truncated = &sound[..sound.len() / 2];
    for body in ["", "garbage", "null", "[]", "5", "\"text\"", "{", "{}", "\u{feff}{}", truncated] {
        let refused = stack.post(body.to_owned()).await.refused(400, 3);
        assert!(refused.contains("request is not valid"), "{body}: {refused}");
    }
    stack.post(vec![0xff, 0xfe, 0x00]).await.refused(400, 3);
}

#[tokio::test]
async fn refuses_members_of_the_wrong_type() {
    let stack = Stack::start().await;
    let sound = request(&stack.token(), &client_key(), EMAIL);
    for (path, value) in [
        ("/credentials", json!("token")),
        ("/credentials/oidcIdentityToken", json!(5)),
        ("/credentials/oidcIdentityToken", json!({"a": "b"})),
        ("/publicKeyRequest", json!([])),
        ("/publicKeyRequest", json!(null)),
        ("/publicKeyRequest/publicKey", json!("PEM")),
        ("/publicKeyRequest/publicKey/content", json!(["PEM"])),
        ("/publicKeyRequest/proofOfPossession", json!("not base64!")),
        ("/publicKeyRequest/proofOfPossession", json!(7)),
    ] {
        let mut body = sound.clone();
        *body.pointer_mut(path).unwrap() = value;
        stack.post(body.to_string()).await.refused(400, 3);
    }
    let mut both = sound;
    both["certificateSigningRequest"] = json!("QQ==");
    stack.post(both.to_string()).await.refused(400, 3);
}

#[tokio::test]
async fn a_refusal_does_not_quote_a_token_in_the_wrong_place() {
    let stack = Stack::start().await;
    let token = stack.token();
    let reply = stack.post(json!({"credentials": token}).to_string()).await;
    assert!(!reply.refused(400, 3).contains(&token));
}

#[tokio::test]
async fn refuses_requests_without_token() {
    let stack = Stack::start().await;
    for credentials in [json!(null), json!({}), json!({"oidcIdentityToken": null})] {
        let mut body = request("", &client_key(), EMAIL);
        body["credentials"] = credentials;
        let refused = stack.post(body.to_string()).await.refused(400, 3);
        assert!(refused.contains("no identity token"), "{refused}");
    }
    let empty_header = Request::post("/api/v2/signingCert")
        .header(header::AUTHORIZATION, "Bearer ")
        .body(Body::from(request("", &client_key(), EMAIL).to_string()))
        .unwrap();
    stack.send(empty_header).await.refused(400, 3);
}

#[tokio::test]
async fn four_mebibytes_of_dots_are_refused_fast() {
    let stack = Stack::start().await;
    let body = request(&".".repeat(4 << 20), &client_key(), EMAIL).to_string();
    let started = Instant::now();
    let refused = stack.post(body).await.refused(400, 3);
    assert!(refused.contains("longer than 65536 bytes"), "{refused}");
    let refused = stack.ask(&".".repeat(20 * 1024)).await.refused(400, 3);
    assert!(refused.contains("longer than 16384 bytes"), "{refused}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let dots = stack.ask(&".".repeat(16 * 1024)).await.refused(400, 3);
    assert!(dots.contains("three parts"), "{dots}");
}

#[tokio::test]
async fn answers_413_in_its_own_form_above_the_limit() {
    let stack = Stack::start().await;
    let body = request(&".".repeat(5 << 20), &client_key(), EMAIL).to_string();
    stack.post(body).await.refused(413, 8);
    let announced = Request::post("/api/v2/signingCert")
        .header(header::CONTENT_LENGTH, 1_u64 << 40)
        .body(Body::from("{}"));
    stack.send(announced.unwrap()).await.refused(413, 8);
}

#[tokio::test]
async fn deep_nesting_is_refused_or_ignored_without_harm() {
    let stack = Stack::start().await;
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    stack.post(nested.clone()).await.refused(400, 3);
    stack.post(format!("{{\"credentials\":{nested}}}")).await.refused(400, 3);
    let body = request(&stack.token(), &client_key(), EMAIL).to_string();
    let reply = stack.post(body.replacen('{', &format!("{{\"unknown\":{nested},"), 1)).await;
    assert!(matches!(reply.status.as_u16(), 200 | 400), "{}", reply.text());
    let claims: Value =
        stack.claims(&json!({"deep": (0..40).fold(json!(1), |deep, _| json!([deep]))}));
    let refused = stack.ask(&stack.issuer.token(&claims)).await.refused(400, 3);
    assert!(refused.contains("nested too deeply"), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_body_gets_an_answer_of_the_protocol(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stack = Stack::start().await;
            stack.post(body).await.refused(400, 3);
        });
    }
}
