//! Signed entry timestamps: signed once, verified, kept.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use crypto::{KeyType, LocalSigner, PublicKey, SignatureAlgorithm, Signer, SignerError};
use engine::{Finding, fsck};
use rekor::{Rekor1Rules, tree_id};
use store::{Fault, FaultyStore, LogStore, TimestampSignature};
use testlog::{LogDir, NOW, Running, TREE_ID, get, post};

use super::{
    ENTRIES, assert_error, create, create_many, get_entry, hashedrekord, rekor1_signed_by, router,
    router_of,
};
use tlog::LeafIndex;

/// Counts what is signed, and refuses on demand.
struct Counting {
    key: Arc<dyn Signer>,
    signed: AtomicUsize,
    refuses: AtomicUsize,
}

impl Counting {
    fn new(key: Arc<dyn Signer>) -> Arc<Self> {
        Arc::new(Self { key, signed: AtomicUsize::new(0), refuses: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Signer for Counting {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        if self.refuses.load(Ordering::SeqCst) > 0 {
            self.refuses.fetch_sub(1, Ordering::SeqCst);
            let (key_id, reason) = ("test".to_owned(), "injected".to_owned());
            return Err(SignerError::Unavailable { key_id, reason });
        }
        self.signed.fetch_add(1, Ordering::SeqCst);
        self.key.sign(message).await
    }

    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    fn key_id(&self) -> &'static str {
        "test"
    }
}

async fn stored(running: &Running) -> Vec<Vec<u8>> {
    let log = running.log.record().id;
    let rows = running.store.entries(log, LeafIndex(0)..LeafIndex(1000)).await.unwrap();
    rows.into_iter().map(|row| row.timestamp_signature.to_vec()).collect()
}

#[tokio::test]
async fn a_timestamp_is_signed_once_and_survives_a_restart() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let signer = Counting::new(Arc::clone(&place.signer));
    let router = router_of(rekor1_signed_by(&running, signer.clone()));
    let entries = create_many(&place, &router, 5).await;
    for entry in &entries {
        let read = get_entry(&place, &router, &format!("{ENTRIES}/{}", entry.id)).await;
        assert!(read.is_same(entry));
    }
    assert_eq!(signer.signed.load(Ordering::SeqCst), 5);
    // The end of the tasks is the end of all writes.
    running.stop().await;

    let running = place.start().await;
    let kept: Vec<Vec<u8>> = entries.iter().map(|entry| entry.set.clone()).collect();
    assert_eq!(stored(&running).await, kept);
    let signer = Counting::new(Arc::clone(&place.signer));
    let router = router_of(rekor1_signed_by(&running, signer.clone()));
    for entry in &entries {
        let read = get_entry(&place, &router, &format!("{ENTRIES}/{}", entry.id)).await;
        assert!(read.is_same(entry));
    }
    assert_eq!(signer.signed.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_timestamp_that_was_lost_is_signed_at_the_next_read() {
    let place = LogDir::rekor1();
    let store = Arc::new(FaultyStore::new(place.open_store().await));
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    store.fail_timestamp_signatures(Fault::Failed);
    store.fail_timestamp_signatures(Fault::FailedYetPersisted);
    let router = router(&running);
    let entries = create_many(&place, &router, 3).await;
    running.stop().await;
    let running = place.start().await;
    // A process that dies loses some of them; whatever is there is what was given out.
    for (kept, entry) in stored(&running).await.iter().zip(&entries) {
        assert!(kept.is_empty() || kept == &entry.set);
    }
    let router = super::router(&running);
    for entry in &entries {
        let path = format!("{ENTRIES}/{}", entry.id);
        let first = get_entry(&place, &router, &path).await;
        assert_eq!(first.body, entry.body);
        assert!(get_entry(&place, &router, &path).await.is_same(&first));
    }
    running.stop().await;
    let running = place.start().await;
    assert!(stored(&running).await.iter().all(|kept| !kept.is_empty()));
    running.stop().await;
}

#[tokio::test]
async fn a_key_that_does_not_answer_leaves_an_entry_that_a_repetition_finds() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let signer = Counting::new(Arc::clone(&place.signer));
    let router = router_of(rekor1_signed_by(&running, signer.clone()));
    let request = hashedrekord(b"x");
    signer.refuses.store(1, Ordering::SeqCst);
    let refused = post(&router, ENTRIES, request.to_string()).await;
    assert_error(&refused, 503, 503, "the entry is stored");
    assert!(!refused.text().contains("injected"));
    let entry = create(&place, &router, &request).await;
    assert_eq!((entry.index, entry.tree_size), (0, 1));
    running.stop().await;
}

/// A clock was 40 days ahead once. Since the log's time never goes down, each entry was promised for that time, for
/// 40 days.
#[tokio::test]
async fn nothing_is_promised_for_a_time_40_days_ahead() {
    const FORTY_DAYS_S: u64 = 40 * 86_400;
    let place = LogDir::rekor1();
    place.clock.set(NOW + FORTY_DAYS_S);
    let running = place.start().await;
    let signer = Counting::new(Arc::clone(&place.signer));
    let router = router_of(rekor1_signed_by(&running, signer.clone()));
    // Its SET is not made while the clock is ahead, so a reader would be the first to be promised.
    signer.refuses.store(1, Ordering::SeqCst);
    let request = hashedrekord(b"x");
    post(&router, ENTRIES, request.to_string()).await;
    place.clock.set(NOW);
    for answer in [
        post(&router, ENTRIES, hashedrekord(b"y").to_string()).await,
        post(&router, ENTRIES, request.to_string()).await,
        get(&router, &format!("{ENTRIES}?logIndex=0")).await,
    ] {
        assert_error(&answer, 503, 503, "3456000 s behind the latest time that was signed");
    }
    assert_eq!(signer.signed.load(Ordering::SeqCst), 0);
    place.clock.set(NOW + FORTY_DAYS_S - 60);
    create(&place, &router, &hashedrekord(b"y")).await;
    running.stop().await;
}

#[tokio::test]
async fn a_signature_of_another_key_never_leaves() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let other = LocalSigner::generate(KeyType::EcdsaP256, "wrong slot").unwrap();
    let router = router_of(rekor1_signed_by(&running, Arc::new(other)));
    let refused = post(&router, ENTRIES, hashedrekord(b"x").to_string()).await;
    assert_error(&refused, 500, 500, "internal error");
    running.stop().await;
    let running = place.start().await;
    assert_eq!(stored(&running).await, [Vec::<u8>::new()]);
    running.stop().await;
}

#[tokio::test]
async fn a_stored_timestamp_that_does_not_verify_is_not_given_out_and_found_by_fsck() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let log = running.log.record().id;
    let signer = Counting::new(Arc::clone(&place.signer));
    signer.refuses.store(1, Ordering::SeqCst);
    let router = router_of(rekor1_signed_by(&running, signer.clone()));
    let request = hashedrekord(b"x");
    post(&router, ENTRIES, request.to_string()).await;
    running
        .store
        .put_timestamp_signatures(
            log,
            &[TimestampSignature { index: LeafIndex(0), signature: "forged".into() }],
        )
        .await
        .unwrap();
    let entry = create(&place, &router, &request).await;
    assert_ne!(entry.set, b"forged");
    let report = fsck(running.store.as_ref(), running.log.record(), &Rekor1Rules).await.unwrap();
    assert_eq!(report.findings, [Finding::TimestampSignature { index: LeafIndex(0) }]);
    running.stop().await;
}

#[tokio::test]
async fn a_tree_id_is_drawn_once() {
    let place = LogDir::rekor1();
    let store = place.open_store().await;
    let (first, second) = (
        tree_id(store.as_ref(), "log").await.unwrap(),
        tree_id(store.as_ref(), "log").await.unwrap(),
    );
    assert_ne!(first, second);
    let running = place.start_on(store).await.unwrap();
    for _ in 0..2 {
        assert_eq!(tree_id(running.store.as_ref(), "log").await.unwrap(), TREE_ID);
    }
    assert_ne!(tree_id(running.store.as_ref(), "another").await.unwrap(), TREE_ID);
    running.stop().await;
}
