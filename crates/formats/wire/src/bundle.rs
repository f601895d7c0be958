//! The Sigstore bundle (`dev.sigstore.bundle.v1`), versions 0.1 to 0.3.
//!
//! Read strictly: an unknown member anywhere, a member given twice, two members of
//! a `oneof`, an unknown media type or a text that may pass for another is an error, so that
//! nothing a bundle says can go unseen. Nothing is verified here, and lists may be of any length:
//! verifiers cap them.

use serde::{Deserialize, Serialize};

use crate::{
    Base64, HashAlgorithm, Int64,
    dsse::DsseEnvelope,
    proto::{is_default, or_default, text},
};

/// A signature with all that is needed to verify it offline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawBundle")]
pub struct Bundle {
    /// Version of the format.
    pub media_type: BundleMediaType,
    /// Key or certificate, log entries, timestamps.
    pub verification_material: VerificationMaterial,
    /// What is signed.
    #[serde(flatten)]
    pub content: BundleContent,
}

impl Bundle {
    /// Reads a bundle from JSON.
    ///
    /// # Errors
    /// Whatever is not exactly the shape; see the [module](self).
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        crate::json::from_slice(json)
    }

    /// Writes the bundle as JSON on one line.
    ///
    /// # Panics
    /// Never: every key is a string and every value can be written.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "writing to a string fails only on keys that are no strings"
    )]
    pub fn to_json(&self) -> String {
        // Invariant: this module has no map and no hand-written `Serialize`.
        serde_json::to_string(self).expect("a bundle can be written as JSON")
    }
}

/// The media types of bundles that clients wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BundleMediaType {
    /// Version 0.1: certificate chain, SET demanded.
    #[serde(rename = "application/vnd.dev.sigstore.bundle+json;version=0.1")]
    V0_1,
    /// Version 0.2: certificate chain, inclusion proof demanded.
    #[serde(rename = "application/vnd.dev.sigstore.bundle+json;version=0.2")]
    V0_2,
    /// Version 0.3 in the older spelling.
    #[serde(rename = "application/vnd.dev.sigstore.bundle+json;version=0.3")]
    V0_3Legacy,
    /// Version 0.3: one certificate without its chain.
    #[serde(rename = "application/vnd.dev.sigstore.bundle.v0.3+json")]
    V0_3,
}

/// The `oneof content` of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BundleContent {
    /// A signature over the bytes of an artifact.
    MessageSignature(MessageSignature),
    /// A signed attestation.
    DsseEnvelope(DsseEnvelope),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBundle {
    #[serde(alias = "media_type")]
    media_type: BundleMediaType,
    #[serde(alias = "verification_material")]
    verification_material: VerificationMaterial,
    #[serde(alias = "message_signature")]
    message_signature: Option<MessageSignature>,
    #[serde(alias = "dsse_envelope")]
    dsse_envelope: Option<DsseEnvelope>,
}

impl TryFrom<RawBundle> for Bundle {
    type Error = &'static str;

    fn try_from(raw: RawBundle) -> Result<Self, Self::Error> {
        let content = match (raw.message_signature, raw.dsse_envelope) {
            (Some(signature), None) => BundleContent::MessageSignature(signature),
            (None, Some(envelope)) => BundleContent::DsseEnvelope(envelope),
            _ => return Err("exactly one of messageSignature and dsseEnvelope is needed"),
        };
        Ok(Self {
            media_type: raw.media_type,
            verification_material: raw.verification_material,
            content,
        })
    }
}

/// What a verifier needs beside the signature and the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawVerificationMaterial")]
pub struct VerificationMaterial {
    /// Whose signature it is.
    #[serde(flatten)]
    pub content: VerificationContent,
    /// Entries of transparency logs; a bundle of Sigstore has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tlog_entries: Vec<TransparencyLogEntry>,
    /// Signed timestamps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_verification_data: Option<TimestampVerificationData>,
}

/// The `oneof content` of [`VerificationMaterial`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VerificationContent {
    /// A key that the verifier already has.
    PublicKey(PublicKeyIdentifier),
    /// Leaf first (bundles 0.1 and 0.2).
    X509CertificateChain(X509CertificateChain),
    /// The leaf alone (bundle 0.3).
    Certificate(X509Certificate),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawVerificationMaterial {
    #[serde(alias = "public_key")]
    public_key: Option<PublicKeyIdentifier>,
    #[serde(alias = "x509_certificate_chain")]
    x509_certificate_chain: Option<X509CertificateChain>,
    certificate: Option<X509Certificate>,
    #[serde(default, alias = "tlog_entries", deserialize_with = "or_default")]
    tlog_entries: Vec<TransparencyLogEntry>,
    #[serde(alias = "timestamp_verification_data")]
    timestamp_verification_data: Option<TimestampVerificationData>,
}

impl TryFrom<RawVerificationMaterial> for VerificationMaterial {
    type Error = &'static str;

    fn try_from(raw: RawVerificationMaterial) -> Result<Self, Self::Error> {
        let content = match (raw.public_key, raw.x509_certificate_chain, raw.certificate) {
            (Some(key), None, None) => VerificationContent::PublicKey(key),
            (None, Some(chain), None) => VerificationContent::X509CertificateChain(chain),
            (None, None, Some(leaf)) => VerificationContent::Certificate(leaf),
            _ => {
                return Err(
                    "exactly one of publicKey, x509CertificateChain and certificate is needed",
                );
            }
        };
        Ok(Self {
            content,
            tlog_entries: raw.tlog_entries,
            timestamp_verification_data: raw.timestamp_verification_data,
        })
    }
}

/// Names a key by other means than itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicKeyIdentifier {
    /// Unauthenticated hint which key it is, by convention base64 of its SHA-256.
    #[serde(deserialize_with = "text", skip_serializing_if = "is_default")]
    pub hint: String,
}

/// A chain of certificates, leaf first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct X509CertificateChain {
    /// Leaf first; each is issued by the next.
    #[serde(deserialize_with = "or_default")]
    pub certificates: Vec<X509Certificate>,
}

/// One certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct X509Certificate {
    /// DER.
    #[serde(alias = "raw_bytes", deserialize_with = "or_default")]
    pub raw_bytes: Base64,
}

/// An entry of a log with the evidence that it is there (`dev.sigstore.rekor.v1.TransparencyLogEntry`).
///
/// Also the answer of Rekor v2, which shows unset members: [`crate::rekor2::EntryResponse`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TransparencyLogEntry {
    /// 0-based; Rekor v1: over all shards, Rekor v2: in this log.
    #[serde(alias = "log_index", deserialize_with = "or_default")]
    pub log_index: Int64,
    /// Which log.
    #[serde(alias = "log_id", deserialize_with = "or_default")]
    pub log_id: LogId,
    /// Kind and version of the body.
    #[serde(alias = "kind_version", deserialize_with = "or_default")]
    pub kind_version: KindVersion,
    /// Unix seconds; 0 in Rekor v2, which signs no time, and then not written.
    #[serde(
        alias = "integrated_time",
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub integrated_time: Int64,
    /// Rekor v1: the log's signature over the entry.
    #[serde(alias = "inclusion_promise", skip_serializing_if = "Option::is_none")]
    pub inclusion_promise: Option<InclusionPromise>,
    /// Merkle proof and checkpoint.
    #[serde(alias = "inclusion_proof", skip_serializing_if = "Option::is_none")]
    pub inclusion_proof: Option<InclusionProof>,
    /// The exact bytes of the leaf.
    #[serde(alias = "canonicalized_body", deserialize_with = "or_default")]
    pub canonicalized_body: Base64,
}

/// Names a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogId {
    /// 32 bytes; see [`TransparencyLogInstance::log_id`](crate::trust::TransparencyLogInstance::log_id).
    #[serde(alias = "key_id", deserialize_with = "or_default")]
    pub key_id: Base64,
}

/// Kind and version of a log entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KindVersion {
    /// Such as `hashedrekord`.
    #[serde(deserialize_with = "text")]
    pub kind: String,
    /// Such as `0.0.2`.
    #[serde(deserialize_with = "text")]
    pub version: String,
}

/// Rekor v1's signed entry timestamp.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InclusionPromise {
    /// DER ECDSA signature.
    #[serde(alias = "signed_entry_timestamp", deserialize_with = "or_default")]
    pub signed_entry_timestamp: Base64,
}

/// Merkle inclusion proof (RFC 6962 §2.1.1) with the checkpoint that it leads to.
///
/// `logIndex` and `hashes` are written also when 0 and empty: not every reader
/// takes a missing member for the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InclusionProof {
    /// 0-based index of the leaf in its tree.
    #[serde(alias = "log_index", deserialize_with = "or_default")]
    pub log_index: Int64,
    /// 32 bytes.
    #[serde(alias = "root_hash", deserialize_with = "or_default")]
    pub root_hash: Base64,
    /// Size of the tree of the proof.
    #[serde(alias = "tree_size", deserialize_with = "or_default")]
    pub tree_size: Int64,
    /// From the leaf's sibling upward, 32 bytes each.
    #[serde(deserialize_with = "or_default")]
    pub hashes: Vec<Base64>,
    /// Absent in some bundles 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointEnvelope>,
}

/// A signed tree head (`dev.sigstore.rekor.v1.Checkpoint`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointEnvelope {
    /// Signed note (C2SP signed-note), with its final newline.
    #[serde(deserialize_with = "or_default")]
    pub envelope: String,
}

/// Signed timestamps over the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TimestampVerificationData {
    /// RFC 3161 answers.
    #[serde(
        alias = "rfc3161_timestamps",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub rfc3161_timestamps: Vec<Rfc3161SignedTimestamp>,
}

/// One RFC 3161 timestamp.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rfc3161SignedTimestamp {
    /// DER `TimeStampResp` (RFC 3161 §2.4.2).
    #[serde(alias = "signed_timestamp", deserialize_with = "or_default")]
    pub signed_timestamp: Base64,
}

/// A detached signature over an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MessageSignature {
    /// Digest of the artifact; a hint, which verifiers compare and never trust.
    #[serde(alias = "message_digest", skip_serializing_if = "Option::is_none")]
    pub message_digest: Option<HashOutput>,
    /// The signature, ECDSA as DER.
    #[serde(deserialize_with = "or_default")]
    pub signature: Base64,
}

/// A digest and its algorithm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashOutput {
    /// Which hash.
    #[serde(deserialize_with = "or_default")]
    pub algorithm: HashAlgorithm,
    /// Its output.
    #[serde(deserialize_with = "or_default")]
    pub digest: Base64,
}
