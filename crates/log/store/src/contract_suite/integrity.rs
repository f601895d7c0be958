//! What must never happen, and what a store says instead.

use super::{Database, Fixture, batch, entry, spec};
use crate::{Batch, Fault, FaultyStore, IndexKey, LogStore, StoreError};
use moment::UnixSeconds;
use tlog::{LeafIndex, TreeSize};

pub async fn a_frozen_log_takes_nothing_and_stays_readable(database: &dyn Database) {
    let fixture = Fixture::with(database, 3).await;
    fixture.store.freeze(fixture.log).await.unwrap();
    fixture.store.freeze(fixture.log).await.unwrap();
    for numbers in [vec![9], vec![1], vec![]] {
        let refused = fixture.store.append(fixture.log, &batch(numbers)).await;
        assert!(matches!(refused, Err(StoreError::Frozen)), "{refused:?}");
    }
    assert!(fixture.store.state(fixture.log).await.unwrap().frozen);
    assert!(fixture.store.ensure_log(&spec("test"), UnixSeconds(9)).await.unwrap().frozen);
    assert_eq!(fixture.check().await.len(), 3);
    assert!(database.execute("UPDATE log_state SET frozen = (1 = 0)").await.is_err());
}

pub async fn refuses_a_database_that_went_back(database: &dyn Database) {
    let fixture = Fixture::with(database, 5).await;
    let seen = |size| Batch { minimum_size: TreeSize(size), ..batch([7]) };
    let refused = fixture.store.append(fixture.log, &seen(6)).await;
    assert!(
        matches!(refused, Err(StoreError::Rollback { stored: TreeSize(5), expected: TreeSize(6) })),
        "{refused:?}"
    );
    assert_eq!(fixture.check().await.len(), 5);
    assert_eq!(
        fixture.store.append(fixture.log, &seen(5)).await.unwrap().after.size(),
        TreeSize(6)
    );
}

pub async fn refuses_a_state_that_its_tree_head_contradicts(database: &dyn Database) {
    let fixture = Fixture::with(database, 5).await;
    database.execute("UPDATE log_state SET size = 7").await.unwrap();
    let refused = fixture.store.append(fixture.log, &batch([7])).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    database
        .execute("INSERT INTO tree_head SELECT log_id, 7, root, at FROM tree_head WHERE size = 0")
        .await
        .unwrap();
    let refused = fixture.store.append(fixture.log, &batch([7])).await;
    assert!(matches!(refused, Err(StoreError::Rollback { .. })), "{refused:?}");
    assert!(matches!(fixture.store.state(fixture.log).await, Err(StoreError::Corrupt { .. })));
}

pub async fn refuses_to_write_over_a_row_that_no_append_made(database: &dyn Database) {
    let fixture = Fixture::with(database, 200).await;
    let forge = "INSERT INTO entry SELECT entry.log_id, 205, root, root, 100, 'forged', 0 \
                 FROM entry JOIN tree_head ON tree_head.log_id = entry.log_id WHERE idx = 0 AND size = 200";
    database.execute(forge).await.unwrap();
    let refused = fixture.store.append(fixture.log, &batch(300..310)).await;
    // Not a lost race, which would be tried again for ever.
    let Err(StoreError::Corrupt { what }) = refused else { panic!("{refused:?}") };
    assert!(what.contains("a row stands where an append wants to write"), "{what}");
    assert_eq!(fixture.size().await, 200);
    assert_eq!(fixture.store.highest_row(fixture.log).await.unwrap(), Some(LeafIndex(205)));
    assert_eq!(fixture.append(300..305).await.after.size(), TreeSize(205));
}

pub async fn nothing_written_can_be_changed_or_deleted(database: &dyn Database) {
    let Fixture { store, log } = Fixture::new(database).await;
    let mut batch = batch(0..256);
    for entry in &mut batch.entries {
        entry.timestamp_signature = "signature".into();
        entry.index_keys = vec![IndexKey { kind: "subject", key: "somebody".to_owned() }];
    }
    store.append(log, &batch).await.unwrap();
    // What programs of before kept.
    database
        .execute("INSERT INTO checkpoint (log_id, size, note, at) SELECT log_id, 256, 'note', 100 FROM log")
        .await
        .unwrap();
    for (rows, update, delete) in [
        ("SELECT count(*) FROM log", "UPDATE log SET host = 'x'", "DELETE FROM log"),
        ("SELECT count(*) FROM entry", "UPDATE entry SET kind = 'x'", "DELETE FROM entry"),
        (
            "SELECT count(*) FROM entry_body",
            "UPDATE entry_body SET extra = body",
            "DELETE FROM entry_body",
        ),
        (
            "SELECT count(*) FROM entry_set",
            "UPDATE entry_set SET idx = idx + 1",
            "DELETE FROM entry_set",
        ),
        ("SELECT count(*) FROM tree_head", "UPDATE tree_head SET at = 1", "DELETE FROM tree_head"),
        (
            "SELECT count(*) FROM checkpoint",
            "UPDATE checkpoint SET note = 'x'",
            "DELETE FROM checkpoint",
        ),
        ("SELECT count(*) FROM tile", "UPDATE tile SET level = 1", "DELETE FROM tile"),
        (
            "SELECT count(*) FROM index_key",
            "UPDATE index_key SET key = 'x'",
            "DELETE FROM index_key",
        ),
    ] {
        let before = database.count(rows).await;
        assert!(before > 0, "{rows}");
        for statement in [update, delete] {
            let refused = database.execute(statement).await.expect_err(statement);
            assert!(refused.contains("append-only"), "{statement}: {refused}");
        }
        assert_eq!(database.count(rows).await, before);
    }
}

pub async fn the_state_never_goes_back(database: &dyn Database) {
    let fixture = Fixture::with(database, 5).await;
    for statement in [
        "UPDATE log_state SET size = 4",
        "UPDATE log_state SET last_time = 99",
        "UPDATE log_state SET root = (SELECT root FROM tree_head WHERE size = 0)",
        "DELETE FROM log_state",
        "UPDATE log_state SET size = -1",
        "INSERT INTO tree_head SELECT log_id, 5, root, at FROM tree_head WHERE size = 0",
    ] {
        assert!(database.execute(statement).await.is_err(), "{statement}");
    }
    assert_eq!(fixture.check().await.len(), 5);
}

pub async fn a_failed_append_leaves_nothing_and_a_lost_answer_leaves_all(database: &dyn Database) {
    let fixture = Fixture::with(database, 3).await;
    let faulty = FaultyStore::new(fixture.store.clone());
    faulty.fail_append(Fault::Failed);
    faulty.fail_append(Fault::FailedYetPersisted);
    let failed = faulty.append(fixture.log, &batch([3])).await;
    assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{failed:?}");
    assert_eq!(fixture.check().await.len(), 3);
    let lost = faulty.append(fixture.log, &batch([3])).await;
    assert!(matches!(lost, Err(StoreError::OutcomeUnknown { .. })), "{lost:?}");
    assert_eq!(fixture.check().await.len(), 4);
    let known = faulty.find(fixture.log, &[entry(3).dedup_hash]).await.unwrap();
    assert_eq!(known.first().unwrap().unwrap().index, LeafIndex(3));
    let retried = faulty.append(fixture.log, &batch([3])).await.unwrap();
    assert_eq!(
        retried.placements.iter().map(|place| (place.index.0, place.fresh)).collect::<Vec<_>>(),
        [(3, false)]
    );
}

pub async fn a_closed_store_is_unavailable(database: &dyn Database) {
    let Fixture { store, log } = Fixture::with(database, 3).await;
    store.close().await;
    store.close().await;
    let refused = store.append(log, &batch([3])).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!(matches!(store.state(log).await, Err(StoreError::Unavailable { .. })));
    let again = database.store().await;
    assert_eq!(again.state(log).await.unwrap().edge.size(), TreeSize(3));
}
