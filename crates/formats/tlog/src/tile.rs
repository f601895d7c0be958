use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{NodeHash, root_of};

/// Hashes of a full tile.
pub const TILE_WIDTH: u64 = 256;

/// Longest entry of an entry bundle, in bytes: its length is 16 bits on the wire (C2SP `tlog-tiles`).
pub const MAX_ENTRY_LEN: usize = 65_535;

/// Highest tile level: eight tree levels each, and a tree has at most 2^64 leaves.
const MAX_LEVEL: u8 = 7;

/// A tile: the stored hashes `index * 256 .. (index + 1) * 256` of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 for leaf hashes; each further level is eight tree levels higher.
    pub level: u8,
    /// 0-based from the left.
    pub index: u64,
}

/// Root of a full tile, which is the stored hash `index` of the level above.
#[must_use]
pub fn tile_root(hashes: &[NodeHash; 256]) -> NodeHash {
    root_of(hashes)
}

/// Bytes that a body of `length` bytes takes in an entry bundle.
#[must_use]
pub const fn bundle_entry_len(length: usize) -> usize {
    length.saturating_add(2)
}

/// Appends `body` to an entry bundle: its length as 16 bits big-endian, then its bytes (C2SP `tlog-tiles`).
///
/// # Errors
/// [`EntryTooLong`] above [`MAX_ENTRY_LEN`]; nothing is appended then.
pub fn encode_bundle_entry(out: &mut Vec<u8>, body: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(body.len()).map_err(|_| EntryTooLong { length: body.len() })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    Ok(())
}

/// An entry that no bundle can hold.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an entry of {length} bytes is longer than {MAX_ENTRY_LEN}")]
pub struct EntryTooLong {
    /// Bytes of the entry.
    pub length: usize,
}

/// The path of a tile or entry bundle, without a leading slash (C2SP `tlog-tiles`).
///
/// ```
/// use tlog::{TileId, TilePath};
///
/// let path: TilePath = "tile/0/x001/234.p/5".parse()?;
/// assert_eq!(path, TilePath::Hashes { tile: TileId { level: 0, index: 1234 }, width: 5 });
/// assert_eq!(path.to_string(), "tile/0/x001/234.p/5");
/// # Ok::<(), tlog::TilePathError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TilePath {
    /// Hashes of a tile.
    Hashes {
        /// Which tile.
        tile: TileId,
        /// Number of hashes, 1 to 256; 256 is the full tile.
        width: u16,
    },
    /// The entries below a tile of level 0.
    Entries {
        /// Index of the tile.
        index: u64,
        /// Number of entries, 1 to 256.
        width: u16,
    },
}

impl FromStr for TilePath {
    type Err = TilePathError;

    /// Accepts the one canonical spelling of each path.
    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let rest = text.strip_prefix("tile/").ok_or(TilePathError)?;
        let (kind, rest) = rest.split_once('/').ok_or(TilePathError)?;
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, parse_partial_width(width)?),
            None => (rest, 256),
        };
        let index = parse_index(number)?;
        let path = if kind == "entries" {
            Self::Entries { index, width }
        } else {
            let level =
                kind.parse().ok().filter(|level| *level <= MAX_LEVEL).ok_or(TilePathError)?;
            Self::Hashes { tile: TileId { level, index }, width }
        };
        // Leading zeros, `+1` and the like parse as numbers but are not the path's spelling.
        if path.to_string() == text { Ok(path) } else { Err(TilePathError) }
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Hashes { tile, width } => {
                write!(f, "tile/{}", tile.level)?;
                (tile.index, *width)
            }
            Self::Entries { index, width } => {
                write!(f, "tile/entries")?;
                (*index, *width)
            }
        };
        let digits = index.to_string();
        let padded = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        let groups = padded.len() / 3;
        for group in 0..groups {
            let prefix = if group + 1 < groups { "x" } else { "" };
            write!(f, "/{prefix}{}", &padded[group * 3..group * 3 + 3])?;
        }
        if width < 256 { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

/// Not the path of a tile or entry bundle.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not the path of a tile")]
pub struct TilePathError;

fn parse_partial_width(text: &str) -> Result<u16, TilePathError> {
    text.parse().ok().filter(|width| (1..256).contains(width)).ok_or(TilePathError)
}

fn parse_index(text: &str) -> Result<u64, TilePathError> {
    // 2^64 has 20 digits: seven groups.
    const MAX_GROUPS: usize = 7;
    let mut index = 0u64;
    for (position, group) in text.split('/').enumerate() {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if position == MAX_GROUPS || digits.len() != 3 {
            return Err(TilePathError);
        }
        let value: u64 = digits.parse().map_err(|_| TilePathError)?;
        index = index.checked_mul(1000).and_then(|i| i.checked_add(value)).ok_or(TilePathError)?;
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_the_paths_of_the_specification() {
        let path = |index, width| TilePath::Hashes { tile: TileId { level: 0, index }, width };
        assert_eq!(path(0, 256).to_string(), "tile/0/000");
        assert_eq!(path(1_234_067, 256).to_string(), "tile/0/x001/x234/067");
        assert_eq!(path(1_234_067, 8).to_string(), "tile/0/x001/x234/067.p/8");
        assert_eq!(TilePath::Entries { index: 5, width: 1 }.to_string(), "tile/entries/005.p/1");
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/00/000",
            "tile/8/000",
            "tile/-1/000",
            "tile/0/001/000",
            "tile/0/x000/000",
            "tile/0/x001",
            "tile/0/+01",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000/",
            "tile/Entries/000",
            "/tile/0/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(TilePathError), "{text}");
        }
    }

    #[test]
    fn refuses_an_entry_that_no_bundle_can_hold() {
        let mut bundle = Vec::new();
        encode_bundle_entry(&mut bundle, &vec![7; MAX_ENTRY_LEN]).unwrap();
        assert_eq!(bundle.len(), MAX_ENTRY_LEN + 2);
        assert_eq!(
            encode_bundle_entry(&mut bundle, &vec![7; MAX_ENTRY_LEN + 1]),
            Err(EntryTooLong { length: MAX_ENTRY_LEN + 1 })
        );
        assert_eq!(bundle.len(), MAX_ENTRY_LEN + 2);
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(level in 0u8..=7, index: u64, width in 1u16..=256, entries: bool) {
            let path = if entries {
                TilePath::Entries { index, width }
            } else {
                TilePath::Hashes { tile: TileId { level, index }, width }
            };
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<TilePath>();
            let _ = format!("tile/0/{text}").parse::<TilePath>();
        }
    }
}
