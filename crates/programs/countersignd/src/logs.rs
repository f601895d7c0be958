//! The logs of a deployment, on either database.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context;
use axum::Router;
use crypto::{KeyType, PublicKey};
use engine::{Anchor, EntryRules, Log, LogConfig, LogParts, SubmitError, TilesSigner};
use futures::future::try_join_all;
use rekor::ensure_first_entry;
use signing::{CpuPool, SigningKey};
use store::{LogKind, LogRecord, LogSpec, LogStore};
use tlog::{KeyIdKind, Rekor1Origin};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trust::AnchoredLog;

use crate::{
    data_dir::read_json,
    deployment::{self, Deployment, not_made},
    known_logs::{as_configured, refuse_renamed, warnings},
    room::{self, Room},
    services::Shared,
};

/// What a log is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogNames {
    /// In the database, and of the checkpoint file.
    pub(crate) name: String,
    pub(crate) kind: LogKind,
    /// Host of its base URL.
    pub(crate) host: String,
    /// Rekor v1's tree id; 0 for the others.
    pub(crate) tree_id: i64,
}

impl LogNames {
    /// First line of the checkpoints.
    ///
    /// Rekor v2's must be the bare host of the base URL, so CT's must be something else.
    pub(crate) fn origin(&self) -> String {
        let Self { host, tree_id, .. } = self;
        match self.kind {
            LogKind::Ct => format!("{host}/ct"),
            LogKind::Rekor1 => Rekor1Origin::write(host, *tree_id),
            LogKind::Rekor2 => host.clone(),
        }
    }

    /// First line of the checkpoints of a Rekor v1 log's tiles. Not `host - number`, which clients
    /// take for Rekor v1 itself.
    pub(crate) fn tiles_origin(&self) -> String {
        format!("{}/rekor1", self.host)
    }

    /// What the database keeps of it.
    pub(crate) fn spec(&self, public_key: &PublicKey) -> LogSpec {
        LogSpec {
            name: self.name.clone(),
            kind: self.kind,
            tree_id: self.tree_id,
            origin: self.origin(),
            host: self.host.clone(),
            public_key_der: public_key.spki_der().to_vec(),
        }
    }
}

impl deployment::Log {
    /// What it is called, where `tree_id` is its tree id: 0 but for Rekor v1.
    pub(crate) fn names_with(&self, tree_id: i64) -> LogNames {
        LogNames {
            name: self.service.name.clone(),
            kind: self.kind,
            host: self.service.url.host().to_owned(),
            tree_id,
        }
    }

    /// What it is called, once it was made.
    pub(crate) fn names(&self) -> anyhow::Result<LogNames> {
        let Some(places) = &self.rekor1 else { return Ok(self.names_with(0)) };
        let tree_id = read_json(&places.tree_id_file)?;
        Ok(self.names_with(tree_id.with_context(|| not_made(&places.tree_id_file))?))
    }

    /// Its anchors, each with the log's own name.
    pub(crate) fn open_anchors(&self) -> anyhow::Result<Vec<Arc<dyn Anchor>>> {
        self.anchors.iter().map(|place| place.open(&self.service.name)).collect()
    }

    /// What the trust service is told of it, which keeps its checkpoints.
    pub(crate) fn anchored(&self) -> anyhow::Result<AnchoredLog> {
        let public_key = self.key.public_key()?;
        let spec = self.names()?.spec(&public_key);
        Ok(AnchoredLog {
            name: self.service.name.clone(),
            key_name: key_name(&spec).to_owned(),
            key_id: key_id(&spec, &public_key),
            origin: spec.origin,
            public_key,
        })
    }

    /// What the engine is told of it.
    pub(crate) fn config(&self, spec: LogSpec, public_key: &PublicKey) -> LogConfig {
        LogConfig {
            key_name: key_name(&spec).to_owned(),
            key_id: key_id(&spec, public_key),
            checkpoint_file: Some(self.checkpoint_file.clone()),
            spec,
            limits: self.options.limits,
        }
    }
}

/// A log that runs.
pub(crate) struct RunningLog<'a> {
    pub(crate) of: &'a deployment::Log,
    pub(crate) log: Arc<Log>,
    /// Signs what its protocol has beside checkpoints.
    pub(crate) key: SigningKey,
    /// Signs the checkpoints of its tiles, where these have a key of their own.
    pub(crate) tiles_key: Option<SigningKey>,
    /// Its queues of work, which its key has too.
    pub(crate) cpu: CpuPool,
    /// Of a log whose routes have tasks of their own: made once.
    pub(crate) routes: Arc<OnceLock<Router>>,
}

impl RunningLog<'_> {
    /// The log without what a configuration says of it.
    pub(crate) fn kept(&self) -> KeptLog {
        KeptLog {
            name: self.of.service.name.clone(),
            log: Arc::clone(&self.log),
            key: self.key.clone(),
            tiles_key: self.tiles_key.clone(),
            cpu: self.cpu.clone(),
            routes: Arc::clone(&self.routes),
        }
    }
}

/// A log that runs, whatever a configuration says of it.
pub(crate) struct KeptLog {
    pub(crate) name: String,
    log: Arc<Log>,
    key: SigningKey,
    tiles_key: Option<SigningKey>,
    cpu: CpuPool,
    routes: Arc<OnceLock<Router>>,
}

impl KeptLog {
    /// The log as `of` has it.
    pub(crate) fn as_in<'a>(&self, of: &'a deployment::Log) -> RunningLog<'a> {
        RunningLog {
            of,
            log: Arc::clone(&self.log),
            key: self.key.clone(),
            tiles_key: self.tiles_key.clone(),
            cpu: self.cpu.clone(),
            routes: Arc::clone(&self.routes),
        }
    }
}

/// What runs and stops the logs of a process.
pub(crate) struct Logs {
    all: Vec<Arc<Log>>,
    store: Arc<dyn LogStore>,
    /// Where the database is, if it is a file.
    database_dir: Option<PathBuf>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Logs {
    /// Starts all of them at once.
    pub(crate) async fn start<'a>(
        deployment: &'a Deployment,
        store: Arc<dyn LogStore>,
        shared: &Shared,
    ) -> anyhow::Result<(Self, Vec<RunningLog<'a>>)> {
        let known = store.logs().await?;
        refuse_renamed(deployment, &known)?;
        for words in warnings(deployment, &known) {
            tracing::warn!("{words}");
        }
        let mut logs = Self {
            all: Vec::new(),
            store,
            database_dir: deployment.database.directory().map(Path::to_owned),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        let starting = deployment.running_logs().map(|log| logs.start_one(log, &known, shared));
        let running = try_join_all(starting).await?;
        logs.all = running.iter().map(|one| Arc::clone(&one.log)).collect();
        Ok((logs, running))
    }

    async fn start_one<'a>(
        &self,
        of: &'a deployment::Log,
        known: &[LogRecord],
        shared: &Shared,
    ) -> anyhow::Result<RunningLog<'a>> {
        as_configured(of, known)?;
        let cpu = shared.cpu_of(of.service.kind, &of.service.name);
        let key = SigningKey::of(Arc::new(of.key.load()?), cpu.clone());
        let tiles_key = tiles_key(of, &cpu)?;
        let ends = (self.tasks.clone(), self.shutdown.clone());
        let log = open(of, (&self.store, shared), (&key, tiles_key.clone()), ends).await?;
        if log.is_frozen() {
            let name = &of.service.name;
            tracing::info!(log.name = %name, "the log is frozen: it is read, and takes nothing");
        } else {
            ensure_first_entry(&log).await?;
            let checkpoints = of.checkpoint_file.parent().map(Path::to_owned);
            let room = Room::new(self.database_dir.clone(), checkpoints, of.options.min_free_mib);
            room::show(&log, false);
            self.tasks.spawn(room.watch(Arc::clone(&log), self.shutdown.clone()));
        }
        Ok(RunningLog { of, log, key, tiles_key, cpu, routes: Arc::default() })
    }

    /// Waits until a log has stopped by itself: after damage, or a panic.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        const INTERVAL: Duration = Duration::from_secs(1);
        loop {
            for log in &self.all {
                if let Err(reason @ SubmitError::Stopped(_)) = log.ready() {
                    let what = format!("the {} log has stopped", log.record().spec.name);
                    return anyhow::Error::new(reason).context(what);
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Sequences and answers what was accepted, then closes the database.
    ///
    /// Whatever does not finish in `patience` was not acknowledged to anybody.
    pub(crate) async fn stop(self, patience: Duration) {
        self.shutdown.cancel();
        self.tasks.close();
        let finish = async {
            self.tasks.wait().await;
            self.store.close().await;
        };
        if tokio::time::timeout(patience, finish).await.is_err() {
            tracing::warn!("the logs did not finish in time");
        }
    }
}

/// The key of a log's tiles, where they have one of their own.
fn tiles_key(of: &deployment::Log, cpu: &CpuPool) -> anyhow::Result<Option<SigningKey>> {
    let Some(places) = &of.rekor1 else { return Ok(None) };
    Ok(Some(SigningKey::of(Arc::new(places.tiles_key.load()?), cpu.clone())))
}

/// Opens a log, whose tasks are among the first of `ends` and end with the second.
async fn open(
    of: &deployment::Log,
    (store, shared): (&Arc<dyn LogStore>, &Shared),
    (key, tiles_key): (&SigningKey, Option<SigningKey>),
    (tasks, shutdown): (TaskTracker, CancellationToken),
) -> anyhow::Result<Arc<Log>> {
    let names = of.names()?;
    let tiles = tiles_key.map(|key| TilesSigner { origin: names.tiles_origin(), key });
    // Large: it is every check of a log's start.
    let anchors = of.open_anchors()?;
    let log = Box::pin(Log::start(LogParts {
        config: of.config(names.spec(key.public_key()), key.public_key()),
        store: Arc::clone(store),
        key: key.clone(),
        tiles,
        anchors,
        clock: Arc::clone(&shared.clock),
        tasks,
        shutdown,
    }));
    log.await.with_context(|| format!("cannot start {}", of.service))
}

/// Ends a log that was only just made, after the entry that every Rekor log begins with.
pub(crate) async fn end_new(
    of: &deployment::Log,
    store: &Arc<dyn LogStore>,
    shared: &Shared,
) -> anyhow::Result<()> {
    let cpu = shared.cpu_of(of.service.kind, &of.service.name);
    let key = SigningKey::of(Arc::new(of.key.load()?), cpu.clone());
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let keys = (&key, tiles_key(of, &cpu)?);
    let log = open(of, (store, shared), keys, (tasks.clone(), shutdown.clone())).await?;
    let begun = ensure_first_entry(&log).await;
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    begun?;
    Ok(store.freeze(log.record().id).await?)
}

/// What fsck checks of the entries of a log of that kind.
pub(crate) fn entry_rules(kind: LogKind) -> &'static dyn EntryRules {
    match kind {
        LogKind::Ct => &ctlog::CtRules,
        LogKind::Rekor1 => &rekor::Rekor1Rules,
        // Its entries are what their leaf hashes say, and it signs no times.
        LogKind::Rekor2 => &engine::Leaves,
    }
}

/// What clients take for the key of a log of that kind.
pub(crate) const fn key_type(kind: LogKind) -> KeyType {
    match kind {
        LogKind::Ct | LogKind::Rekor1 => KeyType::EcdsaP256,
        LogKind::Rekor2 => KeyType::Ed25519,
    }
}

/// Name on the signature line of checkpoints: the origin, of which Rekor v1 leaves the tree id out.
pub(crate) fn key_name(spec: &LogSpec) -> &str {
    match (spec.kind, Rekor1Origin::parse(&spec.origin)) {
        (LogKind::Rekor1, Some(origin)) => origin.host,
        _ => &spec.origin,
    }
}

/// What checkpoints and protocols call the key.
pub(crate) fn key_id(spec: &LogSpec, public_key: &PublicKey) -> [u8; 32] {
    let kind = match spec.kind {
        LogKind::Ct | LogKind::Rekor1 => KeyIdKind::SpkiSha256,
        LogKind::Rekor2 => KeyIdKind::Named,
    };
    tlog::log_key_id(public_key, &spec.origin, kind)
}
