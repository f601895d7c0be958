//! The logs of a deployment, on either database.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use crypto::{PublicKey, Signer};
use engine::{EntryRules, Log, LogConfig, LogLimits, LogParts, SubmitError, TilesSigner};
use postgres::PostgresLogStore;
use rekor::{Rekor1, Rekor1Options, Rekor1Parts, ensure_first_entry};
use sqlite::SqliteLogStore;
use store::{LogKind, LogSpec, LogStore};
use tlog::{KeyIdKind, Rekor1Origin};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{data_dir::DataDir, endpoints::HOST, services::Shared};

/// Opens PostgreSQL where a URL is given, else the SQLite file.
pub(crate) async fn open_store(
    sqlite_file: &Path,
    database_url: Option<&str>,
) -> Result<Arc<dyn LogStore>, store::StoreError> {
    Ok(match database_url {
        Some(url) => Arc::new(PostgresLogStore::connect(url).await?),
        None => Arc::new(SqliteLogStore::open(sqlite_file).await?),
    })
}

/// What a log is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogIdentity {
    /// In the database, and of the checkpoint file.
    pub(crate) name: String,
    pub(crate) kind: LogKind,
    /// Host of its base URL.
    pub(crate) host: String,
    /// Rekor v1's tree id; 0 for the others.
    pub(crate) tree_id: i64,
}

impl LogIdentity {
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

    fn config(&self, data_dir: &DataDir, public_key: &PublicKey) -> LogConfig {
        let spec = self.spec(public_key);
        LogConfig {
            key_name: key_name(&spec).to_owned(),
            key_id: key_id(&spec, public_key),
            checkpoint_file: Some(data_dir.checkpoint_file(&spec.name)),
            spec,
            limits: LogLimits::default(),
        }
    }
}

/// The logs of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogIdentities {
    pub(crate) ct: LogIdentity,
    pub(crate) rekor1: LogIdentity,
    pub(crate) rekor2: LogIdentity,
}

impl LogIdentities {
    /// Those of `dev`, named as their kinds.
    pub(crate) fn of_dev(tree_id: i64) -> Self {
        let log = |kind: LogKind, tree_id| LogIdentity {
            name: kind.as_str().to_owned(),
            kind,
            host: HOST.to_owned(),
            tree_id,
        };
        Self {
            ct: log(LogKind::Ct, 0),
            rekor1: log(LogKind::Rekor1, tree_id),
            rekor2: log(LogKind::Rekor2, 0),
        }
    }
}

/// The running logs, and what stops them.
pub(crate) struct Logs {
    pub(crate) ct: Arc<Log>,
    pub(crate) rekor1: Arc<Rekor1>,
    pub(crate) rekor2: Arc<Log>,
    store: Arc<dyn LogStore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// The keys that sign checkpoints.
pub(crate) struct LogSigners {
    pub(crate) ct: Arc<dyn Signer>,
    pub(crate) rekor1: Arc<dyn Signer>,
    pub(crate) rekor1_tiles: Arc<dyn Signer>,
    pub(crate) rekor2: Arc<dyn Signer>,
}

impl Logs {
    /// Starts all logs at once. Their checkpoints are kept in `data_dir`.
    pub(crate) async fn start(
        data_dir: &DataDir,
        identities: &LogIdentities,
        store: Arc<dyn LogStore>,
        signers: &LogSigners,
        shared: &Shared,
    ) -> anyhow::Result<Self> {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let start = |log: &LogIdentity, signer: &Arc<dyn Signer>, tiles| {
            Log::start(LogParts {
                config: log.config(data_dir, signer.public_key()),
                store: Arc::clone(&store),
                signer: Arc::clone(signer),
                tiles,
                clock: Arc::clone(&shared.clock),
                cpu: shared.cpu.clone(),
                tasks: tasks.clone(),
                shutdown: shutdown.clone(),
            })
        };
        let tiles = TilesSigner {
            origin: identities.rekor1.tiles_origin(),
            signer: Arc::clone(&signers.rekor1_tiles),
        };
        let (ct, rekor1, rekor2) = tokio::join!(
            start(&identities.ct, &signers.ct, None),
            start(&identities.rekor1, &signers.rekor1, Some(tiles)),
            start(&identities.rekor2, &signers.rekor2, None)
        );
        let ct = ct.context("cannot start the CT log")?;
        let rekor1 = rekor1.context("cannot start the Rekor v1 log")?;
        let rekor2 = rekor2.context("cannot start the Rekor v2 log")?;
        tokio::try_join!(ensure_first_entry(&rekor1), ensure_first_entry(&rekor2))?;
        let rekor1 = Rekor1Parts {
            log: rekor1,
            signer: Arc::clone(&signers.rekor1),
            cpu: shared.cpu.clone(),
            options: Rekor1Options::default(),
        };
        let rekor1 = Rekor1::start(rekor1, &tasks, shutdown.clone());
        Ok(Self { ct, rekor1, rekor2, store, tasks, shutdown })
    }

    /// Waits until a log has stopped by itself: after damage, or a panic.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        const INTERVAL: Duration = Duration::from_secs(1);
        loop {
            for log in [&self.ct, self.rekor1.log(), &self.rekor2] {
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

/// What fsck checks of the entries of a log of that kind.
pub(crate) fn entry_rules(kind: LogKind) -> &'static dyn EntryRules {
    match kind {
        LogKind::Ct => &ctlog::CtRules,
        LogKind::Rekor1 => &rekor::Rekor1Rules,
        // Its entries are what their leaf hashes say, and it signs no times.
        LogKind::Rekor2 => &engine::Leaves,
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
