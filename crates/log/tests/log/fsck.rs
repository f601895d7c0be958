//! fsck finds each kind of damage, and nothing in a sound log.

use log_store::LogStore;
use translog::{Finding, fsck};

use crate::{
    support::Home,
    tampering::{Lie, Tampering},
};

/// A log of that size, closed and opened again behind a lie.
async fn findings(size: u64, lie: Option<Lie>) -> Vec<Finding> {
    let home = Home::new();
    let running = home.start().await;
    running.fill(size).await;
    let record = running.log.record().clone();
    running.stop().await;
    let store = Tampering::new(home.open_store().await);
    store.tell(lie);
    let report = fsck(store.as_ref(), &record).await.unwrap();
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
    let home = Home::new();
    let running = home.start().await;
    running.fill(600).await;
    let report = fsck(running.store.as_ref(), running.log.record()).await.unwrap();
    assert_eq!(report.tiles, 2);
    assert!(report.tree_heads >= 2, "{}", report.tree_heads);
    assert_eq!(report.stored, running.log.checkpoint().head);
    assert_eq!(report.computed, report.stored);
    running.stop().await;
}

#[tokio::test]
async fn finds_a_flipped_bit_in_a_body() {
    let found = findings(300, Some(Lie::Body(7))).await;
    assert!(matches!(found[0], Finding::LeafHash { index: 7, .. }), "{found:?}");
    assert!(found.iter().any(|finding| matches!(finding, Finding::Edge { .. })));
}

#[tokio::test]
async fn finds_an_exchanged_body() {
    let found = findings(300, Some(Lie::BodyAndLeafHash(7))).await;
    assert!(found.iter().any(|finding| matches!(finding, Finding::Identity { index: 7 })));
    let stored =
        |finding: &Finding| matches!(finding, Finding::StoredHash { level: 0, index: 7, .. });
    assert!(found.iter().any(stored), "{found:?}");
}

#[tokio::test]
async fn finds_a_missing_row() {
    assert_eq!(
        findings(300, Some(Lie::Missing(280))).await,
        [Finding::EntryMissing { index: 280 }]
    );
}

#[tokio::test]
async fn finds_a_wrong_time_and_a_wrong_identity() {
    let found = findings(10, Some(Lie::Time(4))).await;
    assert_eq!(found, [Finding::Time { index: 4 }]);
    let found = findings(10, Some(Lie::Identity(4))).await;
    assert!(found.iter().all(|finding| *finding == Finding::Identity { index: 4 }), "{found:?}");
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
    assert!(matches!(found[..], [Finding::TreeHead { size: 3, .. }]), "{found:?}");
}

#[tokio::test]
async fn finds_a_wrong_state() {
    let found = findings(300, Some(Lie::Edge)).await;
    assert!(matches!(found[..], [Finding::Edge { size: 300, .. }]), "{found:?}");
}
