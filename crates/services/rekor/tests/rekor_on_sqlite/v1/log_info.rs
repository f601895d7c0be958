//! `GET /api/v1/log`, its proofs and its key.

use serde_json::json;
use testlog::{Answer, LogDir, TREE_ID, get};
use tlog::{NodeHash, TreeHead, verify_consistency};

use super::{assert_error, create_many, router};

fn hash(text: &serde_json::Value) -> NodeHash {
    NodeHash::try_from(hex::decode(text.as_str().unwrap()).unwrap().as_slice()).unwrap()
}

#[tokio::test]
async fn says_size_root_and_checkpoint_of_one_head() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    for size in 0..4 {
        let info = get(&router, "/api/v1/log").await.json();
        let published = running.log.checkpoint();
        assert_eq!(
            info,
            json!({
                "rootHash": published.head.root.to_string(),
                "treeSize": size,
                "signedTreeHead": published.note,
                "treeID": TREE_ID.to_string(),
                "inactiveShards": [],
            })
        );
        place.verified_head(&published);
        create_many(&place, &router, 1).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn proves_consistency_between_all_sizes_with_the_latest_root() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let mut heads: Vec<TreeHead> = Vec::new();
    for _ in 0..9 {
        create_many(&place, &router, 1).await;
        heads.push(running.log.checkpoint().head);
    }
    let latest = heads.last().unwrap();
    for old in &heads {
        for new in heads.iter().filter(|new| new.size >= old.size) {
            let path = format!("/api/v1/log/proof?firstSize={}&lastSize={}", old.size, new.size);
            let proof = get(&router, &path).await.json();
            // The monitors' trap: never the root at `lastSize`, always the latest.
            assert_eq!(hash(&proof["rootHash"]), latest.root);
            let hashes: Vec<NodeHash> =
                proof["hashes"].as_array().unwrap().iter().map(hash).collect();
            verify_consistency(old, new, &hashes).unwrap();
        }
    }
    let own = get(&router, &format!("/api/v1/log/proof?lastSize=9&treeID={TREE_ID}")).await;
    let hashes: Vec<NodeHash> = own.json()["hashes"].as_array().unwrap().iter().map(hash).collect();
    verify_consistency(&heads[0], latest, &hashes).unwrap();
    running.stop().await;
}

#[tokio::test]
async fn refuses_sizes_that_are_malformed_or_not_there() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    create_many(&place, &router, 3).await;
    for (query, status, code, message) in [
        ("", 422, 602, "lastSize in query is required"),
        ("?firstSize=1", 422, 602, "lastSize in query is required"),
        ("?lastSize=0", 422, 609, "lastSize in query should be greater than or equal to 1"),
        ("?firstSize=0&lastSize=2", 422, 609, "firstSize in query should be greater"),
        ("?lastSize=x", 422, 601, "int64"),
        ("?firstSize=-5&lastSize=2", 422, 609, "firstSize"),
        ("?firstSize=3&lastSize=2", 400, 400, "firstSize (3) is larger than lastSize (2)"),
        ("?firstSize=1&lastSize=4", 400, 400, "larger than the log (3)"),
        ("?lastSize=2&treeID=x", 422, 605, "treeID in query should match"),
        ("?lastSize=2&treeID=-1", 422, 605, "treeID"),
        ("?lastSize=2&treeID=7", 400, 400, "treeID"),
        ("?lastSize=2&treeID=99999999999999999999999", 400, 400, "treeID"),
    ] {
        let answer = get(&router, &format!("/api/v1/log/proof{query}")).await;
        assert_error(&answer, status, code, message);
    }
    running.stop().await;
}

#[tokio::test]
async fn gives_its_key_as_pem_in_the_type_that_clients_decode() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let pem = place.signer.public_key().to_pem();
    for query in [String::new(), format!("?treeID={TREE_ID}")] {
        let answer: Answer = get(&router, &format!("/api/v1/log/publicKey{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, pem.as_str()));
        assert_eq!(answer.header("content-type"), "application/x-pem-file");
    }
    assert_error(&get(&router, "/api/v1/log/publicKey?treeID=1").await, 400, 400, "treeID");
    running.stop().await;
}
