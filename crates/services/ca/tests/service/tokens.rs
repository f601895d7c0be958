//! Tokens that must not count.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::KeyType;
use serde_json::{Value, json};

use crate::{
    issuer::TestIssuer,
    jwk::TokenKey,
    stack::{NOW, Stack, Wishes, uri_kind},
};

/// The message by which a token with these changed claims is refused.
async fn refusal(stack: &Stack, changes: Value) -> String {
    let token = stack.issuer.token(&stack.claims(&changes));
    stack.ask(&token).await.refused(400, 3)
}

fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn refuses_another_audience_issuer_and_time() {
    let stack = Stack::start().await;
    for (changes, message) in [
        (json!({"aud": "other"}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"iss": "https://evil.example"}), "is not accepted here"),
        (json!({"iss": format!("{}/", stack.issuer.url)}), "is not accepted here"),
        (json!({"iss": format!("{}.evil.example", stack.issuer.url)}), "is not accepted here"),
        (json!({"iss": null}), "`iss` is missing"),
        (json!({"exp": NOW}), "expired"),
        (json!({"exp": null}), "`exp` is missing"),
        (json!({"nbf": NOW + 301}), "not valid yet"),
        (json!({"iat": NOW + 301}), "not valid yet"),
        (json!({"exp": NOW + 90_000}), "valid for longer"),
    ] {
        let refused = refusal(&stack, changes.clone()).await;
        assert!(refused.contains(message), "{changes}: {refused}");
    }
    assert_eq!(stack.log.submissions(), 0);
}

#[tokio::test]
async fn refuses_email_that_is_not_vouched_for() {
    let stack = Stack::start().await;
    for (changes, message) in [
        (json!({"email_verified": null}), "`email_verified`"),
        (json!({"email_verified": false}), "`email_verified`"),
        (json!({"email": null}), "`email` is missing"),
        (json!({"email": 17}), "`email` has the wrong type"),
        (json!({"email": "j\u{f6}rg@example.com"}), "SmtpUTF8Mailbox"),
        (json!({"email": "jorg@example..com"}), "not an e-mail"),
    ] {
        let refused = refusal(&stack, changes.clone()).await;
        assert!(refused.contains(message), "{changes}: {refused}");
    }
}

#[tokio::test]
async fn refuses_subjects_outside_of_the_domain() {
    let stack = Stack::of_kind(uri_kind()).await;
    for subject in ["http://127.0.0.1.evil.example/x", "http://127.0.0.1@evil.example/", "x@y"] {
        let refused = refusal(&stack, json!({"sub": subject})).await;
        assert!(refused.contains("`sub` is not a URI below"), "{subject}: {refused}");
    }
}

#[tokio::test]
async fn refuses_none_and_hmac_with_the_public_key() {
    let stack = Stack::with(Wishes { token_key: KeyType::Rsa2048, ..Wishes::default() }).await;
    let payload = encode(stack.claims(&json!({})).to_string());
    let public_key = stack.issuer.key.jwk("k1").to_string();
    for algorithm in ["none", "None", "HS256", "HS384", "HS512"] {
        let header = encode(json!({"alg": algorithm, "kid": "k1"}).to_string());
        let signature = encode(crypto::sha256(public_key.as_bytes()));
        let refused = stack.ask(&format!("{header}.{payload}.{signature}")).await.refused(400, 3);
        assert!(refused.contains("algorithm"), "{algorithm}: {refused}");
    }
    let header = encode(json!({"alg": "none"}).to_string());
    stack.ask(&format!("{header}.{payload}.")).await.refused(400, 3);
}

#[tokio::test]
async fn refuses_an_algorithm_that_is_not_of_the_key() {
    let stack = Stack::with(Wishes { token_key: KeyType::Rsa2048, ..Wishes::default() }).await;
    let token =
        stack.issuer.key.token(&json!({"alg": "ES256", "kid": "k1"}), &stack.claims(&json!({})));
    let refused = stack.ask(&token).await.refused(400, 3);
    assert!(refused.contains("does not publish"), "{refused}");
    let token =
        stack.issuer.key.token(&json!({"alg": "PS256", "kid": "k1"}), &stack.claims(&json!({})));
    let refused = stack.ask(&token).await.refused(400, 3);
    assert!(refused.contains("may not be signed with PS256"), "{refused}");
}

#[tokio::test]
async fn accepts_rs256_and_tokens_without_key_id() {
    let stack = Stack::with(Wishes { token_key: KeyType::Rsa2048, ..Wishes::default() }).await;
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    let token = stack.issuer.key.token(&json!({"alg": "RS256"}), &stack.claims(&json!({})));
    stack.verified_leaf(&stack.ask(&token).await);
}

#[tokio::test]
async fn refuses_headers_that_demand_extensions() {
    let stack = Stack::start().await;
    for header in [
        json!({"alg": "ES256", "kid": "k1", "crit": ["b64"], "b64": false}),
        json!({"alg": "ES256", "kid": "k1", "crit": []}),
    ] {
        let token = stack.issuer.key.token(&header, &stack.claims(&json!({})));
        let refused = stack.ask(&token).await.refused(400, 3);
        assert!(refused.contains("critical"), "{refused}");
    }
}

#[tokio::test]
async fn a_token_never_brings_its_own_key() {
    let stack = Stack::start().await;
    let foreign = TestIssuer::start(KeyType::EcdsaP256).await;
    let jwks_url = format!("{}/keys", foreign.url);
    let header = json!({
        "alg": "ES256", "kid": "k1", "jwk": foreign.key.jwk("k1"), "jku": jwks_url, "x5u": jwks_url
    });
    let token = foreign.key.token(&header, &stack.claims(&json!({})));
    let refused = stack.ask(&token).await.refused(400, 3);
    assert!(refused.contains("signature does not verify"), "{refused}");
    assert_eq!(foreign.fetches(), 0);
}

#[tokio::test]
async fn refuses_a_foreign_signature_and_a_changed_payload() {
    let stack = Stack::start().await;
    let key = TokenKey::generate(KeyType::EcdsaP256);
    let forged = key.token(&json!({"alg": "ES256", "kid": "k1"}), &stack.claims(&json!({})));
    stack.ask(&forged).await.refused(400, 3);
    // Older than what was fetched: a newer one could be signed with a key that was just replaced.
    let sound = stack.issuer.token(&stack.claims(&json!({"iat": NOW - 60})));
    let parts: Vec<&str> = sound.split('.').collect();
    let payload =
        encode(stack.claims(&json!({"iat": NOW - 60, "email": "admin@example.com"})).to_string());
    stack.ask(&format!("{}.{payload}.{}", parts[0], parts[2])).await.refused(400, 3);
    stack.ask(&format!("{}.{}.", parts[0], parts[1])).await.refused(400, 3);
}

#[tokio::test]
async fn refuses_duplicate_claims_although_signed() {
    let stack = Stack::start().await;
    let claims = stack.claims(&json!({})).to_string();
    let twice = claims.replacen('{', "{\"email\":\"admin@example.com\",", 1);
    let header = encode(json!({"alg": "ES256", "kid": "k1"}).to_string());
    let message = format!("{header}.{}", encode(twice));
    let signature = stack.issuer.key.sign(message.as_bytes());
    let refused = stack.ask(&format!("{message}.{}", encode(signature))).await.refused(400, 3);
    assert!(refused.contains("distinct names"), "{refused}");
}

#[tokio::test]
async fn a_refusal_never_repeats_the_token() {
    let stack = Stack::start().await;
    let token = stack.issuer.token(&stack.claims(&json!({"aud": "other"})));
    let reply = stack.ask(&token).await;
    let payload = token.split('.').nth(1).unwrap();
    assert!(!reply.text().contains(payload) && !reply.text().contains("user-17"));
}
