use crypto::{SignatureError, SignerError};
use engine::{ReadError, SubmitError};
use entry::{EntryError, rekor1::EntryId};
use signing::{ClockFault, Overloaded, SignError};
use thiserror::Error;

use crate::WriterRefusal;

/// Why Rekor v1 did not take or give an entry.
#[derive(Debug, Error)]
pub enum Rekor1Error {
    /// The proposal or the question is not one, or does not verify.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// It is in the log, and the log is configured to say so.
    #[error("an equivalent entry already exists in the transparency log with UUID {0}")]
    Duplicate(EntryId),
    /// The log did not take the entry.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The entry is in the log, and its SET was not signed; asking again is right.
    #[error("the entry is stored, but its timestamp could not be signed")]
    Signing(#[source] SignerError),
    /// The signer's answer does not verify with the log's public key.
    #[error("the signature of a timestamp does not verify with the log's public key")]
    Signature(#[source] SignatureError),
    /// The clock is wrong, or the entry's time has not come, so no SET is signed.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// Not of somebody who may write.
    #[error(transparent)]
    Writer(#[from] WriterRefusal),
    /// Too much waits to be verified.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

impl From<SignError<SignatureError>> for Rekor1Error {
    fn from(error: SignError<SignatureError>) -> Self {
        match error {
            SignError::Signer(source) => Self::Signing(source),
            SignError::Signature(source) => Self::Signature(source),
            SignError::Overloaded(source) => Self::Overloaded(source),
        }
    }
}
