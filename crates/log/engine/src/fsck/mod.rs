//! Recomputes all that a log has stored.

mod finding;
mod rules;

use std::ops::Range;

use crypto::PublicKey;
use moment::UnixSeconds;
use store::{LogId, LogRecord, LogStore, StoreError, StoredEntry};
use thiserror::Error;
use tlog::{
    Edge, HashRange, LeafHash, LeafIndex, NodeHash, TILE_WIDTH, TreeHead, TreeSize, leaf_hash,
    tile_root,
};

pub use self::{
    finding::Finding,
    rules::{EntryRules, Leaves},
};

/// Findings that a report lists; what comes after is counted only.
pub const MAX_FINDINGS: usize = 100;

/// Recomputes every leaf hash from its body, every stored hash, tile root and tree head, and the edge.
///
/// What makes an entry the same as another one, and what is signed of it, `rules` know.
/// Reads one tile's entries at a time, up to the size that the log has when it
/// begins, so it may run beside a working log.
///
/// # Errors
/// [`FsckError`] when the store cannot be read. What is wrong with the log is in the report.
pub async fn fsck(
    store: &dyn LogStore,
    log: &LogRecord,
    rules: &dyn EntryRules,
) -> Result<FsckReport, FsckError> {
    let state = store.state(log.id).await?;
    let mut check = Check::new(store, log, rules, state.edge.head());
    if !rules.names_its_tree(&log.spec) {
        let (tree_id, origin) = (log.spec.tree_id, log.spec.origin.clone());
        check.find(Finding::TreeId { tree_id, origin });
    }
    let mut start = 0;
    while start < state.edge.size().0 && check.complete {
        let end = state.edge.size().0.min(start + TILE_WIDTH);
        check.entries(LeafIndex(start)..LeafIndex(end)).await?;
        start = end;
    }
    check.edge(&state.edge);
    check.end().await?;
    let last_time = check.last_time;
    if check.complete && state.edge.size() > TreeSize(0) && state.last_time != last_time {
        check.find(Finding::LastTime { stored: state.last_time, found: last_time });
    }
    Ok(check.report)
}

/// What [`fsck()`] saw.
#[derive(Clone, Debug)]
pub struct FsckReport {
    /// Name of the log.
    pub log: String,
    /// Size and root that the log claims.
    pub stored: TreeHead,
    /// Size and root of the entries.
    pub computed: TreeHead,
    /// Full tiles that were compared.
    pub tiles: u64,
    /// Tree heads that were compared.
    pub tree_heads: u64,
    /// What is wrong, the first [`MAX_FINDINGS`] of it.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub finding_count: u64,
}

impl FsckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.finding_count == 0
    }
}

/// The store could not be read.
#[derive(Debug, Error)]
#[error("the log cannot be checked")]
pub struct FsckError(#[from] StoreError);

struct Check<'a> {
    store: &'a dyn LogStore,
    log: LogId,
    rules: &'a dyn EntryRules,
    /// The log's key; none when what is stored is no key.
    public_key: Option<PublicKey>,
    edge: Edge,
    /// By level: hashes of subtrees that do not fill a tile yet, and how many tiles are behind them.
    levels: Vec<Level>,
    last_time: UnixSeconds,
    /// Whether every entry so far was there.
    complete: bool,
    report: FsckReport,
}

#[derive(Default)]
struct Level {
    tiles: u64,
    hashes: Vec<NodeHash>,
}

impl<'a> Check<'a> {
    fn new(
        store: &'a dyn LogStore,
        log: &LogRecord,
        rules: &'a dyn EntryRules,
        stored: TreeHead,
    ) -> Self {
        Self {
            store,
            log: log.id,
            rules,
            public_key: PublicKey::from_spki_der(&log.spec.public_key_der).ok(),
            edge: Edge::default(),
            levels: Vec::new(),
            last_time: UnixSeconds(0),
            complete: true,
            report: FsckReport {
                log: log.spec.name.clone(),
                stored,
                computed: Edge::default().head(),
                tiles: 0,
                tree_heads: 0,
                findings: Vec::new(),
                finding_count: 0,
            },
        }
    }

    /// Checks the entries of one tile.
    async fn entries(&mut self, range: Range<LeafIndex>) -> Result<(), FsckError> {
        let (start, end) = (range.start.0, range.end.0);
        let rows = self.rows(range).await?;
        let mut leaves = Vec::new();
        for (index, row) in (start..end).map(LeafIndex).zip(&rows) {
            if row.index != index {
                break;
            }
            leaves.push(self.entry(row).into());
            self.edge.push(leaf_hash(&row.body));
            self.tree_head(index.next() == self.report.stored.size.end()).await?;
        }
        let found = start + leaves.len() as u64;
        if found != end {
            self.complete = false;
            self.find(Finding::EntryMissing { index: LeafIndex(found) });
            return Ok(());
        }
        self.duplicates(&rows).await?;
        self.compare(0, start, &leaves).await?;
        self.grow(0, leaves).await
    }

    /// The rows of `range`, or those before the first one that cannot be read.
    async fn rows(&self, range: Range<LeafIndex>) -> Result<Vec<StoredEntry>, FsckError> {
        match self.store.entries(self.log, range.clone()).await {
            Ok(rows) => return Ok(rows),
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let mut rows = Vec::new();
        for index in (range.start.0..range.end.0).map(LeafIndex) {
            match self.store.entries(self.log, index.alone()).await {
                Ok(row) if !row.is_empty() => rows.extend(row),
                Ok(_) | Err(StoreError::Corrupt { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rows)
    }

    /// Checks one row by itself and gives the leaf hash of its body.
    fn entry(&mut self, row: &StoredEntry) -> LeafHash {
        let (index, stored, computed) = (row.index, row.leaf_hash, leaf_hash(&row.body));
        if stored != computed {
            self.find(Finding::LeafHash { index, stored, computed });
        }
        if self.rules.dedup_hash(&row.body, computed) != Some(row.dedup_hash) {
            self.find(Finding::DedupHash { index });
        }
        if !self.rules.is_timestamp_signed(row, self.public_key.as_ref()) {
            self.find(Finding::TimestampSignature { index });
        }
        if !self.rules.is_entry(row) {
            self.find(Finding::Body { index, kind: row.kind.clone() });
        }
        if row.integrated_at < self.last_time {
            self.find(Finding::Time { index });
        }
        self.last_time = self.last_time.max(row.integrated_at);
        computed
    }

    /// Checks that duplicates of these entries would be recognised.
    async fn duplicates(&mut self, rows: &[StoredEntry]) -> Result<(), FsckError> {
        let dedup_hashes: Vec<_> = rows.iter().map(|row| row.dedup_hash).collect();
        let found = self.store.find(self.log, &dedup_hashes).await?;
        for (row, found) in rows.iter().zip(found) {
            if found.is_none_or(|found| found.index != row.index) {
                self.find(Finding::DedupHash { index: row.index });
            }
        }
        Ok(())
    }

    /// Compares the head that the log had at this size, if a batch ended here.
    async fn tree_head(&mut self, last: bool) -> Result<(), FsckError> {
        let size = self.edge.size();
        match self.store.tree_head(self.log, size).await? {
            Some(head) => {
                self.report.tree_heads += 1;
                let (stored, computed) = (head.root, self.edge.head().root);
                if head.size != size || stored != computed {
                    self.find(Finding::TreeHead { size, stored, computed });
                }
            }
            None if last => self.find(Finding::TreeHeadMissing { size }),
            None => {}
        }
        Ok(())
    }

    /// Adds the hashes of a tile to its level, and of each tile that becomes full to the level above.
    async fn grow(&mut self, level: u8, hashes: Vec<NodeHash>) -> Result<(), FsckError> {
        let (mut level, mut hashes) = (level, hashes);
        loop {
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.resize_with(at + 1, Level::default);
            }
            let Some(here) = self.levels.get_mut(at) else { return Ok(()) };
            here.hashes.append(&mut hashes);
            let Ok(tile) = <&[NodeHash; 256]>::try_from(here.hashes.as_slice()) else {
                return Ok(());
            };
            let (root, index) = (tile_root(tile), here.tiles);
            let full = std::mem::take(&mut here.hashes);
            here.tiles += 1;
            self.report.tiles += 1;
            if level > 0 {
                // One by one they were read from the tiles below; proofs read them from this tile.
                self.compare(level, index * TILE_WIDTH, &full).await?;
            }
            level += 1;
            self.compare(level, index, &[root]).await?;
            hashes = vec![root];
        }
    }

    async fn compare(
        &mut self,
        level: u8,
        start: u64,
        right: &[NodeHash],
    ) -> Result<(), FsckError> {
        let end = start + right.len() as u64;
        let stored = match self.store.hashes(self.log, HashRange { level, start, end }).await {
            Ok(stored) if stored.len() == right.len() => stored,
            Ok(_) | Err(StoreError::OutOfRange { .. } | StoreError::Corrupt { .. }) => {
                self.find(Finding::StoredHashesMissing { level, start, end });
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for (index, (stored, computed)) in (start..).zip(stored.into_iter().zip(right)) {
            let computed = *computed;
            if stored != computed {
                self.find(Finding::StoredHash { level, index, stored, computed });
            }
        }
        Ok(())
    }

    /// Checks that nothing follows the last entry, unless the log grew meanwhile.
    async fn end(&mut self) -> Result<(), FsckError> {
        let index = self.report.stored.size.end();
        if self.store.entries(self.log, index.alone()).await?.is_empty() {
            return Ok(());
        }
        if !self.store.state(self.log).await?.edge.size().contains(index) {
            self.find(Finding::EntryBeyondEnd { index });
        }
        Ok(())
    }

    fn edge(&mut self, stored: &Edge) {
        self.report.computed = self.edge.head();
        if self.complete && &self.edge != stored {
            let (stored, computed) = (stored.head(), self.edge.head());
            self.find(Finding::Edge {
                size: stored.size,
                stored: stored.root,
                computed: computed.root,
            });
        }
    }

    fn find(&mut self, finding: Finding) {
        self.report.finding_count += 1;
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(finding);
        }
    }
}
