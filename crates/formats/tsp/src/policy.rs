use std::{fmt, str::FromStr};

use const_oid::ObjectIdentifier;
use thiserror::Error;

/// Longest dotted policy read, in characters: the 39 bytes that an identifier may take are
/// 39 arcs of one or two digits with their dots, or fewer longer ones.
const MAX_DOTTED_LEN: usize = 160;

/// Longest policy in DER content octets; what `const-oid` stores inline.
const MAX_CONTENT_LEN: usize = 39;

/// The policy under which a token is issued (`TSAPolicyId`, RFC 3161 §2.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyOid(ObjectIdentifier);

impl PolicyOid {
    /// Sigstore's own, the default of its clients and servers.
    pub const SIGSTORE: Self = Self(ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2"));

    pub(crate) fn from_content(content: &[u8]) -> Result<Self, PolicyError> {
        if content.len() > MAX_CONTENT_LEN {
            return Err(PolicyError::TooLong);
        }
        ObjectIdentifier::from_bytes(content).map(Self).map_err(|_| PolicyError::Malformed)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<ObjectIdentifier> for PolicyOid {
    fn from(oid: ObjectIdentifier) -> Self {
        Self(oid)
    }
}

impl FromStr for PolicyOid {
    type Err = PolicyError;

    /// Reads the dotted form.
    fn from_str(dotted: &str) -> Result<Self, PolicyError> {
        if dotted.len() > MAX_DOTTED_LEN {
            return Err(PolicyError::TooLong);
        }
        ObjectIdentifier::new(dotted).map(Self).map_err(|_| PolicyError::Malformed)
    }
}

impl fmt::Display for PolicyOid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why an object identifier is no usable policy.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// Longer than any policy in use; refused before it is split into arcs (CVE-2025-66564).
    #[error("the policy identifier is too long")]
    TooLong,
    /// Of a request, a token, or the configuration.
    #[error("the policy is not an object identifier")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_the_dotted_form() {
        let policy: PolicyOid = "1.3.6.1.4.1.57264.2".parse().unwrap();
        assert_eq!(policy, PolicyOid::SIGSTORE);
        assert_eq!(policy.to_string(), "1.3.6.1.4.1.57264.2");
        assert_eq!(PolicyOid::from_content(policy.as_bytes()).unwrap(), policy);
    }

    #[test]
    fn rejects_what_is_no_object_identifier() {
        for dotted in ["", ".", "1", "1..2", "a.b", "1.2.-3", "9.9.9", "1.2.99999999999999999999"] {
            assert_eq!(PolicyOid::from_str(dotted), Err(PolicyError::Malformed), "{dotted}");
        }
    }

    #[test]
    fn rejects_four_megabytes_of_dots_by_length_alone() {
        assert_eq!(PolicyOid::from_str(&".".repeat(4 << 20)), Err(PolicyError::TooLong));
        assert_eq!(PolicyOid::from_content(&vec![0x2A; 4 << 20]), Err(PolicyError::TooLong));
    }
}
