//! Issuers of a pattern: what an unverified token can make the CA fetch, keep and forget.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    issuer::{Answer, TestIssuer},
    stack::{EMAIL, Stack, Wishes, client_key, entry, request},
};

/// A stack that believes every realm of its issuer.
async fn stack() -> Stack {
    let entries = |issuer: &TestIssuer| {
        let pattern = format!("{}/realms/*", issuer.url);
        let shares = [&pattern];
        vec![entry(json!({
            "url_pattern": pattern, "type": "email", "shares_names_with": shares
        }))]
    };
    Stack::with(Wishes { entries: Some(Box::new(entries)), ..Wishes::default() }).await
}

fn claims_of(stack: &Stack, realm: &str) -> Value {
    let now = signing::Clock::now(stack.clock.as_ref()).0;
    let iss = format!("{}/realms/{realm}", stack.issuer.url);
    stack.claims(&json!({"iss": iss, "iat": now, "exp": now + 300}))
}

fn token(stack: &Stack, realm: &str) -> String {
    stack.issuer.token(&claims_of(stack, realm))
}

/// A token that nobody signed.
fn made_up(stack: &Stack, realm: &str) -> String {
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = encode(json!({"alg": "ES256", "kid": "k1"}).to_string());
    format!("{header}.{}.{}", encode(claims_of(stack, realm).to_string()), encode("x".repeat(64)))
}

#[tokio::test]
async fn each_issuer_of_a_pattern_has_its_own_document_and_name() {
    let stack = stack().await;
    for realm in ["acme", "other_1"] {
        let leaf = stack.verified_leaf(&stack.ask(&token(&stack, realm)).await);
        let issuer = leaf.extensions().issuer.clone().unwrap();
        assert_eq!(issuer, format!("{}/realms/{realm}", stack.issuer.url));
    }
    assert_eq!(stack.issuer.discoveries(), 2);
    for odd in ["a.b", "a/b", "a?b", "", "a%62", "a#b"] {
        let refused = stack.ask(&made_up(&stack, odd)).await.refused(400, 3);
        assert!(refused.contains("is not accepted here"), "{odd}: {refused}");
    }
    assert_eq!(stack.issuer.discoveries(), 2);
}

#[tokio::test]
async fn metadata_of_another_issuer_of_the_pattern_do_not_count() {
    let stack = stack().await;
    let own = &stack.issuer.url;
    let metadata =
        json!({"issuer": format!("{own}/realms/other"), "jwks_uri": format!("{own}/keys")});
    stack.issuer.answer_discovery(Answer::Json(metadata));
    stack.ask(&token(&stack, "acme")).await.refused(500, 13);
    assert_eq!(stack.issuer.fetches(), 0);
}

#[tokio::test]
async fn ten_thousand_made_up_issuers_cost_little_and_the_known_one_nothing() {
    let stack = stack().await;
    stack.verified_leaf(&stack.ask(&token(&stack, "acme")).await);
    let key = client_key();
    for number in 0..10_000 {
        let token = made_up(&stack, &format!("made-up-{number}"));
        let reply = stack.post(request(&token, &key, EMAIL).to_string()).await;
        let refused = reply.refused(503, 14);
        assert!(refused.contains("gives no keys"), "{refused}");
    }
    assert!(stack.issuer.discoveries() <= 1 + 16, "{}", stack.issuer.discoveries());
    let fetched = stack.issuer.fetches();
    stack.verified_leaf(&stack.ask(&token(&stack, "acme")).await);
    assert_eq!(stack.issuer.fetches(), fetched, "its keys were kept");
    // Later a new one gets its turn.
    stack.ask(&token(&stack, "new")).await.refused(503, 14);
    stack.clock.advance_ms(1_000);
    stack.verified_leaf(&stack.ask(&token(&stack, "new")).await);
}

/// Whoever owns realms of the host, but grants nobody a token that counts, cannot push out others.
#[tokio::test]
async fn issuers_that_never_granted_do_not_push_out_those_that_did() {
    let stack = stack().await;
    stack.verified_leaf(&stack.ask(&token(&stack, "acme")).await);
    for number in 0..100 {
        stack.clock.advance_ms(1_000);
        let token = made_up(&stack, &format!("attacker-{number}"));
        stack.ask(&token).await.refused(400, 3);
    }
    let asked = stack.issuer.discoveries();
    assert_eq!(stack.ask(&token(&stack, "acme")).await.status, 200);
    assert_eq!(stack.issuer.discoveries(), asked);
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_remembered() {
    let stack = stack().await;
    for _ in 0..30 {
        stack.ask(&made_up(&stack, "made-up")).await.refused(503, 14);
        stack.clock.advance_ms(1_000);
    }
    assert_eq!(stack.issuer.discoveries(), 1);
    stack.clock.advance_ms(60_000);
    stack.ask(&made_up(&stack, "made-up")).await.refused(503, 14);
    assert_eq!(stack.issuer.discoveries(), 2);
}
