//! Timestamp signatures that are made after the append.

use bytes::Bytes;

use super::{Database, Fixture, batch};
use crate::{
    EntryRefused, Fault, FaultyStore, LogStore, MAX_BATCH_ENTRIES, MAX_TIMESTAMP_SIGNATURE_LEN,
    StoreError, TimestampSignature,
};
use tlog::LeafIndex;

fn signed(index: u64, text: &str) -> TimestampSignature {
    TimestampSignature {
        index: LeafIndex(index),
        signature: Bytes::from(format!("{text} {index}")),
    }
}

impl Fixture {
    async fn timestamp_signatures(&self) -> Vec<String> {
        let entries = self.store.entries(self.log, LeafIndex(0)..LeafIndex(1000)).await.unwrap();
        entries
            .iter()
            .map(|entry| String::from_utf8(entry.timestamp_signature.to_vec()).unwrap())
            .collect()
    }
}

pub async fn keeps_timestamp_signatures_made_after_the_append(database: &dyn Database) {
    let fixture = Fixture::with(database, 300).await;
    let signatures: Vec<_> =
        (0..300).rev().filter(|n| n % 3 > 0).map(|n| signed(n, "set")).collect();
    fixture.store.put_timestamp_signatures(fixture.log, &signatures).await.unwrap();
    let expected: Vec<String> =
        (0..300).map(|n| if n % 3 > 0 { format!("set {n}") } else { String::new() }).collect();
    assert_eq!(fixture.timestamp_signatures().await, expected);
    fixture.store.put_timestamp_signatures(fixture.log, &[]).await.unwrap();
    // None is none, and no row.
    fixture
        .store
        .put_timestamp_signatures(
            fixture.log,
            &[TimestampSignature { index: LeafIndex(0), signature: Bytes::new() }],
        )
        .await
        .unwrap();
    assert_eq!(database.count("SELECT count(*) FROM entry_set").await, 200);
    let longest = Bytes::from(vec![b'x'; MAX_TIMESTAMP_SIGNATURE_LEN]);
    fixture
        .store
        .put_timestamp_signatures(
            fixture.log,
            &[TimestampSignature { index: LeafIndex(0), signature: longest }],
        )
        .await
        .unwrap();
    assert_eq!(
        fixture.timestamp_signatures().await.first().unwrap().len(),
        MAX_TIMESTAMP_SIGNATURE_LEN
    );
}

pub async fn the_first_timestamp_signature_of_an_entry_stays(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut batch = batch(0..3);
    batch.entries.first_mut().unwrap().timestamp_signature = "of the append".into();
    fixture.store.append(fixture.log, &batch).await.unwrap();
    let group = [signed(0, "late"), signed(1, "first"), signed(1, "twin"), signed(2, "first")];
    fixture.store.put_timestamp_signatures(fixture.log, &group).await.unwrap();
    let group = [signed(2, "second"), signed(1, "second")];
    fixture.store.put_timestamp_signatures(fixture.log, &group).await.unwrap();
    assert_eq!(fixture.timestamp_signatures().await, ["of the append", "first 1", "first 2"]);
}

pub async fn keeps_nothing_of_a_group_that_it_cannot_keep(database: &dyn Database) {
    let fixture = Fixture::with(database, 3).await;
    let put = async |second| {
        fixture.store.put_timestamp_signatures(fixture.log, &[signed(0, "set"), second]).await
    };
    for index in [3, u64::MAX] {
        let refused = put(signed(index, "set")).await;
        assert!(matches!(refused, Err(StoreError::OutOfRange { .. })), "{refused:?}");
    }
    let refused = put(TimestampSignature {
        index: LeafIndex(1),
        signature: vec![0; MAX_TIMESTAMP_SIGNATURE_LEN + 1].into(),
    })
    .await;
    let Err(StoreError::EntryRefused { position: 1, source }) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(source, EntryRefused::TimestampSignatureTooLong { .. }), "{source:?}");
    let many = vec![signed(0, "set"); MAX_BATCH_ENTRIES + 1];
    let refused = fixture.store.put_timestamp_signatures(fixture.log, &many).await;
    assert!(matches!(refused, Err(StoreError::TooMuch { .. })), "{refused:?}");
    let nowhere = crate::LogId(fixture.log.0 + 1);
    let refused = fixture.store.put_timestamp_signatures(nowhere, &[signed(0, "set")]).await;
    assert!(matches!(refused, Err(StoreError::UnknownLog { .. })), "{refused:?}");
    assert_eq!(database.count("SELECT count(*) FROM entry_set").await, 0);
}

pub async fn a_failed_write_keeps_nothing_and_a_lost_answer_keeps_all(database: &dyn Database) {
    let fixture = Fixture::with(database, 3).await;
    let faulty = FaultyStore::new(fixture.store.clone());
    faulty.fail_timestamp_signatures(Fault::Failed);
    faulty.fail_timestamp_signatures(Fault::FailedYetPersisted);
    let failed = faulty.put_timestamp_signatures(fixture.log, &[signed(1, "first")]).await;
    assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{failed:?}");
    assert_eq!(fixture.timestamp_signatures().await, ["", "", ""]);
    let lost = faulty.put_timestamp_signatures(fixture.log, &[signed(1, "second")]).await;
    assert!(matches!(lost, Err(StoreError::OutcomeUnknown { .. })), "{lost:?}");
    faulty
        .put_timestamp_signatures(fixture.log, &[signed(1, "third"), signed(2, "third")])
        .await
        .unwrap();
    assert_eq!(fixture.timestamp_signatures().await, ["", "second 1", "third 2"]);
}

pub async fn timestamp_signatures_may_be_kept_while_entries_are_appended(database: &dyn Database) {
    let fixture = Fixture::with(database, 1).await;
    let append = async {
        for number in 1..20 {
            fixture.append([number]).await;
        }
    };
    let keep = async {
        for turn in 0..20 {
            let text = format!("turn {turn}");
            fixture.store.put_timestamp_signatures(fixture.log, &[signed(0, &text)]).await.unwrap();
        }
    };
    tokio::join!(append, keep);
    assert_eq!(fixture.check().await.len(), 20);
    assert_eq!(fixture.timestamp_signatures().await.first().unwrap(), "turn 0 0");
}
