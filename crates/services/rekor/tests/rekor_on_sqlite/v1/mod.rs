//! The API of Rekor v1.

mod checkpoints;
mod create;
mod log_info;
mod read;
mod retrieve;
mod search;
mod sets;

use std::{collections::BTreeSet, sync::Arc};

use axum::Router;
use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer, sha256};
use rekor::{
    Rekor1, Rekor1Options, Rekor1Parts,
    http::{rekor1_protocol, rekor1_router},
};
use serde_json::{Value, json};
use server::harden;
use signing::{CpuPool, SigningKey};
use testlog::{Answer, LogDir, ORIGIN, Running, TREE_ID, cpu, get, post};
use tlog::{LeafIndex, NodeHash, SignedNote, leaf_hash, verify_inclusion};

const ENTRIES: &str = "/api/v1/log/entries";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";

fn router_of(rekor1: Arc<Rekor1>) -> Router {
    harden(rekor1_router(rekor1), rekor1_protocol())
}

/// The Rekor v1 protocol on a log.
fn rekor1(running: &Running) -> Arc<Rekor1> {
    rekor1_signed_by(running, Arc::clone(&running.signer))
}

fn rekor1_signed_by(running: &Running, signer: Arc<dyn Signer>) -> Arc<Rekor1> {
    rekor1_of(running, signer, cpu(), Rekor1Options::default())
}

/// The same with threads that the test may keep busy, and with options.
fn rekor1_of(
    running: &Running,
    signer: Arc<dyn Signer>,
    cpu: CpuPool,
    options: Rekor1Options,
) -> Arc<Rekor1> {
    let log = Arc::clone(&running.log);
    // An answer must verify with the log's key, whoever signs.
    let key = SigningKey::new(signer, log.public_key().clone(), cpu.clone());
    let parts = Rekor1Parts { log, key, cpu, options };
    Rekor1::start(parts, &running.tasks, running.shutdown.clone())
}

fn router(running: &Running) -> Router {
    router_of(rekor1(running))
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// A DER certificate in PEM.
fn pem_of(certificate: &[u8]) -> String {
    let lines = b64(certificate);
    let lines: Vec<&str> =
        lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// A proposed entry over `artifact`, by a key in PEM.
fn hashedrekord_by(signer: &LocalSigner, artifact: &[u8]) -> Value {
    let signature = signer.sign_now(artifact).unwrap();
    hashedrekord_of(artifact, &signature, &signer.public_key().to_pem())
}

fn hashedrekord_of(artifact: &[u8], signature: &[u8], pem: &str) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(artifact))}},
        "signature": {"content": b64(signature), "publicKey": {"content": b64(pem)}},
    }})
}

fn hashedrekord(artifact: &[u8]) -> Value {
    hashedrekord_by(&LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap(), artifact)
}

/// Creates an entry and gives the answer, verified.
async fn create(place: &LogDir, router: &Router, proposed: &Value) -> Entry {
    let answer = post(router, ENTRIES, proposed.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    Entry::verified(place, &answer.json())
}

/// Creates `count` entries, one after the other.
async fn create_many(place: &LogDir, router: &Router, count: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for number in 0..count {
        let artifact = format!("artifact {number} {}", entries.len());
        entries.push(create(place, router, &hashedrekord(artifact.as_bytes())).await);
    }
    entries
}

/// An entry as a client reads it.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    id: String,
    index: u64,
    integrated_at: u64,
    body: Vec<u8>,
    set: Vec<u8>,
    tree_size: u64,
}

impl Entry {
    /// Verifies a one-member object as a client does: SET, checkpoint, proof, id.
    fn verified(place: &LogDir, answer: &Value) -> Self {
        let members = answer.as_object().unwrap();
        let (id, entry) = members.iter().next().unwrap();
        assert_eq!(members.len(), 1);
        let body = bytes(&entry["body"]);
        let leaf = leaf_hash(&body);
        assert_eq!(*id, format!("{TREE_ID:016x}{leaf}"));

        let key = place.signer.public_key();
        assert_eq!(entry["logID"], hex::encode(key.spki_sha256()));
        let set = bytes(&entry["verification"]["signedEntryTimestamp"]);
        let payload = format!(
            r#"{{"body":{},"integratedTime":{},"logID":{},"logIndex":{}}}"#,
            entry["body"], entry["integratedTime"], entry["logID"], entry["logIndex"]
        );
        key.verify(payload.as_bytes(), &set).unwrap();

        let proof = &entry["verification"]["inclusionProof"];
        let note: SignedNote = proof["checkpoint"].as_str().unwrap().parse().unwrap();
        assert_eq!(note.signatures.len(), 1);
        let head = note.verified_checkpoint(key, ORIGIN, &key.spki_sha256()).unwrap();
        assert_eq!(head.origin, format!("{ORIGIN} - {TREE_ID}"));
        let head = head.head;
        assert_eq!(proof["treeSize"], head.size.0);
        assert_eq!(proof["rootHash"], head.root.to_string());
        assert_eq!(proof["logIndex"], entry["logIndex"]);
        let index = entry["logIndex"].as_u64().unwrap();
        let path: Vec<NodeHash> = proof["hashes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hash| {
                NodeHash::try_from(hex::decode(hash.as_str().unwrap()).unwrap().as_slice()).unwrap()
            })
            .collect();
        verify_inclusion(&leaf, LeafIndex(index), &path, &head).unwrap();

        let members: BTreeSet<&str> =
            entry.as_object().unwrap().keys().map(String::as_str).collect();
        let all = ["body", "integratedTime", "logID", "logIndex", "verification"];
        assert_eq!(members, BTreeSet::from(all));
        let integrated_at = entry["integratedTime"].as_u64().unwrap();
        Self { id: id.clone(), index, integrated_at, body, set, tree_size: head.size.0 }
    }

    fn leaf_hash(&self) -> &str {
        &self.id[16..]
    }

    /// Says whether both are the same entry; proofs may be of other heads.
    fn is_same(&self, other: &Self) -> bool {
        let anywhere = |entry: &Self| Self { tree_size: 0, ..entry.clone() };
        anywhere(self) == anywhere(other)
    }
}

/// Entries of an answer of `entries/retrieve`.
fn entries_of(place: &LogDir, answer: &Answer) -> Vec<Entry> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().as_array().unwrap().iter().map(|entry| Entry::verified(place, entry)).collect()
}

/// Checks that an answer is `{"code","message"}`, and that its message says `what`.
fn assert_error(answer: &Answer, status: u16, code: u16, what: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let json = answer.json();
    assert_eq!(json["code"], code, "{json}");
    assert!(json["message"].as_str().unwrap().contains(what), "{json}");
    assert_eq!(json.as_object().unwrap().len(), 2);
}

async fn get_entry(place: &LogDir, router: &Router, path: &str) -> Entry {
    let answer = get(router, path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Entry::verified(place, &answer.json())
}
