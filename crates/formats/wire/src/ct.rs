//! The JSON of the CT log API (RFC 6962 §4): `snake_case`, numbers as numbers, base64.
//!
//! Unknown members are ignored on reading. The answers are written by the log and read
//! by the CA, monitors and tests.

use serde::{Deserialize, Serialize};

use crate::Base64;

/// Body of `add-chain` and `add-pre-chain` (§4.1, §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddChainRequest {
    /// DER, leaf or precertificate first, each issued by the next.
    pub chain: Vec<Base64>,
}

/// Answer of `add-chain` and `add-pre-chain`: a signed certificate timestamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddChainResponse {
    /// 0: v1.
    pub sct_version: u8,
    /// SHA-256 of the log's SPKI.
    pub id: Base64,
    /// Unix milliseconds.
    pub timestamp: u64,
    /// `CtExtensions`.
    #[serde(default)]
    pub extensions: Base64,
    /// TLS `DigitallySigned`.
    pub signature: Base64,
}

/// Answer of `get-sth` (§4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetSthResponse {
    /// Number of entries.
    pub tree_size: u64,
    /// Unix milliseconds.
    pub timestamp: u64,
    /// Root hash.
    pub sha256_root_hash: Base64,
    /// TLS `DigitallySigned` over the `TreeHeadSignature`.
    pub tree_head_signature: Base64,
}

/// Answer of `get-sth-consistency` (§4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetSthConsistencyResponse {
    /// Hashes of the consistency proof.
    pub consistency: Vec<Base64>,
}

/// Answer of `get-proof-by-hash` (§4.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetProofByHashResponse {
    /// 0-based.
    pub leaf_index: u64,
    /// Hashes from the leaf's sibling upward.
    pub audit_path: Vec<Base64>,
}

/// Answer of `get-entries` (§4.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetEntriesResponse {
    /// From `start` on; may be fewer than asked for.
    pub entries: Vec<LogEntry>,
}

/// One entry of `get-entries`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// TLS `MerkleTreeLeaf`.
    pub leaf_input: Base64,
    /// TLS `PrecertChainEntry` or certificate chain.
    pub extra_data: Base64,
}

/// Answer of `get-roots` (§4.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRootsResponse {
    /// DER of the accepted roots.
    pub certificates: Vec<Base64>,
}

/// Answer of `get-entry-and-proof` (§4.8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetEntryAndProofResponse {
    /// TLS `MerkleTreeLeaf`.
    pub leaf_input: Base64,
    /// TLS `PrecertChainEntry` or certificate chain.
    pub extra_data: Base64,
    /// Hashes from the leaf's sibling upward.
    pub audit_path: Vec<Base64>,
}
