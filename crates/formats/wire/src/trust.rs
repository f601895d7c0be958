//! Trusted root, signing config and client trust config (`dev.sigstore.trustroot.v1`).
//!
//! Written as every client accepts them: legacy media type, no member that an older
//! reader does not know unless it is set. Unknown members and unknown enum names are
//! ignored on reading, since the files may be newer than this program. Names and URIs that may
//! pass for others ([`crate::name`]) are refused.

use serde::{Deserialize, Serialize};

use crate::{
    Base64, HashAlgorithm, PublicKeyDetails, Timestamp,
    proto::{is_default, or_default, or_unspecified, proto_enum, text, uri},
};

/// Whom a verifier trusts: every log, CA and TSA, past ones with their end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedRoot {
    /// Version of the format.
    #[serde(alias = "media_type")]
    pub media_type: TrustedRootMediaType,
    /// Rekor logs, oldest first.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub tlogs: Vec<TransparencyLogInstance>,
    /// Fulcio CAs, oldest first.
    #[serde(
        default,
        alias = "certificate_authorities",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// CT logs, oldest first.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub ctlogs: Vec<TransparencyLogInstance>,
    /// Timestamp authorities, oldest first.
    #[serde(
        default,
        alias = "timestamp_authorities",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub timestamp_authorities: Vec<TimestampAuthority>,
}

/// Media types of trusted roots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustedRootMediaType {
    /// The only one that all clients accept; always written.
    #[default]
    #[serde(rename = "application/vnd.dev.sigstore.trustedroot+json;version=0.1")]
    V0_1Legacy,
    /// What the specification lets writers use.
    #[serde(rename = "application/vnd.dev.sigstore.trustedroot.v0.1+json")]
    V0_1,
    /// What the specification demands of writers.
    #[serde(rename = "application/vnd.dev.sigstore.trustedroot.v0.2+json")]
    V0_2,
}

/// A transparency log, of Rekor or CT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TransparencyLogInstance {
    /// Complete URL; its host is the checkpoint origin of a Rekor v2 log.
    #[serde(alias = "base_url", deserialize_with = "uri")]
    pub base_url: String,
    /// Hash of the Merkle tree.
    #[serde(alias = "hash_algorithm", deserialize_with = "or_unspecified")]
    pub hash_algorithm: HashAlgorithm,
    /// The log's key.
    #[serde(alias = "public_key", deserialize_with = "or_default")]
    pub public_key: PublicKey,
    /// Rekor v1, CT and ECDSA: SHA-256 of the SPKI. Rekor v2 Ed25519: SHA-256(origin, LF, 1, raw key).
    #[serde(alias = "log_id", deserialize_with = "or_default")]
    pub log_id: LogId,
    /// Breaks older readers; read, and written only when it was there.
    #[serde(alias = "checkpoint_key_id", skip_serializing_if = "Option::is_none")]
    pub checkpoint_key_id: Option<LogId>,
    /// Breaks older readers; not written when empty.
    #[serde(deserialize_with = "text", skip_serializing_if = "is_default")]
    pub operator: String,
}

/// Names a log; unlike [`crate::bundle::LogId`] read leniently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogId {
    /// 32 bytes.
    #[serde(alias = "key_id", deserialize_with = "or_default")]
    pub key_id: Base64,
}

/// A key with its algorithm and time of validity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PublicKey {
    /// DER `SubjectPublicKeyInfo`.
    #[serde(alias = "raw_bytes", deserialize_with = "or_default")]
    pub raw_bytes: Base64,
    /// Signature algorithm.
    #[serde(alias = "key_details", deserialize_with = "or_unspecified")]
    pub key_details: PublicKeyDetails,
    /// When its signatures count; clients need `start`.
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<TimeRange>,
}

/// A closed interval of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeRange {
    /// First moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Last moment; none while it is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// A CA, or a timestamp authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateAuthority {
    /// Of the root certificate.
    #[serde(deserialize_with = "or_default")]
    pub subject: DistinguishedName,
    /// Of the service.
    #[serde(deserialize_with = "uri")]
    pub uri: String,
    /// Lowest CA (TSA: signing certificate) first, root last.
    #[serde(alias = "cert_chain", deserialize_with = "or_default")]
    pub cert_chain: X509CertificateChain,
    /// When it issued.
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<TimeRange>,
    /// Breaks older readers; not written when empty.
    #[serde(deserialize_with = "text", skip_serializing_if = "is_default")]
    pub operator: String,
}

/// The format uses one message for both.
pub type TimestampAuthority = CertificateAuthority;

/// The two attributes of a subject that the format knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DistinguishedName {
    /// `O`.
    #[serde(deserialize_with = "text", skip_serializing_if = "is_default")]
    pub organization: String,
    /// `CN`.
    #[serde(alias = "common_name", deserialize_with = "text", skip_serializing_if = "is_default")]
    pub common_name: String,
}

/// A chain of certificates; unlike [`crate::bundle::X509CertificateChain`] read leniently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct X509CertificateChain {
    /// Each issued by the next.
    #[serde(deserialize_with = "or_default")]
    pub certificates: Vec<X509Certificate>,
}

/// One certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509Certificate {
    /// DER.
    #[serde(alias = "raw_bytes", deserialize_with = "or_default")]
    pub raw_bytes: Base64,
}

/// Where a signer goes (version 0.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SigningConfig {
    /// Version of the format.
    #[serde(alias = "media_type")]
    pub media_type: SigningConfigMediaType,
    /// CAs, newest first; base URLs, `majorApiVersion` 1.
    #[serde(default, alias = "ca_urls", deserialize_with = "or_default")]
    pub ca_urls: Vec<Service>,
    /// Identity providers.
    #[serde(default, alias = "oidc_urls", deserialize_with = "or_default")]
    pub oidc_urls: Vec<Service>,
    /// Rekor logs, newest first; base URLs.
    #[serde(default, alias = "rekor_tlog_urls", deserialize_with = "or_default")]
    pub rekor_tlog_urls: Vec<Service>,
    /// Timestamp authorities, newest first; complete URLs.
    #[serde(default, alias = "tsa_urls", deserialize_with = "or_default")]
    pub tsa_urls: Vec<Service>,
    /// How many logs to use. Some clients break when only one of list and configuration is there.
    #[serde(alias = "rekor_tlog_config", skip_serializing_if = "Option::is_none")]
    pub rekor_tlog_config: Option<ServiceConfiguration>,
    /// How many timestamp authorities to use.
    #[serde(alias = "tsa_config", skip_serializing_if = "Option::is_none")]
    pub tsa_config: Option<ServiceConfiguration>,
}

/// Media type of signing configs; version 0.1, with another shape, is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningConfigMediaType {
    /// Version 0.2.
    #[default]
    #[serde(rename = "application/vnd.dev.sigstore.signingconfig.v0.2+json")]
    V0_2,
}

/// One service that may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// Base URL, for a TSA the complete one.
    #[serde(deserialize_with = "uri")]
    pub url: String,
    /// Rekor: 1 or 2. Others: 1.
    #[serde(alias = "major_api_version", deserialize_with = "or_default")]
    pub major_api_version: u32,
    /// When it may be used.
    #[serde(alias = "valid_for", skip_serializing_if = "Option::is_none")]
    pub valid_for: Option<TimeRange>,
    /// Who runs it; clients take at most one service of an operator.
    #[serde(deserialize_with = "text", skip_serializing_if = "is_default")]
    pub operator: String,
}

/// How many of a list of services to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceConfiguration {
    /// Which; sigstore-js takes only [`ServiceSelector::Any`].
    #[serde(deserialize_with = "or_unspecified")]
    pub selector: ServiceSelector,
    /// For [`ServiceSelector::Exact`].
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub count: u32,
}

proto_enum! {
    /// `dev.sigstore.trustroot.v1.ServiceSelector`.
    pub enum ServiceSelector {
        /// Not set.
        #[default]
        Undefined = 0 => "SERVICE_SELECTOR_UNDEFINED",
        /// All of them.
        All = 1 => "ALL",
        /// One of them.
        Any = 2 => "ANY",
        /// Exactly as many as counted.
        Exact = 3 => "EXACT",
    }
}

/// Trusted root and signing config in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTrustConfig {
    /// Version of the format.
    #[serde(alias = "media_type")]
    pub media_type: ClientTrustConfigMediaType,
    /// For verifying.
    #[serde(alias = "trusted_root")]
    pub trusted_root: TrustedRoot,
    /// For signing.
    #[serde(alias = "signing_config")]
    pub signing_config: SigningConfig,
}

/// Media type of client trust configs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientTrustConfigMediaType {
    /// Version 0.1.
    #[default]
    #[serde(rename = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json")]
    V0_1,
}
