use crypto::{KeyError, KeyType, SignatureError};
use thiserror::Error;
use wire::rpc::{Code, Status};

/// Why a request is not logged. Every one is the caller's fault.
#[derive(Debug, Error)]
pub enum EntryError {
    /// The request has more bytes than any entry needs.
    #[error("the request is longer than {limit} bytes")]
    RequestTooLong {
        /// Most bytes that are read.
        limit: usize,
    },
    /// Not JSON, or not the shape of a request.
    #[error("the request is malformed: {0}")]
    Malformed(String),
    /// A member that every request needs is absent, null or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A list or value is longer than its limit.
    #[error("{what} is longer than {limit}")]
    TooLong {
        /// Which one.
        what: &'static str,
        /// Most elements, or bytes.
        limit: usize,
    },
    /// The log is configured to take hashedrekord only.
    #[error("invalid type, must be hashedrekord")]
    DsseNotAccepted,
    /// An envelope with several signatures cannot become one hashedrekord.
    #[error("the envelope must have exactly one signature, not {0}")]
    SignatureCount(usize),
    /// An algorithm that clients of Rekor v2 do not use.
    #[error("keyDetails {0} is not supported")]
    UnsupportedKeyDetails(&'static str),
    /// The key is not of the kind that `keyDetails` names.
    #[error("keyDetails {key_details} does not fit a key of type {key_type:?}")]
    KeyDetailsMismatch {
        /// What the request says.
        key_details: &'static str,
        /// What the key is.
        key_type: KeyType,
    },
    /// The verifier's key cannot be used.
    #[error("invalid verifier: {0}")]
    Key(#[from] KeyError),
    /// The verifier's certificate cannot be read.
    #[error("invalid verifier: not a valid DER X.509 certificate")]
    Certificate,
    /// The signature is not one by that key over that digest.
    #[error("verifying signature: {0}")]
    Signature(#[from] SignatureError),
    /// No verifier of the envelope verifies its signature.
    #[error("verifying signature: none of the {0} verifiers verifies it")]
    NoVerifierFits(usize),
}

impl EntryError {
    /// The error as `{code, message, details}`, by which Rekor v2 answers.
    #[must_use]
    pub fn to_status(&self) -> Status {
        Status::new(self.code(), self.to_string())
    }

    /// Always [`Code::InvalidArgument`]: the same request will never be accepted.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::InvalidArgument
    }

    /// Keeps what a JSON error echoes of the request short: it may echo a member's whole name.
    pub(crate) fn malformed(error: &serde_json::Error) -> Self {
        let mut message = error.to_string();
        if message.len() > MAX_ECHO {
            message.truncate(message.floor_char_boundary(MAX_ECHO));
            message.push_str("...");
        }
        Self::Malformed(message)
    }
}

/// Longest description of malformed JSON, in bytes: member names of a request, a line and a column.
const MAX_ECHO: usize = 300;
