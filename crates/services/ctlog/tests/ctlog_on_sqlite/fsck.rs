//! fsck finds each kind of damage to what only a CT log keeps.

use ctlog::CtRules;
use engine::fsck;
use testlog::damage;

use crate::chains::CtBench;

#[tokio::test]
async fn finds_damage_in_an_sct_and_in_a_deduplication_hash() {
    let cases = [
        (
            "UPDATE entry_set SET set_sig = x'3000' WHERE idx = 0",
            "entry 0: the stored timestamp signature",
        ),
        ("DELETE FROM entry_set WHERE idx = 0", "entry 0: the stored timestamp signature"),
        ("UPDATE entry SET identity_hash = zeroblob(32) WHERE idx = 0", "entry 0 cannot be found"),
    ];
    for (statement, expected) in cases {
        let CtBench { place, running, .. } = CtBench::filled().await;
        let record = running.log.record().clone();
        let report = fsck(running.store.as_ref(), &record, &CtRules).await.unwrap();
        assert_eq!(report.findings, []);
        running.stop().await;
        damage(&place, statement).await;
        let store = place.open_store().await;
        let report = fsck(store.as_ref(), &record, &CtRules).await.unwrap();
        store.close().await;
        let said = report.findings.first().map(ToString::to_string).unwrap_or_default();
        assert!(said.starts_with(expected), "{statement}: {said}");
    }
}
