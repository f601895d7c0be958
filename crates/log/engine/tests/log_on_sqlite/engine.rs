//! Sequencing: order, batches, duplicates, proofs, shutdown.

use std::{
    collections::HashSet,
    ops::Range,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use crypto::{KeyType, LocalSigner, PublicKey, SignatureAlgorithm, Signer, SignerError};
use engine::{Integrated, Leaves, Log, LogLimits, StartError, SubmitError, fsck};
use futures::future::{FutureExt, join_all};
use moment::UnixSeconds;
use proptest::prelude::*;
use signing::{Clock, ClockFault};
use store::{Batch, IndexKey, LogStore};
use testlog::{Flood, LogDir, Running, Tampering, body, entry, unavailable};
use tlog::{
    LeafIndex, MAX_ENTRY_LEN, TreeSize, empty_root, leaf_hash, root_of, verify_consistency,
};

#[tokio::test]
async fn an_empty_log_has_a_signed_checkpoint() {
    let place = LogDir::new();
    let running = place.start().await;
    let head = place.verified_head(&running.log.checkpoint());
    assert_eq!((head.size, head.root), (TreeSize(0), empty_root()));
    running.stop().await;
}

#[tokio::test]
async fn answers_with_index_and_a_proof_that_verifies() {
    let place = LogDir::new();
    let running = place.start().await;
    for number in 0..20 {
        let integrated = running.log.submit(entry(&body(number))).await.unwrap();
        assert_eq!((integrated.index, integrated.fresh), (LeafIndex(number), true));
        assert_eq!(integrated.integrated_at, UnixSeconds(testlog::NOW));
        assert_eq!(integrated.checkpoint.head.size, TreeSize(number + 1));
        place.verify(&integrated);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_submitters_at_once_all_get_proofs_that_verify() {
    let place = LogDir::new();
    let running = place.start().await;
    let submissions = (0..200).map(|number| {
        let log = Arc::clone(&running.log);
        tokio::spawn(async move { log.submit(entry(&body(number))).await.unwrap() })
    });
    let mut indexes = HashSet::new();
    for integrated in join_all(submissions).await {
        let integrated = integrated.unwrap();
        place.verify(&integrated);
        assert!(integrated.fresh);
        indexes.insert(integrated.index);
    }
    assert_eq!(indexes, (0..200).map(LeafIndex).collect());
    running.stop().await;
}

#[tokio::test]
async fn what_arrives_during_a_commit_is_one_batch_with_one_signature() {
    let place = CountingHome::new();
    let store = Tampering::new(place.place.open_store().await);
    let running = place.place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    let signed_before = place.signatures();
    let first = store.occupy(&running.log).await;
    let log = &running.log;
    let waiting = queued(log, 0..300);
    store.release();
    let answers = join_all(waiting).await;
    assert_eq!(first.await.unwrap().checkpoint.head.size, TreeSize(1));
    for answer in answers {
        assert_eq!(answer.unwrap().checkpoint.head.size, TreeSize(301));
    }
    assert_eq!(place.signatures() - signed_before, 2);
    running.stop().await;
}

/// Submissions of these bodies, each in the queue already.
fn queued(
    log: &Log,
    numbers: Range<u64>,
) -> Vec<Pin<Box<impl Future<Output = Result<Integrated, SubmitError>>>>> {
    let submit = |number| {
        let mut submission = Box::pin(log.submit(entry(&body(number))));
        assert!((&mut submission).now_or_never().is_none());
        submission
    };
    numbers.map(submit).collect()
}

#[tokio::test]
async fn a_duplicate_gets_the_stored_index_and_a_proof_to_the_new_head() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(300).await;
    let first = running.log.submit(entry(&body(17))).await.unwrap();
    assert!(!first.fresh);
    assert_eq!(first.checkpoint.head.size, TreeSize(300));
    place.verify(&first);
    // In one batch with fresh entries, and twice in it.
    let log = &running.log;
    let together = join_all([
        log.submit(entry(b"new 1")),
        log.submit(entry(&body(17))),
        log.submit(entry(b"new 2")),
        log.submit(entry(b"new 2")),
    ])
    .await;
    let together: Vec<_> = together.into_iter().map(Result::unwrap).collect();
    for integrated in &together {
        place.verify(integrated);
    }
    assert_eq!(together[1].index, first.index);
    assert_eq!(together[2].index, together[3].index);
    assert_eq!([true, false, true, false], [0, 1, 2, 3].map(|i| together[i].fresh));
    assert_eq!(log.checkpoint().head.size, TreeSize(302));
    running.stop().await;
}

#[tokio::test]
async fn duplicates_alone_need_no_new_signature() {
    let place = CountingHome::new();
    let running = place.place.start().await;
    running.fill(3).await;
    let signed = place.signatures();
    let note = running.log.checkpoint().note.clone();
    for number in 0..3 {
        let integrated = running.log.submit(entry(&body(number))).await.unwrap();
        assert_eq!(integrated.checkpoint.note, note);
    }
    assert_eq!(place.signatures(), signed);
    running.stop().await;
}

#[tokio::test]
async fn a_submitter_that_goes_away_loses_nothing() {
    let place = LogDir::new();
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    let first = store.occupy(&running.log).await;
    for number in 0..10 {
        let log = Arc::clone(&running.log);
        let submitter = tokio::spawn(async move { log.submit(entry(&body(number))).await });
        tokio::task::yield_now().await;
        submitter.abort();
        assert!(submitter.await.unwrap_err().is_cancelled());
    }
    store.release();
    let last = running.log.submit(entry(b"stays")).await.unwrap();
    assert_eq!((first.await.unwrap().index, last.index), (LeafIndex(0), LeafIndex(11)));
    place.verify(&last);
    for number in 0..10 {
        let again = running.log.submit(entry(&body(number))).await.unwrap();
        assert!(!again.fresh);
        place.verify(&again);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_recovers() {
    let place = LogDir::new();
    let store = Tampering::new(place.open_store().await);
    let mut config = place.config();
    config.limits = LogLimits { queue_entries: 3, ..LogLimits::default() };
    let running = place.start_with(Arc::clone(&store) as Arc<dyn LogStore>, config).await.unwrap();
    let first = store.occupy(&running.log).await;
    let log = &running.log;
    let waiting = queued(log, 0..3);
    let refused = log.submit(entry(b"one too many")).await;
    assert!(matches!(refused, Err(SubmitError::Overloaded)));
    store.release();
    first.await.unwrap();
    for answer in join_all(waiting).await {
        place.verify(&answer.unwrap());
    }
    place.verify(&log.submit(entry(b"one too many")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn without_room_it_refuses_what_is_new_writes_what_was_let_in_and_recovers() {
    let place = LogDir::new();
    let store = Tampering::new(place.open_store().await);
    let running =
        place.start_with(Arc::clone(&store) as Arc<dyn LogStore>, place.config()).await.unwrap();
    let first = store.occupy(&running.log).await;
    let log = &running.log;
    let waiting = queued(log, 0..3);
    log.set_no_room(true);
    let refused = log.submit(entry(b"one too many")).await;
    assert!(matches!(refused, Err(SubmitError::NoRoom)));
    assert!(log.ready().is_ok(), "it is read all the same");
    store.release();
    first.await.unwrap();
    for answer in join_all(waiting).await {
        place.verify(&answer.unwrap());
    }
    log.set_no_room(false);
    place.verify(&log.submit(entry(b"one too many")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn refuses_what_no_store_can_hold_and_only_that() {
    let place = LogDir::new();
    let running = place.start().await;
    let longest = running.log.submit(entry(&vec![b'x'; MAX_ENTRY_LEN])).await.unwrap();
    place.verify(&longest);
    let refused = running.log.submit(entry(&vec![b'x'; MAX_ENTRY_LEN + 1])).await;
    assert!(matches!(refused, Err(SubmitError::Refused(_))));
    let mut bad_key = entry(b"bad key");
    bad_key.index_keys.push(IndexKey { kind: "email", key: "a\0b".to_owned() });
    assert!(matches!(running.log.submit(bad_key).await, Err(SubmitError::Refused(_))));
    running.stop().await;
}

#[tokio::test]
async fn shutdown_finishes_what_was_accepted_and_accepts_no_more() {
    let place = LogDir::new();
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    let first = store.occupy(&running.log).await;
    let log = Arc::clone(&running.log);
    let waiting = queued(&log, 0..5);
    let stop = tokio::spawn(running.stop());
    tokio::task::yield_now().await;
    store.release();
    place.verify(&first.await.unwrap());
    for answer in join_all(waiting).await {
        place.verify(&answer.unwrap());
    }
    stop.await.unwrap();
    assert!(matches!(log.submit(entry(b"late")).await, Err(SubmitError::ShuttingDown)));
    assert!(log.ready().is_err());
}

#[tokio::test]
async fn goes_on_after_a_restart_where_it_ended() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(260).await;
    let before = running.log.checkpoint().head;
    running.stop().await;

    let running = place.start().await;
    assert_eq!(running.log.checkpoint().head, before);
    running.fill(5).await;
    let after = running.log.checkpoint().head;
    let proof = running.log.consistency_path(before.size, after.size).await.unwrap();
    verify_consistency(&before, &after, &proof).unwrap();
    running.stop().await;
}

#[tokio::test]
async fn two_replicas_on_one_database_make_one_log() {
    let place = LogDir::new();
    let one = place.start().await;
    let mut config = place.config();
    config.checkpoint_file = Some(place.dir.path().join("second"));
    let two = place.start_with(Arc::clone(&one.store), config).await.unwrap();
    let submissions = (0..120).map(|number| {
        // Every body goes to both.
        let log = if number % 3 == 0 { &one.log } else { &two.log };
        log.submit(entry(&body(number / 2)))
    });
    let mut heads = vec![];
    for integrated in join_all(submissions).await {
        let integrated = integrated.unwrap();
        place.verify(&integrated);
        heads.push(integrated.checkpoint.head);
    }
    // The one that rested longer catches up with its next batch.
    heads.push(one.log.submit(entry(b"a")).await.unwrap().checkpoint.head);
    heads.push(two.log.submit(entry(b"b")).await.unwrap().checkpoint.head);
    let newest = *heads.last().unwrap();
    assert_eq!(newest.size, TreeSize(62));
    for head in heads {
        let proof = two.log.consistency_path(head.size, newest.size).await.unwrap();
        verify_consistency(&head, &newest, &proof).unwrap();
    }
    let store = Arc::clone(&one.store);
    let report = fsck(store.as_ref(), one.log.record(), &Leaves).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    one.stop().await;
    two.stop().await;
}

/// A second replica on the store of `one`.
async fn replica(place: &LogDir, store: &Arc<dyn LogStore>) -> Running {
    let mut config = place.config();
    config.checkpoint_file = Some(place.dir.path().join("second"));
    place.start_with(Arc::clone(store), config).await.unwrap()
}

#[tokio::test]
async fn a_replica_far_behind_catches_up_although_every_other_read_fails() {
    let place = LogDir::new();
    let one = place.start().await;
    let store = Tampering::new(Arc::clone(&one.store));
    let two = replica(&place, &(Arc::clone(&store) as Arc<dyn LogStore>)).await;
    let before = two.log.checkpoint().head;
    for thousand in 0..14 {
        let entries = (thousand * 1000..(thousand + 1) * 1000).map(|n| entry(&body(n))).collect();
        let batch = Batch { entries, now: UnixSeconds(testlog::NOW), minimum_size: TreeSize(0) };
        one.store.append(one.log.record().id, &batch).await.unwrap();
    }
    for _ in 0..40 {
        store.fail_read(unavailable());
        store.pass_read();
    }
    let integrated = two.log.submit(entry(b"x")).await.unwrap();
    assert_eq!((before.size, integrated.index), (TreeSize(0), LeafIndex(14_000)));
    place.verify(&integrated);
    two.stop().await;
    one.stop().await;
}

#[tokio::test]
async fn a_replica_without_work_publishes_what_the_other_one_wrote() {
    let place = LogDir::new();
    let one = place.start().await;
    let two = replica(&place, &one.store).await;
    one.fill(5).await;
    let newest = one.log.checkpoint().head;
    while two.log.checkpoint().head != newest {
        tokio::task::yield_now().await;
    }
    place.verified_head(&two.log.checkpoint());
    assert_eq!(two.log.entries(LeafIndex(0)..LeafIndex(5)).await.unwrap().len(), 5);
    // What another replica wrote last before the log was frozen is published as well.
    one.fill(2).await;
    one.store.freeze(one.log.record().id).await.unwrap();
    while two.log.checkpoint().head.size < TreeSize(7) || !two.log.is_frozen() {
        tokio::task::yield_now().await;
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_checkpoint_is_signed_whatever_waits_for_the_threads() {
    let place = LogDir::new();
    let running = place.start().await;
    let flood = Flood::of(&running.cpu).await;
    let integrated = flood.outlast(running.log.submit(entry(b"x"))).await.unwrap();
    place.verify(&integrated);
    running.stop().await;
}

#[tokio::test]
async fn a_replica_that_meets_the_freezing_in_a_batch_publishes_what_the_other_one_wrote_last() {
    let place = LogDir::new();
    let one = place.start().await;
    let store = Tampering::new(Arc::clone(&one.store));
    let two = replica(&place, &(Arc::clone(&store) as Arc<dyn LogStore>)).await;
    one.fill(5).await;
    one.store.freeze(one.log.record().id).await.unwrap();
    // Also when the store does not answer at first.
    for _ in 0..10 {
        store.fail_read(unavailable());
    }
    let refused = two.log.submit(entry(b"x")).await;
    assert!(matches!(refused, Err(SubmitError::Frozen)), "{refused:?}");
    until_frozen(&two, TreeSize(5)).await;
    assert_eq!(two.log.checkpoint(), one.log.checkpoint());
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn what_was_committed_unsigned_is_published_when_the_log_is_frozen_next() {
    let place = LogDir::new();
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    running.fill(3).await;
    // Committed, and not to be read back: nobody knows what became of it.
    for _ in 0..8 {
        store.fail_read(unavailable());
    }
    let unknown = running.log.submit(entry(b"x")).await;
    assert!(matches!(unknown, Err(SubmitError::OutcomeUnknown)), "{unknown:?}");
    running.store.freeze(running.log.record().id).await.unwrap();
    let refused = running.log.submit(entry(b"y")).await;
    assert!(matches!(refused, Err(SubmitError::Frozen)), "{refused:?}");
    until_frozen(&running, TreeSize(4)).await;
    running.stop().await;
}

/// Waits until the log has published `size` entries and knows that it is frozen.
async fn until_frozen(running: &Running, size: TreeSize) {
    let caught_up = async {
        while running.log.checkpoint().head.size < size || !running.log.is_frozen() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), caught_up).await.unwrap();
}

#[tokio::test]
async fn integrated_time_never_goes_down_when_the_clock_does() {
    let place = LogDir::new();
    let running = place.start().await;
    let first = running.log.submit(entry(b"1")).await.unwrap().integrated_at;
    place.clock.set(first.0 - 60);
    let second = running.log.submit(entry(b"2")).await.unwrap().integrated_at;
    place.clock.set(first.0 + 60);
    let third = running.log.submit(entry(b"3")).await.unwrap().integrated_at;
    assert_eq!((second, third), (first, UnixSeconds(first.0 + 60)));
    running.stop().await;
}

const FORTY_DAYS_S: u64 = 40 * 86_400;

/// The first entry was taken by a clock that was ahead; after a new start nothing else tells.
#[tokio::test]
async fn a_log_from_far_ahead_of_the_clock_promises_nothing_until_that_time_has_come() {
    let place = LogDir::new();
    let now = place.clock.now();
    place.clock.set(now.0 + FORTY_DAYS_S);
    let running = place.start().await;
    running.log.submit(entry(b"1")).await.unwrap();
    running.stop().await;

    place.clock.set(now.0);
    let running = place.start().await;
    let told = running.log.trouble().unwrap().to_string();
    assert!(
        told.starts_with("the clock is 3456000 s behind the latest time that was signed"),
        "{told}"
    );
    assert!(told.contains("end this log and begin the next one"), "{told}");
    let refused = running.log.submit(entry(b"2")).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Clock(ClockFault::Behind { .. })), "{refused}");
    let known = running.log.submit(entry(b"1")).await.unwrap();
    assert!(!known.fresh, "what it has is given");
    // Also where they wait for the same batch.
    let bodies: [&[u8]; 3] = [b"2", b"1", b"3"];
    let together = join_all(bodies.map(|body| running.log.submit(entry(body)))).await;
    let given: Vec<_> = together.iter().map(Result::is_ok).collect();
    assert_eq!(given, [false, true, false], "{together:?}");
    place.clock.set(now.0 + FORTY_DAYS_S - 60);
    running.log.submit(entry(b"2")).await.unwrap();
    assert!(running.log.trouble().is_none());
    running.stop().await;
}

#[tokio::test]
async fn a_clock_that_jumps_while_the_log_runs_leaves_no_time_behind() {
    let place = LogDir::new();
    let running = place.start().await;
    let first = running.log.submit(entry(b"1")).await.unwrap().integrated_at;
    place.clock.jump(FORTY_DAYS_S.cast_signed());
    let refused = running.log.submit(entry(b"2")).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Clock(ClockFault::Jumped { .. })), "{refused}");
    assert!(running.log.trouble().unwrap().to_string().contains("jumped 3456000 s ahead"));
    place.clock.jump(-FORTY_DAYS_S.cast_signed());
    assert_eq!(running.log.submit(entry(b"2")).await.unwrap().integrated_at, first);
    assert!(running.log.trouble().is_none(), "well again by itself");
    running.stop().await;
}

#[tokio::test]
async fn a_frozen_log_is_readable_and_refuses_entries() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(3).await;
    running.store.freeze(running.log.record().id).await.unwrap();
    for _ in 0..2 {
        let refused = running.log.submit(entry(b"x")).await;
        assert!(matches!(refused, Err(SubmitError::Frozen)));
    }
    running.log.ready().unwrap();
    running.stop().await;

    let running = place.start().await;
    assert!(matches!(running.log.submit(entry(b"x")).await, Err(SubmitError::Frozen)));
    assert_eq!(running.log.entries(LeafIndex(0)..LeafIndex(3)).await.unwrap().len(), 3);
    running.stop().await;
}

#[tokio::test]
async fn refuses_to_start_with_another_key() {
    let mut place = LogDir::new();
    let config = place.config();
    place.signer = Arc::new(LocalSigner::generate(KeyType::Ed25519, "other").unwrap());
    let refused = place.start_with(place.open_store().await, config).await;
    assert!(matches!(refused.err(), Some(StartError::WrongKey { .. })));
}

#[tokio::test]
async fn reads_nothing_beyond_the_published_checkpoint() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(10).await;
    let log = &running.log;
    assert!(log.inclusion_path(LeafIndex(3), TreeSize(11)).await.is_err());
    assert!(log.inclusion_path(LeafIndex(10), TreeSize(10)).await.is_err());
    assert!(log.consistency_path(TreeSize(3), TreeSize(11)).await.is_err());
    assert!(log.entries(LeafIndex(0)..LeafIndex(11)).await.is_err());
    assert_eq!(log.find_leaf(&leaf_hash(b"unknown")).await.unwrap(), None);
    assert!(log.find_leaf(&leaf_hash(&body(3))).await.unwrap().is_some());
    running.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Any split of entries into rounds gives the root of all bodies, and proofs between all rounds.
    #[test]
    fn any_history_gives_one_consistent_tree(rounds in prop::collection::vec(1u64..70, 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_history(&rounds));
    }
}

async fn check_history(rounds: &[u64]) {
    let place = LogDir::new();
    let running = place.start().await;
    let mut heads = vec![running.log.checkpoint().head];
    for count in rounds {
        running.fill(*count).await;
        heads.push(running.log.checkpoint().head);
    }
    let newest = *heads.last().unwrap();
    let leaves: Vec<_> = stored_bodies(&running).await.iter().map(|b| leaf_hash(b)).collect();
    assert_eq!(root_of(&leaves), newest.root);
    for old in heads.iter().filter(|head| head.size.0 > 0) {
        let proof = running.log.consistency_path(old.size, newest.size).await.unwrap();
        verify_consistency(old, &newest, &proof).unwrap();
    }
    running.stop().await;
}

async fn stored_bodies(running: &Running) -> Vec<Vec<u8>> {
    let size = running.log.checkpoint().head.size;
    let rows = running.log.entries(LeafIndex(0)..size.end()).await.unwrap();
    rows.iter().map(|row| row.body.to_vec()).collect()
}

/// Counts signatures.
struct CountingHome {
    place: LogDir,
    count: Arc<AtomicUsize>,
}

impl CountingHome {
    fn new() -> Self {
        let mut place = LogDir::new();
        let count = Arc::new(AtomicUsize::new(0));
        let inner = Arc::clone(&place.signer);
        place.signer = Arc::new(CountingSigner { inner, count: Arc::clone(&count) });
        Self { place, count }
    }

    fn signatures(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

struct CountingSigner {
    inner: Arc<dyn Signer>,
    count: Arc<AtomicUsize>,
}

#[async_trait]
impl Signer for CountingSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.inner.sign(message).await
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }

    fn key_id(&self) -> &'static str {
        "counting"
    }
}

/// It was a query a second for each log and process, for ever.
#[tokio::test]
async fn an_idle_log_asks_its_store_for_nothing() {
    let place = LogDir::new();
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    running.fill(2).await;
    // What was written is looked at once more.
    let started = store.state_reads();
    while store.state_reads() == started {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let rested = store.state_reads();
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(store.state_reads(), rested);
    running.fill(1).await;
    running.stop().await;
}
