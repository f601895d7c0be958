use crypto::{PublicKey, Unsigned, Unverified};

use crate::{
    Sct, SctError,
    sct::{SHA256_WITH_ECDSA, VERSION_1, encode_digitally_signed, log_algorithm},
    tls::{Reader, put_vector},
};
use moment::UnixMillis;

/// RFC 6962 §3.2 `SignatureType`: `certificate_timestamp(0)`, `tree_hash(1)`.
const CERTIFICATE_TIMESTAMP: u8 = 0;
const TREE_HASH: u8 = 1;

/// RFC 6962 §3.4 `MerkleLeafType.timestamped_entry`.
const TIMESTAMPED_ENTRY: u8 = 0;

/// RFC 6962 §3.1 `LogEntryType`: `x509_entry(0)`, `precert_entry(1)`.
const X509_ENTRY: [u8; 2] = [0, 0];
const PRECERT_ENTRY: [u8; 2] = [0, 1];

/// What a log signs and includes (RFC 6962 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// A final certificate, DER.
    Certificate(Vec<u8>),
    /// A precertificate.
    Precertificate(PreCertEntry),
}

/// A precertificate as a log signs it (RFC 6962 §3.2 `PreCert`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreCertEntry {
    /// SHA-256 of the issuer's SPKI.
    pub issuer_key_hash: [u8; 32],
    /// `TBSCertificate` without poison and without SCT list, DER.
    pub tbs: Vec<u8>,
}

/// The bytes over which an SCT is signed (RFC 6962 §3.2).
///
/// # Errors
/// [`SctError::TooLong`] when certificate or extensions exceed their length prefix.
pub fn signed_data(
    entry: &LogEntry,
    timestamp: UnixMillis,
    extensions: &[u8],
) -> Result<Vec<u8>, SctError> {
    timestamped(CERTIFICATE_TIMESTAMP, entry, timestamp, extensions)
}

/// The `MerkleTreeLeaf` (RFC 6962 §3.4): body of the log's entry, `leaf_input` of get-entries.
///
/// # Errors
/// [`SctError::TooLong`] when certificate or extensions exceed their length prefix.
pub fn merkle_tree_leaf(
    entry: &LogEntry,
    timestamp: UnixMillis,
    extensions: &[u8],
) -> Result<Vec<u8>, SctError> {
    timestamped(TIMESTAMPED_ENTRY, entry, timestamp, extensions)
}

/// `extra_data` of get-entries (RFC 6962 §4.6): the certificates above the leaf, behind the
/// precertificate where the entry is one.
///
/// # Errors
/// [`SctError::TooLong`] when a certificate or all of them exceed their length prefix.
pub fn extra_data(precertificate: Option<&[u8]>, issuers: &[Vec<u8>]) -> Result<Vec<u8>, SctError> {
    let mut out = Vec::new();
    if let Some(der) = precertificate {
        put_vector(&mut out, 3, der)?;
    }
    let mut certificates = Vec::new();
    for issuer in issuers {
        put_vector(&mut certificates, 3, issuer)?;
    }
    put_vector(&mut out, 3, &certificates)?;
    Ok(out)
}

/// The bytes over which a tree head is signed (RFC 6962 §3.5).
#[must_use]
pub fn tree_head_signed_data(
    timestamp: UnixMillis,
    tree_size: u64,
    root_hash: &[u8; 32],
) -> Vec<u8> {
    let mut out = vec![VERSION_1, TREE_HASH];
    out.extend_from_slice(&timestamp.0.to_be_bytes());
    out.extend_from_slice(&tree_size.to_be_bytes());
    out.extend_from_slice(root_hash);
    out
}

/// Both structures begin with version and a type, then go on alike.
fn timestamped(
    kind: u8,
    entry: &LogEntry,
    timestamp: UnixMillis,
    extensions: &[u8],
) -> Result<Vec<u8>, SctError> {
    let mut out = vec![VERSION_1, kind];
    out.extend_from_slice(&timestamp.0.to_be_bytes());
    match entry {
        LogEntry::Certificate(der) => {
            out.extend_from_slice(&X509_ENTRY);
            put_vector(&mut out, 3, der)?;
        }
        LogEntry::Precertificate(entry) => {
            out.extend_from_slice(&PRECERT_ENTRY);
            out.extend_from_slice(&entry.issuer_key_hash);
            put_vector(&mut out, 3, &entry.tbs)?;
        }
    }
    put_vector(&mut out, 2, extensions)?;
    Ok(out)
}

/// What the body of a log's entry says (RFC 6962 §3.4 `TimestampedEntry`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampedEntry {
    /// The SCT's.
    pub timestamp: UnixMillis,
    /// What was submitted.
    pub entry: LogEntry,
    /// The SCT's extensions.
    pub extensions: Vec<u8>,
}

impl TimestampedEntry {
    /// Reads what [`merkle_tree_leaf`] writes, to the last byte; `None` for anything else.
    #[must_use]
    pub fn of_leaf(leaf: &[u8]) -> Option<Self> {
        let mut reader = Reader(leaf);
        if reader.array()? != [VERSION_1, TIMESTAMPED_ENTRY] {
            return None;
        }
        let timestamp = UnixMillis(reader.u64()?);
        let entry = match reader.array()? {
            X509_ENTRY => LogEntry::Certificate(reader.vector24()?.to_vec()),
            PRECERT_ENTRY => {
                let issuer_key_hash = reader.array()?;
                LogEntry::Precertificate(PreCertEntry {
                    issuer_key_hash,
                    tbs: reader.vector24()?.to_vec(),
                })
            }
            _ => return None,
        };
        let extensions = reader.vector16()?.to_vec();
        reader.is_empty().then_some(Self { timestamp, entry, extensions })
    }
}

/// An SCT that its log has not signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedSct {
    entry: LogEntry,
    timestamp: UnixMillis,
    message: Vec<u8>,
    verified: bool,
}

impl UnsignedSct {
    /// Prepares the SCT of `entry`, without extensions.
    ///
    /// # Errors
    /// [`SctError::TooLong`].
    pub fn new(entry: LogEntry, timestamp: UnixMillis) -> Result<Self, SctError> {
        let message = signed_data(&entry, timestamp, &[])?;
        Ok(Self { entry, timestamp, message, verified: true })
    }

    /// The body of the log's entry that this SCT is of.
    ///
    /// # Errors
    /// [`SctError::TooLong`].
    pub fn merkle_tree_leaf(&self) -> Result<Vec<u8>, SctError> {
        merkle_tree_leaf(&self.entry, self.timestamp, &[])
    }
}

impl Unsigned for UnsignedSct {
    type Signed = Sct;
    type Error = SctError;

    const KIND: &'static str = "sct";

    /// The bytes to sign, with ECDSA and SHA-256.
    fn bytes_to_sign(&self) -> &[u8] {
        &self.message
    }

    /// # Errors
    /// [`SctError::LogKey`], [`SctError::SignatureMismatch`].
    fn with_signature(self, signature: &[u8], log_key: &PublicKey) -> Result<Sct, SctError> {
        if self.verified {
            verify(&self.message, signature, log_key)?;
        }
        Ok(Sct {
            log_id: log_key.spki_sha256(),
            timestamp: self.timestamp,
            extensions: Vec::new(),
            algorithm: SHA256_WITH_ECDSA,
            signature: signature.to_vec(),
        })
    }
}

impl Unverified for UnsignedSct {
    /// No CA embeds an SCT that it has not verified itself.
    fn unverified(self) -> Self {
        Self { verified: false, ..self }
    }
}

/// A tree head that its log has not signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedTreeHead {
    timestamp: UnixMillis,
    tree_size: u64,
    root_hash: [u8; 32],
    message: Vec<u8>,
}

impl UnsignedTreeHead {
    /// Prepares the head of the tree of `tree_size` entries, as of `timestamp`.
    #[must_use]
    pub fn new(timestamp: UnixMillis, tree_size: u64, root_hash: [u8; 32]) -> Self {
        let message = tree_head_signed_data(timestamp, tree_size, &root_hash);
        Self { timestamp, tree_size, root_hash, message }
    }
}

impl Unsigned for UnsignedTreeHead {
    type Signed = SignedTreeHead;
    type Error = SctError;

    const KIND: &'static str = "tree_head";

    /// The bytes to sign, with ECDSA and SHA-256.
    fn bytes_to_sign(&self) -> &[u8] {
        &self.message
    }

    /// # Errors
    /// [`SctError::LogKey`], [`SctError::SignatureMismatch`].
    fn with_signature(
        self,
        signature: &[u8],
        log_key: &PublicKey,
    ) -> Result<SignedTreeHead, SctError> {
        verify(&self.message, signature, log_key)?;
        let Self { timestamp, tree_size, root_hash, message: _ } = self;
        let digitally_signed = encode_digitally_signed(signature)?;
        Ok(SignedTreeHead { timestamp, tree_size, root_hash, digitally_signed })
    }
}

/// A tree head under its log's signature (RFC 6962 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTreeHead {
    /// Not before the timestamp of any SCT of the tree.
    pub timestamp: UnixMillis,
    /// Entries in the tree.
    pub tree_size: u64,
    /// Root of the tree.
    pub root_hash: [u8; 32],
    /// The signature as TLS `DigitallySigned`.
    pub digitally_signed: Vec<u8>,
}

fn verify(message: &[u8], signature: &[u8], log_key: &PublicKey) -> Result<(), SctError> {
    log_key
        .verify_with(log_algorithm(log_key)?, message, signature)
        .map_err(|_| SctError::SignatureMismatch)
}
