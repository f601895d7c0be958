//! Every refusal on every API: status, words, reason, and when to come back.

use std::{sync::Arc, time::Duration};

use crypto::{KeyError, SignerError};
use http::header;
use identity::{
    ClaimError, JwsAlgorithm, PrincipalError, TokenError, UnverifiedFacts, VerificationError,
};
use signing::ClockFault;
use wire::refusal::{self, Reason};
use x509::{IssuanceError, ProfileError, lint::WeakKey, proof::CsrError};

use crate::{
    CtError, IssueError, KeysError, SourceError, api::Refusal, explain::message, grpc, http::reply,
};

/// What is expected of one refusal: HTTP's status, gRPC's code, the reason, and `Retry-After`.
type Expected = (u16, i32, Reason, Option<u64>);

fn misconfigured() -> KeysError {
    let source = Arc::new(SourceError::OtherIssuer("https://other.example".to_owned()));
    KeysError::Unavailable { source, retry_after_s: 7 }
}

const CALLER: (u16, i32) = (400, 3);
const PASSES: (u16, i32) = (503, 14);
const OURS: (u16, i32) = (500, 13);

fn by((status, code): (u16, i32), reason: Reason) -> Expected {
    (status, code, reason, (status == 503).then_some(1))
}

/// Each variant, and those of its causes that are told apart.
fn all() -> Vec<(IssueError, Expected)> {
    let misconfigured = misconfigured();
    let away = SignerError::Unavailable { key_id: "ca".to_owned(), reason: "away".to_owned() };
    let mut all = vec![
        (IssueError::Request("not JSON".to_owned()), by(CALLER, Reason::Request)),
        (IssueError::NoToken, by(CALLER, Reason::NoToken)),
        (TokenError::NotCompact.into(), by(CALLER, Reason::Token)),
        (TokenError::Algorithm.into(), by(CALLER, Reason::Algorithm)),
        (IssueError::UnknownIssuer, by(CALLER, Reason::UnknownIssuer)),
        (IssueError::UnknownTokenKey, by(CALLER, Reason::UnknownTokenKey)),
        (IssueError::Ambiguous, by(CALLER, Reason::Ambiguous)),
        (KeyError::Spki.into(), by(CALLER, Reason::Key)),
        (WeakKey::Exponent.into(), by(CALLER, Reason::WeakKey)),
        (IssueError::Proof, by(CALLER, Reason::Proof)),
        (CsrError::Pem.into(), by(CALLER, Reason::Csr)),
        (IssueError::Profile(ProfileError::NeverValid), by(CALLER, Reason::Profile)),
        (
            IssueError::IssuerUnavailable(KeysError::NotYetAgain { retry_after_s: 7 }),
            (503, 14, Reason::IssuerUnavailable, Some(7)),
        ),
        (misconfigured.into(), by(OURS, Reason::IssuerMisconfigured)),
        (
            IssueError::CtUnavailable(CtError::CircuitOpen { retry_after_s: 7 }),
            (503, 14, Reason::CtUnavailable, Some(7)),
        ),
        (away.into(), by(PASSES, Reason::Signer)),
        (
            ClockFault::Jumped { by: Duration::from_secs(61), ahead: true }.into(),
            by(PASSES, Reason::Clock),
        ),
        (
            IssueError::RateLimited { by: "subject", retry_after_s: 7 },
            (429, 8, Reason::RateLimited, Some(7)),
        ),
        (IssueError::Overloaded, by(PASSES, Reason::Overloaded)),
        (IssueError::CtBroken(CtError::Future), by(OURS, Reason::CtBroken)),
        (IssueError::Frozen, (405, 9, Reason::Frozen, None)),
        (IssueError::AuthorityNotValid, by(OURS, Reason::AuthorityNotValid)),
        (IssueError::Issuance(IssuanceError::SignatureMismatch), by(OURS, Reason::Issuance)),
    ];
    for (error, reason) in [
        (VerificationError::Issuer, Reason::Signature),
        (VerificationError::Algorithm(JwsAlgorithm::Es256), Reason::Algorithm),
        (VerificationError::Audience, Reason::Audience),
        (VerificationError::Expired, Reason::Expired),
        (VerificationError::NotYetValid, Reason::NotYetValid),
        (VerificationError::TooOld, Reason::Lifetime),
        (VerificationError::LivesTooLong, Reason::Lifetime),
        (ClaimError::Missing("exp").into(), Reason::Claim),
        (VerificationError::Signature, Reason::Signature),
    ] {
        all.push((error.into(), by(CALLER, reason)));
    }
    for (error, reason) in [
        (ClaimError::Missing("email").into(), Reason::Claim),
        (PrincipalError::EmailNotVerified, Reason::EmailNotVerified),
        (PrincipalError::Required("groups".to_owned()), Reason::Rule),
        (PrincipalError::Fork, Reason::Identity),
    ] {
        all.push((error.into(), by(CALLER, reason)));
    }
    all
}

#[tokio::test]
async fn every_refusal_is_told_alike_on_every_face() {
    for (error, (status, code, reason, retry_after_s)) in all() {
        let text = error.to_string();
        let refusal = Refusal::from(error);

        let answer = reply::refusal(&refusal);
        assert_eq!(answer.status(), status, "{text}");
        assert_eq!(answer.headers()[refusal::HEADER], reason.word(), "{text}");
        let retry = answer.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
        assert_eq!(
            retry.map(str::to_owned),
            retry_after_s.map(|seconds| seconds.to_string()),
            "{text}"
        );
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        // Upstream's shape to the byte: clients are strict about it.
        let expected = serde_json::json!({"code": code, "message": text, "details": []});
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), expected);

        let call = grpc::status(&refusal);
        assert_eq!((i32::from(call.code()), call.message()), (code, text.as_str()));
        assert_eq!(call.metadata().get(refusal::HEADER).unwrap(), reason.word());
        assert_eq!(call.details().is_empty(), retry_after_s.is_none(), "{text}");
    }
}

#[test]
fn every_reason_is_given_by_some_refusal() {
    let given: Vec<Reason> = all().into_iter().map(|(_, (_, _, reason, _))| reason).collect();
    for reason in Reason::ALL {
        assert!(given.contains(reason), "{reason:?}");
    }
}

#[test]
fn what_passes_is_503_or_429_and_what_does_not_is_neither() {
    for (error, (status, ..)) in all() {
        assert_eq!(error.reason().passes(), matches!(status, 503 | 429), "{error}");
    }
}

#[test]
fn the_answer_names_what_it_is_about() {
    let facts = UnverifiedFacts {
        issuer: "https://sso.example".to_owned(),
        key_id: Some("k7".to_owned()),
        audiences: vec!["other".to_owned(), "third".to_owned()],
        email: Some("a@example.com".to_owned()),
        ..UnverifiedFacts::default()
    };
    let accepted = ["acme".to_owned(), "sigstore".to_owned()];
    for (error, text) in [
        (
            IssueError::UnknownIssuer,
            "the token's issuer `https://sso.example` is not accepted here",
        ),
        (
            IssueError::UnknownTokenKey,
            "the token is signed with key `k7`, which its issuer `https://sso.example` does not publish",
        ),
        (
            VerificationError::Audience.into(),
            "the token is for another audience, `other` and `third`: accepted from its issuer is \
             `acme` or `sigstore`",
        ),
        (
            PrincipalError::EmailNotVerified.into(),
            "the issuer does not vouch for the address `a@example.com`: claim `email_verified` is not true",
        ),
        (
            IssueError::IssuerUnavailable(KeysError::NotYetAgain { retry_after_s: 7 }),
            "the token's issuer `https://sso.example` gives no keys at the moment",
        ),
        (
            misconfigured().into(),
            "the token's issuer `https://sso.example` cannot be asked for its keys as it is configured \
             here",
        ),
        (
            PrincipalError::Required("groups".to_owned()).into(),
            "claim `groups` is not what the issuer's configuration demands",
        ),
    ] {
        assert_eq!(message(&error, &facts, &accepted), text);
    }
    let none = UnverifiedFacts::default();
    let audience = || VerificationError::Audience.into();
    assert_eq!(
        message(&audience(), &none, &accepted),
        "the token is for no audience: accepted from its issuer is `acme` or `sigstore`"
    );
    assert_eq!(message(&audience(), &none, &[]), "the token is for no audience");
}
