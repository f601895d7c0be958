//! The bodies as they are stored; a member that is not known here is refused.

use serde::Deserialize;
use wire::Base64;

use crate::{Check, VerifyError, check::Failing};

/// The `spec` of a body; kind and version were compared by [`crate::log`].
pub(super) fn spec_of<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, VerifyError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body<T> {
        #[serde(rename = "apiVersion")]
        _api_version: String,
        #[serde(rename = "kind")]
        _kind: String,
        spec: T,
    }
    let body: Body<T> = serde_json::from_slice(body).failing(Check::LogEntry)?;
    Ok(body.spec)
}

/// Hex, in whatever case it was sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hash {
    pub(super) algorithm: String,
    pub(super) value: String,
}

impl Hash {
    pub(super) fn is(&self, algorithm: &str, digest: &[u8]) -> bool {
        self.algorithm == algorithm && self.value.eq_ignore_ascii_case(&hex::encode(digest))
    }
}

/// `hashedrekord` 0.0.1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HashedRekord {
    pub(super) data: Data,
    pub(super) signature: DetachedSignature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    pub(super) hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DetachedSignature {
    pub(super) content: Base64,
    pub(super) public_key: Pem,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pem {
    pub(super) content: Base64,
}

/// `dsse` 0.0.1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Dsse {
    pub(super) envelope_hash: Hash,
    pub(super) payload_hash: Hash,
    pub(super) signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DsseSignature {
    pub(super) signature: Base64,
    /// PEM.
    pub(super) verifier: Base64,
}

/// `intoto` 0.0.2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intoto {
    pub(super) content: IntotoContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntotoContent {
    pub(super) envelope: IntotoEnvelope,
    pub(super) hash: Hash,
    pub(super) payload_hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntotoEnvelope {
    /// Base64 of base64; Rekor drops it, other logs keep it.
    #[serde(default)]
    pub(super) payload: Option<Base64>,
    pub(super) payload_type: String,
    pub(super) signatures: Vec<IntotoSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntotoSignature {
    #[serde(default)]
    pub(super) keyid: String,
    /// PEM.
    pub(super) public_key: Base64,
    /// Base64 of base64.
    pub(super) sig: Base64,
}
