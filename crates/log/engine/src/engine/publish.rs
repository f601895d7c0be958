//! Signs checkpoints and makes them the published one.

use std::{sync::Arc, time::Duration};

use crypto::{PublicKey, Signer, SignerError, Unsigned};
use tlog::{Checkpoint, KeyIdKind, TreeHead, UnsignedCheckpoint, log_key_id};
use tokio::sync::watch;

use super::{LogConfig, PublishedCheckpoint, TilesIdentity};
use crate::SigningError;

/// The only place where checkpoints are signed.
///
/// It is handed confirmed heads alone, one after the other, by the one batcher.
pub(super) struct Publisher {
    log: Identity,
    tiles: Option<Identity>,
    published: watch::Sender<Arc<PublishedCheckpoint>>,
}

impl Publisher {
    /// Signs the head that the log has at start.
    pub(super) async fn start(
        config: &LogConfig,
        (signer, public_key): (Arc<dyn Signer>, PublicKey),
        tiles: Option<TilesIdentity>,
        head: TreeHead,
    ) -> Result<(Self, watch::Receiver<Arc<PublishedCheckpoint>>), SigningError> {
        let nothing = PublishedCheckpoint { head, note: String::new(), tiles_note: None };
        let (published, receiver) = watch::channel(Arc::new(nothing));
        let log = Identity {
            signer,
            public_key,
            origin: config.spec.origin.clone(),
            key_name: config.key_name.clone(),
            key_id: config.key_id,
        };
        let publisher = Self { log, tiles: tiles.map(Identity::from), published };
        let first = publisher.sign(head).await?;
        publisher.published.send_replace(first);
        Ok((publisher, receiver))
    }

    /// The published checkpoint of `head`, signed now if it is not the published one already.
    ///
    /// One signature serves every entry of a batch, and none is made when the tree did not grow.
    pub(super) async fn publish(
        &self,
        head: TreeHead,
    ) -> Result<Arc<PublishedCheckpoint>, SigningError> {
        let current = Arc::clone(&self.published.borrow());
        if current.head == head {
            return Ok(current);
        }
        let signed = self.sign(head).await?;
        self.published.send_replace(Arc::clone(&signed));
        Ok(signed)
    }

    /// Both faces of one head, or none: neither is ever published without the other.
    async fn sign(&self, head: TreeHead) -> Result<Arc<PublishedCheckpoint>, SigningError> {
        let (note, tiles_note) = match &self.tiles {
            None => (self.log.sign(head).await?, None),
            Some(tiles) => {
                let (note, tiles_note) = tokio::try_join!(self.log.sign(head), tiles.sign(head))?;
                (note, Some(tiles_note))
            }
        };
        Ok(Arc::new(PublishedCheckpoint { head, note, tiles_note }))
    }
}

/// A name and a key that sign the log's heads.
struct Identity {
    signer: Arc<dyn Signer>,
    public_key: PublicKey,
    origin: String,
    key_name: String,
    key_id: [u8; 32],
}

impl From<TilesIdentity> for Identity {
    fn from(TilesIdentity { origin, signer }: TilesIdentity) -> Self {
        let public_key = signer.public_key().clone();
        let key_id = log_key_id(&public_key, &origin, KeyIdKind::Named);
        Self { signer, public_key, key_name: origin.clone(), origin, key_id }
    }
}

impl Identity {
    async fn sign(&self, head: TreeHead) -> Result<String, SigningError> {
        let checkpoint = Checkpoint { origin: self.origin.clone(), head, extensions: Vec::new() };
        let unsigned = UnsignedCheckpoint::new(&checkpoint, self.key_name.clone(), self.key_id);
        let (size, root) = (head.size, head.root);
        tracing::debug!(log.origin = %self.origin, log.size = size, log.root = %root, "signing a checkpoint");
        let signature =
            tokio::time::timeout(SIGNING_TIME, self.signer.sign(unsigned.bytes_to_sign()))
                .await
                .unwrap_or_else(|_| Err(self.late()))?;
        let note = unsigned
            .with_signature(&signature, &self.public_key)
            .map_err(SigningError::Signature)?;
        tracing::debug!(log.origin = %self.origin, log.size = size, log.root = %root, "signed a checkpoint");
        Ok(note.to_string())
    }

    fn late(&self) -> SignerError {
        let (key_id, reason) = (self.signer.key_id().to_owned(), "no answer in time".to_owned());
        SignerError::Unavailable { key_id, reason }
    }
}

/// A remote key answers in tens of milliseconds.
const SIGNING_TIME: Duration = Duration::from_secs(5);
