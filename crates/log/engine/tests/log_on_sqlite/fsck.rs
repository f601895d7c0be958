//! fsck finds each kind of damage, and nothing in a sound log.

use engine::{Finding, Leaves, fsck};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use store::{Batch, LogStore};
use testlog::{Lie, LogDir, NOW, Running, Tampering, body, damage, entry};
use tlog::{LeafIndex, TreeSize};

/// A log of that size, closed and opened again behind a lie.
async fn findings(size: u64, lie: Option<Lie>) -> Vec<Finding> {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(size).await;
    let record = running.log.record().clone();
    running.stop().await;
    let store = Tampering::new(place.open_store().await);
    store.tell(lie);
    let report = fsck(store.as_ref(), &record, &Leaves).await.unwrap();
    store.close().await;
    assert_eq!(report.finding_count, report.findings.len() as u64);
    assert_eq!(report.is_clean(), report.findings.is_empty());
    report.findings
}

#[tokio::test]
async fn a_sound_log_is_clean_at_every_kind_of_size() {
    for size in [0, 1, 2, 255, 256, 257, 600] {
        assert_eq!(findings(size, None).await, [], "{size}");
    }
}

#[tokio::test]
async fn counts_what_it_compared() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(600).await;
    let report = fsck(running.store.as_ref(), running.log.record(), &Leaves).await.unwrap();
    assert_eq!(report.tiles, 2);
    assert!(report.tree_heads >= 2, "{}", report.tree_heads);
    assert_eq!(report.stored, running.log.checkpoint().head);
    assert_eq!(report.computed, report.stored);
    running.stop().await;
}

#[tokio::test]
async fn finds_a_flipped_bit_in_a_body() {
    let found = findings(300, Some(Lie::Body(7))).await;
    assert!(matches!(found[0], Finding::LeafHash { index: LeafIndex(7), .. }), "{found:?}");
    assert!(found.iter().any(|finding| matches!(finding, Finding::Edge { .. })));
}

#[tokio::test]
async fn finds_an_exchanged_body() {
    let found = findings(300, Some(Lie::BodyAndLeafHash(7))).await;
    assert!(
        found.iter().any(|finding| matches!(finding, Finding::DedupHash { index: LeafIndex(7) }))
    );
    let stored =
        |finding: &Finding| matches!(finding, Finding::StoredHash { level: 0, index: 7, .. });
    assert!(found.iter().any(stored), "{found:?}");
}

#[tokio::test]
async fn finds_a_missing_row() {
    assert_eq!(
        findings(300, Some(Lie::Missing(280))).await,
        [Finding::EntryMissing { index: LeafIndex(280) }]
    );
}

#[tokio::test]
async fn finds_a_wrong_time_and_a_wrong_identity() {
    let found = findings(10, Some(Lie::Time(4))).await;
    assert_eq!(found, [Finding::Time { index: LeafIndex(4) }]);
    let found = findings(10, Some(Lie::DedupHash(4))).await;
    assert!(
        found.iter().all(|finding| *finding == Finding::DedupHash { index: LeafIndex(4) }),
        "{found:?}"
    );
    assert!(!found.is_empty());
}

#[tokio::test]
async fn finds_a_wrong_stored_hash_on_each_level() {
    for (level, index) in [(0, 9), (0, 290), (1, 0)] {
        let found = findings(300, Some(Lie::StoredHash(level, index))).await;
        let [Finding::StoredHash { level: l, index: i, .. }] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!((l, i), (level, index));
    }
}

#[tokio::test]
async fn finds_a_wrong_tree_head() {
    let found = findings(3, Some(Lie::TreeHead(3))).await;
    assert!(matches!(found[..], [Finding::TreeHead { size: TreeSize(3), .. }]), "{found:?}");
}

#[tokio::test]
async fn finds_a_wrong_state() {
    let found = findings(300, Some(Lie::Edge)).await;
    assert!(matches!(found[..], [Finding::Edge { size: TreeSize(300), .. }]), "{found:?}");
}

/// Stops the log, changes its file behind the back of all triggers, and gives the first finding or the failure.
async fn damaged(place: &LogDir, running: Running, statement: &str) -> String {
    let record = running.log.record().clone();
    running.stop().await;
    damage(place, statement).await;
    let store = place.open_store().await;
    let said = match fsck(store.as_ref(), &record, &Leaves).await {
        Ok(report) => report.findings.first().map_or("sound".to_owned(), ToString::to_string),
        Err(error) => std::error::Error::source(&error).unwrap().to_string(),
    };
    store.close().await;
    said
}

#[tokio::test]
async fn finds_damage_in_the_columns_of_every_table_under_the_tree() {
    let cases = [
        ("UPDATE entry SET leaf_hash = zeroblob(32) WHERE idx = 7", "entry 7: the body has"),
        ("UPDATE entry SET identity_hash = zeroblob(32) WHERE idx = 7", "entry 7 cannot be found"),
        ("UPDATE entry SET integrated_at = 5 WHERE idx = 7", "entry 7 was integrated before"),
        ("DELETE FROM entry WHERE idx = 7", "entry 7 is missing"),
        ("DELETE FROM entry WHERE idx = 299", "entry 299 is missing"),
        ("UPDATE entry_body SET body = x'00' WHERE idx = 7", "entry 7: the body has"),
        ("DELETE FROM entry_body WHERE idx = 7", "entry 7 is missing"),
        ("UPDATE tree_head SET root = zeroblob(32) WHERE size = 300", "the tree head of size 300"),
        ("DELETE FROM tree_head WHERE size = 300", "size 300 has no tree head"),
        ("UPDATE tile SET sub_root = zeroblob(32)", "stored hash 0 of level 1"),
        ("UPDATE tile SET hashes = zeroblob(8192)", "stored hash 0 of level 0"),
        ("DELETE FROM tile", "stored hashes 0..1 of level 1 are missing"),
        ("UPDATE log_state SET last_time = last_time + 1", "the log's state says that time"),
        ("UPDATE log_state SET root = zeroblob(32)", "the edge of size 300 does not give"),
        ("UPDATE log_state SET edge = zeroblob(128)", "the edge of size 300 does not give"),
        ("UPDATE log_state SET size = 301", "the edge of a tree of 301"),
    ];
    for (statement, expected) in cases {
        let place = LogDir::new();
        let running = place.start().await;
        running.fill(300).await;
        let said = damaged(&place, running, statement).await;
        assert!(said.starts_with(expected) || said.contains(expected), "{statement}: {said}");
    }
}

#[tokio::test]
async fn finds_a_state_that_went_back_behind_its_entries() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(4).await;
    let record = running.log.record().clone();
    let statement = sqlx::query_as("SELECT hex(root), hex(edge) FROM log_state");
    let options = SqliteConnectOptions::new().filename(place.database());
    let (root, edge): (String, String) =
        statement.fetch_one(&mut options.connect().await.unwrap()).await.unwrap();
    let back = format!("UPDATE log_state SET size = 4, root = x'{root}', edge = x'{edge}'");
    running.fill(4).await;
    assert_eq!(running.store.state(record.id).await.unwrap().edge.size(), TreeSize(8));
    let said = damaged(&place, running, &back).await;
    assert_eq!(said, "entry 4 is beyond the end that the log's state gives");
}

#[tokio::test]
async fn finds_damage_in_a_tile_above_the_leaves() {
    let place = LogDir::new();
    let running = place.start().await;
    for batch in 0..8 {
        let entries = (batch * 8192..(batch + 1) * 8192).map(|n| entry(&body(n))).collect();
        let batch = Batch { entries, now: moment::UnixSeconds(NOW), minimum_size: TreeSize(0) };
        running.store.append(running.log.record().id, &batch).await.unwrap();
    }
    let statement = "UPDATE tile SET hashes = zeroblob(8192) WHERE level = 1";
    let said = damaged(&place, running, statement).await;
    assert!(said.starts_with("stored hash 0 of level 1"), "{said}");
}
