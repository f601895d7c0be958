use std::{fmt, str::FromStr};

use thiserror::Error;
use tlog::LeafHash;

/// Name of an entry: the tree it is in, when it is said, and the hash of its leaf.
///
/// Written as 80 hex digits, or as 64 without the tree: clients send both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId {
    /// Which tree; `None` is any.
    pub tree_id: Option<i64>,
    /// RFC 6962 leaf hash of the body.
    pub leaf_hash: LeafHash,
}

impl FromStr for EntryId {
    type Err = EntryIdError;

    /// # Errors
    /// [`EntryIdError::Form`], [`EntryIdError::TreeId`].
    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let (tree_id, leaf_hash) = match text.len() {
            LEAF_HASH_DIGITS => (None, text),
            ID_DIGITS => {
                let (tree_id, leaf_hash) =
                    text.split_at_checked(TREE_ID_DIGITS).ok_or(EntryIdError::Form)?;
                (parse_tree_id(tree_id)?, leaf_hash)
            }
            _ => return Err(EntryIdError::Form),
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(leaf_hash, &mut bytes).map_err(|_| EntryIdError::Form)?;
        Ok(Self { tree_id, leaf_hash: LeafHash(bytes) })
    }
}

/// All zeros name no tree, as upstream has it.
fn parse_tree_id(digits: &str) -> Result<Option<i64>, EntryIdError> {
    let mut bytes = [0; 8];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| EntryIdError::Form)?;
    match i64::from_be_bytes(bytes) {
        0 => Ok(None),
        negative if negative < 0 => Err(EntryIdError::TreeId),
        tree_id => Ok(Some(tree_id)),
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tree_id) = self.tree_id {
            write!(f, "{tree_id:016x}")?;
        }
        write!(f, "{}", self.leaf_hash)
    }
}

/// Why text is no [`EntryId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EntryIdError {
    /// Another length, or not hex.
    #[error("an entry id has {LEAF_HASH_DIGITS} or {ID_DIGITS} hex digits")]
    Form,
    /// Tree ids are positive 64-bit integers.
    #[error("the tree id of the entry id is out of range")]
    TreeId,
}

const TREE_ID_DIGITS: usize = 16;

const LEAF_HASH_DIGITS: usize = 64;

const ID_DIGITS: usize = TREE_ID_DIGITS + LEAF_HASH_DIGITS;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAF: &str = "8c2f0d4d9f1f6bd2c1f1f1a8a7c2d3b4e5f60718293a4b5c6d7e8f9001122334";

    fn parse(text: &str) -> Result<EntryId, EntryIdError> {
        text.parse()
    }

    #[test]
    fn reads_both_lengths_in_either_case() {
        let plain = parse(LEAF).unwrap();
        assert_eq!((plain.tree_id, plain.to_string().as_str()), (None, LEAF));
        let long = parse(&format!("108e9186e8c5677a{LEAF}").to_uppercase()).unwrap();
        assert_eq!(long.tree_id, Some(0x108e_9186_e8c5_677a));
        assert_eq!(long.leaf_hash, plain.leaf_hash);
        assert_eq!(long.to_string(), format!("108e9186e8c5677a{LEAF}"));
    }

    #[test]
    fn zero_tree_is_none() {
        let id = parse(&format!("{}{LEAF}", "0".repeat(16))).unwrap();
        assert_eq!(id, parse(LEAF).unwrap());
    }

    #[test]
    fn refuses_other_lengths_digits_and_negative_trees() {
        for text in ["", "00", &LEAF[1..], &format!("{LEAF}0"), &LEAF.replace('8', "g")] {
            assert_eq!(parse(text), Err(EntryIdError::Form), "{text}");
        }
        let multibyte = format!("{}{}", "é".repeat(8), "0".repeat(64));
        assert_eq!(parse(&multibyte), Err(EntryIdError::Form));
        let split = format!("{}é{}", "0".repeat(15), "0".repeat(63));
        assert_eq!(parse(&split), Err(EntryIdError::Form));
        assert_eq!(parse(&format!("ffffffffffffffff{LEAF}")), Err(EntryIdError::TreeId));
        assert_eq!(parse(&format!("8000000000000000{LEAF}")), Err(EntryIdError::TreeId));
        assert!(parse(&format!("7fffffffffffffff{LEAF}")).is_ok());
    }

    proptest! {
        #[test]
        fn display_reads_back(tree_id in proptest::option::of(1..=i64::MAX), leaf: [u8; 32]) {
            let id = EntryId { tree_id, leaf_hash: LeafHash(leaf) };
            prop_assert_eq!(parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn arbitrary_text_makes_no_panic(text: String) {
            let _ = parse(&text);
        }
    }
}
