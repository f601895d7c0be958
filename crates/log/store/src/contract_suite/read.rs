//! What comes back.

use bytes::Bytes;
use moment::UnixSeconds;
use tlog::{HashRange, LeafIndex, MAX_ENTRY_LEN, TreeSize};

use super::{Database, Fixture, batch, entry};
use crate::{
    DedupHash, EntryLen, Found, IndexKey, MAX_BATCH_ENTRIES, MAX_ENTRIES_PER_READ,
    MAX_HASHES_PER_READ, MAX_INDEX_KEY_LEN, MAX_INDEX_KEYS, NewEntry, StoreError,
};

pub async fn reads_back_what_was_appended(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut batch = batch([]);
    for (body, extra, signature) in
        [(0, 0, 0), (1, 100_000, 72), (MAX_ENTRY_LEN, 0, 1), (3000, 3000, 1024)]
    {
        let body = Bytes::from(vec![0xab; body]);
        batch.entries.push(NewEntry {
            leaf_hash: tlog::leaf_hash(&body),
            dedup_hash: DedupHash([u8::try_from(batch.entries.len()).unwrap(); 32]),
            kind: "a kind",
            body,
            extra: Bytes::from(vec![0; extra]),
            timestamp_signature: Bytes::from(vec![0xff; signature]),
            index_keys: Vec::new(),
        });
    }
    fixture.store.append(fixture.log, &batch).await.unwrap();
    let read = fixture.store.entries(fixture.log, LeafIndex(0)..LeafIndex(4)).await.unwrap();
    assert_eq!(read.len(), 4);
    for ((index, stored), new) in (0..).zip(read).zip(batch.entries) {
        assert_eq!(
            (stored.index.0, stored.integrated_at.0, stored.kind.as_str()),
            (index, 100, "a kind")
        );
        assert_eq!((stored.leaf_hash, stored.dedup_hash), (new.leaf_hash, new.dedup_hash));
        assert!(
            stored.body == new.body
                && stored.extra == new.extra
                && stored.timestamp_signature == new.timestamp_signature
        );
    }
    let lengths =
        fixture.store.entry_lengths(fixture.log, LeafIndex(1)..LeafIndex(9)).await.unwrap();
    let len = |body, extra| EntryLen { body, extra };
    assert_eq!(lengths, [len(1, 100_000), len(MAX_ENTRY_LEN, 0), len(3000, 3000)]);
    fixture.check().await;
}

pub async fn reads_no_more_entries_than_there_are_or_than_allowed(database: &dyn Database) {
    let fixture = Fixture::with(database, 1100).await;
    let cases = [
        (0, 0, 0),
        (5, 4, 0),
        (0, 1, 1),
        (1099, 1100, 1),
        (1099, u64::MAX, 1),
        (1100, 1101, 0),
        (u64::MAX - 1, u64::MAX, 0),
        (3, 1100, MAX_ENTRIES_PER_READ),
        (1000, 5000, 100),
    ];
    for (start, end, expected) in cases {
        let entries =
            fixture.store.entries(fixture.log, LeafIndex(start)..LeafIndex(end)).await.unwrap();
        assert_eq!(entries.len() as u64, expected, "{start}..{end}");
        assert!((start..).zip(&entries).all(|(index, entry)| entry.index.0 == index));
        let range = LeafIndex(start)..LeafIndex(end);
        let lengths = fixture.store.entry_lengths(fixture.log, range).await.unwrap();
        assert!(
            entries.iter().map(|entry| entry.body.len()).eq(lengths.iter().map(|len| len.body))
        );
    }
}

pub async fn finds_entries_in_the_order_asked(database: &dyn Database) {
    let Fixture { store, log } = Fixture::with(database, 400).await;
    let numbers: Vec<u64> = (0..500).rev().chain([7, 7]).collect();
    let dedup_hashes: Vec<_> = numbers.iter().map(|number| entry(*number).dedup_hash).collect();
    let found = store.find(log, &dedup_hashes).await.unwrap();
    assert_eq!(found.len(), numbers.len());
    for (number, found) in numbers.into_iter().zip(found) {
        let there = Found {
            index: LeafIndex(number),
            leaf_hash: entry(number).leaf_hash,
            integrated_at: UnixSeconds(100),
        };
        assert_eq!(found, (number < 400).then_some(there));
    }
    let refused = store.find(log, &vec![DedupHash([0; 32]); MAX_BATCH_ENTRIES + 1]).await;
    assert!(matches!(refused, Err(StoreError::TooMuch { .. })));
}

pub async fn finds_leaves_that_are_not_their_dedup_hash(database: &dyn Database) {
    let Fixture { store, log } = Fixture::with(database, 3).await;
    let mut batch = batch([3, 4, 5]);
    for (entry, byte) in batch.entries.iter_mut().zip(1..) {
        entry.dedup_hash = DedupHash([byte; 32]);
    }
    // One submission may give the same leaf as another: the lowest index is the answer.
    let twin = NewEntry { dedup_hash: DedupHash([9; 32]), ..entry(4) };
    batch.entries.push(twin);
    store.append(log, &batch).await.unwrap();
    for number in 0..6 {
        let index = store.find_leaf(log, &entry(number).leaf_hash).await.unwrap();
        assert_eq!(index, Some(LeafIndex(number)));
    }
    assert_eq!(store.find_leaf(log, &tlog::LeafHash([1; 32])).await.unwrap(), None);
    let found = store.find(log, &[DedupHash([2; 32])]).await.unwrap();
    assert_eq!(
        found,
        [Some(Found {
            index: LeafIndex(4),
            leaf_hash: entry(4).leaf_hash,
            integrated_at: UnixSeconds(100)
        })]
    );
}

pub async fn refuses_hashes_that_the_log_does_not_have(database: &dyn Database) {
    let Fixture { store, log } = Fixture::with(database, 600).await;
    let hashes = async |level, start, end| store.hashes(log, HashRange { level, start, end }).await;
    assert_eq!(hashes(0, 600, 600).await.unwrap(), []);
    assert_eq!(hashes(0, 0, 600).await.unwrap().len(), 600);
    assert_eq!(hashes(1, 0, 2).await.unwrap().len(), 2);
    for (level, start, end) in
        [(0, 0, 601), (0, 599, 601), (0, 700, 701), (1, 0, 3), (1, 2, 3), (2, 0, 1), (7, 0, 256)]
    {
        let refused = hashes(level, start, end).await;
        assert!(
            matches!(refused, Err(StoreError::OutOfRange { .. })),
            "{level} {start}..{end}: {refused:?}"
        );
    }
    assert!(matches!(hashes(0, 2, 1).await, Err(StoreError::OutOfRange { .. })));
    assert!(matches!(hashes(0, u64::MAX - 1, u64::MAX).await, Err(StoreError::OutOfRange { .. })));
    assert!(matches!(hashes(0, 0, MAX_HASHES_PER_READ + 1).await, Err(StoreError::TooMuch { .. })));
}

pub async fn gives_heads_only_of_sizes_at_which_an_append_ended(database: &dyn Database) {
    let fixture = Fixture::with(database, 3).await;
    let three = fixture.store.state(fixture.log).await.unwrap().edge.head();
    let five = fixture.append(3..5).await.after.head();
    for (size, expected) in [(3, Some(three)), (4, None), (5, Some(five)), (6, None)] {
        assert_eq!(fixture.store.tree_head(fixture.log, TreeSize(size)).await.unwrap(), expected);
    }
}

pub async fn keeps_index_keys_in_lower_case(database: &dyn Database) {
    let Fixture { store, log } = Fixture::new(database).await;
    let mut batch = batch(0..200);
    let key = |kind, key: String| IndexKey { kind, key };
    for (number, entry) in (0..).zip(&mut batch.entries) {
        entry.index_keys = vec![
            key("email", "Somebody@Example.com".to_owned()),
            key("email", "somebody@example.com".to_owned()),
            key("hash", format!("{number:064X}")),
        ];
    }
    store.append(log, &batch).await.unwrap();
    for (query, expected) in [
        ("SELECT count(*) FROM index_key", 400),
        (
            "SELECT count(*) FROM index_key WHERE key_type = 'email' AND key = 'somebody@example.com'",
            200,
        ),
        ("SELECT count(*) FROM index_key WHERE key <> lower(key)", 0),
        ("SELECT max(idx) FROM index_key WHERE key_type = 'hash'", 199),
    ] {
        assert_eq!(database.count(query).await, expected, "{query}");
    }
}

pub async fn holds_every_index_key_that_an_entry_may_have(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut batch = batch(0..2);
    // Lower case is longer for some: the second and third grow by half, the second also in characters.
    let longest = ["x", "\u{130}", "\u{23a}", "\u{10ffff}", "\u{1}"]
        .map(|character| character.repeat(MAX_INDEX_KEY_LEN / character.len()));
    let numbered = (longest.len()..MAX_INDEX_KEYS).map(|number| format!("{number:0>1024}"));
    let keys: Vec<IndexKey> =
        longest.into_iter().chain(numbered).map(|key| IndexKey { kind: "subject", key }).collect();
    for entry in &mut batch.entries {
        entry.index_keys.clone_from(&keys);
        entry.check().unwrap();
    }
    fixture.store.append(fixture.log, &batch).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM index_key").await, 128);
}
