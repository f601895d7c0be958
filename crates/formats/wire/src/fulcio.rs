//! Requests and answers of Fulcio v2 (`dev.sigstore.fulcio.v2`), and the request of v1.
//!
//! Unknown members are ignored, as upstream's gateway does. The same messages for gRPC are in
//! `proto/fulcio_v2.proto`.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Base64, proto::or_default};

/// Body of `POST /api/v2/signingCert`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawSigningCertRequest")]
pub struct SigningCertRequest {
    /// The caller's token; may instead come in the `Authorization` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The key to be certified.
    #[serde(flatten)]
    pub key: KeyRequest,
}

/// A token of the caller's identity provider.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credentials {
    /// Compact JWS; empty when not set.
    #[serde(alias = "oidc_identity_token", deserialize_with = "or_default")]
    pub oidc_identity_token: String,
}

impl std::fmt::Debug for Credentials {
    /// Never shows the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} bytes)", self.oidc_identity_token.len())
    }
}

/// The `oneof key` of a [`SigningCertRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyRequest {
    /// A key and a signature by it.
    PublicKeyRequest(PublicKeyRequest),
    /// A PEM PKCS#10 request.
    CertificateSigningRequest(Base64),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSigningCertRequest {
    credentials: Option<Credentials>,
    #[serde(alias = "public_key_request")]
    public_key_request: Option<PublicKeyRequest>,
    #[serde(alias = "certificate_signing_request")]
    certificate_signing_request: Option<Base64>,
}

impl TryFrom<RawSigningCertRequest> for SigningCertRequest {
    type Error = &'static str;

    fn try_from(raw: RawSigningCertRequest) -> Result<Self, Self::Error> {
        let key = match (raw.public_key_request, raw.certificate_signing_request) {
            (Some(request), None) => KeyRequest::PublicKeyRequest(request),
            (None, Some(request)) => KeyRequest::CertificateSigningRequest(request),
            _ => {
                return Err(
                    "exactly one of publicKeyRequest and certificateSigningRequest is needed",
                );
            }
        };
        Ok(Self { credentials: raw.credentials, key })
    }
}

/// A key and the proof that the caller holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PublicKeyRequest {
    /// The key.
    #[serde(alias = "public_key", deserialize_with = "or_default")]
    pub public_key: PublicKey,
    /// Signature by that key over the token's `email` or `sub`.
    #[serde(alias = "proof_of_possession", deserialize_with = "or_default")]
    pub proof_of_possession: Base64,
}

/// A public key as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublicKey {
    /// A hint that clients fill with anything (`ECDSA`, `ecdsa`, the empty text, numbers): never read it.
    #[serde(deserialize_with = "any_as_text")]
    pub algorithm: String,
    /// PEM `PUBLIC KEY` or `RSA PUBLIC KEY`.
    #[serde(deserialize_with = "or_default")]
    pub content: String,
}

fn any_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(text),
        _ => Ok(String::new()),
    }
}

/// Body of `POST /api/v1/signingCert` (`dev.sigstore.fulcio.v1beta`); the answer is PEM.
///
/// The token comes in the `Authorization` header only. A request with a certificate signing
/// request that is not empty is that, whatever else it has; so says upstream's server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SigningCertRequestV1 {
    /// The key to be certified.
    pub public_key: Option<PublicKeyV1>,
    /// Signature by that key over the token's `email` or `sub`.
    #[serde(deserialize_with = "or_default")]
    pub signed_email_address: Base64,
    /// A PEM PKCS#10 request; empty when not set.
    #[serde(deserialize_with = "or_default")]
    pub certificate_signing_request: Base64,
}

/// A public key as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublicKeyV1 {
    /// A hint, as in [`PublicKey`]: never read it.
    #[serde(deserialize_with = "any_as_text")]
    pub algorithm: String,
    /// PEM, or DER of a `SubjectPublicKeyInfo`.
    #[serde(deserialize_with = "or_default")]
    pub content: Base64,
}

/// Answer of `POST /api/v2/signingCert`: exactly one member, since some clients refuse a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawSigningCertResponse")]
pub enum SigningCertResponse {
    /// The SCT is in the leaf.
    SignedCertificateEmbeddedSct(EmbeddedSct),
    /// The SCT, if any, is beside the chain.
    SignedCertificateDetachedSct(DetachedSct),
}

impl SigningCertResponse {
    /// The chain, leaf first, as PEM.
    #[must_use]
    pub fn certificates(&self) -> &[String] {
        match self {
            Self::SignedCertificateEmbeddedSct(answer) => &answer.chain.certificates,
            Self::SignedCertificateDetachedSct(answer) => &answer.chain.certificates,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSigningCertResponse {
    #[serde(alias = "signed_certificate_embedded_sct")]
    signed_certificate_embedded_sct: Option<EmbeddedSct>,
    #[serde(alias = "signed_certificate_detached_sct")]
    signed_certificate_detached_sct: Option<DetachedSct>,
}

impl TryFrom<RawSigningCertResponse> for SigningCertResponse {
    type Error = &'static str;

    fn try_from(raw: RawSigningCertResponse) -> Result<Self, Self::Error> {
        match (raw.signed_certificate_embedded_sct, raw.signed_certificate_detached_sct) {
            (Some(answer), None) => Ok(Self::SignedCertificateEmbeddedSct(answer)),
            (None, Some(answer)) => Ok(Self::SignedCertificateDetachedSct(answer)),
            _ => Err(
                "exactly one of signedCertificateEmbeddedSct and signedCertificateDetachedSct is needed",
            ),
        }
    }
}

/// A chain whose leaf holds the SCT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbeddedSct {
    /// Leaf first.
    #[serde(deserialize_with = "or_default")]
    pub chain: CertificateChain,
}

/// A chain and its SCT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DetachedSct {
    /// Leaf first.
    #[serde(deserialize_with = "or_default")]
    pub chain: CertificateChain,
    /// JSON of an `add-chain` answer ([`crate::ct::AddChainResponse`]); empty without CT, and still written.
    #[serde(alias = "signed_certificate_timestamp", deserialize_with = "or_default")]
    pub signed_certificate_timestamp: Base64,
}

/// PEM certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateChain {
    /// Each issued by the next. Without a final newline in `signingCert`, with it in `trustBundle`.
    #[serde(deserialize_with = "or_default")]
    pub certificates: Vec<String>,
}

/// Answer of `GET /api/v2/trustBundle`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrustBundle {
    /// Issuing CA first, root last, one chain for each CA.
    #[serde(deserialize_with = "or_default")]
    pub chains: Vec<CertificateChain>,
}

/// Answer of `GET /api/v2/configuration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// The identity providers that are accepted.
    #[serde(deserialize_with = "or_default")]
    pub issuers: Vec<IssuerConfiguration>,
}

/// One accepted identity provider. All members but the URLs are written always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuerConfiguration {
    /// The issuer; or the next.
    #[serde(alias = "issuer_url", skip_serializing_if = "Option::is_none")]
    pub issuer_url: Option<String>,
    /// Pattern of issuers.
    #[serde(alias = "wildcard_issuer_url", skip_serializing_if = "Option::is_none")]
    pub wildcard_issuer_url: Option<String>,
    /// Audience that tokens must have.
    #[serde(deserialize_with = "or_default")]
    pub audience: String,
    /// Claim that the proof of possession signs.
    #[serde(alias = "challenge_claim", deserialize_with = "or_default")]
    pub challenge_claim: String,
    /// For SPIFFE issuers.
    #[serde(alias = "spiffe_trust_domain", deserialize_with = "or_default")]
    pub spiffe_trust_domain: String,
    /// Such as `email`, `uri`, `github-workflow`, `kubernetes`.
    #[serde(alias = "issuer_type", deserialize_with = "or_default")]
    pub issuer_type: String,
    /// For issuers of type `uri` and `username`.
    #[serde(alias = "subject_domain", deserialize_with = "or_default")]
    pub subject_domain: String,
    /// Whether `email_verified` is not demanded.
    #[serde(alias = "skip_email_verification", deserialize_with = "or_default")]
    pub skip_email_verification: bool,
}
