use super::name_conflicts;
use crate::{IssuerConfig, IssuerConfigError};

/// Most entries of one URL: all that kubeadm made are called alike. A token is compared with each, which costs
/// a microsecond where the entry has no key of its `kid`.
pub(super) const MAX_ENTRIES: usize = 256;

/// Most patterns: a token of any issuer is compared with each.
pub(super) const MAX_PATTERNS: usize = 32;

/// The trusted issuers. One URL may have several entries, and patterns may meet it too.
#[derive(Clone, Debug, Default)]
pub struct IssuerSet(Vec<IssuerConfig>);

impl IssuerSet {
    /// Collects `issuers`.
    ///
    /// # Errors
    /// [`IssuerConfigError::Duplicate`] when nothing tells two of one URL apart,
    /// [`IssuerConfigError::TooManyEntries`], [`IssuerConfigError::TooManyPatterns`]; what
    /// [`name_conflicts`] finds.
    pub fn new(issuers: Vec<IssuerConfig>) -> Result<Self, IssuerConfigError> {
        for (position, issuer) in issuers.iter().enumerate() {
            let others = issuers.iter().skip(position + 1);
            let of_one_url = others.filter(|other| other.url == issuer.url);
            if of_one_url.clone().any(|other| issuer.grants_like(other)) {
                return Err(IssuerConfigError::Duplicate(issuer.url().to_owned()));
            }
            // Of the first of them all others come later.
            let found = of_one_url.count() + 1;
            if found > MAX_ENTRIES {
                let issuer = issuer.url().to_owned();
                return Err(IssuerConfigError::TooManyEntries { issuer, found });
            }
        }
        let patterns = issuers.iter().filter(|issuer| issuer.is_pattern()).count();
        if patterns > MAX_PATTERNS {
            return Err(IssuerConfigError::TooManyPatterns(patterns));
        }
        match name_conflicts(&issuers).into_iter().next() {
            Some(conflict) => Err(conflict.error),
            None => Ok(Self(issuers)),
        }
    }

    /// Every entry that tokens with this `iss` may be of, by URL or pattern, as configured.
    pub fn candidates<'a>(&'a self, iss: &'a str) -> impl Iterator<Item = &'a IssuerConfig> {
        self.0.iter().filter(move |issuer| issuer.is_of(iss))
    }

    /// All issuers in the order of configuration.
    pub fn iter(&self) -> impl Iterator<Item = &IssuerConfig> {
        self.0.iter()
    }
}

impl IssuerConfig {
    /// Whether the entries grant the same tokens: then each token that one grants is ambiguous.
    fn grants_like(&self, other: &Self) -> bool {
        self.keys == other.keys
            && self.kind == other.kind
            && self.audiences == other.audiences
            && self.required_claims == other.required_claims
            && self.people == other.people
    }
}
