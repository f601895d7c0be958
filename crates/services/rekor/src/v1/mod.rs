//! Rekor v1 on top of a log: signed entry timestamps, entry ids, search.

mod create;
mod error;
mod fsck;
mod keeper;
mod search;
mod set;
mod tree_id;

use std::sync::Arc;

use bytes::Bytes;
use engine::{Log, PublishedCheckpoint, ReadError};
use entry::rekor1::EntryId;
use moment::UnixSeconds;
use signing::{CpuPool, Lane, SigningKey};
use store::StoredEntry;
use tlog::{LeafHash, LeafIndex, NodeHash, TreeSize, leaf_hash, verify_inclusion};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{error::Rekor1Error, fsck::Rekor1Rules, tree_id::tree_id};
use self::{
    keeper::Keeper,
    set::{SetContent, SetSigner},
};
use crate::{Writers, entries::OnDuplicate};

/// A Rekor v1 log on top of a [`Log`].
///
/// It adds what v1 gives beyond a proof: the signed entry timestamp (SET), over an index and a
/// time that are known only after the commit. It is signed once, verified, given out, and kept by a
/// task of its own; until it is kept, and whenever it was lost, a reader's is signed anew.
pub struct Rekor1 {
    log: Arc<Log>,
    cpu: CpuPool,
    sets: SetSigner,
    options: Rekor1Options,
}

/// All that a Rekor v1 log is made of.
pub struct Rekor1Parts {
    /// The log underneath.
    pub log: Arc<Log>,
    /// The log's P-256 key, the same that signs its checkpoints.
    pub key: SigningKey,
    /// Verifies.
    pub cpu: CpuPool,
    /// What its operator chose.
    pub options: Rekor1Options,
}

/// What an operator may choose about a Rekor v1 log.
#[derive(Clone, Debug, Default)]
pub struct Rekor1Options {
    /// Who may write.
    pub writers: Writers,
    /// How a repeated entry is answered.
    pub on_duplicate: OnDuplicate,
    /// Which kinds of entries are taken.
    pub kinds: entry::rekor1::Options,
}

/// An entry with all that v1 says of it, from one head of the log.
#[derive(Clone, Debug)]
pub(crate) struct ProvenEntry {
    pub(crate) index: LeafIndex,
    pub(crate) integrated_at: UnixSeconds,
    pub(crate) leaf_hash: LeafHash,
    pub(crate) body: Bytes,
    /// Inclusion proof in the tree of `checkpoint`.
    pub(crate) path: Vec<NodeHash>,
    pub(crate) checkpoint: Arc<PublishedCheckpoint>,
    /// Signature over body, time, log id and index.
    pub(crate) set: Bytes,
    /// False when the entry was there before.
    pub(crate) fresh: bool,
}

impl Rekor1 {
    /// Puts the Rekor v1 protocol on a log and starts the task that keeps its SETs.
    ///
    /// The task ends with `shutdown`, and has then kept what it was given before.
    #[must_use]
    pub fn start(
        parts: Rekor1Parts,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let Rekor1Parts { log, key, cpu, options } = parts;
        let keeper = Arc::new(Keeper::default());
        tasks.spawn(Arc::clone(&keeper).run(Arc::clone(&log), shutdown));
        let clock = Arc::clone(log.clock());
        let sets = SetSigner { key, cpu: cpu.clone(), keeper, clock, log_id: *log.key_id() };
        Arc::new(Self { log, cpu, sets, options })
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

    pub(crate) fn writers(&self) -> &Writers {
        &self.options.writers
    }

    pub(crate) fn entry_id(&self, leaf_hash: LeafHash) -> EntryId {
        EntryId { tree_id: Some(self.tree_id()).filter(|id| *id != 0), leaf_hash }
    }

    /// The entry at `index`, if the tree of `checkpoint` has it.
    ///
    /// Everything is read below that one head: a proof and a root of different heads do not fit.
    pub(crate) async fn entry(
        &self,
        index: LeafIndex,
        checkpoint: &Arc<PublishedCheckpoint>,
        lane: &mut Lane,
    ) -> Result<Option<ProvenEntry>, Rekor1Error> {
        let head = checkpoint.head;
        if !head.size.contains(index) {
            return Ok(None);
        }
        let (row, path) = tokio::try_join!(self.row(index), self.path(index, head.size))?;
        let leaf_hash = leaf_hash(&row.body);
        if verify_inclusion(&leaf_hash, index, &path, &head).is_err() {
            tracing::error!(log.name = %self.log.record().spec.name, log.leaf_index = index.0,
                "a proof from stored hashes does not verify; run fsck");
            return Err(ReadError::Damaged { index }.into());
        }
        let StoredEntry { integrated_at, body, timestamp_signature, .. } = row;
        let content = SetContent { index, integrated_at, body: body.clone() };
        let set = self.sets.set(content, timestamp_signature, lane).await?;
        let checkpoint = Arc::clone(checkpoint);
        Ok(Some(ProvenEntry {
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

    async fn row(&self, index: LeafIndex) -> Result<StoredEntry, Rekor1Error> {
        let rows = self.log.entries(index.alone()).await?;
        rows.into_iter().next().ok_or_else(|| ReadError::Damaged { index }.into())
    }

    async fn path(
        &self,
        index: LeafIndex,
        tree_size: TreeSize,
    ) -> Result<Vec<NodeHash>, Rekor1Error> {
        Ok(self.log.inclusion_path(index, tree_size).await?)
    }
}
