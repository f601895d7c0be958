//! Sets of certificate names, and whether two have one in common.

use super::glob::{Lengths, meeting_points};
use crate::mail::MailDomain;

/// A set of names that may stand in certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameSpace {
    /// E-mail addresses of these domains; of all where there is none.
    Addresses(Vec<MailDomain>),
    /// URIs that are `prefix` or go on after it with `/`, `:`, `?` or `#`.
    Uris {
        /// As it stands in certificates, with its scheme and without a final slash. `*` is what an
        /// issuer of a pattern puts there of its own URL.
        prefix: String,
        /// Ids of the owners whose names these are, where the issuer lets an owner have no name of
        /// another's, and the prefix does not tell; none where all may.
        owners: Vec<String>,
    },
    /// Names `user!domain`.
    UserNames {
        /// What stands behind the `!`.
        domain: String,
    },
}

impl NameSpace {
    /// All URIs below `prefix`, whoever owns them.
    pub(crate) fn below(prefix: impl Into<String>) -> Self {
        Self::owned(prefix, Vec::new())
    }

    /// The URIs below `prefix` that belong to `owners`.
    pub(super) fn owned(prefix: impl Into<String>, owners: Vec<String>) -> Self {
        Self::Uris { prefix: prefix.into(), owners }
    }

    /// Whether some name may be in both. Where that cannot be told, it may.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Addresses(one), Self::Addresses(other)) => {
                one.is_empty()
                    || other.is_empty()
                    || one.iter().any(|domain| other.iter().any(|of| domain.overlaps(of)))
            }
            (
                Self::Uris { prefix, owners },
                Self::Uris { prefix: other_prefix, owners: other_owners },
            ) => {
                let apart = !owners.is_empty()
                    && !other_owners.is_empty()
                    && !owners.iter().any(|owner| other_owners.contains(owner));
                !apart && meet(prefix, other_prefix)
            }
            (Self::UserNames { domain }, Self::UserNames { domain: other }) => {
                domain.eq_ignore_ascii_case(other)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for NameSpace {
    /// For a sentence such as "both vouch for ...".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Addresses(domains) if domains.is_empty() => f.write_str("every e-mail address"),
            Self::Addresses(domains) => {
                let domains: Vec<_> = domains.iter().map(|domain| format!("`{domain}`")).collect();
                write!(f, "e-mail addresses of {}", domains.join(", "))
            }
            Self::Uris { prefix, .. } => write!(f, "names below `{prefix}`"),
            Self::UserNames { domain } => write!(f, "user names of `{domain}`"),
        }
    }
}

/// Whether one is the other or lies below it. Letters' case does not count: verifiers compare hosts
/// and some forges' paths so.
fn meet(one: &str, other: &str) -> bool {
    let (one, other) = (normal(one), normal(other));
    let goes_on = |text: &str, at: usize| {
        matches!(text.as_bytes().get(at), None | Some(b'/' | b':' | b'?' | b'#'))
    };
    meeting_points(&one, &other).into_iter().any(|Lengths { of_one, of_other }| {
        of_one == one.len() && goes_on(&other, of_other)
            || of_other == other.len() && goes_on(&one, of_one)
    })
}

fn normal(prefix: &str) -> String {
    let text = prefix.trim_end_matches('/').to_ascii_lowercase();
    match text.strip_prefix("https://").and_then(|rest| rest.split_once(":443")) {
        Some((host, rest)) if rest.is_empty() || rest.starts_with('/') => {
            format!("https://{host}{rest}")
        }
        _ => text,
    }
}
