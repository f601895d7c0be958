//! Rekor v1 on PostgreSQL: the SET of one replica is given by another one.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the failure")]

use std::{str::FromStr, sync::Arc};

use axum::Router;
use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer, sha256};
use engine::{Log, LogConfig, LogLimits, LogParts, TilesSigner, fsck};
use futures::future::join_all;
use postgres::PostgresLogStore;
use rekor::{Rekor1, Rekor1Options, Rekor1Parts, Rekor1Rules, http::rekor1_router, tree_id};
use serde_json::{Value, json};
use signing::{CpuPool, FixedClock, SigningKey};
use sqlx::{AssertSqlSafe, ConnectOptions, postgres::PgConnectOptions};
use store::{LogKind, LogSpec, LogStore};
use testlog::{get, post};
use tlog::{LeafIndex, TreeSize};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const HOST: &str = "log.test";
const ENTRIES: &str = "/api/v1/log/entries";

/// A database of its own, and the keys of a log.
struct LogDir {
    url: String,
    server: PgConnectOptions,
    name: String,
    signer: Arc<dyn Signer>,
    tiles: Arc<dyn Signer>,
}

/// One process of the log, as far as the database can tell.
struct Replica {
    log: Arc<Log>,
    store: Arc<dyn LogStore>,
    router: Router,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl LogDir {
    #[expect(
        clippy::expect_used,
        reason = "the one mistake of a caller, told as what to do instead"
    )]
    async fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "cargo xtask test names the server by the environment"
        )]
        let url = std::env::var("DATABASE_URL")
            .expect("run `cargo xtask test`, which starts a PostgreSQL");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let random = u64::from_be_bytes(crypto::random_bytes());
        let name = format!("log_rekor1_{}_{random:x}", std::process::id());
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut server.connect().await.unwrap()).await.unwrap();
        let url = server.clone().database(&name).to_url_lossy().to_string();
        let key = |key_type| Arc::new(LocalSigner::generate(key_type, "log").unwrap());
        let (signer, tiles) = (key(KeyType::EcdsaP256), key(KeyType::Ed25519));
        Self { url, server, name, signer, tiles }
    }

    async fn replica(&self) -> Replica {
        let store: Arc<dyn LogStore> =
            Arc::new(PostgresLogStore::connect(&self.url).await.unwrap());
        let tree_id = tree_id(store.as_ref(), "rekor1").await.unwrap();
        let cpu = CpuPool::new(1);
        let key = SigningKey::of(Arc::clone(&self.signer) as _, cpu.clone());
        let public_key = self.signer.public_key();
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let log = Log::start(LogParts {
            config: LogConfig {
                spec: LogSpec {
                    name: "rekor1".to_owned(),
                    kind: LogKind::Rekor1,
                    tree_id,
                    origin: format!("{HOST} - {tree_id}"),
                    host: HOST.to_owned(),
                    public_key_der: public_key.spki_der().to_vec(),
                },
                key_name: HOST.to_owned(),
                key_id: public_key.spki_sha256(),
                checkpoint_file: None,
                limits: LogLimits::default(),
            },
            store: Arc::clone(&store),
            key: key.clone(),
            tiles: Some(TilesSigner {
                origin: format!("{HOST}/rekor1"),
                key: SigningKey::of(Arc::clone(&self.tiles) as _, cpu.clone()),
            }),
            anchors: Vec::new(),
            clock: Arc::new(FixedClock::at(1_790_000_000)),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        });
        let log = log.await.unwrap();
        let parts =
            Rekor1Parts { log: Arc::clone(&log), key, cpu, options: Rekor1Options::default() };
        let router = rekor1_router(Rekor1::start(parts, &tasks, shutdown.clone()));
        Replica { log, store, router, tasks, shutdown }
    }

    async fn remove(self) {
        let drop = AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        sqlx::query(drop).execute(&mut self.server.connect().await.unwrap()).await.unwrap();
    }
}

impl Replica {
    /// Id and members of a created entry.
    async fn create(&self, request: &Value) -> (String, Value) {
        let answer = post(&self.router, ENTRIES, request.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        only(answer.json())
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}

fn only(answer: Value) -> (String, Value) {
    let Value::Object(members) = answer else { panic!("{answer}") };
    members.into_iter().next().unwrap()
}

fn hashedrekord(artifact: &[u8]) -> Value {
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(artifact))}},
        "signature": {
            "content": STANDARD.encode(signer.sign_now(artifact).unwrap()),
            "publicKey": {"content": STANDARD.encode(signer.public_key().to_pem())},
        },
    }})
}

fn signed(entry: &Value) -> (&Value, &Value, &Value) {
    let set = &entry["verification"]["signedEntryTimestamp"];
    (&entry["body"], &entry["logIndex"], set)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_set_of_one_replica_is_given_by_another() {
    let place = LogDir::new().await;
    let first = place.replica().await;
    let request = hashedrekord(b"artifact");
    let (id, entry) = first.create(&request).await;
    // Its end is the end of its writing.
    first.stop().await;

    let second = place.replica().await;
    let read = only(get(&second.router, &format!("{ENTRIES}/{id}")).await.json());
    assert_eq!((&read.0, signed(&read.1)), (&id, signed(&entry)));
    let again = second.create(&request).await;
    assert_eq!((&again.0, signed(&again.1)), (&id, signed(&entry)));
    let words = json!({"hash": hex::encode(sha256(b"artifact"))}).to_string();
    let found = post(&second.router, "/api/v1/index/retrieve", words).await;
    assert_eq!(found.json(), json!([id]));
    assert!(
        fsck(second.store.as_ref(), second.log.record(), &Rekor1Rules).await.unwrap().is_clean()
    );
    second.stop().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_at_once_give_every_entry_one_index_and_one_id() {
    let place = LogDir::new().await;
    let (first, second) = (place.replica().await, place.replica().await);
    let requests: Vec<Value> = (0..40u8).map(|number| hashedrekord(&[number])).collect();
    let created = join_all(
        requests.iter().flat_map(|request| [first.create(request), second.create(request)]),
    );
    let created = created.await;
    for twins in created.chunks(2) {
        let [(id, entry), (other_id, other)] = twins else { panic!("{twins:?}") };
        assert_eq!((id, &entry["logIndex"]), (other_id, &other["logIndex"]));
        assert_eq!(entry["body"], other["body"]);
    }
    let size = first.log.checkpoint().head.size.max(second.log.checkpoint().head.size);
    assert_eq!(size, TreeSize(40));
    first.stop().await;
    second.stop().await;

    let third = place.replica().await;
    assert!(fsck(third.store.as_ref(), third.log.record(), &Rekor1Rules).await.unwrap().is_clean());
    let rows =
        third.store.entries(third.log.record().id, LeafIndex(0)..LeafIndex(100)).await.unwrap();
    assert!(rows.iter().all(|row| !row.timestamp_signature.is_empty()));
    third.stop().await;
    place.remove().await;
}

/// Each question is the first one after a write: a replica at rest heard of it up to a second later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_a_replica_has_what_another_one_has_just_answered() {
    let place = LogDir::new().await;
    let (first, second) = (place.replica().await, place.replica().await);
    for question in 0..11u8 {
        let request = hashedrekord(&[question]);
        let (id, entry) = first.create(&request).await;
        let size = entry["verification"]["inclusionProof"]["treeSize"].as_u64().unwrap();
        let router = &second.router;
        let retrieved = async |body: Value| {
            let answer = post(router, &format!("{ENTRIES}/retrieve"), body.to_string()).await;
            only(answer.json()[0].clone()).0
        };
        match question {
            0 | 1 => {
                let by_index = format!("{ENTRIES}?logIndex={}", entry["logIndex"]);
                let path = if question == 0 { format!("{ENTRIES}/{id}") } else { by_index };
                let (found, entry) = only(get(router, &path).await.json());
                let proven = entry["verification"]["inclusionProof"]["treeSize"].as_u64();
                assert!(found == id && proven >= Some(size), "{entry}");
            }
            2 => assert_eq!(retrieved(json!({"entryUUIDs": [id]})).await, id),
            3 => assert_eq!(retrieved(json!({"logIndexes": [entry["logIndex"]]})).await, id),
            4 => assert_eq!(retrieved(json!({"entries": [request]})).await, id),
            5 => {
                let words = json!({"hash": hex::encode(sha256(&[question]))}).to_string();
                let found = post(router, "/api/v1/index/retrieve", words).await;
                assert_eq!(found.json(), json!([id]));
            }
            6 => {
                let info = get(router, "/api/v1/log").await.json();
                assert!(info["treeSize"].as_u64() >= Some(size), "{info}");
            }
            7 => {
                let path = format!("/api/v1/log/proof?firstSize=1&lastSize={size}");
                assert_eq!(get(router, &path).await.status, 200);
            }
            8 => {
                let note = get(router, "/checkpoint").await.text().to_owned();
                assert!(note.lines().nth(1).unwrap().parse::<u64>().unwrap() >= size, "{note}");
            }
            9 => {
                let path = format!("/tile/entries/000.p/{size}");
                assert_eq!(get(router, &path).await.status, 200);
            }
            _ => assert_eq!(second.create(&request).await.0, id),
        }
    }
    first.stop().await;
    second.stop().await;
    place.remove().await;
}
