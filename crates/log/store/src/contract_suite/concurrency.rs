//! Writers beside writers, beside readers, and writers that go away.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tlog::{LeafIndex, TreeSize};

use super::{Database, Fixture, batch};
use crate::{Appended, Batch, LogId, LogStore, StoreError};

pub async fn appenders_at_once_make_one_log(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut appenders = Vec::new();
    for appender in 0..4 {
        // Two stores, two appenders on each.
        let store = if appender % 2 == 0 { fixture.store.clone() } else { database.store().await };
        let log = fixture.log;
        appenders.push(tokio::spawn(async move {
            for round in 0..25 {
                let first = appender * 1000 + round * 30;
                let appended = persist(&*store, log, &batch(first..first + 30)).await;
                assert!(appended.placements.iter().all(|place| place.fresh));
                assert_eq!(appended.after.size().0, appended.before.size().0 + 30);
            }
        }));
    }
    for appender in appenders {
        appender.await.unwrap();
    }
    let mut leaves = fixture.check().await;
    assert_eq!(leaves.len(), 4 * 25 * 30);
    leaves.sort_unstable();
    leaves.dedup();
    assert_eq!(leaves.len(), 4 * 25 * 30);
}

pub async fn duplicates_submitted_at_once_enter_once(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let mut appenders = Vec::new();
    for _ in 0..4 {
        let (store, log) = (database.store().await, fixture.log);
        appenders.push(tokio::spawn(async move {
            let mut places = Vec::new();
            for round in 0..20 {
                let appended = persist(&*store, log, &batch(round * 10..round * 10 + 15)).await;
                places.extend(
                    appended.placements.iter().map(|place| (place.index.0, place.integrated_at.0)),
                );
            }
            places
        }));
    }
    let mut answers = Vec::new();
    for appender in appenders {
        answers.push(appender.await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same entries are at different places");
    assert_eq!(fixture.check().await.len(), 205);
}

pub async fn a_dropped_append_leaves_all_or_nothing(database: &dyn Database) {
    let fixture = Fixture::with(database, 100).await;
    for polls in 1..60 {
        let before = fixture.size().await;
        let batch = batch(before..before + 40);
        let done = drop_after(polls, fixture.store.append(fixture.log, &batch)).await;
        // The next append waits for whatever of the dropped one is still under way.
        let retried = fixture.store.append(fixture.log, &batch).await.unwrap();
        let fresh = retried.placements.iter().filter(|place| place.fresh).count();
        assert!(fresh == 0 || fresh == 40, "{fresh} of 40 were left out after {polls} polls");
        assert!(done.is_none() || fresh == 0);
        assert_eq!(fixture.size().await, before + 40);
    }
    fixture.check().await;
}

pub async fn readers_see_whole_batches(database: &dyn Database) {
    let fixture = Fixture::new(database).await;
    let (store, log) = (fixture.store.clone(), fixture.log);
    let writer = tokio::spawn(async move {
        for round in 0..30 {
            store.append(log, &batch(round * 50..(round + 1) * 50)).await.unwrap();
        }
    });
    while !writer.is_finished() {
        let size = fixture.size().await;
        assert_eq!(size % 50, 0);
        let entries = fixture
            .store
            .entries(log, LeafIndex(size.saturating_sub(50))..LeafIndex(size + 1000))
            .await
            .unwrap();
        assert_eq!(entries.len() % 50, 0);
        assert!(fixture.store.tree_head(log, TreeSize(size)).await.unwrap().is_some());
    }
    writer.await.unwrap();
    assert_eq!(fixture.check().await.len(), 1500);
}

/// Appends as an engine does: a conflict is tried again.
async fn persist(store: &dyn LogStore, log: LogId, batch: &Batch) -> Appended {
    loop {
        match store.append(log, batch).await {
            Err(StoreError::Conflict) => {}
            other => return other.unwrap(),
        }
    }
}

/// Polls at most so many times, then drops the future.
async fn drop_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// An idle log asks its database for nothing.
pub async fn whoever_asks_learns_that_somebody_wrote_and_of_nothing_else(database: &dyn Database) {
    let fixture = Fixture::with(database, 3).await;
    let other = database.store().await;
    let settled = async {
        loop {
            // What the beginning said may be under way.
            let before = other.generation();
            tokio::time::sleep(Duration::from_millis(500)).await;
            if before.is_some() && before == other.generation() {
                return before;
            }
        }
    };
    let before = tokio::time::timeout(LIMIT, settled).await.unwrap();
    fixture.store.state(fixture.log).await.unwrap();
    fixture.store.append(fixture.log, &batch([])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(other.generation(), before, "nobody wrote");
    for write in 0..2 {
        let quiet = other.generation();
        match write {
            0 => drop(fixture.append([7]).await),
            _ => fixture.store.freeze(fixture.log).await.unwrap(),
        }
        let heard = async {
            while other.generation() == quiet {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, heard).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

const LIMIT: Duration = Duration::from_mins(1);
