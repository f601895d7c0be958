use thiserror::Error;

use super::set::{MAX_ENTRIES, MAX_PATTERNS};

/// Why an issuer cannot be trusted as configured.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IssuerConfigError {
    /// The claim `iss` is compared with it whole, and metadata is asked for below it.
    #[error("issuer URL `{0}` must be https, without user, query or fragment")]
    Url(String),
    /// An exact URL that reads like a pattern.
    #[error("issuer URL `{0}` holds `*`: a pattern of URLs is a `url_pattern`")]
    Wildcard(String),
    /// Whoever is between us and the issuer would choose its keys.
    #[error("issuer URL `{0}` may be http only on a loopback host with allow_loopback_http")]
    PlainHttp(String),
    /// No audience: every token of the issuer would do.
    #[error(
        "issuer `{0}` needs at least one audience, none of them empty: list its `audiences`, or set \
         `audience` of the tenant"
    )]
    NoAudience(String),
    /// Its tokens name what the issuer chose, whoever asks for them.
    #[error(
        "the audience of tokens of type `{0}` is its issuer's choice: they cannot be for another service"
    )]
    FixedAudience(&'static str),
    /// An empty list: no token would do.
    #[error("issuer `{0}` needs at least one algorithm")]
    NoAlgorithm(String),
    /// The names that it allows are compared by host, so a path would allow nothing more.
    #[error("subject domain `{0}` must be scheme://host and nothing more")]
    SubjectDomain(String),
    /// One issuer could give the names of another's domain.
    #[error("subject domain `{subject_domain}` is not of the issuer's host `{issuer_host}`")]
    ForeignSubjectDomain {
        /// As configured.
        subject_domain: String,
        /// Host of the issuer's URL.
        issuer_host: String,
    },
    /// Names of jobs begin with it, and a path follows.
    #[error("base URL `{0}` must be an absolute URL without a final slash, query or fragment")]
    BaseUrl(String),
    /// The settings of each kind are in `docs/ci-issuers.md`.
    #[error("type `{kind}` needs `{setting}`")]
    MissingSetting {
        /// The configured type.
        kind: &'static str,
        /// What is missing.
        setting: &'static str,
    },
    /// A setting that the kind would ignore.
    #[error("type `{kind}` has no use for `{setting}`")]
    UnusedSetting {
        /// The configured type.
        kind: &'static str,
        /// What is too much.
        setting: &'static str,
    },
    /// A required claim without a value that it could have, or too many.
    #[error("required claim `{0}` needs at least one value, none of them empty, and not thousands")]
    RequiredClaim(String),
    /// Whoever they are, they get a certificate.
    #[error(
        "issuer `{issuer}` serves {who}: demand one of the claims `{claims}` in `required_claims`\
         {or_domains}, or write `open_to_all = true`"
    )]
    Strangers {
        /// URL of the issuer.
        issuer: String,
        /// Whom it serves.
        who: &'static str,
        /// Claims that tell an owner.
        claims: String,
        /// What else does.
        or_domains: &'static str,
    },
    /// An account with a freely chosen address, at any provider, would be that address.
    #[error(
        "issuer `{0}` could vouch for every e-mail address: list the `domains` that are its own, or \
         write `open_to_all = true`"
    )]
    NoDomains(String),
    /// Anybody may have a cluster or an organisation at the platforms that patterns are for.
    #[error(
        "issuer pattern `{0}` is of every issuer that its wildcards fit: list those that count as `iss` \
         in `required_claims`, whole, or write `open_to_all = true`"
    )]
    OpenPattern(String),
    /// Said to be open, and is not.
    #[error("issuer `{0}` has owners already; `open_to_all` would change nothing, remove it")]
    NotOpen(String),
    /// Two can vouch for one name, so that a verifier that demands no issuer believes either.
    #[error(
        "issuers `{one}` and `{other}` both vouch for {names}: set {settings} so that they do not, or, \
         where both may, write into the entry of `{other}` the line `shares_names_with = [\"{one}\"]`"
    )]
    SharedNames {
        /// URL of one.
        one: String,
        /// URL of the other, in whose entry it may be said that this is meant.
        other: String,
        /// What they share.
        names: String,
        /// What would move them apart.
        settings: String,
    },
    /// Even a verifier that demands the issuer too would be deceived.
    #[error(
        "issuers `{one}` and `{other}` both vouch for {names}, and not even the certificate's issuer \
         would tell them apart: set {settings} so that they do not; `shares_names_with` cannot part them"
    )]
    UntoldNames {
        /// URL of one.
        one: String,
        /// URL of the other.
        other: String,
        /// What they share.
        names: String,
        /// What would move them apart.
        settings: String,
    },
    /// A pattern of issuers that can vouch for names of each other.
    #[error(
        "issuers of `{pattern}` all vouch for {names}: demand one `iss` in `required_claims`{or_share}"
    )]
    Rivals {
        /// The pattern.
        pattern: String,
        /// What they share.
        names: String,
        /// What else helps.
        or_share: String,
    },
    /// A statement about an issuer that is not there.
    #[error(
        "`shares_names_with` of the issuer `{issuer}` has `{url}`, which is the `url` of no entry: \
         remove it, or write it as that entry does"
    )]
    SharesWithNobody {
        /// URL of the issuer.
        issuer: String,
        /// As configured.
        url: String,
    },
    /// Two entries of one `url` share its names without saying so.
    #[error(
        "`shares_names_with` of the issuer `{0}` has the issuer's own `url`: write that of the other \
         entry"
    )]
    SharesWithItself(String),
    /// A claim could name another issuer in certificates.
    #[error(
        "issuer `{issuer}`: `issuer_claim_values` has `{value}`, which is the name of an issuer"
    )]
    IssuerValue {
        /// URL of the issuer.
        issuer: String,
        /// As configured.
        value: String,
    },
    /// Else an address that nobody checked would be certified.
    #[error(
        "`name_claim = {0}` needs `skip_email_verification = true`: `email_verified` says nothing of \
         it. Only for a claim that users cannot set themselves"
    )]
    NameClaim(String),
    /// A value that cannot be, or that contradicts the issuer's URL.
    #[error("`{setting}` cannot be `{value}` for this issuer")]
    Setting {
        /// Which.
        setting: &'static str,
        /// As configured.
        value: String,
    },
    /// A template that cannot be read, and where it cannot.
    #[error("template `{setting}`, column {column}: {problem}")]
    Template {
        /// The extension, or another key of `template`.
        setting: String,
        /// Of the text, in characters from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Two entries of one issuer that nothing tells apart.
    #[error(
        "issuer `{0}` is configured twice with the same keys, type and rules: every token would be \
         refused as ambiguous"
    )]
    Duplicate(String),
    /// Neither of the two, or both.
    #[error("an issuer needs exactly one of `url` or `url_pattern`")]
    OneUrl,
    /// A pattern that is no URL, or in which tokens would choose the host.
    #[error(
        "url_pattern `{0}` must be an https URL without user, query or fragment, with `*` in place \
         of labels or segments, but not in the last two labels of the host, nor with an address"
    )]
    UrlPattern(String),
    /// Two settings of which one decides.
    #[error("`{setting}` has no effect beside `{beside}`")]
    NoEffect {
        /// What would be passed over.
        setting: &'static str,
        /// What decides.
        beside: &'static str,
    },
    /// More entries than a token may be compared with.
    #[error("issuer `{issuer}` has {found} entries, and at most {MAX_ENTRIES} may have one `url`")]
    TooManyEntries {
        /// URL of them all.
        issuer: String,
        /// How many there are.
        found: usize,
    },
    /// Likewise patterns, each of which may meet any token.
    #[error("{0} issuers have a `url_pattern`, and at most {MAX_PATTERNS} may")]
    TooManyPatterns(usize),
    /// What is nobody's own domain.
    #[error("`domains` has `{value}`, {why}")]
    Domain {
        /// As configured.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
}
