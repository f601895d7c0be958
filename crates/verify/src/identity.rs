use regex::{Regex, RegexBuilder};
use thiserror::Error;

use crate::{Cause, Check, VerifyError};

/// Longest compiled pattern, in bytes: hundreds of alternatives fit, a bomb does not.
const MAX_PATTERN_SIZE: usize = 1024 * 1024;

/// Who a verified certificate says has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerIdentity {
    /// Subject alternative name: an email address, a URI, or a name of Fulcio's own kind.
    pub subject: String,
    /// The OIDC issuer whose word the CA took.
    pub issuer: Option<String>,
}

/// Who must have signed.
#[derive(Clone, Debug, Default)]
pub struct IdentityPolicy {
    /// Of the subject alternative name.
    pub subject: Option<Matcher>,
    /// Of the OIDC issuer.
    pub issuer: Option<Matcher>,
}

impl IdentityPolicy {
    /// Whether any identity will do.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.subject.is_none() && self.issuer.is_none()
    }

    pub(crate) fn check(&self, signer: &SignerIdentity) -> Result<(), VerifyError> {
        if let Some(subject) = &self.subject
            && !subject.matches(&signer.subject)
        {
            return Err(Check::Identity.failed_by(
                Cause::OtherSigner,
                format!(
                    "identity {subject} was demanded, the certificate is of `{}`",
                    signer.subject
                ),
            ));
        }
        if let Some(issuer) = &self.issuer {
            let found = signer.issuer.as_deref();
            if !found.is_some_and(|found| issuer.matches(found)) {
                return Err(Check::Identity.failed_by(
                    Cause::OtherSigner,
                    format!(
                        "issuer {issuer} was demanded, the certificate's is `{}`",
                        found.unwrap_or("none")
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// What a text must be.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Exactly this.
    Exact(String),
    /// Something in which this pattern is found.
    Pattern(Regex),
}

impl Matcher {
    /// A pattern with the meaning it has in cosign: found anywhere, unless anchored by `^` and `$`.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn pattern(pattern: &str) -> Result<Self, PatternError> {
        let built = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build();
        Ok(Self::Pattern(built?))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(expected) => text == expected,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(expected) => write!(f, "`{expected}`"),
            Self::Pattern(pattern) => write!(f, "like `{pattern}`"),
        }
    }
}

/// Not a regular expression, or one that is too large.
#[derive(Debug, Error)]
#[error("not a usable regular expression: {0}")]
pub struct PatternError(#[from] regex::Error);

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> SignerIdentity {
        SignerIdentity {
            subject: "alice@acme.example".to_owned(),
            issuer: Some("https://login.acme.example".to_owned()),
        }
    }

    fn policy(
        subject: impl Into<Option<Matcher>>,
        issuer: impl Into<Option<Matcher>>,
    ) -> IdentityPolicy {
        IdentityPolicy { subject: subject.into(), issuer: issuer.into() }
    }

    fn exact(text: &str) -> Matcher {
        Matcher::Exact(text.to_owned())
    }

    fn like(text: &str) -> Matcher {
        Matcher::pattern(text).unwrap()
    }

    #[test]
    fn accepts_the_demanded_identity_and_issuer() {
        policy(None, None).check(&signer()).unwrap();
        policy(exact("alice@acme.example"), exact("https://login.acme.example"))
            .check(&signer())
            .unwrap();
        policy(like("@acme\\.example$"), like("^https://login\\.")).check(&signer()).unwrap();
    }

    #[test]
    fn rejects_another_identity_or_a_part_of_it() {
        for subject in ["alice@acme.exampl", "alice@acme.example2", "", "Alice@acme.example"] {
            let error = policy(exact(subject), None).check(&signer()).unwrap_err();
            assert_eq!(error.check, Check::Identity);
        }
        policy(like("^bob@"), None).check(&signer()).unwrap_err();
    }

    #[test]
    fn rejects_another_issuer_and_none() {
        policy(None, exact("https://login.acme")).check(&signer()).unwrap_err();
        let nobody = SignerIdentity { issuer: None, ..signer() };
        policy(None, like(".*")).check(&nobody).unwrap_err();
    }

    #[test]
    fn rejects_patterns_that_are_none_or_too_large() {
        assert!(Matcher::pattern("(").is_err());
        assert!(Matcher::pattern("((a{1000}){1000}){1000}").is_err());
    }
}
