//! Signs checkpoints and makes them the published one.

use std::{sync::Arc, time::Duration};

use crypto::{PublicKey, Signer, SignerError};
use tlog::{Checkpoint, TreeHead, UnsignedCheckpoint};
use tokio::sync::watch;

use super::{LogConfig, PublishedCheckpoint};
use crate::SigningError;

/// The only place where checkpoints are signed.
///
/// It is handed confirmed heads alone, one after the other, by the one batcher.
pub(super) struct Publisher {
    signer: Arc<dyn Signer>,
    public_key: PublicKey,
    origin: String,
    key_name: String,
    key_id: [u8; 32],
    published: watch::Sender<Arc<PublishedCheckpoint>>,
}

impl Publisher {
    /// Signs the head that the log has at start.
    pub(super) async fn start(
        config: &LogConfig,
        signer: Arc<dyn Signer>,
        public_key: PublicKey,
        head: TreeHead,
    ) -> Result<(Self, watch::Receiver<Arc<PublishedCheckpoint>>), SigningError> {
        let nothing = PublishedCheckpoint { head, note: String::new() };
        let (published, receiver) = watch::channel(Arc::new(nothing));
        let publisher = Self {
            signer,
            public_key,
            origin: config.spec.origin.clone(),
            key_name: config.key_name.clone(),
            key_id: config.key_id,
            published,
        };
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

    async fn sign(&self, head: TreeHead) -> Result<Arc<PublishedCheckpoint>, SigningError> {
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
        Ok(Arc::new(PublishedCheckpoint { head, note: note.to_string() }))
    }

    fn late(&self) -> SignerError {
        let (key_id, reason) = (self.signer.key_id().to_owned(), "no answer in time".to_owned());
        SignerError::Unavailable { key_id, reason }
    }
}

/// A remote key answers in tens of milliseconds.
const SIGNING_TIME: Duration = Duration::from_secs(5);
