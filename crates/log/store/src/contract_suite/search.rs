//! What is found by words.

use moment::UnixSeconds;
use std::sync::Arc;
use tlog::LeafIndex;

use super::{Database, Fixture, batch, entry, spec};
use crate::{
    IndexKey, LogId, LogStore, MAX_SEARCH_KEYS, MAX_SEARCH_RESULTS, SearchPage, StoreError,
};

fn key(kind: &'static str, key: &str) -> IndexKey {
    IndexKey { kind, key: key.to_owned() }
}

fn hash(word: &str) -> IndexKey {
    key("hash", word)
}

fn email(word: &str) -> IndexKey {
    key("email", word)
}

/// What [`LogStore::search`] finds, as numbers.
async fn found(
    store: &Arc<dyn LogStore>,
    log: LogId,
    keys: &[IndexKey],
    match_all: bool,
    limit: usize,
) -> Vec<u64> {
    let found = store.search(log, keys, match_all, SearchPage::first(limit)).await.unwrap();
    found.into_iter().map(|index| index.0).collect()
}

/// A log whose entry `n` has the keys of `keys_of(n)`.
async fn log_of(
    database: &dyn Database,
    size: u64,
    keys_of: impl Fn(u64) -> Vec<IndexKey>,
) -> (Arc<dyn LogStore>, LogId) {
    let Fixture { store, log } = Fixture::new(database).await;
    for start in (0..size).step_by(2000) {
        let numbers = start..size.min(start + 2000);
        let mut batch = batch(numbers.clone());
        for (number, entry) in numbers.zip(&mut batch.entries) {
            entry.index_keys = keys_of(number);
        }
        store.append(log, &batch).await.unwrap();
    }
    (store, log)
}

pub async fn finds_entries_by_a_word_the_newest_first(database: &dyn Database) {
    let (store, log) = log_of(database, 40, |n| {
        vec![hash(&format!("{:02}", n % 10)), email(if n < 20 { "a@x" } else { "b@x" })]
    })
    .await;
    for (keys, expected) in [
        (vec![hash("03")], vec![33, 23, 13, 3]),
        (vec![hash("03"), hash("04")], vec![34, 33, 24, 23, 14, 13, 4, 3]),
        (vec![hash("03"), hash("03")], vec![33, 23, 13, 3]),
        (vec![hash("03"), email("b@x")], (20..40).rev().chain([13, 3]).collect()),
        (vec![hash("10")], vec![]),
        (vec![email("03")], vec![]),
        (vec![hash("")], vec![]),
        (vec![hash("\0"), hash("03")], vec![33, 23, 13, 3]),
        (vec![], vec![]),
    ] {
        let found = found(&store, log, &keys, false, 100).await;
        assert_eq!(found, expected, "{keys:?}");
    }
}

pub async fn finds_what_was_written_in_another_case(database: &dyn Database) {
    let (store, log) = log_of(database, 3, |_| vec![email("Somebody@Example.com")]).await;
    for word in ["somebody@example.com", "SOMEBODY@example.COM"] {
        assert_eq!(found(&store, log, &[email(word)], false, 100).await, [2, 1, 0]);
    }
}

pub async fn takes_words_that_any_kind_may_have(database: &dyn Database) {
    let types = ["email", "uri", "subject"];
    let of = |n: u64| types.into_iter().cycle().nth(usize::try_from(n).unwrap()).unwrap();
    let (store, log) = log_of(database, 9, |n| {
        vec![key(of(n), "name"), hash(if n % 2 == 0 { "even" } else { "odd" })]
    })
    .await;
    let name = types.map(|kind| key(kind, "Name"));
    assert_eq!(found(&store, log, &name, false, 100).await, [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(found(&store, log, &name[..1], true, 100).await, [6, 3, 0]);
    let mut even = name.to_vec();
    even.push(hash("even"));
    assert_eq!(found(&store, log, &even, true, 100).await, [8, 6, 4, 2, 0]);
}

pub async fn finds_entries_that_have_every_word(database: &dyn Database) {
    let (store, log) = log_of(database, 300, |n| {
        [2, 3, 5]
            .into_iter()
            .filter(|divisor| n % divisor == 0)
            .map(|divisor| hash(&format!("by {divisor}")))
            .collect()
    })
    .await;
    let of = |divisors: &[u64]| divisors.iter().map(|d| hash(&format!("by {d}"))).collect();
    for divisors in [vec![2], vec![2, 3], vec![3, 2, 5], vec![2, 3, 5, 7], vec![7]] {
        let keys: Vec<IndexKey> = of(&divisors);
        let found = found(&store, log, &keys, true, 1000).await;
        let expected: Vec<u64> =
            (0..300).rev().filter(|n| divisors.iter().all(|d| *d != 7 && n % d == 0)).collect();
        assert_eq!(found, expected, "{divisors:?}");
    }
    let unstorable = [hash("by 2"), hash("\0")];
    assert_eq!(found(&store, log, &unstorable, true, 1000).await, []);
}

pub async fn leaps_over_what_a_rare_word_does_not_have(database: &dyn Database) {
    // More entries than a few pages, so that the search has to go down.
    let (store, log) = log_of(database, 8000, |n| {
        let mut keys = vec![hash(if n % 2 == 0 { "even" } else { "odd" }), hash("every")];
        if n == 7 || n == 4001 {
            keys.push(hash("rare"));
        }
        keys
    })
    .await;
    for (words, expected) in [
        (vec!["every", "rare"], vec![4001, 7]),
        (vec!["rare", "odd"], vec![4001, 7]),
        (vec!["rare", "even"], vec![]),
        (vec!["odd", "even"], vec![]),
    ] {
        let keys: Vec<IndexKey> = words.iter().map(|word| hash(word)).collect();
        assert_eq!(found(&store, log, &keys, true, 100).await, expected, "{words:?}");
    }
    let (keys, mut all) = ([hash("every"), hash("even")], Vec::new());
    loop {
        let page = SearchPage { limit: MAX_SEARCH_RESULTS, below: all.last().copied() };
        let found = store.search(log, &keys, true, page).await.unwrap();
        if found.is_empty() {
            break;
        }
        all.extend(found);
    }
    let expected = (0..8000).rev().step_by(2).map(|n| LeafIndex(n - 1));
    assert_eq!(all, expected.collect::<Vec<_>>());
}

pub async fn gives_no_more_than_is_asked_for(database: &dyn Database) {
    let (store, log) = log_of(database, 30, |n| vec![hash("x"), hash(&format!("{}", n % 2))]).await;
    for (keys, match_all) in
        [(vec![hash("x")], false), (vec![hash("x"), hash("0")], false), (vec![hash("x")], true)]
    {
        assert_eq!(found(&store, log, &keys, match_all, 3).await, [29, 28, 27]);
        assert_eq!(found(&store, log, &keys, match_all, 0).await, []);
        assert_eq!(found(&store, log, &keys, match_all, 30).await.len(), 30);
    }
    let both = [hash("x"), hash("0")];
    assert_eq!(found(&store, log, &both, true, 3).await, [28, 26, 24]);
    for (match_all, expected) in [(false, [23, 22, 21]), (true, [22, 20, 18])] {
        let page = SearchPage { limit: 3, below: Some(LeafIndex(24)) };
        let older = store.search(log, &both, match_all, page).await.unwrap();
        assert_eq!(older, expected.map(LeafIndex));
    }
    let page = SearchPage { limit: 3, below: Some(LeafIndex(0)) };
    assert_eq!(store.search(log, &both, false, page).await.unwrap(), []);
}

pub async fn refuses_to_search_for_too_much(database: &dyn Database) {
    let Fixture { store, log } = Fixture::new(database).await;
    let keys: Vec<_> = (0..=MAX_SEARCH_KEYS).map(|number| hash(&number.to_string())).collect();
    let refused = store.search(log, &keys, false, SearchPage::first(1)).await;
    assert!(matches!(refused, Err(StoreError::TooMuch { .. })), "{refused:?}");
    let page = SearchPage::first(MAX_SEARCH_RESULTS + 1);
    let refused = store.search(log, &keys[..1], false, page).await;
    assert!(matches!(refused, Err(StoreError::TooMuch { .. })), "{refused:?}");
    assert_eq!(found(&store, log, &keys[1..], true, MAX_SEARCH_RESULTS).await, []);
}

pub async fn keeps_the_words_of_logs_apart(database: &dyn Database) {
    let (store, log) = log_of(database, 3, |_| vec![hash("x")]).await;
    let other = store.ensure_log(&spec("other"), UnixSeconds(7)).await.unwrap().id;
    assert_eq!(found(&store, other, &[hash("x")], false, 10).await, []);
    assert_eq!(found(&store, log, &[hash("x")], false, 10).await, [2, 1, 0]);
}

pub async fn gives_leaf_hashes_in_the_order_asked(database: &dyn Database) {
    let Fixture { store, log } = Fixture::with(database, 400).await;
    let indexes = (0..400).map(|n| (n * 7) % 400).chain([3, 3, 399]);
    let indexes: Vec<LeafIndex> = indexes.map(LeafIndex).collect();
    let expected: Vec<_> = indexes.iter().map(|n| entry(n.0).leaf_hash).collect();
    assert_eq!(store.leaf_hashes(log, &indexes).await.unwrap(), expected);
    assert_eq!(store.leaf_hashes(log, &[]).await.unwrap(), []);
    for missing in [400, u64::MAX] {
        let refused = store.leaf_hashes(log, &[LeafIndex(5), LeafIndex(missing)]).await;
        assert!(matches!(refused, Err(StoreError::OutOfRange { .. })), "{refused:?}");
    }
    let refused = store.leaf_hashes(log, &vec![LeafIndex(0); MAX_SEARCH_RESULTS + 1]).await;
    assert!(matches!(refused, Err(StoreError::TooMuch { .. })), "{refused:?}");
}
