use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use thiserror::Error;

/// Longest token, in bytes: GitHub's have 2 KiB, some providers put hundreds of groups into one.
const MAX_TOKEN_LEN: usize = 64 * 1024;

/// An OIDC identity token (JWT, compact) on its way to a CA, which alone verifies it.
///
/// Never shown, neither by `Debug` nor in errors.
#[derive(Clone)]
pub struct IdentityToken {
    compact: String,
    challenge: String,
}

impl IdentityToken {
    /// Reads a token; white space around it is ignored.
    ///
    /// # Errors
    /// [`IdentityTokenError`].
    pub fn parse(text: &str) -> Result<Self, IdentityTokenError> {
        let compact = text.trim();
        if compact.len() > MAX_TOKEN_LEN {
            return Err(IdentityTokenError::TooLong);
        }
        let parts: Vec<&str> = compact.split('.').collect();
        let [_, payload, _] = parts.as_slice() else {
            return Err(IdentityTokenError::NotCompact);
        };
        let payload = payload.trim_end_matches('=');
        let payload =
            URL_SAFE_NO_PAD.decode(payload).map_err(|_| IdentityTokenError::NotCompact)?;
        // Its error would quote a claim.
        let claims: Map<String, Value> =
            wire::json::from_slice(&payload).map_err(|_| IdentityTokenError::Claims)?;
        let mut named = ["email", "sub"].iter().filter_map(|name| claims.get(*name)?.as_str());
        let challenge = named.find(|name| !name.is_empty()).ok_or(IdentityTokenError::NoSubject)?;
        Ok(Self { compact: compact.to_owned(), challenge: challenge.to_owned() })
    }

    /// What the CA wants signed as proof of possession: `email`, else `sub`, by the token's own
    /// unverified word.
    pub(super) fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Whether it is the same token.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.compact == other.compact
    }

    pub(super) fn compact(&self) -> &str {
        &self.compact
    }

    /// `text` without the token and its parts, should a service have repeated them.
    pub(super) fn redact(&self, text: &str) -> String {
        let whole = text.replace(&self.compact, "[token]");
        let parts = self.compact.split('.').filter(|part| !part.is_empty());
        parts.fold(whole, |text, part| text.replace(part, "[token]"))
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityToken({} bytes)", self.compact.len())
    }
}

/// Why text is no identity token. Never repeats it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum IdentityTokenError {
    /// More than 64 KiB.
    #[error("the identity token is longer than {MAX_TOKEN_LEN} bytes")]
    TooLong,
    /// Not three parts of base64url.
    #[error("the identity token is not a JWT; give the token itself, or @FILE for a file with it")]
    NotCompact,
    /// The payload is no JSON object of claims.
    #[error("the identity token's claims cannot be read; get a new one from the issuer")]
    Claims,
    /// The CA wants a signature over one of them.
    #[error("the identity token names nobody: it has neither `email` nor `sub`")]
    NoSubject,
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::services) fn token_of(claims: &str) -> IdentityToken {
        IdentityToken::parse(&compact(claims)).unwrap()
    }

    fn compact(claims: &str) -> String {
        format!("eyJhbGciOiJFUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn prefers_a_nonempty_email_over_the_subject() {
        for (claims, challenge) in [
            (r#"{"email":"a@b.example","sub":"42"}"#, "a@b.example"),
            (r#"{"email":"","sub":"42"}"#, "42"),
            (r#"{"email":null,"sub":"42"}"#, "42"),
            (r#"{"sub":"repo:o/r:ref:refs/heads/main"}"#, "repo:o/r:ref:refs/heads/main"),
        ] {
            assert_eq!(token_of(claims).challenge(), challenge);
        }
    }

    #[test]
    fn accepts_white_space_around_and_padding_inside() {
        let text = format!("\n {} \n", compact(r#"{"sub":"42"}"#));
        assert_eq!(IdentityToken::parse(&text).unwrap().compact(), text.trim());
        let padded = "e30.eyJzdWIiOiI0MiJ9=.AA";
        assert_eq!(IdentityToken::parse(padded).unwrap().challenge(), "42");
    }

    #[test]
    fn rejects_what_is_no_token() {
        for (text, error) in [
            (String::new(), IdentityTokenError::NotCompact),
            ("a.b".to_owned(), IdentityTokenError::NotCompact),
            ("a.!.c".to_owned(), IdentityTokenError::NotCompact),
            ("a.b.c.d".to_owned(), IdentityTokenError::NotCompact),
            (compact("[]"), IdentityTokenError::Claims),
            (compact(r#"{"sub":42}"#), IdentityTokenError::NoSubject),
            (compact(r#"{"email":"","sub":""}"#), IdentityTokenError::NoSubject),
            ("a".repeat(MAX_TOKEN_LEN + 1), IdentityTokenError::TooLong),
        ] {
            assert_eq!(IdentityToken::parse(&text).unwrap_err(), error);
        }
    }

    #[test]
    fn is_not_shown_by_debug_output() {
        let token = token_of(r#"{"sub":"42"}"#);
        for part in token.compact().split('.') {
            assert!(!format!("{token:?}").contains(part));
        }
    }

    proptest! {
        #[test]
        fn redaction_leaves_no_part_of_the_token(before in "[a-z ]{0,20}", subject in "[a-z]{1,30}") {
            let token = token_of(&format!(r#"{{"sub":"{subject}"}}"#));
            let redacted = token.redact(&format!("{before}{0}, {0}", token.compact()));
            for part in token.compact().split('.') {
                prop_assert!(!redacted.contains(part));
            }
        }
    }
}
