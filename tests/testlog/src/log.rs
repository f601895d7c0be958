//! A log with its key, clock and database file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use crypto::{KeyType, LocalSigner, Signer};
use engine::{
    Anchor, Integrated, Log, LogConfig, LogLimits, LogParts, PublishedCheckpoint, StartError,
    TilesSigner,
};
use signing::{Clock, CpuPool, FixedClock, SigningKey};
use sqlite::SqliteLogStore;
use store::{DedupHash, LogKind, LogSpec, LogStore, NewEntry};
use tempfile::TempDir;
use tlog::{KeyIdKind, SignedNote, TreeHead, leaf_hash, log_key_id, verify_inclusion};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::cpu;

/// Where the clocks of tests stand, Unix seconds.
pub const NOW: u64 = 1_790_000_000;
/// Host and origin of the log.
pub const ORIGIN: &str = "log.test";
/// Origin of a Rekor v1 log's tiles.
pub const TILES_ORIGIN: &str = "log.test/rekor1";
/// Tree id of a Rekor v1 log.
pub const TREE_ID: i64 = 0x108e_9186_e8c5_677a;

/// What outlives a running log: its directory, key and clock.
pub struct LogDir {
    /// Holds the database and the checkpoint file.
    pub dir: TempDir,
    /// The log's key.
    pub signer: Arc<dyn Signer>,
    /// The log's clock.
    pub clock: Arc<FixedClock>,
    /// What the store calls the log.
    pub kind: LogKind,
    /// Signs the tiles' checkpoints of a Rekor v1 log.
    pub tiles: Option<Arc<dyn Signer>>,
}

impl Default for LogDir {
    fn default() -> Self {
        Self::new()
    }
}

impl LogDir {
    /// A log of entries without timestamp signatures.
    pub fn new() -> Self {
        Self::with_key(LogKind::Rekor2, KeyType::Ed25519)
    }

    /// A log with a tree id and a second origin.
    pub fn rekor1() -> Self {
        let tiles = LocalSigner::generate(KeyType::Ed25519, "tiles").unwrap();
        let place = Self::with_key(LogKind::Rekor1, KeyType::EcdsaP256);
        Self { tiles: Some(Arc::new(tiles)), ..place }
    }

    /// A log with a P-256 key.
    pub fn ct() -> Self {
        Self::with_key(LogKind::Ct, KeyType::EcdsaP256)
    }

    fn with_key(kind: LogKind, key_type: KeyType) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            signer: Arc::new(LocalSigner::generate(key_type, "log").unwrap()),
            clock: Arc::new(FixedClock::at(NOW)),
            kind,
            tiles: None,
        }
    }

    /// The same log with nothing in it, in a directory of its own.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            signer: Arc::clone(&self.signer),
            clock: Arc::clone(&self.clock),
            kind: self.kind,
            tiles: self.tiles.clone(),
        }
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.dir.path().join("log.db")
    }

    /// Where the last signed checkpoint is kept.
    pub fn checkpoint_file(&self) -> PathBuf {
        self.dir.path().join("keep").join("log.checkpoint")
    }

    /// Opens the database file.
    pub async fn open_store(&self) -> Arc<dyn LogStore> {
        Arc::new(SqliteLogStore::open(&self.database()).await.unwrap())
    }

    /// What the log is started with.
    pub fn config(&self) -> LogConfig {
        let public_key = self.signer.public_key();
        let is_v1 = self.kind == LogKind::Rekor1;
        LogConfig {
            spec: LogSpec {
                name: "log".to_owned(),
                kind: self.kind,
                tree_id: if is_v1 { TREE_ID } else { 0 },
                origin: if is_v1 { format!("{ORIGIN} - {TREE_ID}") } else { ORIGIN.to_owned() },
                host: ORIGIN.to_owned(),
                public_key_der: public_key.spki_der().to_vec(),
            },
            key_name: ORIGIN.to_owned(),
            key_id: log_key_id(public_key, ORIGIN, KeyIdKind::Named),
            checkpoint_file: Some(self.checkpoint_file()),
            limits: LogLimits::default(),
        }
    }

    /// Starts the log on its own database.
    pub async fn start(&self) -> Running {
        self.start_on(self.open_store().await).await.unwrap()
    }

    /// Starts the log on another store.
    ///
    /// # Errors
    /// [`StartError`], as the log gives it.
    pub async fn start_on(&self, store: Arc<dyn LogStore>) -> Result<Running, StartError> {
        self.start_with(store, self.config()).await
    }

    /// Starts the log on another store and with another configuration.
    ///
    /// # Errors
    /// [`StartError`], as the log gives it.
    pub async fn start_with(
        &self,
        store: Arc<dyn LogStore>,
        config: LogConfig,
    ) -> Result<Running, StartError> {
        self.start_tiled(store, config, TILES_ORIGIN).await
    }

    /// Starts the log with another origin of its tiles.
    ///
    /// # Errors
    /// [`StartError`], as the log gives it.
    pub async fn start_tiled(
        &self,
        store: Arc<dyn LogStore>,
        config: LogConfig,
        tiles_origin: &str,
    ) -> Result<Running, StartError> {
        self.start_anchored(store, (config, tiles_origin), Vec::new()).await
    }

    /// Starts the log with anchors.
    ///
    /// # Errors
    /// [`StartError`], as the log gives it.
    pub async fn start_anchored(
        &self,
        store: Arc<dyn LogStore>,
        (config, tiles_origin): (LogConfig, &str),
        anchors: Vec<Arc<dyn Anchor>>,
    ) -> Result<Running, StartError> {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let cpu = cpu();
        let log = Log::start(LogParts {
            config,
            store: Arc::clone(&store),
            key: SigningKey::of(Arc::clone(&self.signer), cpu.clone()),
            tiles: self.tiles.clone().map(|signer| TilesSigner {
                origin: tiles_origin.to_owned(),
                key: SigningKey::of(signer, cpu.clone()),
            }),
            anchors,
            clock,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        })
        .await?;
        Ok(Running { log, store, signer: Arc::clone(&self.signer), cpu, tasks, shutdown })
    }

    /// Verifies a checkpoint as a client does.
    pub fn verified_head(&self, checkpoint: &PublishedCheckpoint) -> TreeHead {
        let note: SignedNote = checkpoint.note.parse().unwrap();
        let key = self.signer.public_key();
        let key_id = log_key_id(key, ORIGIN, KeyIdKind::Named);
        let verified = note.verified_checkpoint(key, ORIGIN, &key_id).unwrap();
        assert_eq!(verified.origin, self.config().spec.origin);
        assert_eq!(verified.head, checkpoint.head);
        verified.head
    }

    /// Verifies checkpoint and proof of an answer.
    pub fn verify(&self, integrated: &Integrated) {
        let head = self.verified_head(&integrated.checkpoint);
        verify_inclusion(&integrated.leaf_hash, integrated.index, &integrated.path, &head).unwrap();
    }
}

/// A running log.
pub struct Running {
    /// The log.
    pub log: Arc<Log>,
    /// What it is stored in.
    pub store: Arc<dyn LogStore>,
    /// The log's key.
    pub signer: Arc<dyn Signer>,
    /// Where the log signs.
    pub cpu: CpuPool,
    /// The log's tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub shutdown: CancellationToken,
}

impl Running {
    /// Ends the log's tasks and closes its database.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }

    /// Submits `count` entries with distinct bodies, at once.
    pub async fn fill(&self, count: u64) {
        let start = self.log.checkpoint().head.size.0;
        let submissions =
            (start..start + count).map(|number| self.log.submit(entry(&body(number))));
        for result in futures::future::join_all(submissions).await {
            result.unwrap();
        }
    }
}

/// The body of that number.
pub fn body(number: u64) -> Vec<u8> {
    format!("entry number {number}").into_bytes()
}

/// An entry with that body.
pub fn entry(body: &[u8]) -> NewEntry {
    let leaf_hash = leaf_hash(body);
    NewEntry {
        leaf_hash,
        dedup_hash: DedupHash::from(leaf_hash),
        kind: "test",
        body: Bytes::copy_from_slice(body),
        extra: Bytes::new(),
        timestamp_signature: Bytes::new(),
        index_keys: Vec::new(),
    }
}

/// Copies a database file with those beside it.
pub fn copy_database(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    for suffix in ["-wal", "-shm"] {
        let side = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = std::fs::remove_file(side(to));
        if side(from).exists() {
            std::fs::copy(side(from), side(to)).unwrap();
        }
    }
}
