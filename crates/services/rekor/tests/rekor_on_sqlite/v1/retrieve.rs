//! `POST /api/v1/log/entries/retrieve`.

use std::sync::Arc;

use crypto::{KeyType, LocalSigner, Signer};
use proptest::prelude::*;
use rekor::Rekor1Options;
use serde_json::{Value, json};
use store::LogStore;
use testlog::{Flood, LogDir, TREE_ID, Tampering, get, hostile_bodies, post};

use super::{
    ENTRIES, Entry, RETRIEVE, assert_error, b64, create, create_many, entries_of, hashedrekord,
    rekor1_of, router, router_of,
};

#[tokio::test]
async fn finds_entries_by_id_index_and_proposal_at_either_path() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let entries = create_many(&place, &router, 6).await;
    let proposal = hashedrekord(b"proposed");
    let proposed = create(&place, &router, &proposal).await;
    let query = json!({
        "entryUUIDs": [entries[4].id, entries[1].leaf_hash()],
        "entries": [proposal, hashedrekord(b"never logged")],
        "logIndexes": [3, 700, 0],
    });
    for path in [RETRIEVE.to_owned(), format!("{RETRIEVE}/")] {
        let found = entries_of(&place, &post(&router, &path, query.to_string()).await);
        let expected = [&entries[4], &entries[1], &proposed, &entries[3], &entries[0]];
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(found, expected)| found.is_same(expected)));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_question_is_new_work_until_its_first_job_and_let_in_from_then_on() {
    let place = LogDir::rekor1();
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    let signer = Arc::clone(&running.signer);
    let rekor1 = rekor1_of(&running, signer, running.cpu.clone(), Rekor1Options::default());
    let router = router_of(rekor1);
    let proposal = hashedrekord(b"proposed");
    let entry = create(&place, &router, &proposal).await;

    // Its SET is to be verified: that is no step of anything that was accepted.
    let flood = Flood::of(&running.cpu).await;
    for path in [format!("{ENTRIES}?logIndex=0"), format!("{ENTRIES}/{}", entry.id)] {
        assert_eq!(get(&router, &path).await.status, 503);
    }
    let query = json!({"entries": [proposal]}).to_string();
    assert_eq!(post(&router, RETRIEVE, query.clone()).await.status, 503);
    flood.end().await;

    let asked = router.clone();
    let held = store.hold_read_of(async move { post(&asked, RETRIEVE, query).await }).await;
    let flood = Flood::of(&running.cpu).await;
    store.release();
    let answer = flood.outlast(held).await.unwrap();
    assert!(entries_of(&place, &answer)[0].is_same(&entry));
    running.stop().await;
}

/// Ten keys and ten signatures, of which none fits another.
fn dear_envelope() -> Value {
    let signers = |_| LocalSigner::generate(KeyType::EcdsaP521, "client").unwrap();
    let (keys, signers): (Vec<_>, Vec<_>) = (0..10).map(|n| (signers(n), signers(n))).unzip();
    let sig = |signer: &LocalSigner| json!({"sig": b64(signer.sign_now(b"other").unwrap())});
    let signatures: Vec<_> = signers.iter().map(sig).collect();
    let envelope = json!({"payload": b64("{}"), "payloadType": "t", "signatures": signatures});
    let verifiers: Vec<_> = keys.iter().map(|key| b64(key.public_key().to_pem())).collect();
    let content = json!({"envelope": envelope.to_string(), "verifiers": verifiers});
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}})
}

#[tokio::test]
async fn an_entry_and_a_question_that_are_too_much_work_are_refused() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let dear = dear_envelope();
    assert!(dear.to_string().len() < 8 * 1024);
    let question = json!({"entries": vec![dear.clone(); 10]});
    let answer = post(&router, ENTRIES, dear.to_string()).await;
    assert_error(&answer, 400, 400, "too many signatures, verifiers or certificates");
    // Its budget has room for all tries of the first signature, and the first proposal ends it.
    let answer = post(&router, RETRIEVE, question.to_string()).await;
    assert_error(&answer, 400, 400, "none of the 10 verifiers");
    running.stop().await;
}

#[tokio::test]
async fn a_long_question_is_read_among_the_dear_work() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let entry = create(&place, &router, &hashedrekord(b"x")).await;
    let query = json!({"logIndexes": [0], "padding": "x".repeat(200 * 1024)});
    let answer = post(&router, RETRIEVE, query.to_string()).await;
    assert!(entries_of(&place, &answer)[0].is_same(&entry));
    running.stop().await;
}

#[tokio::test]
async fn nothing_found_is_an_empty_list() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let entry = create(&place, &router, &hashedrekord(b"x")).await;
    let elsewhere = format!("{:016x}{}", TREE_ID - 1, entry.leaf_hash());
    for query in [
        json!({}),
        json!({"entryUUIDs": null, "logIndexes": null, "entries": null}),
        json!({"entryUUIDs": [], "logIndexes": [], "entries": [], "unknown": 1}),
        json!({"logIndexes": [1, i64::MAX]}),
        json!({"entryUUIDs": ["0".repeat(64), "0".repeat(80), elsewhere]}),
        json!({"entries": [hashedrekord(b"never logged")]}),
    ] {
        let answer = post(&router, RETRIEVE, query.to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "[]"), "{query}");
    }
    running.stop().await;
}

#[tokio::test]
async fn refuses_more_than_ten_and_what_is_malformed() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let id = "0".repeat(80);
    let wrong = format!("8{}", "0".repeat(79));
    let mut unsigned = hashedrekord(b"x");
    unsigned["spec"]["data"]["hash"]["value"] = json!("0".repeat(64));
    for (query, status, code, message) in [
        (json!({"logIndexes": vec![1; 11]}), 422, 611, "logIndexes in body should have at most 10"),
        (json!({"entryUUIDs": vec![&id; 11]}), 422, 611, "entryUUIDs in body should have"),
        (json!({"entries": vec![json!({}); 11]}), 422, 611, "entries in body should have"),
        (
            json!({"logIndexes": vec![1; 6], "entryUUIDs": vec![&id; 5]}),
            422,
            422,
            "more than max allowed 10 entries",
        ),
        (json!({"logIndexes": [0, -1]}), 422, 609, "logIndexes.1 in body"),
        (json!({"entryUUIDs": [id, "xyz"]}), 422, 605, "entryUUIDs.1 in body should match"),
        (json!({"entryUUIDs": [wrong]}), 400, 400, "tree id"),
        (json!({"entryUUIDs": "xyz"}), 422, 601, ""),
        (json!({"logIndexes": ["1"]}), 422, 601, ""),
        (json!({"logIndexes": [1.5]}), 422, 601, ""),
        (json!({"entries": [7]}), 400, 400, ""),
        (json!({"entries": [unsigned]}), 400, 400, "verifying signature"),
        (
            json!({"entries": [{"kind": "rpm", "apiVersion": "0.0.1", "spec": {}}]}),
            400,
            400,
            "dsse",
        ),
    ] {
        assert_error(&post(&router, RETRIEVE, query.to_string()).await, status, code, message);
    }
    for (what, body) in hostile_bodies(r#"{"logIndexes":[1]}"#) {
        let answer = post(&router, RETRIEVE, body).await;
        assert!([400, 422].contains(&answer.status.as_u16()), "{what}: {}", answer.text());
    }
    running.stop().await;
}

/// One item of a question.
#[derive(Clone, Debug)]
enum Item {
    Id(usize),
    Leaf(usize),
    Index(usize),
    Proposal(usize),
    Nowhere,
    Beyond,
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let entry = 0usize..4;
    let item = prop_oneof![
        entry.clone().prop_map(Item::Id),
        entry.clone().prop_map(Item::Leaf),
        entry.clone().prop_map(Item::Index),
        entry.prop_map(Item::Proposal),
        Just(Item::Nowhere),
        Just(Item::Beyond),
    ];
    prop::collection::vec(item, 0..=10)
}

fn query(items: &[Item], entries: &[Entry], proposals: &[Value]) -> Value {
    let (mut ids, mut indexes, mut proposed) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Id(n) => ids.push(entries[*n].id.clone()),
            Item::Leaf(n) => ids.push(entries[*n].leaf_hash().to_owned()),
            Item::Index(n) => indexes.push(entries[*n].index),
            Item::Proposal(n) => proposed.push(proposals[*n].clone()),
            Item::Nowhere => ids.push("1".repeat(64)),
            Item::Beyond => indexes.push(99),
        }
    }
    json!({"entryUUIDs": ids, "logIndexes": indexes, "entries": proposed})
}

#[test]
fn any_mixture_gives_exactly_the_entries_that_are_there() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = LogDir::rekor1();
    let (running, router, entries, proposals) = runtime.block_on(async {
        let running = place.start().await;
        let router = router(&running);
        let proposals: Vec<Value> =
            (0..4).map(|n| hashedrekord(format!("artifact {n}").as_bytes())).collect();
        let mut entries = Vec::new();
        for proposal in &proposals {
            entries.push(create(&place, &router, proposal).await);
        }
        (running, router, entries, proposals)
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    runner
        .run(&items(), |items| {
            let query = query(&items, &entries, &proposals);
            let answer = runtime.block_on(post(&router, RETRIEVE, query.to_string()));
            let mut found: Vec<u64> =
                entries_of(&place, &answer).iter().map(|entry| entry.index).collect();
            let mut expected: Vec<u64> = items
                .iter()
                .filter_map(|item| match item {
                    Item::Id(n) | Item::Leaf(n) | Item::Index(n) | Item::Proposal(n) => {
                        Some(entries[*n].index)
                    }
                    Item::Nowhere | Item::Beyond => None,
                })
                .collect();
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
            Ok(())
        })
        .unwrap();
    runtime.block_on(running.stop());
}
