use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moment::UnixSeconds;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use thiserror::Error;

use crate::{ClaimError, Claims, JwsAlgorithm};

/// Longest token accepted, in bytes, checked before anything is parsed (CVE-2025-66506).
/// GitHub's tokens have about 1.7 KiB; Entra's with many groups stay below 8 KiB.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;

/// The issuer in service account tokens that a Secret holds: no URL, so that none can be configured.
const LEGACY_SERVICE_ACCOUNT_ISSUER: &str = "kubernetes/serviceaccount";

/// A token whose signature nobody has checked.
///
/// It shows only what is needed to find the key; the claims come out of [`UnverifiedClaims::verify`].
#[derive(Clone, Debug)]
pub struct UnverifiedClaims {
    pub(crate) issuer: String,
    pub(crate) algorithm: JwsAlgorithm,
    pub(crate) claims: Claims,
    pub(crate) compact: Compact,
    pub(crate) token_type: Option<String>,
    key_id: Option<String>,
}

impl UnverifiedClaims {
    /// Reads a JWS in compact form (RFC 7515 §7.1).
    ///
    /// # Errors
    /// [`TokenError`], each variant.
    pub fn parse(token: &str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::NotCompact);
        };
        let header = Header::parse(&decode(header)?)?;
        let claims = Claims::parse(&decode(payload)?)?;
        let compact = Compact {
            signature: decode(signature)?,
            signing_input: token.rsplit_once('.').map(|(signed, _)| signed.to_owned()),
        };
        let issuer = claims.required_text("iss")?;
        if issuer == LEGACY_SERVICE_ACCOUNT_ISSUER {
            return Err(TokenError::LegacyServiceAccount);
        }
        let Header { algorithm, key_id, token_type } = header;
        Ok(Self { issuer, algorithm, claims, compact, token_type, key_id })
    }

    /// The `iss` claim: whose keys to fetch. Never empty.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The header's `kid`, to choose among the issuer's keys.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The `iat` claim, as far as the token has a sound one: what anybody
    /// may write, good for nothing but to choose between "not" and "not yet".
    #[must_use]
    pub fn issued_at(&self) -> Option<UnixSeconds> {
        self.claims.time("iat").ok().flatten()
    }

    /// Whether `is_valid` says so of the signing input and the signature. No more than that: the
    /// claims stay unverified.
    #[must_use]
    pub fn is_signed(&self, is_valid: impl FnOnce(&[u8], &[u8]) -> bool) -> bool {
        is_valid(self.compact.signing_input(), &self.compact.signature)
    }

    /// The header's `alg`. The issuer's configuration and the key's type decide whether it may be used.
    #[must_use]
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }
}

/// What the signature covers, and the signature.
#[derive(Clone)]
pub(crate) struct Compact {
    signing_input: Option<String>,
    pub(crate) signature: Vec<u8>,
}

impl Compact {
    /// The ASCII bytes `header.payload` as sent (RFC 7515 §5.2 step 8).
    pub(crate) fn signing_input(&self) -> &[u8] {
        self.signing_input.as_deref().unwrap_or_default().as_bytes()
    }
}

impl std::fmt::Debug for Compact {
    /// A token is a credential: nothing of it is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[token]")
    }
}

struct Header {
    algorithm: JwsAlgorithm,
    key_id: Option<String>,
    token_type: Option<String>,
}

impl Header {
    /// `jku`, `jwk`, `x5u` and `x5c` are ignored: a token never brings its own key.
    fn parse(json: &[u8]) -> Result<Self, TokenError> {
        #[derive(Deserialize)]
        struct JoseHeader {
            alg: String,
            kid: Option<String>,
            typ: Option<String>,
            #[serde(default, deserialize_with = "present")]
            crit: Option<IgnoredAny>,
        }
        // The derived reader would take a list of the members' values for an object.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(TokenError::Header);
        }
        let header: JoseHeader = wire::json::from_slice(json).map_err(|_| TokenError::Header)?;
        if header.crit.is_some() {
            return Err(TokenError::CriticalHeader);
        }
        let algorithm = JwsAlgorithm::from_name(&header.alg).ok_or(TokenError::Algorithm)?;
        Ok(Self { algorithm, key_id: header.kid, token_type: header.typ })
    }
}

/// A member that is there, even as `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IgnoredAny>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(Some)
}

/// Why text is not a usable token.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// Found before anything is decoded.
    #[error("the token is longer than {MAX_TOKEN_LEN} bytes")]
    TooLong,
    /// Not three parts with two dots between them.
    #[error("the token is not a signed JWT with three parts")]
    NotCompact,
    /// A part is not base64url without padding.
    #[error("a part of the token is not base64url")]
    Base64,
    /// The header is not a JSON object with `alg`.
    #[error("the token's header is not valid")]
    Header,
    /// The header demands an extension (RFC 7515 §4.1.11); none is understood here.
    #[error("the token's header has critical parameters that are not supported")]
    CriticalHeader,
    /// `none`, an HMAC, or something unknown.
    #[error("the token's signature algorithm is not accepted")]
    Algorithm,
    /// Of Kubernetes, but of no cluster in particular, for no audience, and without an end.
    #[error(
        "the token is a Secret's, of the issuer `{LEGACY_SERVICE_ACCOUNT_ISSUER}`; take a projected one, of `kubectl create token` or a volume"
    )]
    LegacyServiceAccount,
    /// The payload is not a usable claim set.
    #[error(transparent)]
    Claims(#[from] ClaimError),
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Base64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(payload), encode("signature"))
    }

    const HEADER: &str = r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#;

    #[test]
    fn shows_what_key_lookup_needs() {
        let text = token(HEADER, r#"{"iss":"https://issuer.example"}"#);
        let token = UnverifiedClaims::parse(&text).unwrap();
        assert_eq!(token.issuer(), "https://issuer.example");
        assert_eq!(token.key_id(), Some("k1"));
        assert_eq!(token.algorithm(), JwsAlgorithm::Rs256);
        assert_eq!(token.compact.signing_input(), text.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(token.compact.signature, b"signature");
    }

    #[test]
    fn refuses_four_mebibytes_of_dots_before_parsing() {
        let dots = ".".repeat(4 << 20);
        assert_eq!(UnverifiedClaims::parse(&dots).unwrap_err(), TokenError::TooLong);
        let dots = ".".repeat(MAX_TOKEN_LEN);
        assert_eq!(UnverifiedClaims::parse(&dots).unwrap_err(), TokenError::NotCompact);
    }

    #[test]
    fn bounds_the_length_exactly() {
        assert_eq!(
            UnverifiedClaims::parse(&"a".repeat(MAX_TOKEN_LEN)).unwrap_err(),
            TokenError::NotCompact
        );
        assert_eq!(
            UnverifiedClaims::parse(&"a".repeat(MAX_TOKEN_LEN + 1)).unwrap_err(),
            TokenError::TooLong
        );
    }

    #[test]
    fn refuses_any_other_number_of_parts() {
        for text in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e"] {
            assert_eq!(
                UnverifiedClaims::parse(text).unwrap_err(),
                TokenError::NotCompact,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_padding_and_the_standard_alphabet() {
        for text in ["e30=.e30.e30", "e30.e30.+/+/", "e30.e30.e3 0", "e30.e31.e30"] {
            let error = UnverifiedClaims::parse(text).unwrap_err();
            assert!(matches!(error, TokenError::Base64 | TokenError::Header), "{text}: {error}");
        }
    }

    #[test]
    fn refuses_none_and_hmac() {
        for alg in ["none", "NONE", "HS256", "HS512", "ES256K", ""] {
            let text = token(&format!(r#"{{"alg":"{alg}"}}"#), r#"{"iss":"i"}"#);
            assert_eq!(UnverifiedClaims::parse(&text).unwrap_err(), TokenError::Algorithm, "{alg}");
        }
    }

    #[test]
    fn refuses_critical_header_parameters() {
        for crit in ["null", "[]", "\"exp\"", "{}"] {
            let text = token(&format!(r#"{{"alg":"RS256","crit":{crit}}}"#), r#"{"iss":"i"}"#);
            assert_eq!(UnverifiedClaims::parse(&text).unwrap_err(), TokenError::CriticalHeader);
        }
        let text = token(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, r#"{"iss":"i"}"#);
        assert_eq!(UnverifiedClaims::parse(&text).unwrap_err(), TokenError::CriticalHeader);
    }

    #[test]
    fn refuses_headers_without_or_with_two_algorithms() {
        for header in [
            "{}",
            "[]",
            r#"["RS256",null,null]"#,
            r#"{"alg":5}"#,
            r#"{"alg":"RS256","alg":"ES256"}"#,
            r#"{"alg":"RS256","typ":"JWT","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","jwk":{"kty":"EC","kty":"RSA"}}"#,
        ] {
            let text = token(header, r#"{"iss":"i"}"#);
            assert_eq!(UnverifiedClaims::parse(&text).unwrap_err(), TokenError::Header, "{header}");
        }
    }

    #[test]
    fn refuses_tokens_without_issuer() {
        for payload in ["{}", r#"{"iss":null}"#, r#"{"iss":""}"#] {
            let error = UnverifiedClaims::parse(&token(HEADER, payload)).unwrap_err();
            assert_eq!(error, TokenError::Claims(ClaimError::Missing("iss")), "{payload}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_token() {
        let text = token(HEADER, r#"{"iss":"i","sub":"secret-subject"}"#);
        let shown = format!("{:?}", UnverifiedClaims::parse(&text).unwrap());
        assert!(!shown.contains("secret-subject") && !shown.contains("c2lnbmF0dXJl"), "{shown}");
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "[a-zA-Z0-9_.=-]{0,200}") {
            let _ = UnverifiedClaims::parse(&text);
        }
    }
}
