//! The pure part of an append: from the locked state row and a batch to the rows to write.
//!
//! Both adapters do the same four steps inside their transaction, and only the reading and writing differs:
//!
//! 1. read and lock the state row: [`LockedState`], then [`LockedState::admit`] the batch;
//! 2. read the tree head of that size and the known ones of the batch's entries: [`Draft::new`];
//! 3. read [`Draft::missing`], the left parts of tiles that become full: [`Draft::complete`];
//! 4. write the [`Plan`], commit, and return [`Plan::into_appended`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use moment::UnixSeconds;
use tlog::{
    Edge, HashRange, LeafHash, LeafIndex, NodeHash, TILE_WIDTH, TileId, TreeHead, TreeSize,
    complete_subtrees,
};

use crate::{
    Appended, Batch, DedupHash, Found, LogState, MAX_BATCH_ENTRIES, MAX_CLOCK_GAP, NewEntry,
    Placement, StoreError,
};

/// The state row, as it was read under its lock.
#[derive(Debug, Clone)]
pub struct LockedState {
    /// Number of entries.
    pub size: TreeSize,
    /// Root of the tree.
    pub root: NodeHash,
    /// [`Edge::to_bytes`].
    pub edge: Vec<u8>,
    /// `integrated_at` of the last entry.
    pub last_time: UnixSeconds,
    /// Whether the log refuses entries.
    pub frozen: bool,
}

impl LockedState {
    /// Says whether this log may take this batch at all.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`], [`StoreError::EntryRefused`], [`StoreError::Frozen`], [`StoreError::Rollback`] when
    /// the log is smaller than the writer has seen it.
    pub fn admit(&self, batch: &Batch) -> Result<(), StoreError> {
        check_batch(batch)?;
        if self.size < batch.minimum_size {
            return Err(StoreError::Rollback { stored: self.size, expected: batch.minimum_size });
        }
        if self.frozen {
            return Err(StoreError::Frozen);
        }
        Ok(())
    }

    /// The state for readers.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the stored edge does not give the stored root.
    pub fn into_state(self) -> Result<LogState, StoreError> {
        let edge = self.checked_edge()?;
        Ok(LogState { edge, last_time: self.last_time, frozen: self.frozen, is_durable: false })
    }

    fn checked_edge(&self) -> Result<Edge, StoreError> {
        let edge = Edge::from_bytes(self.size, &self.edge)
            .map_err(|error| StoreError::Corrupt { what: error.to_string() })?;
        if edge.head().root != self.root {
            return Err(StoreError::Corrupt {
                what: format!(
                    "the edge of size {} does not give the root {}",
                    self.size, self.root
                ),
            });
        }
        Ok(edge)
    }
}

/// An append of which only the left parts of some tiles are not known yet.
#[derive(Debug)]
pub struct Draft<'b> {
    plan: Plan<'b>,
    missing: Vec<HashRange>,
}

/// A log's time never goes down: after a clock that was ahead, every entry would be promised for that time until
/// it has come.
fn refuse_gap(last_time: UnixSeconds, now: UnixSeconds) -> Result<(), StoreError> {
    let by = last_time.saturating_since(now);
    if by > MAX_CLOCK_GAP { Err(StoreError::ClockBehind { by }) } else { Ok(()) }
}

impl<'b> Draft<'b> {
    /// Folds duplicates and gives every entry its place.
    ///
    /// `head` is the stored tree head of the state's size; `known` holds those of the batch's entries that the
    /// log already has.
    ///
    /// # Errors
    /// [`StoreError::Rollback`] when the head has another root than the state: the two were not written by one
    /// transaction. [`StoreError::Corrupt`] when there is no head, or the edge does not give the root.
    /// [`StoreError::ClockBehind`] when new entries would get a time that is [`MAX_CLOCK_GAP`] ahead of the writer's.
    pub fn new(
        state: &LockedState,
        head: Option<NodeHash>,
        batch: &'b Batch,
        known: &HashMap<DedupHash, Found>,
    ) -> Result<Self, StoreError> {
        match head {
            Some(root) if root == state.root => {}
            Some(_) => {
                return Err(StoreError::Rollback { stored: state.size, expected: state.size });
            }
            None => {
                return Err(StoreError::Corrupt {
                    what: format!("no tree head of size {}", state.size),
                });
            }
        }
        let before = state.checked_edge()?;
        let integrated_at = batch.now.max(state.last_time);
        let (fresh, placements) = place(batch, known, before.size(), integrated_at);
        if !fresh.is_empty() {
            refuse_gap(state.last_time, batch.now)?;
        }

        let mut after = before.clone();
        for entry in &fresh {
            after.push(entry.leaf_hash);
        }
        let missing = left_parts(before.size(), after.size());
        let plan = Plan { before, after, integrated_at, fresh, placements, tiles: Vec::new() };
        Ok(Self { plan, missing })
    }

    /// Stored hashes to read before [`Draft::complete`]; usually none.
    #[must_use]
    pub fn missing(&self) -> &[HashRange] {
        &self.missing
    }

    /// Makes the tiles that become full. `hashes[i]` are those of `missing()[i]`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the hashes read do not give the nodes of the edge: sealed into a tile, a flipped
    /// bit would break every later proof.
    pub fn complete(mut self, hashes: &[Vec<NodeHash>]) -> Result<Plan<'b>, StoreError> {
        let mut added: Vec<NodeHash> =
            self.plan.fresh.iter().map(|entry| entry.leaf_hash.into()).collect();
        for level in 0..=MAX_LEVEL {
            let (old, new) = (
                complete_subtrees(self.plan.before.size(), level),
                complete_subtrees(self.plan.after.size(), level),
            );
            if old / TILE_WIDTH == new / TILE_WIDTH {
                break;
            }
            let position = self.missing.iter().position(|range| range.level == level);
            let mut row = position.and_then(|at| hashes.get(at)).cloned().unwrap_or_default();
            check_left_part(&self.plan.before, level, &row)?;
            row.extend_from_slice(&added);

            let tiles = full_tiles(level, old / TILE_WIDTH, &row);
            added = tiles.iter().map(|tile| tile.sub_root).collect();
            self.plan.tiles.extend(tiles);
        }
        Ok(self.plan)
    }
}

/// What an append writes.
#[derive(Debug)]
pub struct Plan<'b> {
    before: Edge,
    after: Edge,
    integrated_at: UnixSeconds,
    fresh: Vec<&'b NewEntry>,
    placements: Vec<Placement>,
    tiles: Vec<FullTile>,
}

impl<'b> Plan<'b> {
    /// Size and root that the state row must still have.
    #[must_use]
    pub fn old_head(&self) -> TreeHead {
        self.before.head()
    }

    /// Size and root to write.
    #[must_use]
    pub fn new_head(&self) -> TreeHead {
        self.after.head()
    }

    /// Edge to write.
    #[must_use]
    pub fn new_edge(&self) -> &Edge {
        &self.after
    }

    /// Time of every fresh entry and of the tree head.
    #[must_use]
    pub fn integrated_at(&self) -> UnixSeconds {
        self.integrated_at
    }

    /// Entries to insert, contiguous from index `old_head().size`.
    #[must_use]
    pub fn fresh(&self) -> &[&'b NewEntry] {
        &self.fresh
    }

    /// Fresh entries with their indexes.
    pub fn indexed(&self) -> impl Iterator<Item = (LeafIndex, &'b NewEntry)> {
        (self.before.size().0..).map(LeafIndex).zip(self.fresh.iter().copied())
    }

    /// Tiles to insert, by level, then index.
    #[must_use]
    pub fn tiles(&self) -> &[FullTile] {
        &self.tiles
    }

    /// Index keys to insert, in lower case, each once per entry.
    #[must_use]
    pub fn index_rows(&self) -> Vec<IndexRow> {
        let mut rows = Vec::new();
        for (index, entry) in self.indexed() {
            let keys: BTreeSet<_> =
                entry.index_keys.iter().map(|key| (key.kind, key.key.to_lowercase())).collect();
            rows.extend(keys.into_iter().map(|(kind, key)| IndexRow { index, kind, key }));
        }
        rows
    }

    /// The answer, once the commit is done.
    #[must_use]
    pub fn into_appended(self) -> Appended {
        let fresh_leaves = self.fresh_leaves();
        Appended {
            before: self.before,
            after: self.after,
            fresh_leaves,
            placements: self.placements,
        }
    }

    fn fresh_leaves(&self) -> Vec<LeafHash> {
        self.fresh.iter().map(|entry| entry.leaf_hash).collect()
    }
}

/// A tile that became full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Which.
    pub id: TileId,
    /// Its 256 hashes, 8,192 bytes.
    pub hashes: Vec<u8>,
    /// Root over them, the stored hash one level up.
    pub sub_root: NodeHash,
}

/// A row of the search index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRow {
    /// Where the entry is.
    pub index: LeafIndex,
    /// [`crate::IndexKey::kind`].
    pub kind: &'static str,
    /// In lower case.
    pub key: String,
}

fn check_batch(batch: &Batch) -> Result<(), StoreError> {
    let count = batch.entries.len();
    if count > MAX_BATCH_ENTRIES {
        return Err(StoreError::TooMuch {
            what: "entries to append",
            asked: u64::try_from(count).unwrap_or(u64::MAX),
            limit: u64::try_from(MAX_BATCH_ENTRIES).unwrap_or(u64::MAX),
        });
    }
    for (position, entry) in batch.entries.iter().enumerate() {
        entry.check().map_err(|source| StoreError::EntryRefused { position, source })?;
    }
    Ok(())
}

fn place<'b>(
    batch: &'b Batch,
    known: &HashMap<DedupHash, Found>,
    size: TreeSize,
    integrated_at: UnixSeconds,
) -> (Vec<&'b NewEntry>, Vec<Placement>) {
    let mut fresh = Vec::with_capacity(batch.entries.len());
    let mut placements = Vec::with_capacity(batch.entries.len());
    let mut twins = HashMap::with_capacity(batch.entries.len());
    let mut next = size.end();
    for entry in &batch.entries {
        let placement = match (known.get(&entry.dedup_hash), twins.entry(entry.dedup_hash)) {
            (Some(found), _) => {
                Placement { index: found.index, integrated_at: found.integrated_at, fresh: false }
            }
            (None, Entry::Occupied(twin)) => {
                Placement { index: *twin.get(), integrated_at, fresh: false }
            }
            (None, Entry::Vacant(place)) => {
                let index = *place.insert(next);
                fresh.push(entry);
                next = next.next();
                Placement { index, integrated_at, fresh: true }
            }
        };
        placements.push(placement);
    }
    (fresh, placements)
}

/// Hashes that tiles need from before the batch, at most 255 per level.
fn left_parts(old_size: TreeSize, new_size: TreeSize) -> Vec<HashRange> {
    (0..=MAX_LEVEL)
        .map(|level| {
            (level, complete_subtrees(old_size, level), complete_subtrees(new_size, level))
        })
        .take_while(|(_, old, new)| old / TILE_WIDTH != new / TILE_WIDTH)
        .map(|(level, old, _)| HashRange { level, start: old - old % TILE_WIDTH, end: old })
        .filter(|range| range.start < range.end)
        .collect()
}

/// The left part of an unfinished tile is made of perfect subtrees whose roots are nodes of the edge.
fn check_left_part(edge: &Edge, level: u8, hashes: &[NodeHash]) -> Result<(), StoreError> {
    let larger = complete_subtrees(edge.size(), level + 1).count_ones() as usize;
    let here = (complete_subtrees(edge.size(), level) % TILE_WIDTH).count_ones() as usize;
    let expected = edge.nodes().get(larger..larger + here).unwrap_or_default();

    let mut found = Edge::default();
    for hash in hashes {
        found.push(*hash);
    }
    if found.size().0 == complete_subtrees(edge.size(), level) % TILE_WIDTH
        && found.nodes() == expected
    {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        what: format!(
            "stored hashes of level {level} do not give the edge of size {}",
            edge.size()
        ),
    })
}

fn full_tiles(level: u8, first: u64, row: &[NodeHash]) -> Vec<FullTile> {
    let (tiles, _unfinished) = row.as_chunks::<256>();
    (first..)
        .zip(tiles)
        .map(|(index, hashes)| FullTile {
            id: TileId { level, index },
            hashes: hashes.iter().flat_map(|hash| hash.0).collect(),
            sub_root: tlog::tile_root(hashes),
        })
        .collect()
}

/// 256^8 is 2^64: no tree has a full tile above level 7.
const MAX_LEVEL: u8 = 7;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{EntryRefused, IndexKey};

    fn entry(number: u64) -> NewEntry {
        let body = Bytes::from(number.to_string());
        let leaf_hash = tlog::leaf_hash(&body);
        NewEntry {
            leaf_hash,
            dedup_hash: leaf_hash.into(),
            kind: "test",
            body,
            extra: Bytes::new(),
            timestamp_signature: Bytes::new(),
            index_keys: Vec::new(),
        }
    }

    fn batch(numbers: impl IntoIterator<Item = u64>) -> Batch {
        Batch {
            entries: numbers.into_iter().map(entry).collect(),
            now: UnixSeconds(100),
            minimum_size: TreeSize(0),
        }
    }

    fn leaves(size: u64) -> Vec<LeafHash> {
        (0..size).map(|number| entry(number).leaf_hash).collect()
    }

    fn state(size: u64) -> LockedState {
        let mut edge = Edge::default();
        for leaf in leaves(size) {
            edge.push(leaf);
        }
        LockedState {
            size: TreeSize(size),
            root: edge.head().root,
            edge: edge.to_bytes(),
            last_time: UnixSeconds(50),
            frozen: false,
        }
    }

    fn append(old: u64, new: u64) -> Vec<FullTile> {
        let (state, batch) = (state(old), batch(old..new));
        let draft = Draft::new(&state, Some(state.root), &batch, &HashMap::new()).unwrap();
        let all = leaves(new);
        let hashes: Vec<_> =
            draft.missing().iter().map(|range| stored_hashes(&all, *range)).collect();
        draft.complete(&hashes).unwrap().tiles().to_vec()
    }

    fn stored_hashes(leaves: &[LeafHash], range: HashRange) -> Vec<NodeHash> {
        let width = 256_usize.pow(u32::from(range.level));
        let roots: Vec<_> = leaves.chunks_exact(width).map(tlog::root_of).collect();
        roots[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
    }

    #[test]
    fn places_entries_contiguously_and_folds_twins() {
        let (state, batch) = (state(3), batch([7, 8, 7, 9, 8]));
        let draft = Draft::new(&state, Some(state.root), &batch, &HashMap::new()).unwrap();
        let appended = draft.complete(&[]).unwrap().into_appended();
        let places: Vec<_> =
            appended.placements.iter().map(|place| (place.index.0, place.fresh)).collect();
        assert_eq!(places, [(3, true), (4, true), (3, false), (5, true), (4, false)]);
        assert_eq!((appended.before.size(), appended.after.size()), (TreeSize(3), TreeSize(6)));
        assert_eq!(appended.fresh_leaves, [7, 8, 9].map(|number| entry(number).leaf_hash));
    }

    #[test]
    fn answers_known_entries_with_their_old_place_and_time() {
        let (state, batch) = (state(3), batch([1]));
        let found = Found {
            index: LeafIndex(1),
            leaf_hash: entry(1).leaf_hash,
            integrated_at: UnixSeconds(7),
        };
        let known = HashMap::from([(entry(1).dedup_hash, found)]);
        let plan =
            Draft::new(&state, Some(state.root), &batch, &known).unwrap().complete(&[]).unwrap();
        assert_eq!(plan.old_head(), plan.new_head());
        let expected =
            Placement { index: LeafIndex(1), integrated_at: UnixSeconds(7), fresh: false };
        assert_eq!(plan.into_appended().placements, [expected]);
    }

    #[test]
    fn time_never_goes_down() {
        let mut state = state(1);
        let batch = batch([9]);
        for (last_time, expected) in [(99, 100), (100, 100), (101, 101), (160, 160)] {
            state.last_time = UnixSeconds(last_time);
            let draft = Draft::new(&state, Some(state.root), &batch, &HashMap::new()).unwrap();
            assert_eq!(draft.complete(&[]).unwrap().integrated_at(), UnixSeconds(expected));
        }
    }

    #[test]
    fn nothing_new_is_promised_for_a_time_that_is_far_ahead() {
        let state = LockedState { last_time: UnixSeconds(161), ..state(1) };
        let new = batch([9]);
        let refused = Draft::new(&state, Some(state.root), &new, &HashMap::new()).unwrap_err();
        assert!(matches!(refused, StoreError::ClockBehind { by } if by.as_secs() == 61));
        // What is known keeps its time, and a commit without entries promises nothing.
        let nothing = Batch { entries: Vec::new(), ..new };
        Draft::new(&state, Some(state.root), &nothing, &HashMap::new()).unwrap();
    }

    #[test]
    fn refuses_a_frozen_log() {
        let state = LockedState { frozen: true, ..state(1) };
        assert!(matches!(state.admit(&batch([5])), Err(StoreError::Frozen)));
    }

    #[test]
    fn refuses_a_log_smaller_than_it_was() {
        let batch = Batch { minimum_size: TreeSize(4), ..batch([5]) };
        assert!(state(4).admit(&batch).is_ok());
        let refused = state(3).admit(&batch);
        assert!(matches!(
            refused,
            Err(StoreError::Rollback { stored: TreeSize(3), expected: TreeSize(4) })
        ));
    }

    #[test]
    fn refuses_an_entry_that_no_store_can_take() {
        let mut batch = batch([5, 6]);
        batch.entries[1].body = Bytes::from(vec![0; tlog::MAX_ENTRY_LEN + 1]);
        let refused = state(0).admit(&batch);
        let Err(StoreError::EntryRefused { position: 1, source }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(source, EntryRefused::BodyTooLong { length: 65_536, limit: 65_535 });
    }

    #[test]
    fn refuses_a_state_that_its_tree_head_contradicts() {
        let (state, batch) = (state(2), batch([5]));
        let other = Draft::new(&state, Some(tlog::empty_root()), &batch, &HashMap::new());
        assert!(matches!(
            other,
            Err(StoreError::Rollback { stored: TreeSize(2), expected: TreeSize(2) })
        ));
        let none = Draft::new(&state, None, &batch, &HashMap::new());
        assert!(matches!(none, Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn refuses_an_edge_that_does_not_give_the_root() {
        let mut state = state(2);
        state.edge[0] ^= 1;
        let batch = batch([5]);
        let draft = Draft::new(&state, Some(state.root), &batch, &HashMap::new());
        assert!(matches!(draft, Err(StoreError::Corrupt { .. })));
        assert!(matches!(state.into_state(), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn refuses_to_seal_a_flipped_bit_into_a_tile() {
        let (state, batch) = (state(200), batch(200..256));
        let draft = Draft::new(&state, Some(state.root), &batch, &HashMap::new()).unwrap();
        assert_eq!(draft.missing(), [HashRange { level: 0, start: 0, end: 200 }]);
        let mut leaves = leaves(200);
        leaves[13].0[31] ^= 1;
        let hashes = leaves.into_iter().map(NodeHash::from).collect();
        assert!(matches!(draft.complete(&[hashes]), Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn reads_nothing_while_no_tile_becomes_full() {
        assert_eq!(left_parts(TreeSize(0), TreeSize(255)), []);
        assert_eq!(left_parts(TreeSize(256), TreeSize(511)), []);
        assert_eq!(left_parts(TreeSize(0), TreeSize(256)), []);
        assert_eq!(left_parts(TreeSize(256), TreeSize(256)), []);
        assert_eq!(
            left_parts(TreeSize(1), TreeSize(1000)),
            [HashRange { level: 0, start: 0, end: 1 }]
        );
        let both = [
            HashRange { level: 0, start: 65_280, end: 65_535 },
            HashRange { level: 1, start: 0, end: 255 },
        ];
        assert_eq!(left_parts(TreeSize(65_535), TreeSize(65_536)), both);
    }

    #[test]
    fn seals_tiles_of_two_levels_at_once() {
        let tiles = append(65_000, 65_600);
        let ids: Vec<_> = tiles.iter().map(|tile| tile.id).collect();
        let tile = |level, index| TileId { level, index };
        assert_eq!(ids, [tile(0, 253), tile(0, 254), tile(0, 255), tile(1, 0)]);
        assert_eq!(tiles.last().unwrap().sub_root, tlog::root_of(&leaves(65_536)));
    }

    #[test]
    fn stores_index_keys_once_and_in_lower_case() {
        let mut batch = batch([5]);
        let email = |key: &str| IndexKey { kind: "email", key: key.to_owned() };
        batch.entries[0].index_keys =
            vec![email("A@Example.com"), email("a@example.com"), email("b@example.com")];
        let state = state(4);
        let plan = Draft::new(&state, Some(state.root), &batch, &HashMap::new())
            .unwrap()
            .complete(&[])
            .unwrap();
        let row = |key: &str| IndexRow { index: LeafIndex(4), kind: "email", key: key.to_owned() };
        assert_eq!(plan.index_rows(), [row("a@example.com"), row("b@example.com")]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn tiles_are_the_same_however_the_log_grew(old in 0_u64..1200, added in 0_u64..1200) {
            let all = leaves(old + added);
            for tile in append(old, old + added) {
                let start = tile.id.index * 256;
                let range = HashRange { level: tile.id.level, start, end: start + 256 };
                let hashes = stored_hashes(&all, range);
                prop_assert_eq!(tile.sub_root, tlog::root_of(&hashes));
                prop_assert_eq!(tile.hashes, hashes.iter().flat_map(|hash| hash.0).collect::<Vec<_>>());
            }
        }
    }
}
