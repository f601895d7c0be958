//! Requests and answers of Rekor v2 (`dev.sigstore.rekor.v2`).
//!
//! Unknown members are refused, as upstream's gateway does.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

use crate::{
    Base64, PublicKeyDetails,
    bundle::{TransparencyLogEntry, X509Certificate},
    dsse::DsseEnvelope,
    proto::or_default,
};

/// Body of `POST /api/v2/log/entries`: a `oneof` of entry kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawCreateEntryRequest")]
pub enum CreateEntryRequest {
    /// A signature over a digest.
    #[serde(rename = "hashedRekordRequestV002")]
    HashedRekord(HashedRekordRequest),
    /// A DSSE envelope; upstream refuses it since 2.3.0.
    #[serde(rename = "dsseRequestV002")]
    Dsse(DsseRequest),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCreateEntryRequest {
    #[serde(rename = "hashedRekordRequestV002", alias = "hashed_rekord_request_v002")]
    hashed_rekord: Option<HashedRekordRequest>,
    #[serde(rename = "dsseRequestV002", alias = "dsse_request_v002")]
    dsse: Option<DsseRequest>,
}

impl TryFrom<RawCreateEntryRequest> for CreateEntryRequest {
    type Error = &'static str;

    fn try_from(raw: RawCreateEntryRequest) -> Result<Self, Self::Error> {
        match (raw.hashed_rekord, raw.dsse) {
            (Some(request), None) => Ok(Self::HashedRekord(request)),
            (None, Some(request)) => Ok(Self::Dsse(request)),
            _ => Err("exactly one of hashedRekordRequestV002 and dsseRequestV002 is needed"),
        }
    }
}

/// A signature over a digest, with what verifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashedRekordRequest {
    /// Digest by the hash of the signature's algorithm.
    #[serde(deserialize_with = "or_default")]
    pub digest: Base64,
    /// The signature; needed, absent only in a malformed request.
    pub signature: Option<Signature>,
}

/// A DSSE envelope, with what verifies its signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DsseRequest {
    /// The envelope; needed, absent only in a malformed request.
    pub envelope: Option<DsseEnvelope>,
    /// Keys or certificates, in any order.
    #[serde(deserialize_with = "or_default")]
    pub verifiers: Vec<Verifier>,
}

/// A signature and its verifier (`dev.sigstore.rekor.v2.Signature`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signature {
    /// The signature, ECDSA as DER.
    #[serde(deserialize_with = "or_default")]
    pub content: Base64,
    /// The key; needed, absent only in a malformed request.
    pub verifier: Option<Verifier>,
}

/// A key or certificate and the algorithm it is used with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawVerifier")]
pub struct Verifier {
    /// Where the key is.
    #[serde(flatten)]
    pub key: VerifierKey,
    /// Signature algorithm.
    pub key_details: PublicKeyDetails,
}

/// The `oneof verifier` of [`Verifier`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VerifierKey {
    /// A bare key.
    PublicKey(PublicKey),
    /// A certificate that holds the key.
    X509Certificate(X509Certificate),
}

/// A DER `SubjectPublicKeyInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PublicKey {
    /// DER.
    #[serde(alias = "raw_bytes", deserialize_with = "or_default")]
    pub raw_bytes: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawVerifier {
    #[serde(alias = "public_key")]
    public_key: Option<PublicKey>,
    #[serde(alias = "x509_certificate")]
    x509_certificate: Option<X509Certificate>,
    #[serde(default, alias = "key_details", deserialize_with = "or_default")]
    key_details: PublicKeyDetails,
}

impl TryFrom<RawVerifier> for Verifier {
    type Error = &'static str;

    fn try_from(raw: RawVerifier) -> Result<Self, Self::Error> {
        let key = match (raw.public_key, raw.x509_certificate) {
            (Some(key), None) => VerifierKey::PublicKey(key),
            (None, Some(certificate)) => VerifierKey::X509Certificate(certificate),
            _ => return Err("exactly one of publicKey and x509Certificate is needed"),
        };
        Ok(Self { key, key_details: raw.key_details })
    }
}

/// The answer to a created entry: [`TransparencyLogEntry`] with unset members shown, as upstream answers.
#[derive(Clone, Copy, Debug)]
pub struct EntryResponse<'a>(pub &'a TransparencyLogEntry);

impl Serialize for EntryResponse<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.0;
        let mut members = serializer.serialize_struct("TransparencyLogEntry", 7)?;
        members.serialize_field("logIndex", &entry.log_index)?;
        members.serialize_field("logId", &entry.log_id)?;
        members.serialize_field("kindVersion", &entry.kind_version)?;
        members.serialize_field("integratedTime", &entry.integrated_time)?;
        members.serialize_field("inclusionPromise", &entry.inclusion_promise)?;
        members.serialize_field("inclusionProof", &entry.inclusion_proof)?;
        members.serialize_field("canonicalizedBody", &entry.canonicalized_body)?;
        members.end()
    }
}
