use std::{io, path::PathBuf};

use crypto::{SignatureError, SignerError};
use signing::{ClockFault, Overloaded, SignError};
use thiserror::Error;

/// Why there is no repository to serve, or why it was not renewed.
#[derive(Debug, Error)]
pub enum TufError {
    /// The disk failed.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What is on disk is not what was written there. Nothing is replaced: clients
    /// that know the root would never accept another.
    #[error(
        "the TUF repository in {} is damaged: {damage}; restore it from a copy. A new one would \
         need a new root.json at every client",
        directory.display()
    )]
    Damaged {
        /// The repository.
        directory: PathBuf,
        /// What is wrong.
        damage: Damage,
    },
    /// The newest root names other keys; only its own key can sign a successor.
    #[error("key `{key_id}` is not the one that the TUF repository's newest root names")]
    RootKey {
        /// Name of the key in use.
        key_id: String,
    },
    /// Clients know ECDSA P-256 everywhere, other types in places.
    #[error("key `{0}` of the TUF repository is not P-256")]
    KeyType(String),
    /// A key gave no signature.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A key signed something else: never published.
    #[error("the signature of TUF metadata is not of the key that was asked")]
    Signature(#[source] SignatureError),
    /// The clock is wrong, and every expiry would be.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// Too much waits to be signed and verified.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// What was signed does not verify: never published.
    #[error("a signature of TUF metadata does not verify")]
    Verify(#[source] tough::schema::Error),
    /// A fault of ours: all that is encoded was made here.
    #[error("cannot encode TUF metadata")]
    Encode(#[from] serde_json::Error),
    /// A target's name that TUF does not allow.
    #[error("`{0}` cannot name a target")]
    TargetName(String),
    /// A clock beyond all calendars, or versions used up.
    #[error("time or version out of range")]
    OutOfRange,
}

impl From<SignError<TufError>> for TufError {
    fn from(error: SignError<TufError>) -> Self {
        match error {
            SignError::Signer(source) => Self::Signer(source),
            SignError::Signature(source) => source,
            SignError::Overloaded(source) => Self::Overloaded(source),
        }
    }
}

/// What is wrong with a repository on disk.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Damage {
    /// A file that another one needs is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// Not the JSON that it should be.
    #[error("{0} is not readable")]
    Unreadable(String),
    /// No root names the key of its signature.
    #[error("{0} is not signed by a key of this repository")]
    Unsigned(String),
    /// Length, digest or version differ from those in the metadata above.
    #[error("{0} is not the file that was signed")]
    Mismatch(String),
    /// Longer than anything that is written.
    #[error("{0} is too long")]
    TooLong(String),
    /// More roots than any client would walk.
    #[error("there are too many roots")]
    TooManyRoots,
}
