use crypto::PublicKey;
use tlog::LeafHash;

use crate::IndexKeyKind;

/// An entry whose signature was verified, ready to be logged.
#[derive(Clone, Debug)]
pub struct VerifiedEntry {
    body: Vec<u8>,
    leaf_hash: LeafHash,
    kind: &'static str,
    version: &'static str,
    index_keys: Vec<(IndexKeyKind, String)>,
    signers: Vec<Signer>,
}

/// Who made a signature of an entry: a key, and the certificate that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    pub(crate) key: PublicKey,
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Signer {
    /// The key, which verified the signature.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The certificate of the key, DER, if it came in one: of it nothing was judged.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }
}

impl VerifiedEntry {
    /// Only the kinds of this crate may say that an entry is verified.
    pub(crate) fn new(
        kind: &'static str,
        version: &'static str,
        body: Vec<u8>,
        (index_keys, signers): (Vec<(IndexKeyKind, String)>, Vec<Signer>),
    ) -> Self {
        Self { leaf_hash: tlog::leaf_hash(&body), body, kind, version, index_keys, signers }
    }

    /// The canonical JSON that is the leaf.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Gives the canonical JSON away.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// RFC 6962 leaf hash of the body.
    #[must_use]
    pub fn leaf_hash(&self) -> LeafHash {
        self.leaf_hash
    }

    /// Such as `hashedrekord`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Such as `0.0.2`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The words under which the entry can be found, without repetition.
    #[must_use]
    pub fn index_keys(&self) -> Vec<(IndexKeyKind, String)> {
        self.index_keys.clone()
    }

    /// Whose signatures it holds: at least one, and everybody whose key verified one.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }
}
