use regex::{Regex, RegexBuilder};
use regex_syntax::{
    Parser,
    ast::{self, Ast},
    hir::Look,
};
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
    pub(crate) fn check(&self, signer: &SignerIdentity) -> Result<(), VerifyError> {
        if let Some(subject) = &self.subject
            && !subject.names(&signer.subject)
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
    /// One that demands nothing is refused: it matches the empty text, or one of its alternatives
    /// is empty, as when a script put it together from a variable that was not set.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn pattern(pattern: &str) -> Result<Self, PatternError> {
        let built = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build()?;
        if built.is_match("") {
            return Err(PatternError::MatchesEmpty);
        }
        ast::visit(&parsed(pattern)?, EmptyPart)?;
        // Of one letter, digit or mark each: who is content with all of them demands nothing either.
        if ["a", "0", "-", "~", "\u{e9}"].iter().all(|text| built.is_match(text)) {
            return Err(PatternError::MatchesAnything);
        }
        Ok(Self::Pattern(built))
    }

    /// Whether it says what the whole text must be, not only what must be found in it.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        let Self::Pattern(pattern) = self else { return true };
        let Ok(hir) = Parser::new().parse(pattern.as_str()) else { return false };
        let properties = hir.properties();
        properties.look_set_prefix().contains(Look::Start)
            && properties.look_set_suffix().contains(Look::End)
    }

    /// Like [`Self::matches`], of a name: the domain of an e-mail address is compared without case
    /// (RFC 5321 §2.3.5, §2.4), its local part never.
    fn names(&self, name: &str) -> bool {
        match self {
            Self::Exact(expected) => name == expected || is_same_address(expected, name),
            Self::Pattern(_) => self.matches(name),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(expected) => text == expected,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// Whether both are e-mail addresses of one mailbox. No URI is one, and no `user!domain`.
fn is_same_address(one: &str, other: &str) -> bool {
    let parts = |text| {
        str::rsplit_once(text, '@').filter(|(local, domain)| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
            !local.contains([':', '/', '@']) && domain.bytes().all(plain)
        })
    };
    parts(one).zip(parts(other)).is_some_and(|((local, domain), (other_local, other_domain))| {
        local == other_local && domain.eq_ignore_ascii_case(other_domain)
    })
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(expected) => write!(f, "`{expected}`"),
            Self::Pattern(pattern) => write!(f, "like `{pattern}`"),
        }
    }
}

/// The pattern as it was written: what the compiler makes of it has alternatives that nobody wrote.
fn parsed(pattern: &str) -> Result<Ast, PatternError> {
    ast::parse::Parser::new().parse(pattern).map_err(|error| PatternError::Parts(Box::new(error)))
}

/// Looks for an alternative or a group that is empty, at any depth.
struct EmptyPart;

impl ast::Visitor for EmptyPart {
    type Output = ();
    type Err = PatternError;

    fn finish(self) -> Result<(), PatternError> {
        Ok(())
    }

    fn visit_pre(&mut self, part: &Ast) -> Result<(), PatternError> {
        let empty = match part {
            Ast::Alternation(all) => all.asts.iter().any(is_empty),
            Ast::Group(group) => is_empty(&group.ast),
            _ => false,
        };
        if empty { Err(PatternError::EmptyAlternative) } else { Ok(()) }
    }
}

/// Nothing, or nothing but flags.
fn is_empty(part: &Ast) -> bool {
    match part {
        Ast::Empty(_) | Ast::Flags(_) => true,
        Ast::Concat(all) => all.asts.iter().all(is_empty),
        _ => false,
    }
}

/// Not a regular expression, one that is too large, or one that demands nothing.
#[derive(Debug, Error)]
pub enum PatternError {
    /// No pattern at all.
    #[error("not a usable regular expression: {0}")]
    Syntax(#[from] regex::Error),
    /// The same, by the reader of its parts.
    #[error("not a usable regular expression: {0}")]
    Parts(Box<ast::Error>),
    /// Everything matches it.
    #[error("a regular expression that matches the empty text, and so demands nothing")]
    MatchesEmpty,
    /// `.`, `^.+$`, `\\S`.
    #[error("a regular expression that matches any text, and so demands nothing")]
    MatchesAnything,
    /// `(alice|)@acme.example`.
    #[error("a regular expression with an empty alternative or group: write `?` if that is meant")]
    EmptyAlternative,
}

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
    fn the_domain_of_an_address_is_compared_without_case_and_nothing_else() {
        let holds = |demanded: &str, found: &str| {
            let signer = SignerIdentity { subject: found.to_owned(), ..signer() };
            policy(exact(demanded), None).check(&signer).is_ok()
        };
        assert!(holds("alice@ACME.example", "alice@acme.example"));
        assert!(holds("alice@acme.example", "alice@Acme.Example"));
        for (demanded, found) in [
            ("Alice@acme.example", "alice@acme.example"),
            ("alice@acme.example", "alice@acme.example.evil"),
            ("alice@k.example", "alice@\u{212a}.example"),
            ("https://g.example/w.yml@refs/heads/Main", "https://g.example/w.yml@refs/heads/main"),
            ("https://g.example/w.yml@Main", "https://g.example/w.yml@main"),
            ("a@b!Acme.example", "a@b!acme.example"),
            ("acme", "ACME"),
        ] {
            assert!(!holds(demanded, found), "{demanded} {found}");
        }
        let issuer = policy(None, exact("a@LOGIN.example"));
        let signer = SignerIdentity { issuer: Some("a@login.example".to_owned()), ..signer() };
        assert!(issuer.check(&signer).is_err(), "an issuer is no address");
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
        policy(None, like("login")).check(&nobody).unwrap_err();
    }

    #[test]
    fn rejects_patterns_that_are_none_or_too_large() {
        assert!(Matcher::pattern("(").is_err());
        assert!(Matcher::pattern("((a{1000}){1000}){1000}").is_err());
    }

    #[test]
    fn rejects_patterns_that_demand_nothing() {
        for pattern in
            ["", ".*", "^", "$", "^$", "a*", "a?", "a|", "|a", "()", "(x|)", "(?i)", "x{0}"]
        {
            let refused = Matcher::pattern(pattern);
            assert!(matches!(refused, Err(PatternError::MatchesEmpty)), "{pattern}: {refused:?}");
        }
    }

    #[test]
    fn rejects_an_empty_alternative_at_any_depth() {
        for pattern in [
            "(alice|)@acme\\.example",
            "^(|alice)@acme\\.example$",
            "(?:alice||bob)@acme",
            "^https://github\\.com/(acme/(app|)|other)$",
            "()@acme",
            "(?x: alice | )@acme",
            "(alice|(?i))@acme",
            "alice@acme|bob@acme|x()",
        ] {
            let refused = Matcher::pattern(pattern);
            assert!(matches!(refused, Err(PatternError::EmptyAlternative)), "{pattern}");
        }
    }

    #[test]
    fn takes_what_only_looks_empty() {
        // What the compiler makes of the first has an empty alternative; who wrote it had none.
        for pattern in
            ["alice|ali", "(alice|ali)@acme", "(alice)?@acme", "[|]a", "a\\|", "(?i)alice"]
        {
            Matcher::pattern(pattern).unwrap();
        }
    }

    #[test]
    fn knows_whether_the_whole_is_said() {
        for (pattern, anchored) in [
            ("^alice@acme$", true),
            ("^(alice|bob)@acme$", true),
            ("\\Aalice\\z", true),
            ("alice@acme", false),
            ("^alice@acme", false),
            ("alice@acme$", false),
            ("^alice@acme$|bob", false),
            ("(?m)^alice$", false),
            ("^alice\\$", false),
        ] {
            assert_eq!(like(pattern).is_anchored(), anchored, "{pattern}");
        }
        assert!(exact("alice").is_anchored());
    }

    #[test]
    fn rejects_patterns_that_any_text_matches() {
        for pattern in [".", "^.+$", "\\S", "[\\s\\S]", "(?s)^.{1,}", "[^@]"] {
            let error = Matcher::pattern(pattern).unwrap_err();
            assert!(matches!(error, PatternError::MatchesAnything), "{pattern}");
        }
        Matcher::pattern("^.+@acme\\.example$").unwrap();
    }
}
