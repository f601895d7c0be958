//! Where entries go, and what is refused.

use bytes::Bytes;
use moment::UnixSeconds;
use tlog::{Edge, LeafIndex, MAX_ENTRY_LEN, TreeHead, TreeSize};

use super::{Database, Fixture, batch, entry, spec};
use crate::{Batch, LogId, LogKind, LogSpec, MAX_BATCH_ENTRIES, StoreError};

pub async fn an_empty_log_has_the_empty_root(database: &dyn Database) {
    let Fixture { store, log } = Fixture::new(database).await;
    let state = store.state(log).await.unwrap();
    assert_eq!(
        (state.edge, state.last_time, state.frozen),
        (Edge::default(), UnixSeconds(0), false)
    );
    let head = TreeHead { size: TreeSize(0), root: tlog::empty_root() };
    assert_eq!(store.tree_head(log, TreeSize(0)).await.unwrap(), Some(head));
    assert_eq!(store.entries(log, LeafIndex(0)..LeafIndex(10)).await.unwrap(), []);
    assert_eq!(store.find(log, &[entry(0).dedup_hash]).await.unwrap(), [None]);
    assert_eq!(store.find(log, &[]).await.unwrap(), []);
    assert_eq!(store.find_leaf(log, &entry(0).leaf_hash).await.unwrap(), None);
}

pub async fn gives_the_same_log_for_the_same_specification(database: &dyn Database) {
    let store = database.store().await;
    assert_eq!(store.logs().await.unwrap(), []);
    let created = store.ensure_log(&spec("a"), UnixSeconds(7)).await.unwrap();
    assert_eq!(
        (&created.spec, created.frozen, created.created_at),
        (&spec("a"), false, UnixSeconds(7))
    );
    let moved = LogSpec { host: "elsewhere.example".to_owned(), ..spec("a") };
    assert_eq!(store.ensure_log(&moved, UnixSeconds(8)).await.unwrap(), created);
    let other = store.ensure_log(&spec("b"), UnixSeconds(9)).await.unwrap();
    assert_ne!(other.id, created.id);
    assert_eq!(store.logs().await.unwrap(), [created, other]);
}

pub async fn refuses_another_log_of_the_same_name(database: &dyn Database) {
    let Fixture { store, .. } = Fixture::new(database).await;
    let differing = [
        ("kind", LogSpec { kind: LogKind::Ct, ..spec("test") }),
        ("tree id", LogSpec { tree_id: 1, ..spec("test") }),
        ("origin", LogSpec { origin: "other.example".to_owned(), ..spec("test") }),
        ("public key", LogSpec { public_key_der: vec![0x30], ..spec("test") }),
    ];
    for (expected, spec) in differing {
        let refused = store.ensure_log(&spec, UnixSeconds(8)).await;
        let Err(StoreError::SpecMismatch { name, field }) = refused else { panic!("{refused:?}") };
        assert_eq!((name.as_str(), field), ("test", expected));
    }
}

/// What a table is called is a label: renamed, it would begin a second history of one log.
pub async fn refuses_a_second_log_of_one_origin_or_one_key(database: &dyn Database) {
    let Fixture { store, .. } = Fixture::new(database).await;
    let own = spec("test");
    for (expected, second) in [
        ("origin", LogSpec { name: "renamed".to_owned(), ..own.clone() }),
        ("origin", LogSpec { origin: own.origin.clone(), ..spec("renamed") }),
        ("key", LogSpec { public_key_der: own.public_key_der.clone(), ..spec("renamed") }),
    ] {
        let refused = store.ensure_log(&second, UnixSeconds(8)).await;
        let Err(StoreError::SameLog { name, other, field }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((name.as_str(), other.as_str(), field), ("renamed", "test", expected));
    }
    assert_eq!(store.logs().await.unwrap().len(), 1);
    // Past the store, as a program of before would: the database itself refuses.
    for insert in [
        "INSERT INTO log (name, kind, tree_id, origin, host, public_key_der, created_at) \
         SELECT 'second', kind, tree_id, origin, host, root, 1 FROM log JOIN tree_head ON size = 0",
        "INSERT INTO log (name, kind, tree_id, origin, host, public_key_der, created_at) \
         SELECT 'second', kind, tree_id, 'second.example', host, public_key_der, 1 FROM log",
    ] {
        assert!(database.execute(insert).await.is_err(), "{insert}");
    }
}

pub async fn places_entries_contiguously(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut edge = Edge::default();
    for numbers in [0..1, 1..3, 3..10, 10..11] {
        let appended = fixture.append(numbers.clone()).await;
        let expected: Vec<_> = numbers.clone().map(|index| (index, 100, true)).collect();
        let places = appended
            .placements
            .iter()
            .map(|place| (place.index.0, place.integrated_at.0, place.fresh));
        assert_eq!(places.collect::<Vec<_>>(), expected);
        assert_eq!(appended.before, edge);
        for number in numbers.clone() {
            edge.push(entry(number).leaf_hash);
        }
        assert_eq!(appended.after, edge);
        assert_eq!(appended.fresh_leaves, numbers.map(|n| entry(n).leaf_hash).collect::<Vec<_>>());
    }
    fixture.check().await;
}

pub async fn appends_nothing_for_an_empty_batch(database: &dyn Database) {
    let fixture = Fixture::with(database, 5).await;
    let appended = fixture.append([]).await;
    assert_eq!(appended.before, appended.after);
    assert_eq!((appended.placements.len(), appended.fresh_leaves.len()), (0, 0));
    assert_eq!(fixture.check().await.len(), 5);
}

pub async fn folds_duplicates_of_the_batch_and_of_earlier_batches(database: &dyn Database) {
    let fixture = Fixture::with(database, 3).await;
    let later = Batch { now: UnixSeconds(150), ..batch([1, 7, 8, 7, 2, 9, 8]) };
    let appended = fixture.store.append(fixture.log, &later).await.unwrap();
    let places =
        appended.placements.iter().map(|place| (place.index.0, place.integrated_at.0, place.fresh));
    let expected = [
        (1, 100, false),
        (3, 150, true),
        (4, 150, true),
        (3, 150, false),
        (2, 100, false),
        (5, 150, true),
        (4, 150, false),
    ];
    assert_eq!(places.collect::<Vec<_>>(), expected);

    let again = fixture.append([7, 1, 9]).await;
    assert_eq!(again.before, again.after);
    assert_eq!(again.placements.iter().map(|place| place.index.0).collect::<Vec<_>>(), [3, 1, 5]);
    assert_eq!(fixture.check().await.len(), 6);
    // Wider than any one statement of an adapter, half of it known.
    let wide = fixture.append(0..700).await;
    assert_eq!(wide.placements.iter().filter(|place| !place.fresh).count(), 6);
    assert_eq!(fixture.check().await.len(), 700);
}

pub async fn time_never_goes_down_when_the_clock_jumps_back(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let clocks = [(1000, 1000), (970, 1000), (940, 1000), (1001, 1001), (1000, 1001)];
    for (number, (now, expected)) in (0..).zip(clocks) {
        let appended = fixture
            .store
            .append(fixture.log, &Batch { now: UnixSeconds(now), ..batch([number]) })
            .await
            .unwrap();
        assert_eq!(appended.placements.first().unwrap().integrated_at.0, expected);
        assert_eq!(fixture.store.state(fixture.log).await.unwrap().last_time.0, expected);
    }
    fixture.check().await;
}

pub async fn refuses_new_entries_by_a_clock_far_behind_the_last_one(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let append = async |now, entries: &[u64]| {
        let batch = Batch { now: UnixSeconds(now), ..batch(entries.iter().copied()) };
        fixture.store.append(fixture.log, &batch).await
    };
    append(10_000, &[1]).await.unwrap();
    let refused = append(9_939, &[1, 2]).await.unwrap_err();
    assert!(matches!(refused, StoreError::ClockBehind { by } if by.as_secs() == 61), "{refused}");
    assert_eq!(append(9_939, &[1]).await.unwrap().placements.len(), 1, "a known one is answered");
    append(9_939, &[]).await.unwrap();
    append(9_940, &[2]).await.unwrap();
    assert_eq!(fixture.check().await.len(), 2);
}

pub async fn refuses_an_entry_beyond_the_limits_and_keeps_nothing_of_its_batch(
    database: &dyn Database,
) {
    let fixture = Fixture::with(database, 2).await;
    let mut batch = batch([5, 6]);
    batch.entries.last_mut().unwrap().body = Bytes::from(vec![0; MAX_ENTRY_LEN + 1]);
    let refused = fixture.store.append(fixture.log, &batch).await;
    assert!(matches!(refused, Err(StoreError::EntryRefused { position: 1, .. })), "{refused:?}");
    assert_eq!(fixture.check().await.len(), 2);
}

pub async fn refuses_a_batch_beyond_the_limit(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let limit = MAX_BATCH_ENTRIES as u64;
    let refused = fixture.store.append(fixture.log, &batch(0..=limit)).await;
    assert!(matches!(refused, Err(StoreError::TooMuch { .. })), "{refused:?}");
    assert_eq!(fixture.append(0..limit).await.after.size(), TreeSize(limit));
}

pub async fn refuses_a_log_that_does_not_exist(database: &dyn Database) {
    let Fixture { store, log } = Fixture::new(database).await;
    let other = LogId(log.0 + 1);
    let refused = store.append(other, &batch([1])).await;
    assert!(matches!(refused, Err(StoreError::UnknownLog { .. })), "{refused:?}");
    assert!(matches!(store.state(other).await, Err(StoreError::UnknownLog { .. })));
    assert!(matches!(store.freeze(other).await, Err(StoreError::UnknownLog { .. })));
    assert_eq!(store.tree_head(other, TreeSize(0)).await.unwrap(), None);
}

pub async fn keeps_logs_apart(database: &dyn Database) {
    let first = Fixture::with(database, 300).await;
    let log = first.store.ensure_log(&spec("second"), UnixSeconds(7)).await.unwrap().id;
    let second = Fixture { store: first.store.clone(), log };
    let appended = second.append(298..310).await;
    assert!(appended.placements.iter().all(|place| place.fresh));
    assert_eq!(second.store.find_leaf(log, &entry(0).leaf_hash).await.unwrap(), None);
    assert_eq!(
        second.store.find_leaf(log, &entry(299).leaf_hash).await.unwrap(),
        Some(LeafIndex(1))
    );
    assert_eq!((first.check().await.len(), second.check().await.len()), (300, 12));
}
