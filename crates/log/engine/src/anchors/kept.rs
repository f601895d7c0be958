//! What an anchor's text says.

use crypto::PublicKey;
use signing::SigningKey;
use tlog::{Checkpoint, SignedNote, TreeHead};

use crate::{LogConfig, StartError, engine::HeadSigner};

/// What an anchor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The last checkpoint that was signed.
    Signed {
        /// Size and root.
        head: TreeHead,
    },
    /// That the log is over.
    Ended {
        /// The last one that was signed before; the empty tree where none was known.
        head: TreeHead,
    },
}

impl Kept {
    /// The last tree that was signed.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        match self {
            Self::Signed { head } | Self::Ended { head } => *head,
        }
    }
}

/// Verifies checkpoints of one log.
pub(super) struct Verifier {
    public_key: PublicKey,
    key_name: String,
    key_id: [u8; 32],
    origin: String,
}

impl Verifier {
    pub(super) fn new(config: &LogConfig, public_key: &PublicKey) -> Self {
        Self {
            public_key: public_key.clone(),
            key_name: config.key_name.clone(),
            key_id: config.key_id,
            origin: config.spec.origin.clone(),
        }
    }

    /// What the text of the anchor at `place` says. That a log is over, its own key alone can say.
    pub(super) fn kept(&self, text: &str, place: &str) -> Result<Kept, StartError> {
        let checkpoint = self.checkpoint(text, place)?;
        let head = checkpoint.head;
        Ok(if checkpoint.is_over() { Kept::Ended { head } } else { Kept::Signed { head } })
    }

    /// The head of a note of this log's key.
    pub(super) fn signed(&self, note: &str, place: &str) -> Result<TreeHead, StartError> {
        self.checkpoint(note, place).map(|checkpoint| checkpoint.head)
    }

    fn checkpoint(&self, note: &str, place: &str) -> Result<Checkpoint, StartError> {
        let Self { public_key, key_name, key_id, origin } = self;
        let verified = note
            .parse::<SignedNote>()
            .and_then(|note| note.verified_checkpoint(public_key, key_name, key_id))
            .map_err(|source| StartError::AnchorInvalid { place: place.to_owned(), source })?;
        if verified.origin != *origin {
            let (place, origin) = (place.to_owned(), verified.origin);
            return Err(StartError::AnchorOfAnotherLog { place, origin });
        }
        Ok(verified)
    }

    /// The note that ends a log whose last tree was `head`.
    pub(super) async fn ended(
        &self,
        key: &SigningKey,
        head: TreeHead,
    ) -> Result<String, StartError> {
        let signer = HeadSigner {
            key: key.clone(),
            origin: self.origin.clone(),
            key_name: self.key_name.clone(),
            key_id: self.key_id,
        };
        Ok(signer.sign(head, vec![Checkpoint::OVER.to_owned()]).await?)
    }
}
