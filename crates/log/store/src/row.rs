//! Rows as both databases give them, and what they mean. The columns are those of `migrations/log`: numbers are
//! 64-bit signed integers, hashes 32-byte blobs.

use bytes::Bytes;
use moment::UnixSeconds;
use tlog::{HashRange, LeafIndex, NodeHash, TILE_WIDTH, TreeSize};

use crate::plan::LockedState;
use crate::{
    DedupHash, EntryLen, Found, LogId, LogKind, LogRecord, LogSpec, MAX_HASHES_PER_READ,
    StoreError, StoredEntry,
};

/// A row of `log` with `frozen` of its state.
#[derive(Debug)]
pub struct LogRow {
    /// Column `log_id`.
    pub log_id: i64,
    /// Column `name`.
    pub name: String,
    /// Column `kind`.
    pub kind: String,
    /// Column `tree_id`.
    pub tree_id: i64,
    /// Column `origin`.
    pub origin: String,
    /// Column `host`.
    pub host: String,
    /// Column `public_key_der`.
    pub public_key_der: Vec<u8>,
    /// Column `created_at`.
    pub created_at: i64,
    /// Column `frozen` of `log_state`.
    pub frozen: bool,
}

impl TryFrom<LogRow> for LogRecord {
    type Error = StoreError;

    fn try_from(row: LogRow) -> Result<Self, StoreError> {
        let kind = LogKind::from_name(&row.kind).ok_or_else(|| StoreError::Corrupt {
            what: format!("kind of log {} is {:?}", row.log_id, row.kind),
        })?;
        let spec = LogSpec {
            name: row.name,
            kind,
            tree_id: row.tree_id,
            origin: row.origin,
            host: row.host,
            public_key_der: row.public_key_der,
        };
        let created_at = UnixSeconds(to_u64("creation time of a log", row.created_at)?);
        Ok(Self { id: LogId(row.log_id), spec, frozen: row.frozen, created_at })
    }
}

/// Gives the record when it is of a log with that specification.
///
/// # Errors
/// [`StoreError::SpecMismatch`] with the first property that differs; the host may.
pub fn check_spec(record: LogRecord, spec: &LogSpec) -> Result<LogRecord, StoreError> {
    let same = [
        ("kind", record.spec.kind == spec.kind),
        ("tree id", record.spec.tree_id == spec.tree_id),
        ("origin", record.spec.origin == spec.origin),
        ("public key", record.spec.public_key_der == spec.public_key_der),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(StoreError::SpecMismatch { name: spec.name.clone(), field }),
        None => Ok(record),
    }
}

/// Refuses a log that is to be made where another one has its origin or its key.
///
/// # Errors
/// [`StoreError::SameLog`].
pub fn refuse_twin(spec: &LogSpec, known: &[LogRecord]) -> Result<(), StoreError> {
    if known.iter().any(|record| record.spec.name == spec.name) {
        return Ok(());
    }
    for LogRecord { spec: other, .. } in known {
        let same = [
            ("origin", other.origin == spec.origin),
            ("key", other.public_key_der == spec.public_key_der),
        ];
        if let Some((field, _)) = same.into_iter().find(|(_, same)| *same) {
            let (name, other) = (spec.name.clone(), other.name.clone());
            return Err(StoreError::SameLog { name, other, field });
        }
    }
    Ok(())
}

/// A row of `log_state`.
#[derive(Debug)]
pub struct StateRow {
    /// Column `size`.
    pub size: i64,
    /// Column `root`.
    pub root: Vec<u8>,
    /// Column `edge`.
    pub edge: Vec<u8>,
    /// Column `last_time`.
    pub last_time: i64,
    /// Column `frozen`.
    pub frozen: bool,
}

impl TryFrom<StateRow> for LockedState {
    type Error = StoreError;

    fn try_from(row: StateRow) -> Result<Self, StoreError> {
        Ok(Self {
            size: TreeSize(to_u64("size of the log", row.size)?),
            root: to_hash("root of the log", &row.root)?,
            edge: row.edge,
            last_time: UnixSeconds(to_u64("last time of the log", row.last_time)?),
            frozen: row.frozen,
        })
    }
}

/// A row of `entry`, joined with its `entry_body` and, if there is one, its `entry_set`.
#[derive(Debug)]
pub struct EntryRow {
    /// Column `idx`.
    pub idx: i64,
    /// Column `leaf_hash`.
    pub leaf_hash: Vec<u8>,
    /// Column `identity_hash`.
    pub identity_hash: Vec<u8>,
    /// Column `integrated_at`.
    pub integrated_at: i64,
    /// Column `kind`.
    pub kind: String,
    /// Column `body`.
    pub body: Vec<u8>,
    /// Column `extra`.
    pub extra: Vec<u8>,
    /// Column `set_sig`.
    pub set_sig: Option<Vec<u8>>,
}

/// Entries read in order of their indexes, of which the first must be `start`.
///
/// # Errors
/// [`StoreError::Corrupt`] when an index is missing.
pub fn contiguous(
    start: LeafIndex,
    rows: impl IntoIterator<Item = EntryRow>,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut entries = Vec::new();
    for (expected, row) in (start.0..).map(LeafIndex).zip(rows) {
        let index = check_index(expected, row.idx)?;
        entries.push(StoredEntry {
            index,
            leaf_hash: to_hash("leaf hash", &row.leaf_hash)?,
            dedup_hash: to_hash("deduplication hash", &row.identity_hash)?,
            integrated_at: UnixSeconds(to_u64("integration time", row.integrated_at)?),
            kind: row.kind,
            body: Bytes::from(row.body),
            extra: Bytes::from(row.extra),
            timestamp_signature: Bytes::from(row.set_sig.unwrap_or_default()),
        });
    }
    Ok(entries)
}

/// `(idx, length of body, length of extra)`, read in order of `idx`, of which the first must be `start`.
///
/// # Errors
/// [`StoreError::Corrupt`] when an index is missing.
pub fn lengths(
    start: LeafIndex,
    rows: impl IntoIterator<Item = (i64, i64, i64)>,
) -> Result<Vec<EntryLen>, StoreError> {
    let mut lengths = Vec::new();
    for (expected, (idx, body, extra)) in (start.0..).map(LeafIndex).zip(rows) {
        check_index(expected, idx)?;
        // What is longer than memory is too long for any page.
        let [body, extra] = [body, extra].map(|len| usize::try_from(len).unwrap_or(usize::MAX));
        lengths.push(EntryLen { body, extra });
    }
    Ok(lengths)
}

fn check_index(expected: LeafIndex, idx: i64) -> Result<LeafIndex, StoreError> {
    let index = to_index(idx)?;
    if index == expected {
        return Ok(index);
    }
    Err(StoreError::Corrupt { what: format!("entry {expected} is missing before entry {index}") })
}

/// What a search by deduplication hash reads of a row of `entry`.
#[derive(Debug)]
pub struct FoundRow<'a> {
    /// Column `identity_hash`.
    pub identity_hash: &'a [u8],
    /// Column `idx`.
    pub idx: i64,
    /// Column `leaf_hash`.
    pub leaf_hash: &'a [u8],
    /// Column `integrated_at`.
    pub integrated_at: i64,
}

impl TryFrom<FoundRow<'_>> for (DedupHash, Found) {
    type Error = StoreError;

    fn try_from(row: FoundRow<'_>) -> Result<Self, StoreError> {
        let found = Found {
            index: to_index(row.idx)?,
            leaf_hash: to_hash("leaf hash", row.leaf_hash)?,
            integrated_at: UnixSeconds(to_u64("integration time", row.integrated_at)?),
        };
        Ok((to_hash("deduplication hash", row.identity_hash)?, found))
    }
}

/// Says how many hashes a range asks for.
///
/// # Errors
/// [`StoreError::OutOfRange`] when it ends before it starts, [`StoreError::TooMuch`] above
/// [`MAX_HASHES_PER_READ`].
pub fn width(range: HashRange) -> Result<u64, StoreError> {
    let asked = range.end.checked_sub(range.start).ok_or_else(|| out_of_range(range))?;
    if asked > MAX_HASHES_PER_READ {
        return Err(StoreError::TooMuch {
            what: "stored hashes",
            asked,
            limit: MAX_HASHES_PER_READ,
        });
    }
    Ok(asked)
}

/// Below this width, rows of 32 bytes are read; from it on, tiles of 8 KiB.
pub const TILE_READ_FROM: u64 = 64;

/// The hashes of `range` that are in full tiles: a prefix of the range, as all tiles before the last are full.
/// `tiles` are `(n, hashes)` of the range's level, by n, from the tile in which the range starts.
///
/// # Errors
/// [`StoreError::Corrupt`] when a tile does not hold 256 hashes.
pub fn from_tiles(
    range: HashRange,
    tiles: impl IntoIterator<Item = (i64, Vec<u8>)>,
) -> Result<Vec<NodeHash>, StoreError> {
    let mut hashes = Vec::new();
    let mut next = range.start;
    for (n, tile) in tiles {
        let first = to_u64("number of a tile", n)? * TILE_WIDTH;
        let (tile, rest) = tile.as_chunks::<32>();
        if first != next - next % TILE_WIDTH {
            break;
        }
        if tile.len() as u64 != TILE_WIDTH || !rest.is_empty() {
            return Err(StoreError::Corrupt {
                what: format!("tile {n} of level {} is not full", range.level),
            });
        }
        for (at, hash) in (first..range.end).zip(tile) {
            if at >= next {
                hashes.push(NodeHash(*hash));
                next += 1;
            }
        }
    }
    Ok(hashes)
}

/// Gives `hashes` when they are all that `range` asks for.
///
/// # Errors
/// [`StoreError::OutOfRange`] otherwise.
pub fn complete(range: HashRange, hashes: Vec<NodeHash>) -> Result<Vec<NodeHash>, StoreError> {
    if hashes.len() as u64 == range.end.saturating_sub(range.start) {
        return Ok(hashes);
    }
    Err(out_of_range(range))
}

fn out_of_range(range: HashRange) -> StoreError {
    StoreError::OutOfRange { what: "stored hashes", start: range.start, end: range.end }
}

/// A count, index or time as a column.
///
/// # Errors
/// [`StoreError::TooMuch`] above 2^63 - 1, which no log reaches.
pub fn from_u64(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooMuch {
        what,
        asked: value,
        limit: i64::MAX.unsigned_abs(),
    })
}

/// A bound of a range as a column; above 2^63 - 1 there is nothing, so the bound may be lowered to it.
#[must_use]
pub fn bound(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A column that is a count, index or time.
///
/// # Errors
/// [`StoreError::Corrupt`] below zero, which the schema's checks refuse.
pub fn to_u64(what: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt { what: format!("{what} is {value}") })
}

/// A column that is the index of an entry.
///
/// # Errors
/// As [`to_u64`].
pub fn to_index(idx: i64) -> Result<LeafIndex, StoreError> {
    to_u64("index of an entry", idx).map(LeafIndex)
}

/// A column that is a hash.
///
/// # Errors
/// [`StoreError::Corrupt`] unless it is 32 bytes long.
pub fn to_hash<H: From<[u8; 32]>>(what: &'static str, value: &[u8]) -> Result<H, StoreError> {
    <[u8; 32]>::try_from(value)
        .map(H::from)
        .map_err(|_| StoreError::Corrupt { what: format!("{what} is {} bytes long", value.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> NodeHash {
        tlog::leaf_hash(&number.to_be_bytes()).into()
    }

    fn tile(n: u64) -> (i64, Vec<u8>) {
        let hashes = (n * 256..(n + 1) * 256).flat_map(|number| hash(number).0).collect();
        (i64::try_from(n).unwrap(), hashes)
    }

    fn hashes(start: u64, end: u64) -> Vec<NodeHash> {
        (start..end).map(hash).collect()
    }

    #[test]
    fn takes_exactly_the_range_from_its_tiles() {
        for (start, end) in [(0, 256), (0, 1), (255, 257), (3, 700), (256, 512), (300, 301)] {
            let range = HashRange { level: 0, start, end };
            let tiles = (start / 256..=(end - 1) / 256).map(tile);
            assert_eq!(from_tiles(range, tiles).unwrap(), hashes(start, end));
        }
    }

    #[test]
    fn takes_what_comes_before_the_first_tile_that_is_not_full() {
        let range = HashRange { level: 0, start: 250, end: 600 };
        assert_eq!(from_tiles(range, [tile(0), tile(1)]).unwrap(), hashes(250, 512));
        assert_eq!(from_tiles(range, [tile(1), tile(2)]).unwrap(), []);
        assert_eq!(from_tiles(range, []).unwrap(), []);
    }

    #[test]
    fn refuses_a_tile_of_255_hashes() {
        let range = HashRange { level: 0, start: 0, end: 256 };
        let short = (0, vec![0; 255 * 32]);
        assert!(matches!(from_tiles(range, [short]), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn refuses_ranges_that_end_before_they_start_or_are_too_wide() {
        let range = |start, end| HashRange { level: 0, start, end };
        assert_eq!(width(range(5, 5)).unwrap(), 0);
        assert_eq!(width(range(1, 65_537)).unwrap(), 65_536);
        assert!(matches!(width(range(0, 65_537)), Err(StoreError::TooMuch { .. })));
        assert!(matches!(width(range(5, 4)), Err(StoreError::OutOfRange { .. })));
    }

    #[test]
    fn refuses_entries_with_a_gap() {
        let row = |idx| EntryRow {
            idx,
            leaf_hash: vec![0; 32],
            identity_hash: vec![0; 32],
            integrated_at: 1,
            kind: String::new(),
            body: Vec::new(),
            extra: Vec::new(),
            set_sig: None,
        };
        assert_eq!(contiguous(LeafIndex(3), [row(3), row(4)]).unwrap().len(), 2);
        assert!(matches!(
            contiguous(LeafIndex(3), [row(3), row(5)]),
            Err(StoreError::Corrupt { .. })
        ));
        assert!(matches!(contiguous(LeafIndex(2), [row(3)]), Err(StoreError::Corrupt { .. })));
    }
}
