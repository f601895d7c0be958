//! A big run: many entries, each answer proven, then the whole log audited from outside as a monitor does.
//!
//! `COUNTERSIGN_ENTRIES` says how many, per database (`cargo xtask test --entries N`).

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use e2e::{Database, Stack, bundle_path, bundled_entries};
use serde_json::{Value, json};
use tlog::{
    Checkpoint, Edge, KeyIdKind, LeafHash, LeafIndex, NodeHash, SignedNote, TILE_WIDTH, TileId,
    TilePath, TreeHead, TreeSize, leaf_hash, log_key_id, verify_inclusion,
};
use tokio::{runtime::Runtime, task::JoinSet};

/// Connections that write at the same time.
const WRITERS: u64 = 64;

#[expect(clippy::disallowed_methods, reason = "how `cargo xtask test` hands over --entries")]
fn entries() -> u64 {
    std::env::var("COUNTERSIGN_ENTRIES").map_or(2000, |entries| entries.parse().unwrap())
}

/// The log as a client sees it.
struct RemoteLog {
    base: String,
    key: PublicKey,
    http: reqwest::Client,
}

impl RemoteLog {
    fn of(stack: &Stack) -> Self {
        let pem = std::fs::read_to_string(stack.trust_file("rekor2.pub")).unwrap();
        let key = PublicKey::from_pem(&pem).unwrap();
        Self { base: stack.ready("rekor2").to_owned(), key, http: reqwest::Client::new() }
    }

    fn checkpoint(&self, note: &str) -> Checkpoint {
        let note: SignedNote = note.parse().unwrap();
        let key_id = log_key_id(&self.key, "localhost", KeyIdKind::Named);
        note.verified_checkpoint(&self.key, "localhost", &key_id).unwrap()
    }

    async fn read(&self, path: &str) -> Vec<u8> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.bytes().await.unwrap().to_vec()
    }

    async fn head(&self) -> TreeHead {
        let note = String::from_utf8(self.read("/checkpoint").await).unwrap();
        self.checkpoint(&note).head
    }

    /// Logs an entry and verifies the answer; gives index and leaf.
    async fn write(&self, signer: &LocalSigner, number: u64) -> (LeafIndex, LeafHash) {
        let message = number.to_be_bytes();
        let request = json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(crypto::sha256(&message)),
            "signature": {
                "content": STANDARD.encode(signer.sign_now(&message).unwrap()),
                "verifier": {
                    "publicKey": {"rawBytes": STANDARD.encode(signer.public_key().spki_der())},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        }});
        let url = format!("{}/api/v2/log/entries", self.base);
        let response = self.http.post(url).body(request.to_string()).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 201, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let proof = &answer["inclusionProof"];
        let body = STANDARD.decode(answer["canonicalizedBody"].as_str().unwrap()).unwrap();
        let hashes = proof["hashes"].as_array().unwrap().iter().map(|hash| {
            let bytes = STANDARD.decode(hash.as_str().unwrap()).unwrap();
            NodeHash::try_from(bytes.as_slice()).unwrap()
        });
        let head = self.checkpoint(proof["checkpoint"]["envelope"].as_str().unwrap()).head;
        let index = LeafIndex(answer["logIndex"].as_str().unwrap().parse().unwrap());
        let leaf = leaf_hash(&body);
        verify_inclusion(&leaf, index, &hashes.collect::<Vec<_>>(), &head).unwrap();
        (index, leaf)
    }

    /// Every leaf hash, from the entry bundles; each tile must hold the same ones.
    async fn audit(&self, size: TreeSize) -> Vec<LeafHash> {
        let mut leaves = Vec::new();
        for tile in 0..size.0.div_ceil(TILE_WIDTH) {
            let path = bundle_path(tile, size).unwrap();
            let TilePath::Entries { index, width } = path else { unreachable!("a bundle's path") };
            let below = TilePath::Hashes { tile: TileId { level: 0, index }, width };
            let entries = self.read(&format!("/{path}")).await;
            let hashes = self.read(&format!("/{below}")).await;
            let before = leaves.len();
            leaves.extend(bundled_entries(&entries).unwrap().into_iter().map(leaf_hash));
            let listed: Vec<u8> = leaves[before..].iter().flat_map(|leaf| leaf.0).collect();
            assert_eq!(listed, hashes, "tile {tile} is not over its entries");
        }
        leaves
    }
}

async fn fill(log: Arc<RemoteLog>, count: u64) -> Vec<(LeafIndex, LeafHash)> {
    let signer = Arc::new(LocalSigner::generate(KeyType::EcdsaP256, "writer").unwrap());
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (log, signer) = (Arc::clone(&log), Arc::clone(&signer));
        writers.spawn(async move {
            let mut written = Vec::new();
            for number in (writer..count).step_by(usize::try_from(WRITERS).unwrap()) {
                written.push(log.write(&signer, number).await);
            }
            written
        });
    }
    writers.join_all().await.into_iter().flatten().collect()
}

fn holds_many_entries(database: Database) {
    let runtime = Runtime::new().unwrap();
    let mut stack = Stack::start(database).unwrap();
    let count = entries();
    let log = Arc::new(RemoteLog::of(&stack));
    let written = runtime.block_on(fill(Arc::clone(&log), count));
    assert_eq!(written.len(), usize::try_from(count).unwrap());
    stack.kill().unwrap();
    let fsck = stack.fsck().unwrap();
    assert_eq!(fsck.code, Some(0), "{fsck:?}");
    stack.restart().unwrap();
    let log = RemoteLog::of(&stack);
    let head = runtime.block_on(log.head());
    // One entry is the log's own first.
    assert_eq!(head.size, TreeSize(count + 1));
    let leaves = runtime.block_on(log.audit(head.size));
    let mut edge = Edge::default();
    for leaf in &leaves {
        edge.push(*leaf);
    }
    assert_eq!(edge.head(), head, "the checkpoint is not over the entries");
    for (index, leaf) in written {
        assert_eq!(leaves[usize::try_from(index.0).unwrap()], leaf, "entry {index}");
    }
}

#[test]
fn holds_many_entries_on_sqlite() {
    holds_many_entries(Database::Sqlite);
}

#[test]
fn holds_many_entries_on_postgres() {
    holds_many_entries(Database::postgres("countersign_e2e_big").unwrap());
}
