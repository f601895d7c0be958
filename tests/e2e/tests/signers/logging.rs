//! Checkpoints, SCTs, tree heads and entry timestamps.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc,
};

use crypto::{KeyType, LocalSigner, Signer};
use ctlog::{CtError, CtLog, Submitted};
use engine::{Log, LogConfig, LogLimits, LogParts, SubmitError, TilesSigner};
use rekor::{
    Rekor1, Rekor1Options, Rekor1Parts,
    http::{rekor1_protocol, rekor1_router},
};
use serde_json::{Value, json};
use signing::{Clock, CpuPool, FixedClock, SignError, SigningKey};
use sqlite::SqliteLogStore;
use store::{LogKind, LogSpec, NewEntry};
use tempfile::TempDir;
use tlog::{KeyIdKind, SignedNote, leaf_hash, log_key_id};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    NOW, Outcome, Service,
    audit::Lines,
    issuing::Authority,
    moody::{Mood, Moody},
    row,
    stamping::Web,
};

/// A running log.
pub(crate) struct Running {
    pub(crate) log: Arc<Log>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) cpu: CpuPool,
    tasks: TaskTracker,
    number: AtomicU64,
    _directory: TempDir,
}

impl Running {
    pub(crate) async fn start(
        kind: LogKind,
        signer: Arc<dyn Signer>,
        tiles: Option<Arc<dyn Signer>>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteLogStore::open(&directory.path().join("log.db")).await.unwrap();
        let (clock, cpu) = (Arc::new(FixedClock::at(NOW)), CpuPool::new(1));
        let tasks = TaskTracker::new();
        let log = Log::start(LogParts {
            config: config(kind, signer.as_ref()),
            store: Arc::new(store),
            key: SigningKey::of(signer, cpu.clone()),
            tiles: tiles.map(|signer| TilesSigner {
                origin: "log.test/rekor1".to_owned(),
                key: SigningKey::of(signer, cpu.clone()),
            }),
            anchors: Vec::new(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            tasks: tasks.clone(),
            shutdown: CancellationToken::new(),
        });
        let log = log.await.unwrap();
        Self { log, clock, cpu, tasks, number: AtomicU64::new(0), _directory: directory }
    }

    /// A text that was not used before.
    fn unused(&self) -> String {
        format!("artifact {}", self.number.fetch_add(1, Ordering::Relaxed))
    }

    fn size(&self) -> u64 {
        self.log.checkpoint().head.size.0
    }
}

fn config(kind: LogKind, signer: &dyn Signer) -> LogConfig {
    let key = signer.public_key();
    let origin = if kind == LogKind::Rekor1 { "log.test - 7" } else { "log.test" };
    LogConfig {
        spec: LogSpec {
            name: "log".to_owned(),
            kind,
            tree_id: if kind == LogKind::Rekor1 { 7 } else { 0 },
            origin: origin.to_owned(),
            host: "log.test".to_owned(),
            public_key_der: key.spki_der().to_vec(),
        },
        key_name: "log.test".to_owned(),
        key_id: log_key_id(key, "log.test", KeyIdKind::Named),
        checkpoint_file: None,
        limits: LogLimits::default(),
    }
}

/// Under the log's own name, or that of its tiles.
struct Checkpoints {
    running: Running,
    key: Arc<Moody>,
    origin: &'static str,
}

impl Service for Checkpoints {
    fn kind(&self) -> String {
        format!("a checkpoint of {}", self.origin)
    }

    fn attempts(&self) -> usize {
        3
    }

    async fn ask(&self, _: &Lines) -> Outcome {
        let body = self.running.unused().into_bytes();
        let leaf_hash = leaf_hash(&body);
        let entry = NewEntry {
            leaf_hash,
            dedup_hash: leaf_hash.into(),
            kind: "test",
            body: body.into(),
            extra: bytes::Bytes::new(),
            timestamp_signature: bytes::Bytes::new(),
            index_keys: Vec::new(),
        };
        let integrated = match self.running.log.submit(entry).await {
            Ok(integrated) => integrated,
            Err(SubmitError::Signing(error)) => match &*error {
                SignError::Signer(error) => return error.into(),
                SignError::Signature(_) => return Outcome::Wrong,
                SignError::Overloaded(_) => panic!("{error}"),
            },
            Err(other) => panic!("{other}"),
        };
        let checkpoint = integrated.checkpoint;
        let (note, name) = match &checkpoint.tiles_note {
            Some(note) if self.origin.ends_with("/rekor1") => (note, self.origin),
            _ => (&checkpoint.note, "log.test"),
        };
        let note: SignedNote = note.parse().unwrap();
        let key_id = log_key_id(self.key.public_key(), name, KeyIdKind::Named);
        let verified = note.verified_checkpoint(self.key.public_key(), name, &key_id).unwrap();
        assert_eq!((&*verified.origin, verified.head), (self.origin, checkpoint.head));
        Outcome::Signed
    }

    async fn given_out(&self) -> String {
        format!("{:?}", self.running.log.checkpoint())
    }
}

#[tokio::test]
async fn checkpoints() {
    let key = Moody::new(KeyType::Ed25519, |_| true);
    let running = Running::start(LogKind::Rekor2, Arc::clone(&key) as _, None).await;
    row(&Checkpoints { running, key: Arc::clone(&key), origin: "log.test" }, &key).await;
}

#[tokio::test]
async fn checkpoints_of_tiles() {
    let key = Moody::new(KeyType::Ed25519, |_| true);
    let own = LocalSigner::generate(KeyType::EcdsaP256, "log").unwrap();
    let tiles = Some(Arc::clone(&key) as _);
    let running = Running::start(LogKind::Rekor1, Arc::new(own), tiles).await;
    row(&Checkpoints { running, key: Arc::clone(&key), origin: "log.test/rekor1" }, &key).await;
}

/// A CT log.
pub(crate) struct Ct {
    pub(crate) running: Running,
    pub(crate) service: CtLog,
    authority: Authority,
}

impl Ct {
    pub(crate) async fn start(signer: Arc<dyn Signer>, authority: Authority) -> Self {
        let running = Running::start(LogKind::Ct, Arc::clone(&signer), None).await;
        let chain = authority.chain.certificates().to_vec();
        let clock = Arc::clone(&running.clock) as Arc<dyn Clock>;
        let log = Arc::clone(&running.log);
        let key = SigningKey::of(signer, running.cpu.clone());
        let service = CtLog::new(log, key, [chain], clock, running.cpu.clone()).unwrap();
        Self { running, service, authority }
    }
}

fn of_ct(error: &CtError) -> Outcome {
    match error {
        CtError::Signing(error) => error.into(),
        CtError::TreeHead(error) => of_ct(error),
        CtError::Signature(_) => Outcome::Wrong,
        other => panic!("{other}"),
    }
}

/// SCTs.
struct Scts(Ct);

impl Service for Scts {
    fn kind(&self) -> String {
        "an SCT of log.test".to_owned()
    }

    async fn ask(&self, _: &Lines) -> Outcome {
        let Ct { service, authority, running } = &self.0;
        let leaf = authority.leaf();
        match service.add_chain(authority.submission(&leaf), Submitted::Certificate).await {
            Err(error) => of_ct(&error),
            Ok(sct) => {
                let entry = ct::LogEntry::Certificate(leaf);
                sct.verify(&entry, running.log.public_key()).unwrap();
                Outcome::Signed
            }
        }
    }

    async fn given_out(&self) -> String {
        self.0.running.size().to_string()
    }
}

#[tokio::test]
async fn scts() {
    let key = Moody::new(KeyType::EcdsaP256, |message| message.starts_with(&[0, 0]));
    let ct = Ct::start(Arc::clone(&key) as _, Authority::new()).await;
    row(&Scts(ct), &key).await;
}

#[tokio::test]
async fn an_accepted_chain_gets_its_sct_behind_a_full_queue_of_new_work() {
    let key = Moody::new(KeyType::EcdsaP256, |message| message.starts_with(&[0, 0]));
    let ct = Arc::new(Scts(Ct::start(Arc::clone(&key) as _, Authority::new()).await));
    key.is(true, Mood::Held);
    let accepted = Arc::clone(&ct);
    let mut accepted = tokio::spawn(async move { accepted.ask(&Lines::default()).await });
    key.asked.notified().await;
    let Ct { service, authority, running } = &ct.0;
    let (release, callers) = flood(&running.cpu).await;
    let refused =
        service.add_chain(authority.submission(&authority.leaf()), Submitted::Certificate).await;
    assert!(matches!(refused, Err(CtError::Overloaded)), "{refused:?}");
    key.answer.notify_one();
    // Without a thread to run on it can only wait, or be refused.
    let moment = std::time::Duration::from_millis(200);
    assert!(tokio::time::timeout(moment, &mut accepted).await.is_err());
    drop(release);
    assert_eq!(accepted.await.unwrap(), Outcome::Signed);
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Occupies the pool's one thread, fills the queue of new work behind it, and has more steps of accepted
/// work wait than that has room for.
async fn flood(pool: &CpuPool) -> (mpsc::Sender<()>, Vec<JoinHandle<()>>) {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = oneshot::channel();
    let occupied = pool.clone();
    let occupy = async move {
        let job = move || {
            started.send(()).unwrap();
            held.recv().unwrap_err();
        };
        occupied.run(job).await.unwrap();
    };
    let mut callers = vec![tokio::spawn(occupy)];
    running.await.unwrap();
    loop {
        let pool = pool.clone();
        let caller = tokio::spawn(async move { pool.run(|| ()).await.unwrap_or_default() });
        tokio::task::yield_now().await;
        if caller.is_finished() {
            break;
        }
        callers.push(caller);
    }
    for _ in 0..callers.len() {
        let pool = pool.clone();
        callers.push(tokio::spawn(async move { pool.run_next(|| ()).await }));
        tokio::task::yield_now().await;
    }
    (release, callers)
}

/// Tree heads.
struct TreeHeads(Ct);

impl Service for TreeHeads {
    fn kind(&self) -> String {
        "a tree head of log.test".to_owned()
    }

    async fn ask(&self, _: &Lines) -> Outcome {
        let Ct { service, running, .. } = &self.0;
        // The one of an hour ago would do for so long.
        running.clock.advance_ms(3_600_000);
        let signed = match service.signed_tree_head().await {
            Ok(signed) => signed,
            Err(error) => return of_ct(&error),
        };
        let message =
            ct::tree_head_signed_data(signed.timestamp, signed.tree_size, &signed.root_hash);
        let (_, signature) = ct::decode_digitally_signed(&signed.digitally_signed).unwrap();
        running.log.public_key().verify(&message, signature).unwrap();
        Outcome::Signed
    }
}

#[tokio::test]
async fn tree_heads() {
    let key = Moody::new(KeyType::EcdsaP256, |message| message.starts_with(&[0, 1]));
    let ct = Ct::start(Arc::clone(&key) as _, Authority::new()).await;
    row(&TreeHeads(ct), &key).await;
}

/// One after the other, the last of them would wait for as many limits as there are before it.
#[tokio::test]
async fn a_silent_key_is_waited_for_once_by_all_who_ask_for_a_tree_head() {
    let key = Moody::new(KeyType::EcdsaP256, |message| message.starts_with(&[0, 1]));
    let ct = Ct::start(Arc::clone(&key) as _, Authority::new()).await;
    let heads = TreeHeads(ct);
    key.is(true, Mood::Late);
    heads.0.running.clock.advance_ms(3_600_000);
    let lines = Lines::default();
    let listening = lines.listen();
    let ask = || heads.0.service.signed_tree_head();
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    drop(listening);
    for refused in [one, two, three] {
        assert_eq!(of_ct(&refused.unwrap_err()), Outcome::Late);
    }
    assert_eq!(lines.steps(&heads.kind()), ["signing"]);
    key.is(true, Mood::Well);
    heads.0.service.signed_tree_head().await.unwrap();
}

/// Entry timestamps, over HTTP.
struct Sets {
    running: Running,
    web: Web,
}

impl Service for Sets {
    fn kind(&self) -> String {
        "an entry timestamp".to_owned()
    }

    async fn ask(&self, lines: &Lines) -> Outcome {
        let artifact = self.running.unused();
        let key = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
        let proposed = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {
                "algorithm": "sha256",
                "value": hex::encode(crypto::sha256(artifact.as_bytes()))
            }},
            "signature": {
                "content": base64_of(key.sign_now(artifact.as_bytes()).unwrap()),
                "publicKey": {"content": base64_of(key.public_key().to_pem())}
            },
        }});
        let (status, body) = self.web.post("/api/v1/log/entries", &proposed).await;
        let answer: Value = serde_json::from_slice(&body).unwrap();
        if status == 201 {
            let entry = answer.as_object().unwrap().values().next().unwrap();
            assert!(entry["verification"]["signedEntryTimestamp"].is_string(), "{answer}");
            return Outcome::Signed;
        }
        assert_eq!(answer.as_object().unwrap().len(), 2, "code and message: {answer}");
        lines.why()
    }
}

pub(crate) fn base64_of(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn entry_timestamps() {
    let key = Moody::new(KeyType::EcdsaP256, |message| message.starts_with(b"{"));
    let running = Running::start(LogKind::Rekor1, Arc::clone(&key) as _, None).await;
    let (log, cpu, tasks) = (Arc::clone(&running.log), running.cpu.clone(), &running.tasks);
    let shutdown = CancellationToken::new();
    let options = Rekor1Options::default();
    let of_log = SigningKey::of(Arc::clone(&key) as _, cpu.clone());
    let parts = Rekor1Parts { log, key: of_log, cpu, options };
    let router = rekor1_router(Rekor1::start(parts, tasks, shutdown));
    let web = Web::serve(server::harden(router, rekor1_protocol())).await;
    row(&Sets { running, web }, &key).await;
}
