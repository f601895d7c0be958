use crypto::{HashAlgorithm, KeyError, KeyType, SignatureError};
use thiserror::Error;
use wire::rpc::Code;

use crate::rekor1;

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
    /// Of what the log would keep for ever, or compute with.
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
    /// No verifier of the envelope verifies one of its signatures.
    #[error("verifying signature: none of the {0} verifiers verifies it")]
    NoVerifierFits(usize),
    /// Of signatures, verifiers and certificates there are more than one request may have verified.
    #[error(
        "verifying the request would cost more than {limit} verifications by P-256: too many signatures, \
         verifiers or certificates, or their order is not the envelope's"
    )]
    TooMuchWork {
        /// What it may cost.
        limit: usize,
    },
    /// A kind or version that Rekor v1 does not have, or that this log does not take.
    #[error("entry kind {kind:?} of version {version:?} is not supported, but {supported} are")]
    UnsupportedKind {
        /// What was proposed, cut short.
        kind: String,
        /// What was proposed, cut short.
        version: String,
        /// What can be logged.
        supported: String,
    },
    /// The body would not fit into an entry bundle.
    #[error("the entry would have {length} bytes, and no entry may have more than {limit}")]
    BodyTooLong {
        /// Bytes of the canonical body.
        length: usize,
        /// Most bytes of a body.
        limit: usize,
    },
    /// A value that should be base64.
    #[error("{0} is not valid base64")]
    NotBase64(&'static str),
    /// Of Rekor v1; v2 takes DER alone.
    #[error("invalid verifier: neither a PEM public key nor PEM certificates")]
    Pem,
    /// Certificates of which one is not issued by the next.
    #[error("invalid verifier: the certificates are not a chain")]
    CertificateChain,
    /// A verifier to which no signature falls.
    #[error("every verifier must verify a signature that no verifier before it verifies")]
    UnusedVerifier,
    /// A hash that no Sigstore client uses.
    #[error("hash algorithm {0:?} is not supported, but sha256, sha384 and sha512 are")]
    UnsupportedHash(String),
    /// A hash value that is not hex, or not as long as its algorithm's.
    #[error("the hash value must have {digits} hex digits")]
    HashValue {
        /// Hex digits that the algorithm's values have.
        digits: usize,
    },
    /// The hash is not one by which keys of that type sign.
    #[error("a key of type {key_type:?} does not sign digests of {hash:?}")]
    HashDoesNotFit {
        /// What the request says.
        hash: HashAlgorithm,
        /// What the key is.
        key_type: KeyType,
    },
    /// A member that only the log may set, or that is not read.
    #[error("{0} may not be given")]
    Unexpected(&'static str),
    /// A search by a key that is no X.509 key.
    #[error("publicKey.format is not supported, but x509 is")]
    KeyFormat,
}

impl EntryError {
    /// Always [`Code::InvalidArgument`]: the same request will never be accepted.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::InvalidArgument
    }

    pub(crate) fn unsupported(kind: &str, version: &str, options: rekor1::Options) -> Self {
        let (kind, version) = (echo(kind), echo(version));
        Self::UnsupportedKind { kind, version, supported: options.supported() }
    }

    pub(crate) fn unsupported_hash(name: &str) -> Self {
        Self::UnsupportedHash(echo(name))
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

/// What an error repeats of a request.
fn echo(text: &str) -> String {
    text.chars().take(MAX_ECHOED_NAME).collect()
}

/// Most characters of a name in an error; the longest kind of upstream has twelve.
const MAX_ECHOED_NAME: usize = 40;
