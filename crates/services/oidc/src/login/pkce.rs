use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{error::OAuthError, form::Form};

/// The one method: `plain` protects nobody who can be overheard (RFC 7636 §7.2).
pub(super) const METHOD: &str = "S256";

/// Length of a verifier, RFC 7636 §4.1.
const VERIFIER_LEN: std::ops::RangeInclusive<usize> = 43..=128;

/// SHA-256 of the secret that only the client has, RFC 7636 §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Challenge([u8; 32]);

impl Challenge {
    /// The challenge of a request, which may have none; then it may name no method either.
    pub(super) fn of(form: &Form) -> Result<Option<Self>, OAuthError> {
        let (challenge, method) = (form.text("code_challenge"), form.text("code_challenge_method"));
        let Some(challenge) = challenge else {
            let stray = OAuthError::InvalidRequest("code_challenge is missing");
            return if method.is_some() { Err(stray) } else { Ok(None) };
        };
        if method != Some(METHOD) {
            return Err(OAuthError::InvalidRequest("code_challenge_method must be S256"));
        }
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(challenge).ok();
        let hash = decoded.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let wrong = OAuthError::InvalidRequest("code_challenge is not 43 characters of base64url");
        hash.map(|hash| Some(Self(hash))).ok_or(wrong)
    }

    /// Whether the client that sent this request has the secret.
    pub(super) fn is_met_by(&self, form: &Form) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        form.text("code_verifier").is_some_and(|verifier| {
            VERIFIER_LEN.contains(&verifier.len())
                && verifier.bytes().all(unreserved)
                && crypto::sha256(verifier.as_bytes()) == self.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes()).unwrap()
    }

    /// The values of RFC 7636 appendix B.
    #[test]
    fn the_example_of_the_rfc_fits() {
        let challenge = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let challenge = Challenge::of(&form(&format!("{challenge}&code_challenge_method=S256")));
        let challenge = challenge.unwrap().unwrap();
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(challenge.is_met_by(&form(&format!("code_verifier={verifier}"))));
        for other in ["", "x", &verifier[1..], &format!("{verifier}x"), &"a".repeat(129)] {
            assert!(!challenge.is_met_by(&form(&format!("code_verifier={other}"))), "{other}");
        }
        assert!(!challenge.is_met_by(&form("")));
    }

    #[test]
    fn plain_and_malformed_challenges_are_refused() {
        assert_eq!(Challenge::of(&form("a=b")), Ok(None));
        let sound = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        for text in [
            format!("code_challenge={sound}"),
            format!("code_challenge={sound}&code_challenge_method=plain"),
            format!("code_challenge={sound}&code_challenge_method=s256"),
            format!("code_challenge={sound}%3D&code_challenge_method=S256"),
            "code_challenge=abc&code_challenge_method=S256".to_owned(),
            "code_challenge_method=S256".to_owned(),
        ] {
            assert!(Challenge::of(&form(&text)).is_err(), "{text}");
        }
    }
}
