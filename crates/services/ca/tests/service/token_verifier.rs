//! Tokens for another service.

use std::sync::Arc;

use ca::{OidcConfig, TokenVerifier};
use crypto::KeyType;
use identity::{IssuerConfig, IssuerKind};
use serde_json::json;
use signing::{CpuPool, FixedClock};

use crate::{
    issuer::{Answer, TestIssuer},
    jwk::TokenKey,
    stack::NOW,
};

const LOG: &str = "https://log.example";

fn verifier(issuer: &TestIssuer) -> TokenVerifier {
    let audiences = vec!["sigstore".to_owned()];
    let kind = IssuerKind::Email { skip_verification: false };
    let entry = IssuerConfig::new_loopback(&issuer.url, audiences, kind).unwrap();
    let entry = entry.for_service(LOG).unwrap();
    let work = (Arc::new(FixedClock::at(NOW)) as _, CpuPool::new(1));
    TokenVerifier::new("log.test", vec![entry], &OidcConfig::default(), work).unwrap()
}

fn token(issuer: &TestIssuer, audience: &str) -> String {
    issuer.token(&json!({
        "iss": issuer.url, "aud": audience, "iat": NOW, "exp": NOW + 300,
        "sub": "user-17", "email": "jdoe@example.com", "email_verified": true
    }))
}

#[tokio::test]
async fn a_token_for_the_service_names_its_bearer_and_one_for_the_ca_nobody() {
    let issuer = TestIssuer::start(KeyType::EcdsaP256).await;
    let verifier = verifier(&issuer);
    let bearer = verifier.verify(&token(&issuer, LOG)).await.unwrap();
    assert_eq!(
        (bearer.issuer, bearer.subject),
        (issuer.url.clone(), "jdoe@example.com".to_owned())
    );
    let refused = verifier.verify(&token(&issuer, "sigstore")).await.unwrap_err();
    assert!(refused.to_string().contains("audience"), "{refused}");
    for token in ["", "x", "a.b.c"] {
        assert!(verifier.verify(token).await.is_err());
    }
}

#[tokio::test]
async fn the_issuer_is_asked_for_a_key_that_came_later() {
    let issuer = TestIssuer::start(KeyType::EcdsaP256).await;
    issuer.answer_jwks(Answer::Status(503));
    let verifier = verifier(&issuer);
    let away = verifier.verify(&token(&issuer, LOG)).await.unwrap_err();
    assert!(away.retry_after_s().is_some(), "{away}");
    // Signed by nobody's key.
    issuer.answer_jwks(Answer::AsIs);
    let other = TokenKey::generate(KeyType::EcdsaP256);
    issuer.publish(vec![other.jwk("k1")]);
    assert!(verifier.verify(&token(&issuer, LOG)).await.is_err());
}
