//! Why the certificate authority gave no certificate, in one word that programs can read.
//!
//! The body of the answer is upstream's to the byte, since clients are strict about it: the word is in a
//! header, which no client minds, and which gRPC carries as metadata. The authority counts refusals by
//! it, and our client chooses its advice.

/// The header of an answer, and the metadata of a gRPC call.
pub const HEADER: &str = "countersign-reason";

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// Why there is no certificate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word, of letters and `_`.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

reasons! {
    /// The body is no request.
    Request = "request",
    /// There is no token.
    NoToken = "no_token",
    /// The token is no token.
    Token = "token",
    /// The token's algorithm is not accepted, from nobody or not from its issuer.
    Algorithm = "algorithm",
    /// Nobody configured the token's issuer.
    UnknownIssuer = "unknown_issuer",
    /// The issuer publishes no such key.
    UnknownTokenKey = "unknown_token_key",
    /// Two entries of the configuration grant the token, each another identity.
    Ambiguous = "ambiguous",
    /// The token is for somebody else.
    Audience = "audience",
    /// The token's time is over.
    Expired = "expired",
    /// The token's time has not come, by this clock.
    NotYetValid = "not_yet_valid",
    /// Issued too long ago, or for too long.
    Lifetime = "lifetime",
    /// The issuer did not sign it.
    Signature = "signature",
    /// A claim is missing or not what it must be.
    Claim = "claim",
    /// The issuer does not vouch for the address.
    EmailNotVerified = "email_not_verified",
    /// A rule of the operator's.
    Rule = "rule",
    /// The claims are no identity for a certificate.
    Identity = "identity",
    /// The public key cannot be used.
    Key = "key",
    /// The public key can be broken.
    WeakKey = "weak_key",
    /// The proof of possession does not hold.
    Proof = "proof",
    /// The certificate request cannot be used.
    Csr = "csr",
    /// The identity does not fit into a certificate.
    Profile = "profile",
    /// The issuer does not answer.
    IssuerUnavailable = "issuer_unavailable",
    /// The issuer answers, and never what is needed.
    IssuerMisconfigured = "issuer_misconfigured",
    /// The log does not answer.
    CtUnavailable = "ct_unavailable",
    /// The signing key does not answer.
    Signer = "signer",
    /// The authority's clock is wrong.
    Clock = "clock",
    /// More than one issuer or subject may have.
    RateLimited = "rate_limited",
    /// Too much to do.
    Overloaded = "overloaded",
    /// The CT log gives no usable SCT.
    CtBroken = "ct_broken",
    /// The authority's own certificate is not valid now.
    AuthorityNotValid = "authority_not_valid",
    /// The authority issues nothing any more.
    Frozen = "frozen",
    /// The certificate could not be made.
    Issuance = "issuance",
}

impl Reason {
    /// The reason of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.word() == word)
    }

    /// What whoever asked for the certificate can do about it; it follows what the authority says.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Request | Self::Csr => {
                "the client and the service do not agree on the protocol: check that the URL is of a \
                 Fulcio, and the versions of both"
            }
            Self::NoToken | Self::Token => {
                "give the identity token itself, whole and on one line, as the provider made it"
            }
            Self::Algorithm => {
                "have the identity provider sign with one of the algorithms that the authority's \
                 operator lists for it"
            }
            Self::UnknownIssuer => {
                "get a token from an issuer that the authority accepts (its /api/v2/configuration \
                 lists them), or have its operator add this one, to the letter"
            }
            Self::UnknownTokenKey => {
                "get a new token: the provider may have changed its keys since this one was made"
            }
            Self::Ambiguous => {
                "the operator of the authority has to tell two entries of this issuer apart \
                 (`countersignd explain-token` shows both)"
            }
            Self::Audience => {
                "ask the identity provider for a token for an audience that is accepted"
            }
            Self::Expired => "get a new token and sign at once",
            Self::NotYetValid => {
                "compare the clocks of the identity provider and of the authority: one is wrong"
            }
            Self::Lifetime => {
                "get a new token, one that is valid for a shorter time if it was new already"
            }
            Self::Signature => {
                "do not use this token: its issuer did not sign it, or it was changed on the way"
            }
            Self::Claim => "have the identity provider put the claim into its tokens",
            Self::EmailNotVerified => {
                "have the address verified at the identity provider, then get a new token"
            }
            Self::Rule => {
                "sign where the operator's rule lets you (the right repository, branch or group), or ask \
                 the operator of the authority"
            }
            Self::Identity => {
                "the token is sound, and names nobody that the authority may certify: ask its operator"
            }
            Self::Key | Self::WeakKey => "sign with a new key of another kind, such as ECDSA P-256",
            Self::Proof => {
                "the key must sign the token's email or sub: is the token of the identity that the \
                 client believes it has?"
            }
            Self::Profile => "a name or claim of the token is too long for a certificate",
            Self::IssuerUnavailable | Self::CtUnavailable | Self::Signer | Self::Overloaded => {
                "try again later"
            }
            Self::RateLimited => {
                "wait as long as the answer says, and sign more with one certificate, or ask the operator of the \
                 authority for more"
            }
            Self::Clock => "tell the operator of the authority: its clock has to be set right",
            Self::IssuerMisconfigured => {
                "trying again does not help: the operator of the authority has to look at how this \
                 issuer is configured (`countersignd check --online`)"
            }
            Self::Frozen => {
                "get the newest signing config: this authority was followed by another one"
            }
            Self::CtBroken | Self::AuthorityNotValid | Self::Issuance => {
                "trying again does not help: tell the operator of the authority, with the request id"
            }
        }
    }

    /// Whether it can pass by itself.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(
            self,
            Self::IssuerUnavailable
                | Self::CtUnavailable
                | Self::Signer
                | Self::Clock
                | Self::RateLimited
                | Self::Overloaded
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_and_advice_of_its_own_kind() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            let word = reason.word();
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
            assert_eq!(Reason::from_word(word), Some(*reason));
            assert!(
                !Reason::ALL.iter().skip(position + 1).any(|other| other.word() == word),
                "{word}"
            );
            let advice = reason.advice();
            assert!(!advice.is_empty() && !advice.ends_with('.'), "{advice}");
            // The one sentence for all is gone.
            assert!(
                !advice.contains("audience") || *reason == Reason::Audience,
                "{word}: {advice}"
            );
        }
        assert_eq!(Reason::from_word("Audience"), None);
    }
}
