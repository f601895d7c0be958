//! Whatever a Rekor v1 answers, to however many at once, must verify together: body, id, SET, proof.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer, sha256};
use e2e::{Database, Stack, hex, unhex};
use moment::UnixSeconds;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinSet};
use verify::{Artifact, Conditions, ExpectedSigner, Trust, UnverifiedBundle};

fn base64_of(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn bytes_of(digits: &Value) -> Vec<u8> {
    unhex(digits.as_str().unwrap()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the edge of the test")]
fn now() -> UnixSeconds {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixSeconds::from_epoch(since_epoch).saturating_add(Duration::from_secs(5))
}

/// A log, and one key whose signatures it gets.
struct Bench {
    base: String,
    key: LocalSigner,
    trust: Trust,
    http: reqwest::Client,
}

impl Bench {
    fn new(stack: &Stack) -> Arc<Self> {
        let root = std::fs::read(stack.trust_file("trusted_root.json")).unwrap();
        Arc::new(Self {
            base: stack.ready("rekor1").to_owned(),
            key: LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap(),
            trust: Trust::from_json(&root).unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        })
    }

    fn proposal(&self, artifact: &[u8]) -> String {
        json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex(&sha256(artifact))}},
            "signature": {"content": base64_of(self.key.sign_now(artifact).unwrap()),
                "publicKey": {"content": base64_of(self.key.public_key().to_pem())}}}})
        .to_string()
    }

    async fn post(&self, path: &str, body: String) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.base)).body(body);
        let response = request.header("content-type", "application/json").send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn log(&self, proposal: String) -> Value {
        let (status, answer) = self.post("/api/v1/log/entries", proposal).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    /// Verifies an answer as a bundle of it would be; gives its id.
    fn check(&self, answer: &Value, artifact: &[u8]) -> String {
        let (id, found) = answer.as_object().unwrap().iter().next().unwrap();
        let body = STANDARD.decode(found["body"].as_str().unwrap()).unwrap();
        assert!(id.ends_with(&tlog::leaf_hash(&body).to_string()), "{id} is of another body");
        let logged: Value = serde_json::from_slice(&body).unwrap();
        let proof = &found["verification"]["inclusionProof"];
        let base64 = |digits: &Value| base64_of(bytes_of(digits));
        let hashes: Vec<String> = proof["hashes"].as_array().unwrap().iter().map(base64).collect();
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "messageSignature": {"signature": logged["spec"]["signature"]["content"],
                "messageDigest": {"algorithm": "SHA2_256", "digest": base64_of(sha256(artifact))}},
            "verificationMaterial": {
                "publicKey": {"hint": base64_of(self.key.public_key().spki_sha256())},
                "tlogEntries": [{
                    "logIndex": found["logIndex"].to_string(), "logId": {"keyId": base64(&found["logID"])},
                    "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
                    "integratedTime": found["integratedTime"].to_string(),
                    "inclusionPromise": {"signedEntryTimestamp": found["verification"]["signedEntryTimestamp"]},
                    "inclusionProof": {"logIndex": proof["logIndex"].to_string(),
                        "rootHash": base64(&proof["rootHash"]), "treeSize": proof["treeSize"].to_string(),
                        "hashes": hashes, "checkpoint": {"envelope": proof["checkpoint"]}},
                    "canonicalizedBody": found["body"]}]}
        });
        assert_eq!(found["logIndex"], proof["logIndex"], "one tree has one index");
        let bundle = UnverifiedBundle::parse(bundle.to_string().as_bytes()).unwrap();
        let expected = ExpectedSigner::Key { key: self.key.public_key(), trust: Some(&self.trust) };
        verify::verify(&bundle, &Artifact::from_bytes(artifact), &expected, &Conditions::at(now()))
            .unwrap();
        id.clone()
    }
}

fn every_answer_verifies(database: Database) {
    let stack = Stack::start(database).unwrap();
    let (runtime, bench) = (Runtime::new().unwrap(), Bench::new(&stack));
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for writer in 0..8 {
            let bench = Arc::clone(&bench);
            tasks.spawn(async move {
                for number in 0..10 {
                    let artifact = format!("artifact {writer}.{number}").into_bytes();
                    let answer = bench.log(bench.proposal(&artifact)).await;
                    let id = bench.check(&answer, &artifact);
                    // The log has grown meanwhile: another head, the same SET.
                    let index = &answer[&id]["logIndex"];
                    let (_, by_id) = bench.get(&format!("/api/v1/log/entries/{id}")).await;
                    let path = format!("/api/v1/log/entries?logIndex={index}");
                    let (_, by_index) = bench.get(&path).await;
                    let body = json!({"entryUUIDs": [id], "logIndexes": [index]}).to_string();
                    let (_, both) = bench.post("/api/v1/log/entries/retrieve", body).await;
                    for again in [&by_id, &by_index, &both[0], &both[1]] {
                        assert_eq!(bench.check(again, &artifact), id);
                        for name in ["logIndex", "integratedTime", "logID", "body"] {
                            assert_eq!(again[&id][name], answer[&id][name], "{name}");
                        }
                    }
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn every_answer_verifies_while_others_write_on_sqlite() {
    every_answer_verifies(Database::Sqlite);
}

#[test]
fn every_answer_verifies_while_others_write_on_postgres() {
    every_answer_verifies(Database::postgres("countersign_e2e_rekor1_attacks").unwrap());
}

#[test]
fn gives_one_entry_to_many_who_propose_it_at_once() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let (runtime, bench) = (Runtime::new().unwrap(), Bench::new(&stack));
    let answers = runtime.block_on(async {
        let proposal = bench.proposal(b"artifact");
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let (bench, proposal) = (Arc::clone(&bench), proposal.clone());
            tasks.spawn(async move { bench.log(proposal).await });
        }
        tasks.join_all().await
    });
    let first = &answers[0];
    let id = bench.check(first, b"artifact");
    for answer in &answers {
        assert_eq!(bench.check(answer, b"artifact"), id);
        for name in ["logIndex", "integratedTime"] {
            assert_eq!(answer[&id][name], first[&id][name], "{name}");
        }
    }
    let (_, log) = runtime.block_on(bench.get("/api/v1/log"));
    assert_eq!(log["treeSize"].as_u64().unwrap(), first[&id]["logIndex"].as_u64().unwrap() + 1);
}

#[test]
fn takes_no_tree_for_another() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let (runtime, bench) = (Runtime::new().unwrap(), Bench::new(&stack));
    runtime.block_on(async {
        let answer = bench.log(bench.proposal(b"artifact")).await;
        let id = bench.check(&answer, b"artifact");
        let (tree, leaf) = id.split_at(16);
        let (_, log) = bench.get("/api/v1/log").await;
        let tree = i64::from_str_radix(tree, 16).unwrap();
        assert_eq!(log["treeID"], tree.to_string());
        for (form, status) in [
            (leaf.to_owned(), 200),
            (format!("{:016x}{leaf}", 0), 200),
            (id.to_uppercase(), 200),
            (format!("{:016x}{leaf}", tree ^ 1), 404),
            (format!("{:016x}{leaf}", 1), 404),
        ] {
            let (found, _) = bench.get(&format!("/api/v1/log/entries/{form}")).await;
            assert_eq!(found, status, "{form}");
            let body = json!({"entryUUIDs": [form]}).to_string();
            let (_, list) = bench.post("/api/v1/log/entries/retrieve", body).await;
            assert_eq!(list.as_array().unwrap().len(), usize::from(status == 200), "{form}");
        }
        // The other log of the same process knows nothing of this tree.
        let other = format!("{}/api/v1/log/entries/{id}", stack.ready("rekor2"));
        assert_eq!(bench.http.get(other).send().await.unwrap().status(), 404);
    });
}

#[test]
fn finds_who_only_says_a_name_beside_who_has_it() {
    // A certificate in an entry is not judged: an index is a list of places to look at, and whoever
    // looks must verify. So the same search must give both, and no more.
    let stack = Stack::start(Database::Sqlite).unwrap();
    let (runtime, bench) = (Runtime::new().unwrap(), Bench::new(&stack));
    runtime.block_on(async {
        let artifact = b"artifact of two signers";
        let hash = hex(&sha256(artifact));
        let one = bench.check(&bench.log(bench.proposal(artifact)).await, artifact);
        let other = Bench::new(&stack);
        let two = other.check(&other.log(other.proposal(artifact)).await, artifact);
        let search = async |body: Value| {
            let (_, mut ids) = bench.post("/api/v1/index/retrieve", body.to_string()).await;
            let ids = ids.as_array_mut().unwrap();
            ids.sort_by_key(ToString::to_string);
            ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut both = vec![one.clone(), two];
        both.sort();
        assert_eq!(search(json!({"hash": hash})).await, both);
        let key = json!({"format": "x509", "content": base64_of(bench.key.public_key().to_pem())});
        assert_eq!(search(json!({"publicKey": key})).await, [one.as_str()]);
        let all = json!({"hash": hash, "publicKey": key, "operator": "and"});
        assert_eq!(search(all).await, [one.as_str()]);
    });
}
