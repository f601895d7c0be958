use moment::UnixSeconds;

use crate::{
    IssuerConfig, IssuerSet, Principal, PrincipalError, UnverifiedClaims, VerificationError,
};

/// What one issuer's configuration makes of a token.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// The configuration that was asked.
    pub issuer: &'a IssuerConfig,
    /// Everything that is wrong with the token itself; empty when it counts.
    pub token: Vec<VerificationError>,
    /// What the claims would become if it counted, or the rule that refuses them.
    pub principal: Result<Principal, PrincipalError>,
    /// Which of `required_claims` the token breaks: what the claim is, and what it would have to be.
    pub rule: Option<String>,
}

impl Verdict<'_> {
    /// Whether a certificate would be issued, were the signature good.
    #[must_use]
    pub fn grants(&self) -> bool {
        self.token.is_empty() && self.principal.is_ok()
    }
}

impl IssuerSet {
    /// Asks every issuer whose URL is the token's `iss`, and stops at nothing: for people who want
    /// to know what a token would get and why. Signatures are not looked at, and no verdict can be
    /// turned into a certificate.
    #[must_use]
    pub fn explain(&self, token: &UnverifiedClaims, now: UnixSeconds) -> Vec<Verdict<'_>> {
        self.iter()
            .filter(|issuer| issuer.is_of(token.issuer()))
            .map(|issuer| issuer.explain(token, now))
            .collect()
    }
}

impl IssuerConfig {
    /// What this configuration makes of `token`, as [`IssuerSet::explain`] says.
    #[must_use]
    pub fn explain(&self, token: &UnverifiedClaims, now: UnixSeconds) -> Verdict<'_> {
        Verdict {
            issuer: self,
            token: token.faults(self, now),
            principal: token.supposed().principal(self),
            rule: self.required_claims().told(token.claims_for_people()),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;
    use crate::{IssuerKind, JwsAlgorithm};

    const ISSUER: &str = "https://issuer.example";

    fn set() -> IssuerSet {
        let kind = IssuerKind::Email { skip_verification: false };
        let issuer = IssuerConfig::new(ISSUER, vec!["sigstore".to_owned()], kind).unwrap();
        IssuerSet::new(vec![issuer]).unwrap()
    }

    fn token(algorithm: &str, claims: &Value) -> UnverifiedClaims {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let header = encode(&json!({ "alg": algorithm }).to_string());
        let text = format!("{header}.{}.{}", encode(&claims.to_string()), encode("s"));
        UnverifiedClaims::parse(&text).unwrap()
    }

    #[test]
    fn a_token_that_counts_is_granted() {
        let claims = json!({"iss": ISSUER, "aud": "sigstore", "exp": 2000, "email": "a@b.example",
            "email_verified": true});
        let set = set();
        let verdicts = set.explain(&token("RS256", &claims), UnixSeconds(1000));
        assert!(verdicts.len() == 1 && verdicts[0].grants(), "{verdicts:?}");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let claims = json!({"iss": ISSUER, "aud": "other", "exp": 500, "email": "a@b.example"});
        let set = set();
        let [verdict] = &set.explain(&token("RS512", &claims), UnixSeconds(1000))[..] else {
            panic!()
        };
        assert_eq!(
            verdict.token,
            [
                VerificationError::Algorithm(JwsAlgorithm::from_name("RS512").unwrap()),
                VerificationError::Audience,
                VerificationError::Expired
            ]
        );
        assert_eq!(verdict.principal, Err(PrincipalError::EmailNotVerified));
        assert!(!verdict.grants());
    }

    #[test]
    fn a_token_of_nobody_has_no_verdict() {
        let claims = json!({"iss": "https://issuer.example/", "aud": "sigstore", "exp": 2000});
        assert!(set().explain(&token("RS256", &claims), UnixSeconds(1000)).is_empty());
    }
}
