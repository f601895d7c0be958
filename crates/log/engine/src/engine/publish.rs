//! Signs checkpoints and makes them the published one.

use std::sync::Arc;

use signing::{KeyUse, Record, SignError, SigningKey};
use store::{LogId, LogStore};
use tlog::{
    Checkpoint, Edge, KeyIdKind, NoteError, TreeHead, TreeSize, UnsignedCheckpoint, log_key_id,
};
use tokio::sync::watch;

use super::{LogConfig, PublishedCheckpoint, TilesSigner};
use crate::{
    AnchorError, Anchors, StartError, SubmitError,
    anchors::{History, KeepError},
};

/// The only place where checkpoints are signed.
///
/// It is handed confirmed heads alone, one after the other, by the one batcher.
pub(super) struct Publisher {
    log: HeadSigner,
    tiles: Option<HeadSigner>,
    anchors: Anchors,
    /// Where others that keep at the same anchors may have been meanwhile.
    store: (Arc<dyn LogStore>, LogId),
    /// Of what is published.
    edge: Edge,
    published: watch::Sender<Arc<PublishedCheckpoint>>,
}

impl Publisher {
    /// Signs the head that the log has at start.
    pub(super) async fn start(
        config: &LogConfig,
        key: SigningKey,
        (tiles, anchors): (Option<HeadSigner>, Anchors),
        (store, edge): ((Arc<dyn LogStore>, LogId), Edge),
    ) -> Result<(Self, watch::Receiver<Arc<PublishedCheckpoint>>), StartError> {
        let head = edge.head();
        let nothing = PublishedCheckpoint { head, note: String::new(), tiles_note: None };
        let (published, receiver) = watch::channel(Arc::new(nothing));
        let log = HeadSigner {
            key,
            origin: config.spec.origin.clone(),
            key_name: config.key_name.clone(),
            key_id: config.key_id,
        };
        let mut publisher = Self { log, tiles, anchors, store, edge: edge.clone(), published };
        // Boxed: a start holds the futures of all logs.
        let first = Box::pin(publisher.sign(head)).await?;
        let kept = publisher.keep(&edge, &first).await;
        kept.map_err(|error| StartError::Unanchored(Box::new(error)))?;
        publisher.published.send_replace(first);
        Ok((publisher, receiver))
    }

    /// The published checkpoint of the tree of `edge`, signed now if it is not the published one already.
    ///
    /// One signature serves every entry of a batch, and none is made when the tree did not grow.
    pub(super) async fn publish(
        &mut self,
        edge: &Edge,
    ) -> Result<Arc<PublishedCheckpoint>, PublishError> {
        let head = edge.head();
        let current = Arc::clone(&self.published.borrow());
        if current.head == head {
            return Ok(current);
        }
        let signed = self.sign(head).await.map_err(PublishError::Signing)?;
        // Before anybody sees it: what is seen is never ahead of what is kept.
        self.keep(edge, &signed).await.map_err(PublishError::Unanchored)?;
        self.edge = edge.clone();
        self.published.send_replace(Arc::clone(&signed));
        Ok(signed)
    }

    /// How many entries the published checkpoint has.
    pub(super) fn size(&self) -> TreeSize {
        self.published.borrow().head.size
    }

    async fn keep(
        &mut self,
        after: &Edge,
        signed: &PublishedCheckpoint,
    ) -> Result<(), SubmitError> {
        let (store, log) = (self.store.0.as_ref(), self.store.1);
        let history = History { store, log, before: &self.edge, after };
        match self.anchors.keep(history, signed.head, &signed.note).await {
            Ok(()) => Ok(()),
            Err(KeepError::Damaged(reason)) => Err(SubmitError::Stopped(reason)),
            Err(KeepError::Unavailable { place, source }) => {
                let source = AnchorError(format!("{place}: {source}"));
                Err(SubmitError::Unanchored(Arc::new(source)))
            }
        }
    }

    /// Both notes of one head, or none: neither is ever published without the other.
    async fn sign(&self, head: TreeHead) -> Result<Arc<PublishedCheckpoint>, SignError<NoteError>> {
        let (note, tiles_note) = match &self.tiles {
            None => (self.log.sign(head, Vec::new()).await?, None),
            Some(tiles) => {
                let (note, tiles_note) = tokio::try_join!(
                    self.log.sign(head, Vec::new()),
                    tiles.sign(head, Vec::new())
                )?;
                (note, Some(tiles_note))
            }
        };
        Ok(Arc::new(PublishedCheckpoint { head, note, tiles_note }))
    }
}

/// Why a head is not published.
pub(super) enum PublishError {
    /// The key gave no signature.
    Signing(SignError<NoteError>),
    /// It is signed and not kept: [`SubmitError::Unanchored`], or [`SubmitError::Stopped`].
    Unanchored(SubmitError),
}

/// A name and a key that sign the log's heads.
pub(crate) struct HeadSigner {
    pub(crate) key: SigningKey,
    pub(crate) origin: String,
    pub(crate) key_name: String,
    pub(crate) key_id: [u8; 32],
}

impl HeadSigner {
    pub(super) fn of_tiles(tiles: TilesSigner) -> Self {
        let TilesSigner { origin, key } = tiles;
        let key_id = log_key_id(key.public_key(), &origin, KeyIdKind::Named);
        Self { key, key_name: origin.clone(), origin, key_id }
    }

    /// A note of `head`, with further lines.
    pub(crate) async fn sign(
        &self,
        head: TreeHead,
        extensions: Vec<String>,
    ) -> Result<String, SignError<NoteError>> {
        let checkpoint = Checkpoint { origin: self.origin.clone(), head, extensions };
        let unsigned = UnsignedCheckpoint::new(&checkpoint, self.key_name.clone(), self.key_id);
        Ok(self.key.sign(unsigned, OfCheckpoint(checkpoint)).await?.to_string())
    }
}

/// What the audit trail says of a checkpoint.
struct OfCheckpoint(Checkpoint);

impl Record for OfCheckpoint {
    fn write(&self, KeyUse { phase, key_id, .. }: KeyUse<'_>) {
        let Checkpoint { origin, head, .. } = &self.0;
        tracing::debug!(
            target: "audit",
            { log.origin = %origin, log.size = head.size.0, log.root = %head.root, key.id = key_id },
            "{phase} a checkpoint"
        );
    }
}
