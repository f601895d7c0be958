//! Rekor v1 on top of a log: signed entry timestamps, entry ids, search.

mod error;
mod keeper;
mod promise;
mod tree_id;

use std::sync::Arc;

use bytes::Bytes;
use crypto::Signer;
use entry::rekor1::EntryId;
use service::{CpuPool, SigningKey};
use store::{IndexKey, MAX_SEARCH_RESULTS, NewEntry, StoredEntry};
use tlog::{Hash, leaf_hash, verify_inclusion};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{error::Rekor1Error, tree_id::tree_id};
use self::{
    keeper::Keeper,
    promise::{Promised, Promises},
};
use crate::{Log, PublishedCheckpoint, ReadError};

/// A Rekor v1 log on top of a [`Log`].
///
/// It adds what v1 promises beyond a proof: the signed entry timestamp (SET), over an index and a
/// time that are known only after the commit. It is signed once, verified, given out, and kept by a
/// task of its own; until it is kept, and whenever it was lost, a reader's is signed anew.
pub struct Rekor1 {
    log: Arc<Log>,
    cpu: CpuPool,
    promises: Promises,
}

/// An entry with all that v1 says of it, from one head of the log.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    pub(crate) index: u64,
    /// Unix seconds.
    pub(crate) integrated_at: u64,
    pub(crate) leaf_hash: Hash,
    pub(crate) body: Bytes,
    /// Inclusion proof in the tree of `checkpoint`.
    pub(crate) path: Vec<Hash>,
    pub(crate) checkpoint: Arc<PublishedCheckpoint>,
    /// Signature over body, time, log id and index.
    pub(crate) set: Bytes,
    /// False when the entry was there before.
    pub(crate) fresh: bool,
}

impl Rekor1 {
    /// Puts the Rekor v1 protocol on `log` and starts the task that keeps its SETs.
    ///
    /// `signer` holds the log's P-256 key, the same that signs its checkpoints. The task ends with
    /// `shutdown`, and has then kept what it was given before.
    pub fn start(
        log: Arc<Log>,
        signer: Arc<dyn Signer>,
        cpu: CpuPool,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let keeper = Arc::new(Keeper::default());
        let (store, record) = (Arc::clone(&log.store), log.record.clone());
        tasks.spawn(Arc::clone(&keeper).run(store, record, shutdown));
        let promises = Promises {
            key: SigningKey::new(signer, log.public_key().clone(), cpu.clone()),
            cpu: cpu.clone(),
            keeper,
            log_id: *log.key_id(),
        };
        Arc::new(Self { log, cpu, promises })
    }

    /// The log underneath.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The number in entry ids and in the origin.
    #[must_use]
    pub fn tree_id(&self) -> i64 {
        self.log.record.spec.tree_id
    }

    pub(crate) fn cpu(&self) -> &CpuPool {
        &self.cpu
    }

    pub(crate) fn entry_id(&self, leaf_hash: Hash) -> EntryId {
        EntryId { tree_id: Some(self.tree_id()).filter(|id| *id != 0), leaf_hash }
    }

    /// Sequences an entry and promises it. A known entry is given with its stored promise.
    pub(crate) async fn submit(&self, entry: NewEntry) -> Result<Vouched, Rekor1Error> {
        let body = entry.body.clone();
        let integrated = self.log.submit(entry).await?;
        let index = integrated.index;
        let stored = if integrated.fresh { Bytes::new() } else { self.row(index).await?.promise };
        let integrated_at = integrated.integrated_at;
        let promised = Promised { index, integrated_at, body: body.clone() };
        let set = self.promises.promise(promised, stored).await?;
        Ok(Vouched {
            index,
            integrated_at,
            leaf_hash: integrated.leaf_hash,
            body,
            path: integrated.path,
            checkpoint: integrated.checkpoint,
            set,
            fresh: integrated.fresh,
        })
    }

    /// The entry at `index`, if the tree of `checkpoint` has it.
    ///
    /// Everything is read below that one head: a proof and a root of different heads do not fit.
    pub(crate) async fn entry(
        &self,
        index: u64,
        checkpoint: &Arc<PublishedCheckpoint>,
    ) -> Result<Option<Vouched>, Rekor1Error> {
        let head = checkpoint.head;
        if index >= head.size {
            return Ok(None);
        }
        let (row, path) = tokio::try_join!(self.row(index), self.path(index, head.size))?;
        let leaf_hash = leaf_hash(&row.body);
        if verify_inclusion(&leaf_hash, index, &path, &head).is_err() {
            tracing::error!(log.name = %self.log.record.spec.name, log.leaf_index = index,
                "a proof from stored hashes does not verify; run fsck");
            return Err(ReadError::Damaged { index }.into());
        }
        let StoredEntry { integrated_at, body, promise, .. } = row;
        let promised = Promised { index, integrated_at, body: body.clone() };
        let set = self.promises.promise(promised, promise).await?;
        let checkpoint = Arc::clone(checkpoint);
        Ok(Some(Vouched {
            index,
            integrated_at,
            leaf_hash,
            body,
            path,
            checkpoint,
            set,
            fresh: false,
        }))
    }

    /// Ids of entries that have these keys, the newest first; see [`store::LogStore::search`].
    pub(crate) async fn search(
        &self,
        keys: &[IndexKey],
        match_all: bool,
    ) -> Result<Vec<EntryId>, Rekor1Error> {
        let (store, log) = (&self.log.store, self.log.record.id);
        let mut indexes = store
            .search(log, keys, match_all, MAX_SEARCH_RESULTS)
            .await
            .map_err(ReadError::from)?;
        // What is committed and not yet published cannot be proved, so it is not there yet.
        let size = self.log.checkpoint().head.size;
        indexes.retain(|index| *index < size);
        let leaves = store.leaf_hashes(log, &indexes).await.map_err(ReadError::from)?;
        Ok(leaves.into_iter().map(|leaf_hash| self.entry_id(leaf_hash)).collect())
    }

    async fn row(&self, index: u64) -> Result<StoredEntry, Rekor1Error> {
        let rows = self.log.entries(index, index + 1).await?;
        rows.into_iter().next().ok_or_else(|| ReadError::Damaged { index }.into())
    }

    async fn path(&self, index: u64, tree_size: u64) -> Result<Vec<Hash>, Rekor1Error> {
        Ok(self.log.inclusion_path(index, tree_size).await?)
    }
}
