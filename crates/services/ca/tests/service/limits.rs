//! How many certificates one caller may have.

use std::{net::Ipv4Addr, num::NonZeroU32, time::Duration};

use axum::{Extension, body::Body};
use http::{Request, header};
use serde_json::json;
use server::{Allowance, CallerAddress, PeerLimits, Rate};

use crate::{
    grpc_server::{GrpcServer, proto::dev::sigstore::fulcio::v2::CreateSigningCertificateRequest},
    stack::{Stack, Wishes},
};

/// So many, and the next in an hour.
fn hourly(burst: u32) -> Allowance {
    let rate = Rate { interval: Duration::from_hours(1), burst: NonZeroU32::new(burst).unwrap() };
    Allowance { rate: Some(rate), ..Allowance::default() }
}

/// A stack whose peers may have one certificate.
async fn limited() -> Stack {
    let mut stack = Stack::start().await;
    let limits = PeerLimits::new("ca.test", &hourly(1));
    stack.router = stack.router.layer(Extension(limits));
    stack
}

#[tokio::test]
async fn a_subject_that_had_enough_is_told_when_it_may_come_and_uses_up_nothing_of_others() {
    let stack = Stack::with(Wishes {
        settings: |config| (config.per_subject, config.per_issuer) = (hourly(1), hourly(2)),
        ..Wishes::default()
    })
    .await;
    // Who says so without a signature of the issuer uses up nothing.
    let forged = crate::jwk::TokenKey::generate(crypto::KeyType::EcdsaP256)
        .token(&json!({"alg": "ES256", "kid": "k1"}), &stack.claims(&json!({})));
    assert_ne!(stack.ask(&forged).await.status, 429);
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    for _ in 0..3 {
        let refused = stack.ask(&stack.token()).await;
        let message = refused.refused(429, 8);
        assert!(message.contains("one subject may have: try again in 3600 s"), "{message}");
        assert_eq!(refused.headers[header::RETRY_AFTER], "3600");
        assert_eq!(refused.headers["countersign-reason"], "rate_limited");
    }
    assert_eq!(stack.log.submissions(), 1, "nothing was signed for it");
    let ask = async |email: &str| {
        let claims = stack.claims(&json!({"email": email, "sub": email}));
        let token = stack.issuer.token(&claims);
        let body = crate::stack::request(&token, &crate::stack::client_key(), email);
        stack.post(body.to_string()).await
    };
    assert_eq!(ask("other@example.com").await.status, 200);
    let message = ask("third@example.com").await.refused(429, 8);
    assert!(message.contains("one issuer"), "{message}");
}

#[tokio::test]
async fn a_peer_that_had_enough_is_refused_before_its_body_is_read() {
    let stack = limited().await;
    let router = stack.router.clone().layer(Extension(CallerAddress(Ipv4Addr::LOCALHOST.into())));
    let stack = Stack { router, ..stack };
    assert_eq!(stack.post("nothing").await.status, 400);
    for path in ["/api/v2/signingCert", "/api/v1/signingCert"] {
        let request = Request::post(path).body(Body::from("nothing")).unwrap();
        let refused = stack.send(request).await;
        refused.refused(429, 8);
        assert_eq!(refused.headers[header::RETRY_AFTER], "3600", "{path}");
    }
    // Questions are no writes.
    let request = Request::get("/api/v2/trustBundle").body(Body::empty()).unwrap();
    assert_eq!(stack.send(request).await.status, 200);
}

#[tokio::test]
async fn over_grpc_it_is_resource_exhausted_with_the_time() {
    let server = GrpcServer::of(&limited().await).await;
    let mut client = server.client().await;
    let create = CreateSigningCertificateRequest::default;
    let first = client.create_signing_certificate(create()).await.unwrap_err();
    assert_eq!(first.code(), tonic::Code::InvalidArgument);
    let second = client.create_signing_certificate(create()).await.unwrap_err();
    assert_eq!(second.code(), tonic::Code::ResourceExhausted, "{second:?}");
    assert_eq!(second.metadata().get("retry-after").unwrap(), "3600");
}
