//! Trees, tiles and proofs at the sizes where something changes.

use tlog::{HashRange, LeafHash, LeafIndex, NodeHash, ProofPlan, TreeHead, TreeSize};

use super::{Database, Fixture, entry};
use crate::MAX_BATCH_ENTRIES;

pub async fn grows_across_tile_boundaries(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut size = 0;
    for next in [1, 2, 254, 255, 256, 257, 258, 511, 513, 1024, 1025, 2000] {
        fixture.append(size..next).await;
        size = next;
        let leaves: Vec<_> = (0..size).map(|number| entry(number).leaf_hash).collect();
        let head = TreeHead { size: TreeSize(size), root: tlog::root_of(&leaves) };
        assert_eq!(fixture.store.tree_head(fixture.log, TreeSize(size)).await.unwrap(), Some(head));
        for (start, end) in
            [(0, size), (size - 1, size), (size / 2, size), (size - size % 256, size)]
        {
            check_hashes(&fixture, &leaves, HashRange { level: 0, start, end }).await;
        }
        check_hashes(&fixture, &leaves, HashRange { level: 1, start: 0, end: size / 256 }).await;
    }
    assert_eq!(fixture.check().await.len(), 2000);
    assert_eq!(database.count("SELECT count(*) FROM tile").await, 7);
}

pub async fn proofs_from_stored_hashes_verify(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let sizes = [1, 2, 3, 7, 8, 100, 255, 256, 257, 300, 511, 512, 513, 700];
    let mut heads = Vec::new();
    let mut size = 0;
    for next in sizes {
        heads.push(fixture.append(size..next).await.after.head());
        size = next;
    }
    for (position, head) in heads.iter().enumerate() {
        for index in [0, head.size.0 / 3, head.size.0 / 2, head.size.0 - 1] {
            check_inclusion(&fixture, index, head).await;
        }
        for old in heads.get(..=position).unwrap_or_default() {
            check_consistency(&fixture, old, head).await;
        }
    }
}

pub async fn full_tiles_never_change(database: &dyn Database) {
    let fixture = Fixture::with(database, 255).await;
    let tile = HashRange { level: 0, start: 0, end: 256 };
    assert!(fixture.store.hashes(fixture.log, tile).await.is_err());
    let mut first = None;
    for next in [256, 257, 300, 511, 512, 1300] {
        let size = fixture.size().await;
        fixture.append(size..next).await;
        let hashes = fixture.store.hashes(fixture.log, tile).await.unwrap();
        assert_eq!(*first.get_or_insert(hashes.clone()), hashes);
    }
    assert_eq!(database.count("SELECT count(*) FROM tile WHERE level = 0").await, 5);
}

pub async fn fills_a_tile_of_the_second_level(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut size = 0;
    for next in (MAX_BATCH_ENTRIES as u64..65_536)
        .step_by(MAX_BATCH_ENTRIES)
        .chain([65_535, 65_536, 65_600])
    {
        fixture.append(size..next).await;
        size = next;
    }
    assert_eq!(database.count("SELECT count(*) FROM tile WHERE level = 0").await, 256);
    assert_eq!(database.count("SELECT count(*) FROM tile WHERE level = 1").await, 1);
    let leaves: Vec<_> = (0..size).map(|number| entry(number).leaf_hash).collect();
    for (level, start, end) in
        [(2, 0, 1), (1, 0, 256), (1, 3, 5), (0, 65_530, 65_600), (0, 100, 60_000)]
    {
        check_hashes(&fixture, &leaves, HashRange { level, start, end }).await;
    }
    let head = TreeHead { size: TreeSize(size), root: tlog::root_of(&leaves) };
    assert_eq!(fixture.store.state(fixture.log).await.unwrap().edge.head(), head);
    for seed in 0..12 {
        check_inclusion(&fixture, random(seed) % size, &head).await;
        let old = 1 + random(seed + 100) % size;
        let before = TreeHead {
            size: TreeSize(old),
            root: proof(&fixture, ProofPlan::root(TreeSize(old))).await[0],
        };
        check_consistency(&fixture, &before, &head).await;
    }
}

async fn check_hashes(fixture: &Fixture, leaves: &[LeafHash], range: HashRange) {
    let hashes = fixture.store.hashes(fixture.log, range).await.unwrap();
    let width = 256_usize.pow(u32::from(range.level));
    let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
    let expected: Vec<_> =
        leaves.chunks_exact(width).skip(start).take(end - start).map(tlog::root_of).collect();
    assert!(hashes == expected, "hashes {range:?} differ");
}

async fn check_inclusion(fixture: &Fixture, index: u64, head: &TreeHead) {
    let path = proof(fixture, ProofPlan::inclusion(LeafIndex(index), head.size).unwrap()).await;
    tlog::verify_inclusion(&entry(index).leaf_hash, LeafIndex(index), &path, head).unwrap();
}

async fn check_consistency(fixture: &Fixture, old: &TreeHead, new: &TreeHead) {
    let path = proof(fixture, ProofPlan::consistency(old.size, new.size).unwrap()).await;
    tlog::verify_consistency(old, new, &path).unwrap();
}

async fn proof(fixture: &Fixture, plan: ProofPlan) -> Vec<NodeHash> {
    let mut hashes = Vec::new();
    for range in plan.ranges() {
        hashes.push(fixture.store.hashes(fixture.log, *range).await.unwrap());
    }
    plan.compute(&hashes).unwrap()
}

/// The same numbers in every run, so that a failure comes back.
fn random(seed: u64) -> u64 {
    let hash = tlog::leaf_hash(&seed.to_be_bytes());
    hash.0.iter().take(7).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
