//! Issuers that anybody can get a token from: what makes one of them speak for its owner alone.

mod shared;

use super::{ClaimRules, IssuerConfigError, IssuerKind};
use shared::{CONSUMERS, SHARED, Shared};

/// Whether an issuer serves strangers, and if so what the operator has said about it.
pub(super) struct Owners<'a> {
    /// The issuer's URL or pattern.
    pub(super) url: &'a str,
    pub(super) kind: &'a IssuerKind,
    pub(super) rules: &'a ClaimRules,
    /// Whether `domains` were given.
    pub(super) has_domains: bool,
    pub(super) open_to_all: bool,
}

impl Owners<'_> {
    /// Refuses an issuer of strangers that nothing ties to an owner, and a statement that it is open
    /// where it is not.
    pub(super) fn check(&self) -> Result<(), IssuerConfigError> {
        match (self.lacks(), self.open_to_all) {
            (Some(error), false) => Err(error),
            (None, true) => Err(IssuerConfigError::NotOpen(self.url.to_owned())),
            _ => Ok(()),
        }
    }

    /// What would have to be said of it. All that a token may be of counts: one known host below a
    /// wildcard says nothing of its neighbours.
    fn lacks(&self) -> Option<IssuerConfigError> {
        let urls = self.urls();
        let mut fitting = urls.iter().flat_map(|url| SHARED.iter().filter(|shared| shared.is(url)));
        let unpinned = fitting.find(|shared| !self.pins(shared));
        if let Some(shared) = unpinned {
            return Some(self.unpinned(shared));
        }
        if self.kind.is_of_addresses() && !self.has_domains {
            return Some(IssuerConfigError::NoDomains(self.url.to_owned()));
        }
        let open = urls.iter().any(|url| is_open(url));
        open.then(|| IssuerConfigError::OpenPattern(self.url.to_owned()))
    }

    /// The issuers that tokens may be of: of a pattern, those that `iss` is demanded to be.
    fn urls(&self) -> Vec<&str> {
        let listed = self.rules.texts_of("iss");
        if listed.is_empty() || !is_pattern(self.url) { vec![self.url] } else { listed }
    }

    fn pins(&self, shared: &Shared) -> bool {
        let pinned = |name: &&str| {
            let values = self.rules.texts_of(name);
            let names_nobody =
                |value: &&str| *value == CONSUMERS || (*name == "iss" && is_pattern(value));
            !values.is_empty() && !values.iter().any(names_nobody)
        };
        self.kind.names_owners()
            || shared.claims.iter().any(pinned)
            || (shared.by_domains && self.has_domains && self.has_verified_addresses())
    }

    /// What nobody has verified is of no domain.
    fn has_verified_addresses(&self) -> bool {
        !matches!(self.kind, IssuerKind::Email { skip_verification: true })
    }

    fn unpinned(&self, shared: &Shared) -> IssuerConfigError {
        let domains =
            shared.by_domains && self.kind.is_of_addresses() && self.has_verified_addresses();
        IssuerConfigError::Strangers {
            issuer: self.url.to_owned(),
            who: shared.who,
            claims: shared.claims.join("`, `"),
            or_domains: if domains { ", or `domains`" } else { "" },
        }
    }
}

/// The claims by which the issuer at `url`, or one of its pattern, tells its owners apart.
pub(super) fn owner_claims(url: &str) -> impl Iterator<Item = &'static str> {
    let of_url = SHARED.iter().filter(move |shared| shared.is(url));
    of_url.flat_map(|shared| shared.claims.iter().copied())
}

/// Whether `url` is a pattern, and nobody knows whose issuers it has. A host that is written out is no
/// better than one that is not: below it, in its path, are others' issuers as often as the operator's.
fn is_open(url: &str) -> bool {
    is_pattern(url) && !SHARED.iter().any(|shared| shared.has_all_of(url))
}

/// `iss` is compared as text, so that no issuer is one.
fn is_pattern(url: &str) -> bool {
    url.contains('*')
}
