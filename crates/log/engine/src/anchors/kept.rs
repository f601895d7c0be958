//! What an anchor's text says.

use crypto::PublicKey;
use tlog::{Checkpoint, SignedNote, TreeHead};

use crate::{LogConfig, StartError};

/// What an anchor holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The last checkpoint that was signed.
    Signed {
        /// Size and root.
        head: TreeHead,
    },
    /// That the log is over.
    Ended {
        /// The last one that was signed before.
        head: Option<TreeHead>,
    },
}

impl Kept {
    /// The last tree that was signed.
    #[must_use]
    pub fn head(&self) -> Option<TreeHead> {
        match self {
            Self::Signed { head } => Some(*head),
            Self::Ended { head } => *head,
        }
    }
}

/// First line of an anchor whose log is over. No checkpoint begins so: an origin is a host.
const ENDED: &str = "this log is over, and no process may sign for it again\n";

/// The text that ends a log; `last` is what the anchor held.
pub(super) fn ended(last: &str) -> String {
    format!("{ENDED}{last}")
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

    /// What the text of the anchor at `place` says.
    pub(super) fn kept(&self, text: &str, place: &str) -> Result<Kept, StartError> {
        match text.strip_prefix(ENDED) {
            None => Ok(Kept::Signed { head: self.signed(text, place)? }),
            Some("") => Ok(Kept::Ended { head: None }),
            // It is over, whatever else it says.
            Some(last) => Ok(Kept::Ended { head: self.signed(last, place).ok() }),
        }
    }

    /// The head of a note of this log's key.
    pub(super) fn signed(&self, note: &str, place: &str) -> Result<TreeHead, StartError> {
        let Self { public_key, key_name, key_id, origin } = self;
        let verified: Checkpoint = note
            .parse::<SignedNote>()
            .and_then(|note| note.verified_checkpoint(public_key, key_name, key_id))
            .map_err(|source| StartError::AnchorInvalid { place: place.to_owned(), source })?;
        if verified.origin != *origin {
            let (place, origin) = (place.to_owned(), verified.origin);
            return Err(StartError::AnchorOfAnotherLog { place, origin });
        }
        Ok(verified.head)
    }
}
