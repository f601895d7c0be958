//! What the answer to a refused request says: the reason, and what of the token it is about.
//!
//! The caller brought the token, so that its own claims are no news to it; nothing of other tokens, and of
//! the configuration only what `/api/v2/configuration` shows to everybody. Texts of tokens are not inert
//! here: each API makes its whole message so.

use identity::{UnverifiedFacts, VerificationError};

use crate::IssueError;

/// Longest list of accepted audiences that is told.
const MAX_LISTED: usize = 8;

/// The message for the caller; `accepted` are the audiences of the token's issuer here.
pub(crate) fn message(error: &IssueError, facts: &UnverifiedFacts, accepted: &[String]) -> String {
    let UnverifiedFacts { issuer, .. } = facts;
    match error {
        IssueError::UnknownIssuer => format!("the token's issuer `{issuer}` is not accepted here"),
        IssueError::UnknownTokenKey => match &facts.key_id {
            Some(id) => format!(
                "the token is signed with key `{id}`, which its issuer `{issuer}` does not publish"
            ),
            None => format!(
                "the token is signed with a key that its issuer `{issuer}` does not publish"
            ),
        },
        IssueError::Verification(VerificationError::Audience) => audience_refusal(facts, accepted),
        IssueError::Principal(identity::PrincipalError::EmailNotVerified) => {
            let address = facts.email.as_deref().unwrap_or_default();
            format!("the issuer does not vouch for the address `{address}`: {error}")
        }
        IssueError::IssuerUnavailable(_) => {
            format!("the token's issuer `{issuer}` gives no keys at the moment")
        }
        // Not the cause: how the provider is reached is the operator's business, and in the log.
        IssueError::IssuerMisconfigured(_) => {
            format!(
                "the token's issuer `{issuer}` cannot be asked for its keys as it is configured here"
            )
        }
        error => error.to_string(),
    }
}

/// What audience a token is for, and which ones are `accepted` from its issuer.
#[must_use]
pub fn audience_refusal(facts: &UnverifiedFacts, accepted: &[String]) -> String {
    let found = match facts.audiences.as_slice() {
        [] => "the token is for no audience".to_owned(),
        some => format!("the token is for another audience, {}", quoted(some, "and")),
    };
    match accepted {
        [] => found,
        some => {
            let listed = some.get(..MAX_LISTED).unwrap_or(some);
            format!("{found}: accepted from its issuer is {}", quoted(listed, "or"))
        }
    }
}

fn quoted(texts: &[String], conjunction: &str) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
    quoted.join(&format!(" {conjunction} "))
}
