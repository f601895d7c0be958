use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Most names of a path: what [`crate::Claims`] lets tokens nest, halved; real ones have three.
const MAX_PATH_LEN: usize = 8;

/// Longest name of a claim, in bytes; names that are URLs have some sixty.
pub(super) const MAX_CLAIM_NAME_LEN: usize = 256;

/// Where a claim is: its name, or a list of names of which each is a member of the one before.
///
/// A dot is part of a name, as in `kubernetes.io`, and never leads into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// The claim `name` of the token itself.
    ///
    /// # Errors
    /// When the name is empty or too long.
    pub fn top(name: &str) -> Result<Self, &'static str> {
        Self::new(vec![name.to_owned()])
    }

    /// The claim that `names` lead to.
    ///
    /// # Errors
    /// When there is no name, one is empty or too long, or there are too many.
    pub fn new(names: Vec<String>) -> Result<Self, &'static str> {
        if names.is_empty() || names.len() > MAX_PATH_LEN {
            return Err("a claim is named by one name or by a list of a few");
        }
        if names.iter().any(|name| name.is_empty() || name.len() > MAX_CLAIM_NAME_LEN) {
            return Err("the name of a claim is not empty and not longer than 256 bytes");
        }
        Ok(Self(names))
    }

    /// The names, outermost first. Never empty.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether this is the claim `name` of the token itself.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.0.as_slice(), [only] if only == name)
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a claim is named by a text or by a list of texts")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let names = match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(name) => vec![name],
            OneOrMany::Many(names) => names,
        };
        Self::new(names).map_err(D::Error::custom)
    }
}
