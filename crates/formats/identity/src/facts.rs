use crate::UnverifiedClaims;

/// Longest text kept of one claim, in characters: enough for every real one, and for a line of a log.
const MAX_LEN: usize = 256;

/// Most audiences kept.
const MAX_AUDIENCES: usize = 8;

/// What a token says of itself, whoever made it: for log lines and messages, which must say of whom they
/// speak also when nothing was verified. It decides nothing. Texts are cut, and not inert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnverifiedFacts {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: Option<String>,
    /// The header's `kid`.
    pub key_id: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// `aud`.
    pub audiences: Vec<String>,
    /// `email`, which is for the answer to who brought it alone, and for no log.
    pub email: Option<String>,
}

impl UnverifiedClaims {
    /// What the token says of itself.
    #[must_use]
    pub fn facts(&self) -> UnverifiedFacts {
        let text = |name| self.claims.text(name).ok().flatten().map(|text| cut(&text));
        let audiences = self.claims.strings("aud").unwrap_or_default();
        UnverifiedFacts {
            issuer: cut(&self.issuer),
            subject: text("sub"),
            key_id: self.key_id().map(cut),
            token_id: text("jti"),
            audiences: audiences.iter().take(MAX_AUDIENCES).map(|one| cut(one)).collect(),
            email: text("email"),
        }
    }
}

/// The begin of `text`, marked as one where something is left out.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_LEN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    fn facts(claims: &Value) -> UnverifiedFacts {
        let encode = |json: String| URL_SAFE_NO_PAD.encode(json);
        let header = encode(json!({"alg": "ES256", "kid": "k".repeat(300)}).to_string());
        let token = format!("{header}.{}.c2ln", encode(claims.to_string()));
        UnverifiedClaims::parse(&token).unwrap().facts()
    }

    #[test]
    fn texts_of_strangers_are_cut_and_kinds_that_are_none_left_out() {
        let facts = facts(&json!({
            "iss": "https://issuer.example", "sub": "\u{e4}".repeat(5000), "jti": {"a": 1},
            "aud": (0..100).map(|one| one.to_string()).collect::<Vec<_>>()
        }));
        assert_eq!(facts.issuer, "https://issuer.example");
        assert_eq!(facts.subject, Some(format!("{}...", "\u{e4}".repeat(256))));
        assert_eq!(facts.key_id, Some(format!("{}...", "k".repeat(256))));
        assert_eq!((facts.token_id, facts.email), (None, None));
        assert_eq!(facts.audiences.len(), MAX_AUDIENCES);
    }

    #[test]
    fn a_number_is_as_good_a_subject() {
        let facts = facts(&json!({"iss": "i", "sub": 17, "jti": "j", "aud": 5}));
        assert_eq!((facts.subject.as_deref(), facts.token_id.as_deref()), (Some("17"), Some("j")));
        assert!(facts.audiences.is_empty());
    }
}
