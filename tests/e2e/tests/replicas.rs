//! Three replicas of one log on one PostgreSQL whose backends die at random: they sign one history.
//!
//! `COUNTERSIGN_SECONDS` says for how long they do (`cargo xtask test --seconds N`).

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use crypto::{KeyType, LocalSigner, PublicKey, SignatureAlgorithm, Signer, SignerError};
use e2e::Database;
use engine::{Integrated, Leaves, Log, LogConfig, LogLimits, LogParts, SubmitError, fsck};
use postgres::PostgresLogStore;
use signing::{CpuPool, SigningKey, SystemClock};
use sqlx::{Connection, PgConnection};
use store::{LogKind, LogSpec, LogStore, MAX_ENTRIES_PER_READ, NewEntry, StoredEntry};
use tlog::{
    Checkpoint, Edge, KeyIdKind, LeafIndex, NodeHash, SignedNote, TreeHead, leaf_hash, log_key_id,
    verify_inclusion,
};
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const REPLICAS: usize = 3;
const SUBMITTERS: usize = 48;
const ORIGIN: &str = "log.test";

#[expect(clippy::disallowed_methods, reason = "how `cargo xtask test` hands over --seconds")]
fn duration() -> Duration {
    let seconds = std::env::var("COUNTERSIGN_SECONDS").map_or(5, |n| n.parse().unwrap());
    Duration::from_secs(seconds)
}

/// The log's key, which remembers all that one replica ever signed: every published checkpoint is among it.
struct Recorder {
    key: LocalSigner,
    signed: Mutex<Vec<TreeHead>>,
}

#[async_trait]
impl Signer for Recorder {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let text = String::from_utf8(message.to_vec()).unwrap();
        let checkpoint: Checkpoint = text.parse().unwrap();
        self.signed.lock().unwrap().push(checkpoint.head);
        self.key.sign(message).await
    }

    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    fn key_id(&self) -> &str {
        self.key.key_id()
    }
}

/// One process of the log, as far as the database can tell.
struct Replica {
    log: Arc<Log>,
    store: Arc<dyn LogStore>,
    recorder: Arc<Recorder>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// What a replica answered to an entry.
struct Answer {
    body: Bytes,
    integrated: Integrated,
}

impl Replica {
    async fn start(url: &str, key: &str) -> Self {
        let key = LocalSigner::from_pkcs8_pem(key, "log").unwrap();
        let recorder = Arc::new(Recorder { key, signed: Mutex::default() });
        let store: Arc<dyn LogStore> = Arc::new(PostgresLogStore::connect(url).await.unwrap());
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let log = Log::start(LogParts {
            config: config(recorder.public_key()),
            store: Arc::clone(&store),
            key: SigningKey::of(Arc::clone(&recorder) as Arc<dyn Signer>, CpuPool::new(1)),
            tiles: None,
            anchors: Vec::new(),
            clock: Arc::new(SystemClock),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        });
        Self { log: log.await.unwrap(), store, recorder, tasks, shutdown }
    }

    /// Submits an entry and verifies the answer as its client does.
    async fn submit(&self, body: &Bytes) -> Result<Answer, SubmitError> {
        let seen = self.log.checkpoint().head.size;
        let integrated = self.log.submit(entry(body)).await?;
        let head = integrated.checkpoint.head;
        assert_eq!(self.verified_head(&integrated.checkpoint.note), head);
        let published = self.log.checkpoint().head.size;
        assert!(seen <= head.size && head.size <= published, "{seen}, {head:?}, {published}");
        let Integrated { index, path, .. } = &integrated;
        verify_inclusion(&leaf_hash(body), *index, path, &head).unwrap();
        Ok(Answer { body: body.clone(), integrated })
    }

    fn verified_head(&self, note: &str) -> TreeHead {
        let LogConfig { key_name, key_id, .. } = config(self.recorder.public_key());
        let note: SignedNote = note.parse().unwrap();
        let key = self.recorder.public_key();
        note.verified_checkpoint(key, &key_name, &key_id).unwrap().head
    }

    fn signed(&self) -> Vec<TreeHead> {
        self.recorder.signed.lock().unwrap().clone()
    }

    async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}

fn config(key: &PublicKey) -> LogConfig {
    LogConfig {
        spec: LogSpec {
            name: "log".to_owned(),
            kind: LogKind::Rekor2,
            tree_id: 0,
            origin: ORIGIN.to_owned(),
            host: ORIGIN.to_owned(),
            public_key_der: key.spki_der().to_vec(),
        },
        key_name: ORIGIN.to_owned(),
        key_id: log_key_id(key, ORIGIN, KeyIdKind::Named),
        checkpoint_file: None,
        limits: LogLimits::default(),
    }
}

fn entry(body: &Bytes) -> NewEntry {
    let leaf_hash = leaf_hash(body);
    NewEntry {
        leaf_hash,
        dedup_hash: leaf_hash.into(),
        kind: "test",
        body: body.clone(),
        extra: Bytes::new(),
        timestamp_signature: Bytes::new(),
        index_keys: Vec::new(),
    }
}

/// What all submitters share.
struct Load {
    replicas: Vec<Replica>,
    taken: AtomicU64,
    over: CancellationToken,
}

/// What one submitter was told.
#[derive(Default)]
struct Told {
    answers: Vec<Answer>,
    /// How often each refusal was given.
    refusals: BTreeMap<&'static str, u64>,
}

impl Load {
    /// Each body is given out three times, so close together that the replicas race with it.
    fn next_body(&self) -> Bytes {
        /// A little more than the submitters of one replica, which are woken together by its batch.
        const DISTINCT: u64 = 20;
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let number = taken / (3 * DISTINCT) * DISTINCT + taken % DISTINCT;
        format!("entry number {number}").into()
    }
}

/// Submits without end; what one replica refuses, the next one gets, as behind a load balancer.
async fn submitter(load: Arc<Load>, first: usize) -> Told {
    let mut told = Told::default();
    while !load.over.is_cancelled() {
        let body = load.next_body();
        for replica in load.replicas.iter().cycle().skip(first % REPLICAS) {
            match replica.submit(&body).await {
                Ok(answer) => {
                    told.answers.push(answer);
                    break;
                }
                Err(refusal) => *told.refusals.entry(retryable(&refusal)).or_default() += 1,
            }
            if load.over.is_cancelled() {
                break;
            }
        }
    }
    told
}

/// Lost backends may cost an attempt. They must neither stop a log nor break a proof.
fn retryable(refusal: &SubmitError) -> &'static str {
    match refusal {
        SubmitError::Overloaded => "overloaded",
        SubmitError::Unavailable(_) => "unavailable",
        SubmitError::OutcomeUnknown => "outcome unknown",
        other => panic!("no lost connection is a reason for this: {other:?}"),
    }
}

/// Ends one backend of the replicas after the other, most of them at work, at last all; gives their number.
async fn kill_backends(url: &str, duration: Duration) -> i64 {
    const KILL_ONE: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM ( \
        SELECT pid FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'engine' \
        ORDER BY state = 'idle' AND random() < 0.7, random() LIMIT 1) AS victim";
    /// Waits for their end, so that none dies later.
    const KILL_ALL: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) \
        FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'engine'";
    /// Time for some batches, so that the log grows between two deaths.
    const PAUSE: Duration = Duration::from_millis(20);
    let mut connection = PgConnection::connect(url).await.unwrap();
    let (begin, mut killed) = (Instant::now(), 0);
    while begin.elapsed() < duration {
        killed += sqlx::query_scalar::<_, i64>(KILL_ONE).fetch_one(&mut connection).await.unwrap();
        sleep(PAUSE).await;
    }
    killed += sqlx::query_scalar::<_, i64>(KILL_ALL).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    killed
}

/// Makes every commit last some milliseconds, for a death in the middle leaves its outcome unknown.
async fn prolong_commits(url: &str) {
    const SLEEP: &str = "CREATE FUNCTION log.at_commit() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(0.005); RETURN NULL; END $$; \
        CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON log.tree_head \
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log.at_commit()";
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(SLEEP).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// All submitters at work while backends die.
async fn chaos(load: &Arc<Load>, url: &str) -> Vec<Answer> {
    let mut submitters = JoinSet::new();
    for first in 0..SUBMITTERS {
        submitters.spawn(submitter(Arc::clone(load), first));
    }
    let killed = kill_backends(url, duration()).await;
    load.over.cancel();
    let (mut answers, mut refusals) = (Vec::new(), BTreeMap::new());
    for told in submitters.join_all().await {
        answers.extend(told.answers);
        for (refusal, count) in told.refusals {
            *refusals.entry(refusal).or_insert(0) += count;
        }
    }
    let known = answers.iter().filter(|answer| !answer.integrated.fresh).count();
    println!("{killed} backends killed, refused: {refusals:?}");
    println!("{} answered, {known} of them duplicates", answers.len());
    assert!(!refusals.is_empty(), "no kill hit a submission: nothing was tried");
    assert!(known > 0, "no duplicate raced: nothing was tried");
    answers
}

async fn stored_entries(replica: &Replica) -> Vec<StoredEntry> {
    let log = replica.log.record().id;
    let size = replica.store.state(log).await.unwrap().edge.size().0;
    let mut entries = Vec::new();
    for start in (0..size).step_by(usize::try_from(MAX_ENTRIES_PER_READ).unwrap()) {
        let end = size.min(start + MAX_ENTRIES_PER_READ);
        entries.extend(replica.store.entries(log, LeafIndex(start)..LeafIndex(end)).await.unwrap());
    }
    assert_eq!(entries.len() as u64, size);
    entries
}

/// Roots of all prefixes of the log, by size, computed from the bodies.
fn roots(stored: &[StoredEntry]) -> Vec<NodeHash> {
    let mut edge = Edge::default();
    let mut roots = vec![edge.head().root];
    for entry in stored {
        edge.push(leaf_hash(&entry.body));
        roots.push(edge.head().root);
    }
    roots
}

/// What was answered stands where the answer says, and nothing stands twice.
fn check_answers(answers: &[Answer], stored: &[StoredEntry]) {
    for Answer { body, integrated } in answers {
        let entry = &stored[usize::try_from(integrated.index.0).unwrap()];
        assert_eq!(&entry.body, body, "entry {} is another one", integrated.index);
        assert_eq!(entry.integrated_at, integrated.integrated_at);
    }
    let distinct: HashSet<_> = stored.iter().map(|entry| entry.dedup_hash.0).collect();
    assert_eq!(distinct.len(), stored.len(), "an entry is in the log twice");
}

/// Whatever was signed by whomever is a prefix of the one log, and no replica ever went back.
fn check_signed(replicas: &[Replica], stored: &[StoredEntry]) {
    let roots = roots(stored);
    for (number, replica) in replicas.iter().enumerate() {
        let signed = replica.signed();
        println!("replica {number} signed {} heads of {} entries", signed.len(), stored.len());
        assert!(
            signed.is_sorted_by_key(|head| head.size),
            "replica {number} went back: {signed:?}"
        );
        for head in &signed {
            let root = roots.get(usize::try_from(head.size.0).unwrap());
            assert_eq!(root, Some(&head.root), "replica {number} signed another history: {head:?}");
        }
    }
}

async fn signs_one_history(url: &str) {
    let key = LocalSigner::generate(KeyType::Ed25519, "log").unwrap().to_pkcs8_pem();
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(Replica::start(url, &key).await);
    }
    prolong_commits(url).await;
    let (taken, over) = (AtomicU64::new(0), CancellationToken::new());
    let load = Arc::new(Load { replicas, taken, over });
    let mut answers = chaos(&load, url).await;
    // The log goes on after all of it, at every replica.
    for (number, replica) in load.replicas.iter().enumerate() {
        let answer = replica.submit(&format!("after all, replica {number}").into()).await.unwrap();
        assert!(answer.integrated.fresh);
        answers.push(answer);
    }
    let replica = &load.replicas[0];
    let report = fsck(replica.store.as_ref(), replica.log.record(), &Leaves).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    let stored = stored_entries(replica).await;
    check_answers(&answers, &stored);
    check_signed(&load.replicas, &stored);
    for replica in &load.replicas {
        replica.stop().await;
    }
}

#[test]
fn three_replicas_sign_one_history_on_postgres() {
    let database = Database::postgres("countersign_e2e_replicas").unwrap();
    let Database::Postgres { url } = database else { panic!("{database:?} is no server") };
    Runtime::new().unwrap().block_on(signs_one_history(&url));
}
