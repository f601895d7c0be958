use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moment::UnixSeconds;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::IssuerKind;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.example";

fn issuer() -> IssuerConfig {
    let audiences = vec!["sigstore".to_owned(), "countersign".to_owned()];
    let kind = IssuerKind::Email { skip_verification: false };
    IssuerConfig::new(ISSUER, audiences, kind).unwrap()
}

fn issuer_with(setting: &str, value: u64) -> IssuerConfig {
    let settings = json!({"url": ISSUER, "audiences": ["sigstore"], "type": "email", "open_to_all": true, setting: value});
    serde_json::from_value(settings).unwrap()
}

/// A token valid at [`NOW`], with `changes` to its claims.
fn token(changes: &Value) -> UnverifiedClaims {
    let mut claims = json!({"iss": ISSUER, "aud": "sigstore", "exp": NOW + 600, "iat": NOW - 5});
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    signed("RS256", &claims.to_string())
}

fn signed(algorithm: &str, payload: &str) -> UnverifiedClaims {
    let header = json!({"alg": algorithm}).to_string();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let text = format!("{}.{}.{}", encode(&header), encode(payload), encode("signature"));
    UnverifiedClaims::parse(&text).unwrap()
}

fn verify(token: &UnverifiedClaims) -> Result<VerifiedClaims, VerificationError> {
    token.verify(&issuer(), UnixSeconds(NOW), |_, _| true)
}

fn refusal(changes: &Value) -> VerificationError {
    verify(&token(changes)).unwrap_err()
}

#[test]
fn accepts_a_token_in_force() {
    let verified = verify(&token(&json!({"sub": "me"}))).unwrap();
    assert_eq!(verified.issuer(), ISSUER);
    assert_eq!(verified.expires_at(), UnixSeconds(NOW + 600));
    assert_eq!(verified.claims().text("sub").unwrap().unwrap(), "me");
}

#[test]
fn hands_the_exact_signing_input_to_the_signature_check() {
    let token = token(&json!({}));
    let expected = token.compact.signing_input().to_vec();
    let seen = |input: &[u8], signature: &[u8]| input == expected && signature == b"signature";
    assert!(token.verify(&issuer(), UnixSeconds(NOW), seen).is_ok());
}

#[test]
fn refuses_a_signature_that_does_not_verify() {
    let refused = token(&json!({})).verify(&issuer(), UnixSeconds(NOW), |_, _| false).unwrap_err();
    assert_eq!(refused, VerificationError::Signature);
}

#[test]
fn refuses_another_issuer() {
    assert_eq!(refusal(&json!({"iss": "https://issuer.example/"})), VerificationError::Issuer);
}

#[test]
fn refuses_algorithms_that_are_not_configured() {
    let payload = json!({"iss": ISSUER, "aud": "sigstore", "exp": NOW + 1}).to_string();
    let refused = verify(&signed("PS256", &payload)).unwrap_err();
    assert_eq!(refused, VerificationError::Algorithm(JwsAlgorithm::Ps256));
}

#[test]
fn any_of_several_audiences_is_enough() {
    for aud in [json!("countersign"), json!(["x", "sigstore"]), json!(["countersign"])] {
        assert!(verify(&token(&json!({ "aud": aud }))).is_ok());
    }
}

#[test]
fn refuses_other_missing_and_empty_audiences() {
    for aud in [json!("x"), json!([]), json!(null), json!(""), json!("Sigstore"), json!(["x", "y"])]
    {
        assert_eq!(refusal(&json!({ "aud": aud })), VerificationError::Audience, "{aud}");
    }
    let wrong_type = VerificationError::Claim(ClaimError::WrongType("aud"));
    assert_eq!(refusal(&json!({"aud": {"sigstore": true}})), wrong_type);
}

#[test]
fn expires_on_the_second() {
    assert_eq!(refusal(&json!({"exp": NOW})), VerificationError::Expired);
    assert_eq!(refusal(&json!({"exp": NOW - 1})), VerificationError::Expired);
    assert!(verify(&token(&json!({"exp": NOW + 1}))).is_ok());
    let missing = VerificationError::Claim(ClaimError::Missing("exp"));
    assert_eq!(refusal(&json!({"exp": null})), missing);
    let wrong_type = VerificationError::Claim(ClaimError::WrongType("exp"));
    assert_eq!(refusal(&json!({"exp": "9999999999"})), wrong_type);
    assert_eq!(refusal(&json!({"exp": -1})), wrong_type);
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    for claim in ["nbf", "iat"] {
        assert!(verify(&token(&json!({ claim: NOW + 300 }))).is_ok());
        assert_eq!(refusal(&json!({ claim: NOW + 301 })), VerificationError::NotYetValid);
    }
    let strict = issuer_with("clock_skew_s", 0);
    let refused =
        token(&json!({"nbf": NOW + 1})).verify(&strict, UnixSeconds(NOW), |_, _| true).unwrap_err();
    assert_eq!(refused, VerificationError::NotYetValid);
}

#[test]
fn bounds_the_lifetime() {
    let day = 86_400;
    assert!(verify(&token(&json!({"iat": NOW, "exp": NOW + day}))).is_ok());
    assert_eq!(
        refusal(&json!({"iat": NOW, "exp": NOW + day + 1})),
        VerificationError::LivesTooLong
    );
    assert_eq!(
        refusal(&json!({"iat": null, "exp": NOW + day + 1})),
        VerificationError::LivesTooLong
    );
}

#[test]
fn bounds_the_age_when_told() {
    let strict = issuer_with("max_age_s", 60);
    let verify =
        |iat: Value| token(&json!({ "iat": iat })).verify(&strict, UnixSeconds(NOW), |_, _| true);
    assert!(verify(json!(NOW - 60)).is_ok());
    assert_eq!(verify(json!(NOW - 61)).unwrap_err(), VerificationError::TooOld);
    assert_eq!(verify(json!(null)).unwrap_err(), VerificationError::TooOld);
}

#[test]
fn debug_shows_no_claim_values() {
    let shown = format!("{:?}", verify(&token(&json!({"email": "secret@example.com"}))).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

proptest! {
    #[test]
    fn nothing_is_in_force_after_exp_or_long_before_nbf(exp in any::<u64>(), nbf in any::<u64>(), now in any::<u64>()) {
        let token = token(&json!({"exp": exp, "nbf": nbf, "iat": null}));
        if token.verify(&issuer(), UnixSeconds(now), |_, _| true).is_ok() {
            prop_assert!(now < exp && nbf <= now.saturating_add(300));
        }
    }
}
