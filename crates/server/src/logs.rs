//! The logs of a deployment, on either database.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use crypto::{PublicKey, Signer};
use log_postgres::PostgresLogStore;
use log_sqlite::SqliteLogStore;
use log_store::{LogKind, LogSpec, LogStore};
use service::Clock;
use tlog::KeyIdKind;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use translog::{Log, LogConfig, LogLimits, LogParts, SubmitError};

use crate::{data_dir::DataDir, endpoints::HOST};

/// Opens PostgreSQL where a URL is given, else the SQLite file.
pub(crate) async fn open_store(
    sqlite_file: &Path,
    database_url: Option<&str>,
) -> Result<Arc<dyn LogStore>, log_store::StoreError> {
    Ok(match database_url {
        Some(url) => Arc::new(PostgresLogStore::connect(url).await?),
        None => Arc::new(SqliteLogStore::open(sqlite_file).await?),
    })
}

/// The running logs, and what stops them.
pub(crate) struct Logs {
    pub(crate) ct: Arc<Log>,
    pub(crate) rekor2: Arc<Log>,
    store: Arc<dyn LogStore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// The keys that sign checkpoints.
pub(crate) struct LogSigners {
    pub(crate) ct: Arc<dyn Signer>,
    pub(crate) rekor2: Arc<dyn Signer>,
}

impl Logs {
    /// Starts both logs at once.
    pub(crate) async fn start(
        data_dir: &DataDir,
        store: Arc<dyn LogStore>,
        signers: &LogSigners,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let start = |kind, signer: &Arc<dyn Signer>| {
            Log::start(LogParts {
                config: config(data_dir, kind, signer.public_key()),
                store: Arc::clone(&store),
                signer: Arc::clone(signer),
                clock: Arc::clone(clock),
                tasks: tasks.clone(),
                shutdown: shutdown.clone(),
            })
        };
        let (ct, rekor2) =
            tokio::join!(start(LogKind::Ct, &signers.ct), start(LogKind::Rekor2, &signers.rekor2));
        let ct = ct.context("cannot start the CT log")?;
        let rekor2 = rekor2.context("cannot start the Rekor v2 log")?;
        translog::http::ensure_first_entry(&rekor2).await?;
        Ok(Self { ct, rekor2, store, tasks, shutdown })
    }

    /// Waits until a log has stopped by itself: after damage, or a panic.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        const INTERVAL: Duration = Duration::from_secs(1);
        loop {
            for log in [&self.ct, &self.rekor2] {
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

fn config(data_dir: &DataDir, kind: LogKind, public_key: &PublicKey) -> LogConfig {
    let spec = LogSpec {
        name: kind.as_str().to_owned(),
        kind,
        tree_id: 0,
        origin: origin(kind),
        host: HOST.to_owned(),
        public_key_der: public_key.spki_der().to_vec(),
    };
    LogConfig {
        key_name: spec.origin.clone(),
        key_id: key_id(&spec, public_key),
        checkpoint_file: Some(data_dir.checkpoint_file(&spec.name)),
        spec,
        limits: LogLimits::default(),
    }
}

/// First line of the checkpoints, and name of the key that signs them.
///
/// Rekor v2's must be the bare host of the base URL, so CT's must be something else.
pub(crate) fn origin(kind: LogKind) -> String {
    match kind {
        LogKind::Ct => format!("{HOST}/ct"),
        LogKind::Rekor1 | LogKind::Rekor2 => HOST.to_owned(),
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
