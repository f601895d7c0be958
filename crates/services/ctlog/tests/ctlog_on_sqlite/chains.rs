//! The CT API, RFC 6962 §4.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router, body::Body};
use base64::{Engine, engine::general_purpose::STANDARD};
use ct::{Sct, tree_head_signed_data};
use ctlog::{
    CtLog, CtRules,
    http::{protocol, router},
};
use engine::fsck;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use server::{Allowance, CallerAddress, PeerLimits, Rate, harden};
use signing::{Clock, SigningKey};
use store::{Fault, FaultyStore, LogStore};
use testlog::{
    Answer, Authority, Flood, LogDir, NOW, Running, Tampering, get, hostile_bodies, post, send,
};
use tlog::{
    LeafIndex, NodeHash, TreeHead, TreeSize, leaf_hash, verify_consistency, verify_inclusion,
};
use x509::{AcceptedChains, Submission, validate_chain};

const ADD_CHAIN: &str = "/ct/v1/add-chain";
const ADD_PRE_CHAIN: &str = "/ct/v1/add-pre-chain";

pub(crate) struct CtBench {
    pub(crate) place: LogDir,
    root: Authority,
    pub(crate) running: Running,
    router: Router,
}

impl CtBench {
    pub(crate) async fn new() -> Self {
        let place = LogDir::ct();
        let store = place.open_store().await;
        Self::on(place, store).await
    }

    async fn on(place: LogDir, store: Arc<dyn LogStore>) -> Self {
        let root = Authority::new("root");
        let running = place.start_on(store).await.unwrap();
        let router = ct_on(&place, &running, &root);
        Self { place, root, running, router }
    }

    fn chain(&self, leaf: &[u8]) -> String {
        json!({"chain": [b64(leaf), b64(self.root.certificate())]}).to_string()
    }

    /// A log with a precertificate and a certificate.
    pub(crate) async fn filled() -> Self {
        let bench = Self::new().await;
        bench.submit_both_kinds().await;
        bench
    }

    async fn submit_both_kinds(&self) {
        let (precertificate, certificate) =
            (self.root.precertificate(), self.root.final_certificate());
        for (path, leaf) in [(ADD_PRE_CHAIN, precertificate), (ADD_CHAIN, certificate)] {
            let answer = post(&self.router, path, self.chain(&leaf)).await;
            self.verify(&answer, leaf);
        }
    }

    fn submission(&self, leaf: Vec<u8>) -> Submission {
        let roots = AcceptedChains::from_der([[self.root.certificate()]]).unwrap();
        validate_chain(&[leaf], &roots).unwrap()
    }

    /// Verifies the SCT in an answer for that leaf.
    fn verify(&self, answer: &Answer, leaf: Vec<u8>) -> Sct {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let json = answer.json();
        assert_eq!((&json["sct_version"], &json["extensions"]), (&json!(0), &json!("")));
        let sct = Sct::from_digitally_signed(
            bytes(&json["id"]).try_into().unwrap(),
            moment::UnixMillis(json["timestamp"].as_u64().unwrap()),
            Vec::new(),
            &bytes(&json["signature"]),
        )
        .unwrap();
        sct.verify(self.submission(leaf).entry(), self.place.signer.public_key()).unwrap();
        sct
    }

    async fn sth(&self) -> (TreeHead, u64) {
        let json = get(&self.router, "/ct/v1/get-sth").await.json();
        let root = NodeHash::try_from(bytes(&json["sha256_root_hash"]).as_slice()).unwrap();
        let head = TreeHead { size: TreeSize(json["tree_size"].as_u64().unwrap()), root };
        let timestamp = json["timestamp"].as_u64().unwrap();
        let signed =
            tree_head_signed_data(moment::UnixMillis(timestamp), head.size.0, &head.root.0);
        let signature = bytes(&json["tree_head_signature"]);
        let (_, signature) = ct::decode_digitally_signed(&signature).unwrap();
        self.place.signer.public_key().verify(&signed, signature).unwrap();
        (head, timestamp)
    }
}

fn ct_on(place: &LogDir, running: &Running, root: &Authority) -> Router {
    let clock = Arc::clone(&place.clock) as Arc<dyn Clock>;
    let (log, cpu) = (Arc::clone(&running.log), running.cpu.clone());
    let key = SigningKey::of(Arc::clone(&place.signer), cpu.clone());
    let ct = CtLog::new(log, key, [[root.certificate()]], clock, cpu).unwrap();
    harden(router(ct), protocol())
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn path(value: &Value) -> Vec<NodeHash> {
    let hashes = value.as_array().unwrap().iter();
    hashes.map(|hash| NodeHash::try_from(bytes(hash).as_slice()).unwrap()).collect()
}

#[tokio::test]
async fn a_stored_sct_is_given_whatever_waits_for_the_threads() {
    let place = LogDir::ct();
    let store = Tampering::new(place.open_store().await);
    let bench = CtBench::on(place, Arc::clone(&store) as Arc<dyn LogStore>).await;
    let leaf = bench.root.precertificate();
    let first =
        bench.verify(&post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await, leaf.clone());
    let (router, chain) = (bench.router.clone(), bench.chain(&leaf));
    let again = async move { post(&router, ADD_PRE_CHAIN, chain).await };
    let again = store.hold_append_of(again).await;
    let flood = Flood::of(&bench.running.cpu).await;
    store.release();
    let again = flood.outlast(again).await.unwrap();
    assert_eq!(bench.verify(&again, leaf), first);
    bench.running.stop().await;
}

#[tokio::test]
async fn a_precertificate_gets_an_sct_that_the_log_keeps() {
    let bench = CtBench::new().await;
    let leaf = bench.root.precertificate();
    let answer = post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await;
    let sct = bench.verify(&answer, leaf.clone());
    assert_eq!(sct.timestamp.0, NOW * 1000);

    // As a monitor rebuilds the leaf from the SCT.
    let entry = bench.submission(leaf.clone());
    let expected = ct::merkle_tree_leaf(entry.entry(), sct.timestamp, &[]).unwrap();
    let entries = get(&bench.router, "/ct/v1/get-entries?start=0&end=0").await.json();
    assert_eq!(bytes(&entries["entries"][0]["leaf_input"]), expected);
    assert_eq!(bytes(&entries["entries"][0]["extra_data"]), entry.extra_data().unwrap());

    let (head, _) = bench.sth().await;
    let hash = b64(leaf_hash(&expected)).replace('+', "%2B");
    let proof = get(
        &bench.router,
        &format!("/ct/v1/get-proof-by-hash?hash={hash}&tree_size={}", head.size),
    )
    .await
    .json();
    assert_eq!(proof["leaf_index"], 0);
    verify_inclusion(&leaf_hash(&expected), LeafIndex(0), &path(&proof["audit_path"]), &head)
        .unwrap();
    bench.running.stop().await;
}

#[tokio::test]
async fn a_final_certificate_gets_an_sct() {
    let bench = CtBench::new().await;
    let leaf = bench.root.final_certificate();
    let answer = post(&bench.router, ADD_CHAIN, bench.chain(&leaf)).await;
    bench.verify(&answer, leaf);
    bench.running.stop().await;
}

#[tokio::test]
async fn a_repeated_submission_gets_the_same_sct_bytes() {
    let bench = CtBench::new().await;
    let (precertificate, certificate) =
        (bench.root.precertificate(), bench.root.final_certificate());
    let submissions = [(ADD_PRE_CHAIN, &precertificate), (ADD_CHAIN, &certificate)];
    let mut first = Vec::new();
    for (path, leaf) in submissions {
        first.push(post(&bench.router, path, bench.chain(leaf)).await.body);
    }
    bench.place.clock.advance_ms(5_000);
    for ((path, leaf), first) in submissions.iter().zip(&first) {
        let again = post(&bench.router, path, bench.chain(leaf)).await;
        bench.verify(&again, (*leaf).clone());
        assert_eq!(again.body, *first);
    }
    assert_eq!(bench.sth().await.0.size, TreeSize(2));
    bench.running.stop().await;
}

#[tokio::test]
async fn equal_submissions_at_once_get_one_sct() {
    let bench = CtBench::new().await;
    let leaf = bench.root.precertificate();
    let answers = futures::future::join_all((0..20).map(|_| async {
        bench.place.clock.advance_ms(1);
        post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await
    }))
    .await;
    for answer in &answers {
        bench.verify(answer, leaf.clone());
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(bench.sth().await.0.size, TreeSize(1));
    bench.running.stop().await;
}

#[tokio::test]
async fn no_sct_leaves_before_its_entry_is_stored() {
    let place = LogDir::ct();
    let store = Arc::new(FaultyStore::new(place.open_store().await));
    let bench = CtBench::on(place, Arc::clone(&store) as Arc<dyn LogStore>).await;
    let leaf = bench.root.precertificate();
    store.fail_append(Fault::Failed);
    let refused = post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "1");
    assert!(!refused.text().contains("signature"), "{}", refused.text());

    // Persisted without an answer: the repetition gets the SCT of the stored entry.
    bench.place.clock.advance_ms(10);
    store.fail_append(Fault::FailedYetPersisted);
    let first = post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await;
    bench.place.clock.advance_ms(10);
    let second = post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await;
    assert_eq!(bench.verify(&first, leaf.clone()), bench.verify(&second, leaf));
    bench.running.stop().await;
}

#[tokio::test]
async fn a_held_commit_holds_the_sct() {
    let place = LogDir::ct();
    let store = Tampering::new(place.open_store().await);
    let bench = CtBench::on(place, Arc::clone(&store) as Arc<dyn LogStore>).await;
    store.hold();
    let leaf = bench.root.precertificate();
    let answer = post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf));
    tokio::pin!(answer);
    for _ in 0..200 {
        assert!(futures::poll!(&mut answer).is_pending());
        tokio::task::yield_now().await;
    }
    store.release();
    bench.verify(&answer.await, leaf);
    bench.running.stop().await;
}

#[tokio::test]
async fn tree_heads_are_signed_once_and_consistent() {
    let bench = CtBench::new().await;
    let mut heads = vec![bench.sth().await.0];
    for _ in 0..4 {
        bench.place.clock.advance_ms(1_000);
        let leaf = bench.root.precertificate();
        post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await;
        heads.push(bench.sth().await.0);
        let first = get(&bench.router, "/ct/v1/get-sth").await.body;
        bench.place.clock.advance_ms(1_000);
        assert_eq!(get(&bench.router, "/ct/v1/get-sth").await.body, first);
    }
    for old in &heads {
        for new in heads.iter().filter(|new| new.size >= old.size) {
            let url = format!("/ct/v1/get-sth-consistency?first={}&second={}", old.size, new.size);
            let proof = path(&get(&bench.router, &url).await.json()["consistency"]);
            if old.size == TreeSize(0) {
                assert!(proof.is_empty());
            } else {
                verify_consistency(old, new, &proof).unwrap();
            }
        }
    }
    bench.running.stop().await;
}

#[tokio::test]
async fn times_never_go_back_when_the_clock_does() {
    let bench = CtBench::new().await;
    let leaf = bench.root.precertificate();
    let first = bench.verify(&post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await, leaf);
    bench.place.clock.set(NOW - 60);
    let (_, timestamp) = bench.sth().await;
    assert!(timestamp >= first.timestamp.0);
    let leaf = bench.root.precertificate();
    let second = bench.verify(&post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await, leaf);
    assert!(second.timestamp.0 >= first.timestamp.0);
    bench.running.stop().await;
}

#[tokio::test]
async fn a_tree_head_is_not_older_than_its_entries_after_a_restart_with_a_clock_behind() {
    let bench = CtBench::new().await;
    bench.place.clock.advance_ms(700);
    let leaf = bench.root.precertificate();
    let sct = bench.verify(&post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await, leaf);
    let CtBench { place, root, running, .. } = bench;
    running.stop().await;
    place.clock.set(NOW - 60);
    let running = place.start().await;
    let router = ct_on(&place, &running, &root);
    let bench = CtBench { place, root, running, router };
    let (head, timestamp) = bench.sth().await;
    assert_eq!(head.size, TreeSize(1));
    assert!(timestamp >= sct.timestamp.0, "{timestamp} is before {}", sct.timestamp.0);
    bench.running.stop().await;
}

/// What was signed by a clock that was ahead is not signed again and again until its time has come.
#[tokio::test]
async fn nothing_is_signed_for_a_time_that_is_far_ahead() {
    let bench = CtBench::new().await;
    let leaf = bench.root.precertificate();
    bench.verify(&post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await, leaf);
    bench.place.clock.set(NOW - 61);
    let chain = bench.chain(&bench.root.precertificate());
    for answer in [
        post(&bench.router, ADD_PRE_CHAIN, chain).await,
        get(&bench.router, "/ct/v1/get-sth").await,
    ] {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains("61 s behind the latest time that was signed"));
    }
    bench.running.stop().await;
}

#[tokio::test]
async fn a_log_without_new_entries_signs_its_head_anew_each_hour() {
    let bench = CtBench::new().await;
    let (head, first) = bench.sth().await;
    bench.place.clock.advance_ms(60 * 60 * 1000 - 1);
    assert_eq!(bench.sth().await, (head, first));
    bench.place.clock.advance_ms(1);
    assert_eq!(bench.sth().await, (head, first + 60 * 60 * 1000));
    bench.running.stop().await;
}

#[tokio::test]
async fn entries_come_with_proofs_and_roots_are_listed() {
    let bench = CtBench::new().await;
    for _ in 0..3 {
        let leaf = bench.root.precertificate();
        post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await;
    }
    let (head, _) = bench.sth().await;
    for index in 0..3 {
        let url = format!("/ct/v1/get-entry-and-proof?leaf_index={index}&tree_size=3");
        let json = get(&bench.router, &url).await.json();
        let leaf = leaf_hash(&bytes(&json["leaf_input"]));
        verify_inclusion(&leaf, LeafIndex(index), &path(&json["audit_path"]), &head).unwrap();
        assert!(!bytes(&json["extra_data"]).is_empty());
    }
    let many = get(&bench.router, "/ct/v1/get-entries?start=1&end=1000").await.json();
    assert_eq!(many["entries"].as_array().unwrap().len(), 2);
    let roots = get(&bench.router, "/ct/v1/get-roots").await.json();
    assert_eq!(roots, json!({"certificates": [b64(bench.root.certificate())]}));
    let report =
        fsck(bench.running.store.as_ref(), bench.running.log.record(), &CtRules).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    bench.running.stop().await;
}

#[tokio::test]
async fn chains_that_the_log_does_not_take_are_400_with_a_reason() {
    let bench = CtBench::new().await;
    let stranger = Authority::new("stranger");
    let chain = |certificates: &[Vec<u8>]| {
        let chain: Vec<String> = certificates.iter().map(b64).collect();
        json!({ "chain": chain }).to_string()
    };
    let (precertificate, certificate) =
        (bench.root.precertificate(), bench.root.final_certificate());
    let mut broken = precertificate.clone();
    *broken.last_mut().unwrap() ^= 1;
    for (path, body) in [
        (ADD_PRE_CHAIN, chain(&[])),
        (ADD_PRE_CHAIN, chain(&[b"garbage".to_vec()])),
        (ADD_PRE_CHAIN, chain(&[stranger.precertificate(), stranger.certificate()])),
        (ADD_PRE_CHAIN, chain(&[stranger.precertificate(), bench.root.certificate()])),
        (ADD_PRE_CHAIN, chain(std::slice::from_ref(&broken))),
        (ADD_PRE_CHAIN, chain(&vec![precertificate.clone(); 200])),
        (ADD_PRE_CHAIN, chain(&[certificate])),
        (ADD_CHAIN, chain(&[precertificate])),
    ] {
        let answer = post(&bench.router, path, body).await;
        let status = answer.status;
        let long = status == StatusCode::PAYLOAD_TOO_LARGE;
        assert!(status == StatusCode::BAD_REQUEST || long, "{status}: {}", answer.text());
        assert!(answer.header("content-type").starts_with("text/plain"));
        assert!(answer.text().trim().len() > 10, "{}", answer.text());
    }
    assert_eq!(bench.sth().await.0.size, TreeSize(0));
    bench.running.stop().await;
}

#[tokio::test]
async fn a_frozen_log_says_so_and_goes_on_signing_its_tree_head() {
    let bench = CtBench::new().await;
    bench.submit_both_kinds().await;
    bench.running.store.freeze(bench.running.log.record().id).await.unwrap();
    let chain = bench.chain(&bench.root.precertificate());
    let answer = post(&bench.router, ADD_PRE_CHAIN, chain).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.text().contains("frozen"), "{}", answer.text());

    // Once it is known, it is said before a chain is looked at: nothing is signed for anybody. Whoever met the end
    // first is answered before the log has caught up and closed.
    let closed = async {
        while !bench.running.log.is_frozen() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), closed).await.unwrap();
    let foreign = bench.root.subordinate("foreign");
    let answer = post(&bench.router, ADD_PRE_CHAIN, bench.chain(&foreign.precertificate())).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{}", answer.text());
    assert_eq!(bench.sth().await.0.size, TreeSize(2));
    bench.running.stop().await;
}

/// The chain is foreign: the log looks at none, and so signs nothing, while it has no room.
#[tokio::test]
async fn a_log_without_room_is_503_before_its_key_is_used_and_recovers() {
    let bench = CtBench::new().await;
    let foreign = bench.chain(&bench.root.subordinate("foreign").precertificate());
    bench.running.log.set_no_room(true);
    let answer = post(&bench.router, ADD_PRE_CHAIN, foreign.clone()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text());
    assert_eq!(answer.header("retry-after"), "1");
    bench.running.log.set_no_room(false);
    let answer = post(&bench.router, ADD_PRE_CHAIN, foreign).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    bench.running.stop().await;
}

/// Whatever CA the root had signed could log here once.
#[tokio::test]
async fn another_ca_below_the_same_root_is_400() {
    let bench = CtBench::new().await;
    let foreign = bench.root.subordinate("foreign");
    for (path, leaf) in [
        (ADD_PRE_CHAIN, foreign.precertificate()),
        (ADD_CHAIN, foreign.final_certificate()),
        (ADD_CHAIN, foreign.subordinate("below").certificate()),
    ] {
        for end in [None, Some(bench.root.certificate())] {
            let mut chain = vec![b64(&leaf), b64(foreign.certificate())];
            chain.extend(end.map(b64));
            let answer = post(&bench.router, path, json!({ "chain": chain }).to_string()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
            let said = answer.text();
            assert!(said.contains("not one of a CA that this log serves"), "{said}");
        }
    }
    assert_eq!(bench.sth().await.0.size, TreeSize(0));
    bench.running.stop().await;
}

#[tokio::test]
async fn hostile_bodies_are_400_and_oversized_ones_413() {
    let bench = CtBench::new().await;
    let valid = bench.chain(&bench.root.precertificate());
    for path in [ADD_CHAIN, ADD_PRE_CHAIN] {
        for (what, body) in hostile_bodies(&valid) {
            let answer = post(&bench.router, path, body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}: {}", answer.text());
            assert!(answer.header("content-type").starts_with("text/plain"), "{what}");
        }
        for body in [r#"{"chain": "x"}"#, r#"{"chain": [1]}"#, r#"{"chain": ["!"]}"#, "{}"] {
            let answer = post(&bench.router, path, body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        }
        let answer = post(&bench.router, path, vec![b'.'; 256 * 1024 + 1]).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(answer.text().contains("262144"), "{}", answer.text());
    }
    bench.running.stop().await;
}

#[tokio::test]
async fn wrong_parameters_are_400_and_unknown_hashes_404() {
    let bench = CtBench::new().await;
    let leaf = bench.root.precertificate();
    post(&bench.router, ADD_PRE_CHAIN, bench.chain(&leaf)).await;
    for url in [
        "get-sth-consistency",
        "get-sth-consistency?first=1",
        "get-sth-consistency?first=x&second=1",
        "get-sth-consistency?first=-1&second=1",
        "get-sth-consistency?first=1&second=2",
        "get-sth-consistency?first=0&second=2",
        "get-sth-consistency?first=1&second=0",
        "get-sth-consistency?first=1&second=18446744073709551616",
        "get-proof-by-hash?tree_size=1",
        "get-proof-by-hash?hash=AAAA&tree_size=1",
        "get-proof-by-hash?hash=!&tree_size=1",
        "get-proof-by-hash?hash=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=&tree_size=0",
        "get-entries?start=1&end=0",
        "get-entries?start=1&end=1",
        "get-entries?start=0",
        "get-entries?start=18446744073709551615&end=18446744073709551615",
        "get-entry-and-proof?leaf_index=1&tree_size=1",
        "get-entry-and-proof?leaf_index=0&tree_size=2",
        "get-entry-and-proof?leaf_index=0&tree_size=0",
    ] {
        let answer = get(&bench.router, &format!("/ct/v1/{url}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}: {}", answer.text());
        assert!(answer.header("content-type").starts_with("text/plain"), "{url}");
    }
    let unknown = "hash=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=&tree_size=1";
    let answer = get(&bench.router, &format!("/ct/v1/get-proof-by-hash?{unknown}")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&bench.router, "/ct/v1/get-nothing").await.status, StatusCode::NOT_FOUND);
    let answer = send(&bench.router, Method::GET, ADD_CHAIN, Body::empty()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    bench.running.stop().await;
}

/// It was 400 and 404, and a tree that shrank, for up to a second.
#[tokio::test]
async fn a_replica_has_what_another_one_has_just_answered_or_says_that_it_cannot_know() {
    let bench = CtBench::new().await;
    let store = Tampering::new(Arc::clone(&bench.running.store));
    store.share();
    let config = engine::LogConfig { checkpoint_file: None, ..bench.place.config() };
    let shared = Arc::clone(&store) as Arc<dyn LogStore>;
    let other = bench.place.start_with(shared, config).await.unwrap();
    let router = ct_on(&bench.place, &other, &bench.root);
    let write = async || {
        let leaf = bench.root.final_certificate();
        let answer = post(&bench.router, ADD_CHAIN, bench.chain(&leaf)).await;
        bench.verify(&answer, leaf);
        let (TreeHead { size, .. }, _) = bench.sth().await;
        let index = LeafIndex(size.0 - 1);
        let row = bench.running.log.entries(index.alone()).await.unwrap().remove(0);
        (size, index, b64(row.leaf_hash.0).replace('+', "%2B"))
    };
    // Each question is the first one after a write.
    for question in 0..5 {
        let (size, index, hash) = write().await;
        let url = match question {
            0 => "get-sth".to_owned(),
            1 => format!("get-entries?start={index}&end={index}"),
            2 => format!("get-entry-and-proof?leaf_index={index}&tree_size={size}"),
            3 => format!("get-sth-consistency?first=1&second={size}"),
            _ => format!("get-proof-by-hash?hash={hash}&tree_size={size}"),
        };
        let answer = get(&router, &format!("/ct/v1/{url}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}: {}", answer.text());
        if question == 0 {
            assert!(answer.json()["tree_size"].as_u64() >= Some(size.0), "{}", answer.text());
            assert_eq!(answer.headers[http::header::CACHE_CONTROL], "no-cache");
        }
    }
    let known = "/ct/v1/get-entry-and-proof?leaf_index=1&tree_size=4";
    store.cut(true);
    let (_, index, hash) = write().await;
    for url in [
        "get-sth".to_owned(),
        format!("get-entries?start={index}&end={index}"),
        format!("get-proof-by-hash?hash={hash}&tree_size=4"),
    ] {
        let answer = get(&router, &format!("/ct/v1/{url}")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{url}: {}", answer.text());
        assert_eq!(answer.headers[http::header::RETRY_AFTER], "1");
    }
    assert_eq!(get(&router, known).await.status, StatusCode::OK);
    other.stop().await;
    bench.running.stop().await;
}

#[tokio::test]
async fn a_peer_that_wrote_enough_is_told_when_it_may_come() {
    let bench = CtBench::new().await;
    let rate = Rate { interval: Duration::from_hours(1), burst: std::num::NonZeroU32::MIN };
    let limits = PeerLimits::new("log.ct", &Allowance { rate: Some(rate), ..Allowance::default() });
    let address = CallerAddress(std::net::Ipv4Addr::LOCALHOST.into());
    let router = bench.router.clone().layer(Extension(limits)).layer(Extension(address));
    let chain = bench.chain(&bench.root.final_certificate());
    assert_eq!(post(&router, ADD_CHAIN, chain.clone()).await.status, 200);
    for path in [ADD_CHAIN, ADD_PRE_CHAIN] {
        let answer = post(&router, path, chain.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "3600"));
        assert!(answer.text().contains("try again in 3600 s"), "{}", answer.text());
    }
    assert_eq!(get(&router, "/ct/v1/get-sth").await.status, 200);
    bench.running.stop().await;
}
