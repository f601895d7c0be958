//! A replica that is asked for what it does not know asks the store, and its tree is never older than what was said.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use engine::{Anchor, AnchorError, ReadError, Stored, SubmitError};
use futures::future::join_all;
use store::{LogStore, SearchPage};
use testlog::{LogDir, Running, TILES_ORIGIN, Tampering, body, entry};
use tlog::{LeafIndex, TilePath, TreeSize, leaf_hash, verify_consistency};
use tokio::time::timeout;

/// Two replicas of one log; what the second one asks its store can be watched and held.
struct Replicas {
    place: LogDir,
    one: Running,
    two: Running,
    store: Arc<Tampering>,
}

impl Replicas {
    async fn start() -> Self {
        Self::start_anchored(Vec::new()).await
    }

    async fn start_anchored(anchors: Vec<Arc<dyn Anchor>>) -> Self {
        let place = LogDir::new();
        let one = place.start().await;
        let store = Tampering::new(Arc::clone(&one.store));
        store.share();
        let mut config = place.config();
        config.checkpoint_file = Some(place.dir.path().join("second"));
        let shared = Arc::clone(&store) as Arc<dyn LogStore>;
        let two = place.start_anchored(shared, (config, TILES_ORIGIN), anchors).await.unwrap();
        Self { place, one, two, store }
    }

    async fn stop(self) {
        self.two.stop().await;
        self.one.stop().await;
    }
}

#[tokio::test]
async fn what_one_replica_answered_the_other_one_has_at_once() {
    let replicas = Replicas::start().await;
    let (one, two) = (&replicas.one.log, &replicas.two.log);
    for round in 0..20u64 {
        // Each kind of question is the first one after an answer.
        let answered = one.submit(entry(&body(round))).await.unwrap();
        let (index, size) = (answered.index, answered.checkpoint.head.size);
        match round % 6 {
            0 => {
                let latest = two.latest_checkpoint().await.unwrap();
                assert!(replicas.place.verified_head(&latest).size >= size, "{round}: it shrank");
                let path = two.consistency_path(size, latest.head.size).await.unwrap();
                verify_consistency(&answered.checkpoint.head, &latest.head, &path).unwrap();
            }
            1 => assert_eq!(two.find_leaf(&leaf_hash(&body(round))).await.unwrap(), Some(index)),
            2 => assert_eq!(two.inclusion_path(index, size).await.unwrap(), answered.path),
            3 => assert_eq!(two.entries(index.alone()).await.unwrap()[0].body, body(round)),
            4 => {
                let width = u16::try_from(size.0).unwrap();
                let path = TilePath::Entries { index: 0, width };
                assert!(two.tile(path, 1024).await.unwrap().is_some());
            }
            _ => {
                let path: TilePath = format!("tile/0/000.p/{}", size.0).parse().unwrap();
                assert!(two.tile(path, 1024).await.unwrap().is_some());
            }
        }
    }
    replicas.stop().await;
}

#[tokio::test]
async fn what_is_nowhere_is_not_there() {
    let replicas = Replicas::start().await;
    replicas.one.fill(3).await;
    let two = &replicas.two.log;
    assert_eq!(two.find_leaf(&leaf_hash(b"nobody wrote it")).await.unwrap(), None);
    let beyond = two.inclusion_path(LeafIndex(3), TreeSize(4)).await;
    assert!(matches!(beyond, Err(ReadError::BeyondCheckpoint { published: TreeSize(3), .. })));
    let path = TilePath::Entries { index: 0, width: 4 };
    assert!(two.tile(path, 1024).await.unwrap().is_none());
    let page = SearchPage::first(1);
    assert!(two.search(&[], false, page).await.unwrap().is_empty());
    replicas.stop().await;
}

/// A question that is under way may have been answered before: what was read for it is too old.
#[tokio::test]
async fn who_comes_while_a_question_is_under_way_waits_for_the_next_one() {
    let replicas = Replicas::start().await;
    let (one, two) = (&replicas.one.log, Arc::clone(&replicas.two.log));
    let ask = |log: &Arc<engine::Log>| {
        let log = Arc::clone(log);
        async move { log.latest_checkpoint().await.unwrap().head.size }
    };
    let before = replicas.store.hold_state_of(ask(&two)).await;
    let size = one.submit(entry(b"x")).await.unwrap().checkpoint.head.size;
    let asked = replicas.store.state_reads();
    let readers: Vec<_> = (0..500).map(|_| tokio::spawn(ask(&two))).collect();
    tokio::task::yield_now().await;
    replicas.store.release();
    for reader in readers {
        assert!(reader.await.unwrap() >= size, "it was told of an older tree");
    }
    // One for all of them; one by the batcher, which publishes what is new, and one for those who came late.
    let asked = replicas.store.state_reads() - asked;
    assert!(asked <= 4, "500 readers asked {asked} times");
    before.await.unwrap();
    replicas.stop().await;
}

#[tokio::test]
async fn a_reader_who_goes_away_takes_nobody_with_it() {
    let replicas = Replicas::start().await;
    let two = Arc::clone(&replicas.two.log);
    let log = Arc::clone(&two);
    let asking = async move { log.latest_checkpoint().await.unwrap().head.size };
    let first = replicas.store.hold_state_of(asking).await;
    let second = tokio::spawn(async move { two.latest_checkpoint().await.unwrap().head.size });
    tokio::task::yield_now().await;
    first.abort();
    replicas.store.release();
    assert_eq!(second.await.unwrap(), TreeSize(0));
    replicas.stop().await;
}

#[tokio::test]
async fn a_replica_that_cannot_ask_says_so_and_gives_what_never_changes() {
    let replicas = Replicas::start().await;
    let two = &replicas.two.log;
    replicas.one.fill(4).await;
    assert_eq!(two.latest_checkpoint().await.unwrap().head.size, TreeSize(4));
    replicas.store.cut(true);
    replicas.one.fill(1).await;
    let refused = two.latest_checkpoint().await.unwrap_err();
    assert!(
        matches!(refused, ReadError::NotCurrent(SubmitError::Unavailable(_)))
            && refused.is_passing(),
        "{refused}"
    );
    for refused in [
        two.entries(LeafIndex(4)..LeafIndex(5)).await.map(drop),
        two.inclusion_path(LeafIndex(4), TreeSize(5)).await.map(drop),
        two.find_leaf(&leaf_hash(&body(4))).await.map(drop),
        two.tile(TilePath::Entries { index: 0, width: 5 }, 1024).await.map(drop),
    ] {
        assert!(matches!(refused, Err(ReadError::NotCurrent(_))), "not known is not absent");
    }
    let asked = replicas.store.state_reads();
    assert_eq!(two.entries(LeafIndex(0)..LeafIndex(4)).await.unwrap().len(), 4);
    two.inclusion_path(LeafIndex(1), TreeSize(4)).await.unwrap();
    two.consistency_path(TreeSize(2), TreeSize(4)).await.unwrap();
    assert!(two.tile(TilePath::Entries { index: 0, width: 4 }, 1024).await.unwrap().is_some());
    assert_eq!(two.find_leaf(&leaf_hash(&body(2))).await.unwrap(), Some(LeafIndex(2)));
    assert_eq!(replicas.store.state_reads(), asked, "what is covered needs no question");
    replicas.store.cut(false);
    assert_eq!(two.latest_checkpoint().await.unwrap().head.size, TreeSize(5));
    replicas.stop().await;
}

/// An anchor that is there at the start, and then is not.
struct Lost {
    reads: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl Anchor for Lost {
    fn place(&self) -> String {
        "lost".to_owned()
    }

    async fn read(&self) -> Result<Option<Stored>, AnchorError> {
        match self.reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Ok(None),
            _ => Err(AnchorError("lost".to_owned())),
        }
    }

    async fn replace(&self, _: Option<&Stored>, text: &str) -> Result<Option<Stored>, AnchorError> {
        match self.reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            1 => Ok(Some(Stored { text: text.to_owned(), version: String::new() })),
            _ => Err(AnchorError("lost".to_owned())),
        }
    }
}

#[tokio::test]
async fn a_replica_that_cannot_keep_the_larger_tree_gives_no_smaller_one_for_it() {
    let lost = Arc::new(Lost { reads: 0.into() });
    let replicas = Replicas::start_anchored(vec![lost]).await;
    let two = &replicas.two.log;
    assert_eq!(two.latest_checkpoint().await.unwrap().head.size, TreeSize(0), "as large as any");
    replicas.one.fill(1).await;
    let refused = two.latest_checkpoint().await.unwrap_err();
    assert!(matches!(refused, ReadError::NotCurrent(SubmitError::Unanchored(_))), "{refused:?}");
    replicas.stop().await;
}

#[tokio::test]
async fn readers_do_not_wait_for_a_batch_of_their_own_replica_that_hangs_when_nothing_is_new() {
    let replicas = Replicas::start().await;
    let occupied = replicas.store.occupy(&replicas.two.log).await;
    let latest = timeout(Duration::from_secs(20), replicas.two.log.latest_checkpoint()).await;
    assert_eq!(latest.unwrap().unwrap().head.size, TreeSize(0));
    replicas.store.release();
    occupied.await.unwrap();
    replicas.stop().await;
}

#[tokio::test]
async fn readers_beside_writers_of_both_replicas_never_see_a_smaller_tree() {
    let replicas = Replicas::start().await;
    let logs = [Arc::clone(&replicas.one.log), Arc::clone(&replicas.two.log)];
    let callers = (0..16u64).map(|caller| {
        let logs = logs.clone();
        tokio::spawn(async move {
            let mut seen = TreeSize(0);
            for round in 0..20u64 {
                let number = caller * 1000 + round;
                let written = logs[0].submit(entry(&body(number))).await.unwrap();
                assert!(written.checkpoint.head.size >= seen);
                let latest = logs[1].latest_checkpoint().await.unwrap().head.size;
                assert!(latest >= written.checkpoint.head.size, "{latest} after {written:?}");
                seen = latest;
                if round % 4 == 0 {
                    let written = logs[1].submit(entry(&body(500 + number))).await.unwrap();
                    assert!(written.checkpoint.head.size >= seen);
                    seen = written.checkpoint.head.size;
                }
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    replicas.stop().await;
}

#[tokio::test]
async fn a_frozen_log_and_one_that_is_alone_ask_nothing() {
    let replicas = Replicas::start().await;
    replicas.one.fill(2).await;
    replicas.one.store.freeze(replicas.one.log.record().id).await.unwrap();
    let two = &replicas.two.log;
    while !two.is_frozen() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = replicas.store.state_reads();
    assert_eq!(two.latest_checkpoint().await.unwrap().head.size, TreeSize(2));
    assert_eq!(replicas.store.state_reads(), asked);
    replicas.stop().await;

    let place = LogDir::new();
    let store = Tampering::new(place.open_store().await);
    let alone = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    alone.fill(3).await;
    store.cut(true);
    assert_eq!(alone.log.latest_checkpoint().await.unwrap().head.size, TreeSize(3));
    let beyond = alone.log.entries(LeafIndex(3)..LeafIndex(4)).await;
    assert!(matches!(beyond, Err(ReadError::BeyondCheckpoint { .. })));
    alone.stop().await;
}
