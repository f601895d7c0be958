//! What fails, fails closed: nothing is signed over it, nobody is told what is not so.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use crypto::{PublicKey, SignatureAlgorithm, Signer, SignerError};
use engine::{LogTrouble, StartError, StopReason, SubmitError};
use futures::future::join_all;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use store::{Fault, FaultyStore, LogStore, StoreError};
use testlog::{Lie, LogDir, Running, Tampering, body, entry, unavailable};
use tlog::{LeafIndex, TreeSize, verify_consistency};

async fn faulty(place: &LogDir) -> (Arc<FaultyStore>, Running) {
    let store = Arc::new(FaultyStore::new(place.open_store().await));
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    (store, running)
}

async fn tampered(place: &LogDir) -> (Arc<Tampering>, Running) {
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    (store, running)
}

/// It was a lost race, tried again for ever, and the log was ready all the while.
#[tokio::test]
async fn a_row_where_an_append_wants_to_write_stops_the_log_and_its_next_start() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(3).await;
    let options = SqliteConnectOptions::new().filename(place.database());
    let mut connection = options.connect().await.unwrap();
    sqlx::query(
        "INSERT INTO entry SELECT entry.log_id, 3, root, root, 100, 'planted', 0 FROM entry \
         JOIN tree_head ON tree_head.log_id = entry.log_id WHERE idx = 0 AND size = 0",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let refused = running.log.submit(entry(b"one more")).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Stopped(_)), "{refused}");
    let why = running.log.ready().unwrap_err().to_string();
    assert!(why.contains("a row stands where an append wants to write"), "{why}");
    assert_eq!(running.log.checkpoint().head.size, TreeSize(3));
    running.stop().await;

    let store = place.open_store().await;
    let Err(StartError::Damaged(why)) = place.start_on(Arc::clone(&store)).await else {
        panic!("started")
    };
    assert!(why.to_string().contains("beyond them is a row of entry 3"), "{why}");
    store.close().await;
}

#[tokio::test]
async fn a_failed_append_stores_nothing_and_can_be_repeated() {
    let place = LogDir::new();
    let (store, running) = faulty(&place).await;
    store.fail_append(Fault::Failed);
    let refused = running.log.submit(entry(b"x")).await;
    assert!(matches!(refused, Err(SubmitError::Unavailable(_))), "{refused:?}");
    let again = running.log.submit(entry(b"x")).await.unwrap();
    assert_eq!((again.index, again.fresh), (LeafIndex(0), true));
    place.verify(&again);
    running.stop().await;
}

#[tokio::test]
async fn an_idle_log_finds_a_store_that_is_away_and_one_that_is_back() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    let log = &running.log;
    log.try_store_if_idle().await;
    assert!(log.trouble().is_none());
    // It was written to a moment ago: nothing is tried, so nothing is known.
    store.fail_append(unavailable());
    log.try_store_if_idle().await;
    assert!(log.trouble().is_none());
    log.submit(entry(b"x")).await.unwrap_err();
    assert!(matches!(log.trouble(), Some(LogTrouble::Store(_))));
    // One that can be read and not written to is no better.
    store.fail_append(unavailable());
    log.try_store_if_idle().await;
    assert!(matches!(log.trouble(), Some(LogTrouble::Store(_))));
    log.try_store_if_idle().await;
    assert!(log.trouble().is_none(), "well again without a caller");
    running.stop().await;
}

#[tokio::test]
async fn an_append_that_failed_yet_persisted_is_read_back_and_answered_once() {
    let place = LogDir::new();
    let (store, running) = faulty(&place).await;
    running.fill(5).await;
    store.fail_append(Fault::FailedYetPersisted);
    let integrated = running.log.submit(entry(b"x")).await.unwrap();
    assert_eq!((integrated.index, integrated.fresh), (LeafIndex(5), true));
    place.verify(&integrated);

    store.fail_append(Fault::FailedYetPersisted);
    let log = &running.log;
    let bodies: [&[u8]; 4] = [b"y", b"x", b"z", b"z"];
    let answers = join_all(bodies.map(|body| log.submit(entry(body)))).await;
    for answer in answers {
        place.verify(&answer.unwrap());
    }
    assert_eq!(log.checkpoint().head.size, TreeSize(8));
    running.stop().await;
}

#[tokio::test]
async fn an_unknown_outcome_that_is_not_there_is_appended_again() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    store.fail_append(StoreError::OutcomeUnknown { source: "injected".into() });
    let integrated = running.log.submit(entry(b"x")).await.unwrap();
    assert_eq!((integrated.index, integrated.fresh), (LeafIndex(0), true));
    place.verify(&integrated);
    running.stop().await;
}

#[tokio::test]
async fn an_unknown_outcome_stays_unknown_when_the_next_attempt_fails() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    store.fail_append(StoreError::OutcomeUnknown { source: "injected".into() });
    store.fail_append(unavailable());
    let unknown = running.log.submit(entry(b"x")).await;
    assert!(matches!(unknown, Err(SubmitError::OutcomeUnknown)), "{unknown:?}");
    place.verify(&running.log.submit(entry(b"x")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn reading_an_outcome_back_waits_for_the_store() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    store.fail_append(StoreError::OutcomeUnknown { source: "injected".into() });
    for _ in 0..3 {
        store.fail_read(unavailable());
    }
    place.verify(&running.log.submit(entry(b"x")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn conflicts_are_tried_again_a_bounded_number_of_times() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    for _ in 0..3 {
        store.fail_append(StoreError::Conflict);
    }
    place.verify(&running.log.submit(entry(b"x")).await.unwrap());
    for _ in 0..6 {
        store.fail_append(StoreError::Conflict);
    }
    let refused = running.log.submit(entry(b"y")).await;
    assert!(matches!(refused, Err(SubmitError::Unavailable(_))), "{refused:?}");
    place.verify(&running.log.submit(entry(b"y")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn a_commit_that_is_not_replicated_is_not_answered() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    store.fail_append(StoreError::Unreplicated);
    let refused = running.log.submit(entry(b"x")).await;
    assert!(matches!(refused, Err(SubmitError::OutcomeUnknown)), "{refused:?}");
    place.verify(&running.log.submit(entry(b"x")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn what_was_read_back_is_not_signed_before_a_commit_covers_it() {
    let place = LogDir::new();
    let (store, running) = faulty(&place).await;
    running.fill(3).await;
    // The server ended our connection while the commit waited for its standby: visible, and not there.
    store.fail_append(Fault::FailedYetPersisted);
    store.fail_append(Fault::Unreplicated);
    let unknown = running.log.submit(entry(b"x")).await;
    assert!(matches!(unknown, Err(SubmitError::OutcomeUnknown)), "{unknown:?}");
    assert_eq!(running.log.checkpoint().head.size, TreeSize(3));
    // Duplicates alone: their append covers it.
    let again = running.log.submit(entry(b"x")).await.unwrap();
    assert_eq!(
        (again.index, again.fresh, again.checkpoint.head.size),
        (LeafIndex(3), false, TreeSize(4))
    );
    place.verify(&again);
    running.stop().await;
}

#[tokio::test]
async fn an_unreplicated_entry_that_is_visible_is_not_signed_at_a_start() {
    let place = LogDir::new();
    let (store, running) = faulty(&place).await;
    running.fill(3).await;
    store.fail_append(Fault::Unreplicated);
    running.log.submit(entry(b"x")).await.unwrap_err();
    running.stop().await;

    let store = Arc::new(FaultyStore::new(place.open_store().await));
    store.fail_append(Fault::Unreplicated);
    let refused = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.err().unwrap();
    assert!(matches!(refused, StartError::Store(StoreError::Unreplicated)), "{refused}");
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    assert_eq!(running.log.checkpoint().head.size, TreeSize(4));
    // A frozen log takes no append, and has to be made certain all the same.
    running.store.freeze(running.log.record().id).await.unwrap();
    running.stop().await;
    let running = place.start().await;
    assert_eq!(running.log.checkpoint().head.size, TreeSize(4));
    running.stop().await;
}

#[tokio::test]
async fn every_sequence_of_three_faults_ends_in_one_signed_history() {
    use Fault::{Conflict, Failed, FailedYetPersisted, Unreplicated};
    let place = LogDir::new();
    let (store, running) = faulty(&place).await;
    let faults = [Failed, FailedYetPersisted, Conflict, Unreplicated];
    let mut heads = Vec::new();
    for (number, code) in (0..64_usize).enumerate() {
        for fault in [code % 4, code / 4 % 4, code / 16].map(|at| faults[at]) {
            store.fail_append(fault);
        }
        let name = format!("entry {number}");
        let mut answers = 0;
        // Fresh, its duplicate, and one of each batch before, until all faults are used up.
        while answers < 2 {
            let before = format!("entry {}", number / 2);
            for body in [&name, &before] {
                if let Ok(integrated) = running.log.submit(entry(body.as_bytes())).await {
                    place.verify(&integrated);
                    heads.push(integrated.checkpoint.head);
                    answers += 1;
                }
            }
        }
    }
    let newest = running.log.checkpoint().head;
    assert_eq!(newest.size, TreeSize(64));
    for old in heads {
        let proof = running.log.consistency_path(old.size, newest.size).await.unwrap();
        verify_consistency(&old, &newest, &proof).unwrap();
    }
    running.stop().await;
}

/// Submits under a lie and expects that the log stops, signs nothing and stays readable.
async fn stops_under(lie: Lie) -> Arc<StopReason> {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    running.fill(5).await;
    let before = running.log.checkpoint();
    store.tell(Some(lie));
    let log = &running.log;
    let answers = join_all((5..8).map(|number| log.submit(entry(&body(number))))).await;
    let mut reason = None;
    for answer in answers {
        let Err(SubmitError::Stopped(stopped)) = answer else { panic!("{answer:?}") };
        reason = Some(stopped);
    }
    store.tell(None);
    // For good: the damage may be gone from sight, not from the world.
    assert!(matches!(log.submit(entry(b"later")).await, Err(SubmitError::Stopped(_))));
    assert!(log.ready().is_err());
    assert_eq!(log.checkpoint(), before);
    assert_eq!(log.entries(LeafIndex(0)..LeafIndex(5)).await.unwrap().len(), 5);
    running.stop().await;
    reason.unwrap()
}

#[tokio::test]
async fn a_flipped_bit_in_a_committed_body_stops_the_log() {
    let reason = stops_under(Lie::Body(5)).await;
    assert!(matches!(*reason, StopReason::LeafMismatch { index: LeafIndex(5), .. }), "{reason}");
}

#[tokio::test]
async fn a_body_that_was_exchanged_with_its_leaf_hash_stops_the_log() {
    let reason = stops_under(Lie::BodyAndLeafHash(5)).await;
    assert!(matches!(*reason, StopReason::LeafMismatch { index: LeafIndex(5), .. }), "{reason}");
}

#[tokio::test]
async fn a_flipped_bit_in_a_leaf_hash_stops_the_log() {
    let reason = stops_under(Lie::LeafHash(5)).await;
    assert!(matches!(*reason, StopReason::LeafMismatch { index: LeafIndex(5), .. }), "{reason}");
}

#[tokio::test]
async fn a_missing_row_stops_the_log() {
    let reason = stops_under(Lie::Missing(5)).await;
    assert!(
        matches!(*reason, StopReason::RowMissing { expected: LeafIndex(5), found: LeafIndex(6) }),
        "{reason}"
    );
}

#[tokio::test]
async fn an_entry_submitted_with_another_leaf_hash_than_its_body_stops_the_log() {
    let place = LogDir::new();
    let running = place.start().await;
    let mut wrong = entry(b"x");
    wrong.body = b"y".as_slice().into();
    let stopped = running.log.submit(wrong).await;
    assert!(matches!(stopped, Err(SubmitError::Stopped(_))), "{stopped:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_database_that_goes_back_while_running_stops_the_log() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    running.fill(5).await;
    store.fail_append(StoreError::Rollback { stored: TreeSize(3), expected: TreeSize(5) });
    let stopped = running.log.submit(entry(b"x")).await;
    let Err(SubmitError::Stopped(reason)) = stopped else { panic!("{stopped:?}") };
    assert!(matches!(*reason, StopReason::Rollback { expected: TreeSize(5), found: TreeSize(3) }));
    running.stop().await;
}

#[tokio::test]
async fn an_unreadable_store_after_the_commit_is_waited_for() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    store.fail_read(unavailable());
    store.fail_read(unavailable());
    place.verify(&running.log.submit(entry(b"x")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn a_damaged_tile_gives_no_proof() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    running.fill(300).await;
    store.tell(Some(Lie::StoredHash(0, 3)));
    let neighbour = running.log.entries(LeafIndex(2)..LeafIndex(3)).await.unwrap();
    let refused = running.log.submit(entry(&neighbour[0].body)).await;
    assert!(
        matches!(refused, Err(SubmitError::ProofInvalid { index: LeafIndex(2) })),
        "{refused:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_signer_that_comes_back_is_waited_for() {
    let (place, signer) = home_with_flaky_signer();
    let running = place.start().await;
    signer.fail(2);
    place.verify(&running.log.submit(entry(b"x")).await.unwrap());
    running.stop().await;
}

#[tokio::test]
async fn entries_committed_without_a_signature_are_covered_by_the_next_one() {
    let (place, signer) = home_with_flaky_signer();
    let running = place.start().await;
    signer.fail(3);
    let unsigned = running.log.submit(entry(b"x")).await;
    assert!(matches!(unsigned, Err(SubmitError::Signing(_))), "{unsigned:?}");
    assert_eq!(running.log.checkpoint().head.size, TreeSize(0));
    let again = running.log.submit(entry(b"x")).await.unwrap();
    assert_eq!((again.index, again.fresh), (LeafIndex(0), false));
    place.verify(&again);
    running.stop().await;
}

fn home_with_flaky_signer() -> (LogDir, Arc<FlakySigner>) {
    let mut place = LogDir::new();
    let inner = Arc::clone(&place.signer);
    let signer = Arc::new(FlakySigner { inner, failures: Mutex::default() });
    place.signer = Arc::clone(&signer) as Arc<dyn Signer>;
    (place, signer)
}

struct FlakySigner {
    inner: Arc<dyn Signer>,
    failures: Mutex<VecDeque<SignerError>>,
}

impl FlakySigner {
    fn fail(&self, times: usize) {
        for _ in 0..times {
            let (key_id, reason) = ("flaky".to_owned(), "injected".to_owned());
            self.failures.lock().unwrap().push_back(SignerError::Unavailable { key_id, reason });
        }
    }
}

#[async_trait]
impl Signer for FlakySigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let failure = self.failures.lock().unwrap().pop_front();
        match failure {
            Some(failure) => Err(failure),
            None => self.inner.sign(message).await,
        }
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }

    fn key_id(&self) -> &'static str {
        "flaky"
    }
}
