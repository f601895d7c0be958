//! The sequencing engine: from a submitted entry to a proof under a signed checkpoint.

mod anchor;
mod apart;
mod batcher;
mod durable;
mod gauges;
mod health;
mod latest;
mod outcome;
mod publish;
mod queue;
pub(crate) mod recheck;
mod turns;

pub(crate) use self::{anchor::replace_file, publish::HeadSigner};

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use crypto::PublicKey;
use moment::UnixSeconds;
use signing::{Clock, SigningKey};
use store::{DedupHash, LogRecord, LogSpec, LogStore, NewEntry};
use tlog::{LeafHash, LeafIndex, NodeHash, TreeHead, verify_inclusion};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::health::LogTrouble;
use self::{
    anchor::{Anchor, Follower},
    batcher::{Batcher, Sequenced},
    health::Health,
    publish::Publisher,
    queue::{Pending, Queue},
    turns::{Asker, Turns},
};
use crate::{Anchors, ReadError, StartError, StopReason, SubmitError, reader::PAGES_AT_ONCE};

/// What a log is and how it may use memory.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Name, kind, origin and key, as the store keeps them.
    pub spec: LogSpec,
    /// Name on the checkpoint's signature line: the host of the origin.
    pub key_name: String,
    /// Id of the key; its first four bytes are on the signature line. [`tlog::log_key_id`].
    pub key_id: [u8; 32],
    /// Where the last signed checkpoint is kept beside the database, a moment after it was signed.
    ///
    /// It notices a database that was restored alone; see [`LogParts::anchors`].
    pub checkpoint_file: Option<PathBuf>,
    /// Bounds of the queue and of a batch.
    pub limits: LogLimits,
}

/// Bounds of the queue and of a batch.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Entries that may wait.
    pub queue_entries: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// Entries of one transaction.
    pub batch_entries: usize,
    /// Bytes of one transaction.
    pub batch_bytes: usize,
}

impl Default for LogLimits {
    /// 4096 entries or 32 MiB may wait, which is a second's work of a small machine.
    ///
    /// A batch has 512 entries or 4 MiB: larger ones gain nothing on Postgres
    /// and make the first of their entries wait for the last.
    fn default() -> Self {
        Self {
            queue_entries: 4096,
            queue_bytes: 32 * 1024 * 1024,
            batch_entries: 512,
            batch_bytes: 4 * 1024 * 1024,
        }
    }
}

/// A second origin and key under which the same tree is published: notes of its own, so it is no cosigner.
///
/// Clients of an older protocol may accept one signature alone, by a key of one kind; monitors and
/// witnesses of C2SP tiles read this one.
#[derive(Clone)]
pub struct TilesSigner {
    /// First line of the checkpoints, and name on their signature line.
    ///
    /// Must not end in ` - <digits>`: by that clients tell the origins of trees with an id.
    pub origin: String,
    /// Signs them; Ed25519, so that public witnesses take them.
    pub key: SigningKey,
}

/// All that a log needs to run.
pub struct LogParts {
    /// What it is.
    pub config: LogConfig,
    /// Where it is stored.
    pub store: Arc<dyn LogStore>,
    /// Signs its checkpoints; must be that of [`LogSpec::public_key_der`].
    pub key: SigningKey,
    /// Publishes the tree a second time, under another origin and key.
    pub tiles: Option<TilesSigner>,
    /// Where each checkpoint is kept before anybody sees it; with none, a database and its volume that are
    /// restored together are not noticed.
    pub anchors: Vec<Arc<dyn crate::Anchor>>,
    /// Gives `integrated_at`.
    pub clock: Arc<dyn Clock>,
    /// Owns the log's tasks.
    pub tasks: TaskTracker,
    /// Ends the log: what was accepted is sequenced and answered, nothing more is accepted.
    ///
    /// Cancel it when the listeners have finished their requests.
    pub shutdown: CancellationToken,
}

/// One running log.
///
/// A batcher task owns all writing; any number of callers submit and read.
pub struct Log {
    pub(crate) record: LogRecord,
    pub(crate) store: Arc<dyn LogStore>,
    pub(crate) published: watch::Receiver<Arc<PublishedCheckpoint>>,
    public_key: PublicKey,
    key_id: [u8; 32],
    queue: Arc<Queue>,
    turns: Arc<Turns>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    /// Turns of those who read pages.
    pub(crate) pages: Semaphore,
}

/// A signed checkpoint and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedCheckpoint {
    /// Size and root.
    pub head: TreeHead,
    /// The signed note.
    pub note: String,
    /// The note of the same head by [`LogParts::tiles`], if there is one.
    pub tiles_note: Option<String>,
}

/// Where a submitted entry is, and the proof of it.
#[derive(Clone, Debug)]
pub struct Integrated {
    /// Where it is.
    pub index: LeafIndex,
    /// When it was integrated.
    pub integrated_at: UnixSeconds,
    /// Inclusion proof in the tree of `checkpoint`.
    pub path: Vec<NodeHash>,
    /// A checkpoint that covers the entry.
    pub checkpoint: Arc<PublishedCheckpoint>,
    /// False when an equal entry was there before.
    pub fresh: bool,
    /// Leaf hash of the entry that is in the log; a duplicate's may differ from the submitted one.
    pub leaf_hash: LeafHash,
    /// Kind of the submitted entry.
    pub kind: &'static str,
    /// Body of the submitted entry.
    pub body: Bytes,
}

impl Log {
    /// Opens the log, confirms what is stored, signs the current head and starts sequencing.
    ///
    /// # Errors
    /// [`StartError::BehindCheckpoint`] and [`StartError::Forked`] when the database is not
    /// the one that was signed; the others name what is missing or damaged.
    pub async fn start(parts: LogParts) -> Result<Arc<Self>, StartError> {
        let LogParts { config, store, key, tiles, anchors, clock, tasks, shutdown } = parts;
        check_key(&config.spec, &key)?;
        check_tiles(&config.spec, tiles.as_ref())?;
        let record = store.ensure_log(&config.spec, clock.now()).await?;
        // Before the state is read: what other processes keep meanwhile is in a state that is read afterwards.
        let mut anchor = Anchor::open(&config, key.public_key()).await?;
        let anchors = Anchors::open(&config, key.public_key(), anchors).await?;
        let state = store.state(record.id).await?;
        anchor.check(store.as_ref(), &record, &state.edge).await?;
        anchors.check(store.as_ref(), &record, &state.edge).await?;
        recheck::confirm_tail(store.as_ref(), record.id, &state.edge)
            .await
            .map_err(StartError::Damaged)?;
        recheck::confirm_end(store.as_ref(), record.id).await.map_err(StartError::Damaged)?;
        let size = state.edge.size();
        durable::durable_edge(store.as_ref(), record.id, clock.now(), size).await?;

        let tiles = tiles.map(HeadSigner::of_tiles);
        let public_key = key.public_key().clone();
        let tree = ((Arc::clone(&store), record.id), state.edge.clone());
        // Boxed, as whoever starts several logs at once holds as many of these futures.
        let (publisher, published) =
            Box::pin(Publisher::start(&config, key, (tiles, anchors), tree)).await?;
        let first = Arc::clone(&published.borrow());
        anchor.begin(&record, &first).await?;
        let queue = Arc::new(Queue::new(config.limits));
        if state.frozen {
            queue.close(SubmitError::Frozen);
        }
        let (health, turns) = (Arc::new(Health::new(state.last_time)), Arc::<Turns>::default());
        let log = Arc::new(Self {
            record,
            store: Arc::clone(&store),
            published: published.clone(),
            public_key,
            key_id: config.key_id,
            queue: Arc::clone(&queue),
            turns: Arc::clone(&turns),
            clock: Arc::clone(&clock),
            health: Arc::clone(&health),
            pages: Semaphore::new(PAGES_AT_ONCE),
        });
        tasks.spawn(Follower { published, anchor, log: log.record.clone() }.run(shutdown.clone()));
        let asker = (Arc::clone(&store), Arc::clone(&health));
        let asker = Asker { store: asker.0, log: log.record.id, health: asker.1, turns };
        tasks.spawn(asker.run(shutdown.clone()));
        let uses = (store, clock, health);
        let batcher = Batcher::new(log.record.clone(), uses, queue, (publisher, state.edge));
        tasks.spawn(batcher.run(shutdown));
        Ok(log)
    }

    /// Sequences an entry and waits until it is committed, confirmed and under a signed checkpoint.
    ///
    /// Dropping the future loses the answer only: the entry is sequenced all the same.
    /// An entry of a known deduplication hash is answered with the stored one's index.
    ///
    /// # Errors
    /// [`SubmitError`]; after [`SubmitError::OutcomeUnknown`] and [`SubmitError::Signing`]
    /// the entry may be or is stored, and submitting it again finds it.
    pub async fn submit(&self, entry: NewEntry) -> Result<Integrated, SubmitError> {
        entry.check()?;
        if let Some(fault) = self.clock.fault() {
            return Err(fault.into());
        }
        let submitted = Submitted::of(&entry);
        let (waiter, answer) = oneshot::channel();
        self.queue.push(Pending { entry, waiter })?;
        // The batcher answers everyone, so a lost sender means that it died.
        let sequenced = answer.await.map_err(|_| died())??;
        self.prove(sequenced, submitted).await
    }

    /// The newest signed checkpoint of this process. Its size never goes down; another process may have given out a
    /// larger one, see [`Log::latest_checkpoint`].
    #[must_use]
    pub fn checkpoint(&self) -> Arc<PublishedCheckpoint> {
        Arc::clone(&self.published.borrow())
    }

    /// What the log is.
    #[must_use]
    pub fn record(&self) -> &LogRecord {
        &self.record
    }

    /// Id of the signing key: the log id.
    #[must_use]
    pub fn key_id(&self) -> &[u8; 32] {
        &self.key_id
    }

    /// The key that verifies its checkpoints.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Says whether the log takes entries; for the readiness check.
    ///
    /// # Errors
    /// [`SubmitError::Stopped`] after damage was found, [`SubmitError::ShuttingDown`],
    /// [`SubmitError::Unanchored`] while checkpoints cannot be kept. A frozen log is as it should be.
    pub fn ready(&self) -> Result<(), SubmitError> {
        match self.queue.closed().or_else(|| self.queue.held()) {
            None | Some(SubmitError::Frozen) => Ok(()),
            Some(reason) => Err(reason),
        }
    }

    /// Whether it is known to take nothing any more; another process may have frozen it a second ago.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        matches!(self.queue.closed(), Some(SubmitError::Frozen))
    }

    /// Refuses new entries with [`SubmitError::NoRoom`], or takes them again: whoever watches the disk says so.
    ///
    /// What was queued before is written, and all is read as ever.
    pub fn set_no_room(&self, no_room: bool) {
        self.queue.set_no_room(no_room);
    }

    /// Whether new entries are refused for want of room.
    #[must_use]
    pub fn has_no_room(&self) -> bool {
        self.queue.has_no_room()
    }

    /// Makes the proof of a sequenced entry, in the submitter's task and not in the batcher's.
    async fn prove(
        &self,
        sequenced: Sequenced,
        Submitted { dedup_hash, leaf_hash, kind, body }: Submitted,
    ) -> Result<Integrated, SubmitError> {
        let Sequenced { placement, tree, checkpoint } = sequenced;
        let (index, head) = (placement.index, checkpoint.head);
        let leaf_hash = if placement.fresh || dedup_hash.0 == leaf_hash.0 {
            leaf_hash
        } else {
            self.stored_leaf_hash(index).await?
        };
        let path = match tree.inclusion_path(index) {
            Some(path) => path,
            None => self.inclusion_path(index, head.size).await.map_err(unavailable)?,
        };
        if verify_inclusion(&leaf_hash, index, &path, &head).is_err() {
            tracing::error!(log.name = %self.record.spec.name, log.leaf_index = index.0,
                "a proof from stored hashes does not verify; run fsck");
            return Err(SubmitError::ProofInvalid { index });
        }
        Ok(Integrated {
            index,
            integrated_at: placement.integrated_at,
            path,
            checkpoint,
            fresh: placement.fresh,
            leaf_hash,
            kind,
            body,
        })
    }

    async fn stored_leaf_hash(&self, index: LeafIndex) -> Result<LeafHash, SubmitError> {
        let rows = self.entries(index.alone()).await.map_err(unavailable)?;
        rows.first().map(|row| row.leaf_hash).ok_or(SubmitError::ProofInvalid { index })
    }
}

/// What stays with the submitter of an entry.
struct Submitted {
    dedup_hash: DedupHash,
    leaf_hash: LeafHash,
    kind: &'static str,
    body: Bytes,
}

impl Submitted {
    fn of(entry: &NewEntry) -> Self {
        let NewEntry { dedup_hash, leaf_hash, kind, body, .. } = entry;
        Self { dedup_hash: *dedup_hash, leaf_hash: *leaf_hash, kind, body: body.clone() }
    }
}

fn check_key(spec: &LogSpec, key: &SigningKey) -> Result<(), StartError> {
    let public_key = PublicKey::from_spki_der(&spec.public_key_der).map_err(StartError::Key)?;
    if key.public_key() == &public_key {
        Ok(())
    } else {
        Err(StartError::WrongKey { log: spec.name.clone(), key_id: key.key_id().to_owned() })
    }
}

/// The two must be told apart by their origins, and by the form of them.
fn check_tiles(spec: &LogSpec, tiles: Option<&TilesSigner>) -> Result<(), StartError> {
    let Some(TilesSigner { origin, .. }) = tiles else { return Ok(()) };
    let has_tree_id = origin
        .rsplit_once(" - ")
        .is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    if has_tree_id || origin == &spec.origin || origin.is_empty() {
        let (log, origin) = (spec.name.clone(), origin.clone());
        return Err(StartError::TilesOrigin { log, origin });
    }
    Ok(())
}

fn unavailable(error: ReadError) -> SubmitError {
    match error {
        ReadError::Store(source) => SubmitError::Unavailable(Arc::new(source)),
        ReadError::NotCurrent(error) => error,
        ReadError::BeyondCheckpoint { asked, .. } => {
            SubmitError::ProofInvalid { index: asked.end() }
        }
        ReadError::Damaged { index } => SubmitError::ProofInvalid { index },
        ReadError::Proof(_) => died(),
    }
}

fn died() -> SubmitError {
    SubmitError::Stopped(Arc::new(StopReason::TaskDied))
}
