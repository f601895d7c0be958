//! What can go wrong in the CT log.

use std::sync::Arc;

use crypto::SignerError;
use ct::SctError;
use engine::{ReadError, SubmitError};
use signing::{ClockFault, Overloaded, SignError};
use thiserror::Error;
use tlog::LeafIndex;
use x509::SubmissionError;

/// Why the CT log did not do what it was asked, sorted by whose fault it is.
#[derive(Debug, Error)]
pub enum CtError {
    /// The chain is not one that this log takes.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// A precertificate came to `add-chain`.
    #[error("the chain begins with a precertificate: it belongs to add-pre-chain")]
    UnexpectedPrecertificate,
    /// A final certificate came to `add-pre-chain`.
    #[error("the chain does not begin with a precertificate: it belongs to add-chain")]
    NoPrecertificate,
    /// Certificate or chain do not fit their length fields.
    #[error("the certificate cannot be logged")]
    Unloggable(#[source] SctError),
    /// The threads that verify have too much to do.
    #[error("too much work is waiting, try again")]
    Overloaded,
    /// The entry was not sequenced.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The clock is wrong, and its time is what an SCT says.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// The tree head was not signed; whoever waited for it is told the same.
    #[error(transparent)]
    TreeHead(Arc<CtError>),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log's key gave no signature.
    #[error("the log's key gave no signature")]
    Signing(#[from] SignerError),
    /// The key's signature does not verify, or the log's key cannot sign SCTs.
    #[error("the log's signature does not verify")]
    Signature(#[source] SctError),
    /// What is stored of an earlier submission is not an SCT that this log made.
    #[error("the stored SCT of entry {index} is damaged; run fsck")]
    SctDamaged {
        /// Index of the entry.
        index: LeafIndex,
    },
}

impl From<Overloaded> for CtError {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

impl From<SignError<SctError>> for CtError {
    fn from(error: SignError<SctError>) -> Self {
        match error {
            SignError::Signer(source) => Self::Signing(source),
            SignError::Signature(source) => Self::Signature(source),
            SignError::Overloaded(_) => Self::Overloaded,
        }
    }
}
