use thiserror::Error;

use super::MAX_KEYS;

/// Why what a provider publishes is no set of keys that could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeySetFault {
    /// RFC 8259 §8.1: no JSON text begins with one.
    #[error("the issuer's key set begins with a byte order mark, so it is no JSON")]
    Mark,
    /// Neither JSON with `keys`, nor each member once.
    #[error("what the issuer publishes is not a JWK Set")]
    NotASet,
    /// Too many to look at.
    #[error("the issuer's key set has more than {MAX_KEYS} keys")]
    TooMany,
    /// Some of them with their private half, and no other that could be used.
    #[error("the issuer publishes the private half of its keys, and no usable key besides")]
    Private,
    /// All are of unknown kinds, weak, or for something else.
    #[error("the issuer publishes no usable keys")]
    NoneUsable,
}

impl KeySetFault {
    /// What to change.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Mark => "the key set must be saved without a byte order mark",
            Self::NotASet => {
                "`jwks_uri`, or the metadata, must lead to a JWK Set: JSON with `keys`"
            }
            Self::TooMany => "the provider must publish fewer: those that are in use",
            Self::Private => {
                "whoever reads them could sign: the provider must make new keys and publish their \
                 public halves alone"
            }
            Self::NoneUsable => {
                "the provider must publish a key for signatures, of a kind that is known"
            }
        }
    }
}
