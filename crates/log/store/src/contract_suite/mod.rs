//! What every [`LogStore`] must do, run against the real database.
//!
//! An adapter implements [`Database`] for its tests and writes `store::log_store_contract!(make);`, where
//! `make` is an async function that gives a fresh, empty database: one test per sentence.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests, outside of cfg(test) for the adapters"
)]
#![expect(missing_docs, reason = "the name of each function says it")]
#![expect(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

pub mod append;
pub mod concurrency;
pub mod growth;
pub mod integrity;
pub mod read;
pub mod search;
pub mod timestamp_signatures;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use moment::UnixSeconds;
use tlog::{Edge, LeafHash, TreeSize};

use crate::{Batch, LogId, LogKind, LogSpec, LogStore, NewEntry};

/// A database of its own for one test.
#[async_trait]
pub trait Database: Send + Sync {
    /// A store on it. Where one process may have several, each call gives another one.
    async fn store(&self) -> Arc<dyn LogStore>;

    /// Runs a statement past the store, as a person at the database's shell may.
    async fn execute(&self, statement: &'static str) -> Result<(), String>;

    /// Runs a query that gives one integer, past the store.
    async fn count(&self, query: &'static str) -> i64;

    /// Removes the database, after a test that passed.
    async fn remove(&self);
}

/// Makes one test of each sentence of the contract. `$make` is an async function that gives a [`Database`].
#[macro_export]
macro_rules! log_store_contract {
    ($make:path) => {
        $crate::log_store_contract! { @each $make:
            append::an_empty_log_has_the_empty_root,
            append::gives_the_same_log_for_the_same_specification,
            append::refuses_another_log_of_the_same_name,
            append::refuses_a_second_log_of_one_origin_or_one_key,
            append::places_entries_contiguously,
            append::appends_nothing_for_an_empty_batch,
            append::folds_duplicates_of_the_batch_and_of_earlier_batches,
            append::time_never_goes_down_when_the_clock_jumps_back,
            append::refuses_new_entries_by_a_clock_far_behind_the_last_one,
            append::refuses_an_entry_beyond_the_limits_and_keeps_nothing_of_its_batch,
            append::refuses_a_batch_beyond_the_limit,
            append::refuses_a_log_that_does_not_exist,
            append::keeps_logs_apart,
            read::reads_back_what_was_appended,
            read::reads_no_more_entries_than_there_are_or_than_allowed,
            read::finds_entries_in_the_order_asked,
            read::finds_leaves_that_are_not_their_dedup_hash,
            read::refuses_hashes_that_the_log_does_not_have,
            read::gives_heads_only_of_sizes_at_which_an_append_ended,
            read::keeps_index_keys_in_lower_case,
            read::holds_every_index_key_that_an_entry_may_have,
            search::finds_entries_by_a_word_the_newest_first,
            search::finds_what_was_written_in_another_case,
            search::takes_words_that_any_kind_may_have,
            search::finds_entries_that_have_every_word,
            search::leaps_over_what_a_rare_word_does_not_have,
            search::gives_no_more_than_is_asked_for,
            search::refuses_to_search_for_too_much,
            search::keeps_the_words_of_logs_apart,
            search::gives_leaf_hashes_in_the_order_asked,
            timestamp_signatures::keeps_timestamp_signatures_made_after_the_append,
            timestamp_signatures::the_first_timestamp_signature_of_an_entry_stays,
            timestamp_signatures::keeps_nothing_of_a_group_that_it_cannot_keep,
            timestamp_signatures::a_failed_write_keeps_nothing_and_a_lost_answer_keeps_all,
            timestamp_signatures::timestamp_signatures_may_be_kept_while_entries_are_appended,
            growth::grows_across_tile_boundaries,
            growth::proofs_from_stored_hashes_verify,
            growth::full_tiles_never_change,
            growth::fills_a_tile_of_the_second_level,
            integrity::a_frozen_log_takes_nothing_and_stays_readable,
            integrity::refuses_a_database_that_went_back,
            integrity::refuses_a_state_that_its_tree_head_contradicts,
            integrity::refuses_to_write_over_a_row_that_no_append_made,
            integrity::nothing_written_can_be_changed_or_deleted,
            integrity::the_state_never_goes_back,
            integrity::a_failed_append_leaves_nothing_and_a_lost_answer_leaves_all,
            integrity::a_closed_store_is_unavailable,
            concurrency::appenders_at_once_make_one_log,
            concurrency::duplicates_submitted_at_once_enter_once,
            concurrency::a_dropped_append_leaves_all_or_nothing,
            concurrency::readers_see_whole_batches,
            concurrency::whoever_asks_learns_that_somebody_wrote_and_of_nothing_else,
        }
    };
    (@each $make:path: $($module:ident :: $name:ident,)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let database = $make().await;
            $crate::contract_suite::$module::$name(&database).await;
            $crate::contract_suite::Database::remove(&database).await;
        }
    )* };
}

/// A store with one empty log.
struct Fixture {
    store: Arc<dyn LogStore>,
    log: LogId,
}

impl Fixture {
    async fn new(database: &dyn Database) -> Self {
        let store = database.store().await;
        let log = store.ensure_log(&spec("test"), UnixSeconds(7)).await.unwrap().id;
        Self { store, log }
    }

    /// A store with one log of `size` entries.
    async fn with(database: &dyn Database, size: u64) -> Self {
        let fixture = Self::new(database).await;
        fixture.append(0..size).await;
        fixture
    }

    async fn append(&self, numbers: impl IntoIterator<Item = u64>) -> crate::Appended {
        self.store.append(self.log, &batch(numbers)).await.unwrap()
    }

    async fn size(&self) -> u64 {
        self.store.state(self.log).await.unwrap().edge.size().0
    }

    /// Reads all entries and checks everything the log says of itself against them.
    async fn check(&self) -> Vec<LeafHash> {
        let state = self.store.state(self.log).await.unwrap();
        let mut edge = Edge::default();
        let mut leaves = Vec::new();
        let mut last_time = UnixSeconds(0);
        while edge.size() < state.edge.size() {
            let entries = self
                .store
                .entries(self.log, edge.size().end()..state.edge.size().end())
                .await
                .unwrap();
            assert!(!entries.is_empty(), "entries end at {} of {}", edge.size(), state.edge.size());
            for entry in entries {
                assert_eq!(entry.index, edge.size().end());
                assert_eq!(entry.leaf_hash, tlog::leaf_hash(&entry.body));
                assert!(entry.integrated_at >= last_time);
                last_time = entry.integrated_at;
                edge.push(entry.leaf_hash);
                leaves.push(entry.leaf_hash);
            }
        }
        assert_eq!(edge, state.edge);
        assert_eq!(state.last_time, last_time);
        assert_eq!(self.store.tree_head(self.log, edge.size()).await.unwrap(), Some(edge.head()));
        leaves
    }
}

/// Of a log of its own.
#[must_use]
pub fn spec(name: &str) -> LogSpec {
    LogSpec {
        name: name.to_owned(),
        kind: LogKind::Rekor2,
        tree_id: 0,
        origin: format!("{name}.example"),
        host: "log.example".to_owned(),
        public_key_der: [&[0x30], name.as_bytes()].concat(),
    }
}

/// One of the [`entry`] of each number.
pub fn batch(numbers: impl IntoIterator<Item = u64>) -> Batch {
    Batch {
        entries: numbers.into_iter().map(entry).collect(),
        now: UnixSeconds(100),
        minimum_size: TreeSize(0),
    }
}

/// Entry of that number, the same each time.
#[must_use]
pub fn entry(number: u64) -> NewEntry {
    let body = Bytes::from(format!("entry {number}"));
    let leaf_hash = tlog::leaf_hash(&body);
    NewEntry {
        leaf_hash,
        dedup_hash: leaf_hash.into(),
        kind: "test",
        body,
        extra: Bytes::new(),
        timestamp_signature: Bytes::new(),
        index_keys: Vec::new(),
    }
}
