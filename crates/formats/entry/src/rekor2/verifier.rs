use crypto::{PublicKey, SignatureError};
use wire::{
    bundle,
    rekor2::{self, VerifierKey},
};
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
};

use super::KeyDetails;
use crate::{Budget, EntryError, IndexKeyKind, Signer, form, index_key};

/// Longest certificate in bytes. Fulcio's have about 2 KiB; with twice the base64 of this and a
/// signature, a body stays below the 65,535 bytes of a tile's entry.
const MAX_CERTIFICATE_LEN: usize = 16 * 1024;

/// A key, bare or in a certificate, and the one algorithm it is used with.
#[derive(Clone, Debug)]
pub struct Verifier {
    material: Material,
    key: PublicKey,
    key_details: KeyDetails,
}

#[derive(Clone, Debug)]
enum Material {
    PublicKey,
    Certificate { der: Vec<u8>, names: Vec<(IndexKeyKind, String)> },
}

impl Verifier {
    /// Reads a verifier as a request holds it.
    ///
    /// # Errors
    /// [`EntryError::UnsupportedKeyDetails`], [`EntryError::Missing`], [`EntryError::TooLong`],
    /// [`EntryError::Key`], [`EntryError::Certificate`], [`EntryError::KeyDetailsMismatch`].
    pub fn from_wire(verifier: &rekor2::Verifier) -> Result<Self, EntryError> {
        let key_details = KeyDetails::from_wire(verifier.key_details)
            .ok_or(EntryError::UnsupportedKeyDetails(verifier.key_details.name()))?;
        let parsed = match &verifier.key {
            VerifierKey::PublicKey(key) if key.raw_bytes.is_empty() => {
                return Err(EntryError::Missing("publicKey.rawBytes"));
            }
            VerifierKey::PublicKey(key) => {
                Self::from_public_key(&PublicKey::from_spki_der(key.raw_bytes.as_slice())?)
            }
            VerifierKey::X509Certificate(certificate) => {
                Self::from_certificate(certificate.raw_bytes.as_slice())?
            }
        };
        if parsed.key_details == key_details {
            Ok(parsed)
        } else {
            Err(EntryError::KeyDetailsMismatch {
                key_details: key_details.name(),
                key_type: parsed.key.key_type(),
            })
        }
    }

    /// A bare key with the algorithm of its type.
    #[must_use]
    pub fn from_public_key(key: &PublicKey) -> Self {
        let key_details = KeyDetails::of(key.key_type());
        Self { material: Material::PublicKey, key: key.clone(), key_details }
    }

    /// A DER certificate with the algorithm of its key's type. Nothing else of it is judged.
    ///
    /// # Errors
    /// [`EntryError::Missing`], [`EntryError::TooLong`], [`EntryError::Certificate`], [`EntryError::Key`].
    pub fn from_certificate(der: &[u8]) -> Result<Self, EntryError> {
        if der.is_empty() {
            return Err(EntryError::Missing("x509Certificate.rawBytes"));
        }
        if der.len() > MAX_CERTIFICATE_LEN {
            return Err(EntryError::TooLong { what: "certificate", limit: MAX_CERTIFICATE_LEN });
        }
        let certificate = Certificate::from_der(der).map_err(|_| EntryError::Certificate)?;
        let spki_der = certificate
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .map_err(|_| EntryError::Certificate)?;
        let key = PublicKey::from_spki_der(&spki_der)?;
        let names = index_key::of_certificate(&certificate)?;
        let key_details = KeyDetails::of(key.key_type());
        Ok(Self { material: Material::Certificate { der: der.to_vec(), names }, key, key_details })
    }

    /// The verifier as a request holds it.
    #[must_use]
    pub fn to_wire(&self) -> rekor2::Verifier {
        let key = match &self.material {
            Material::PublicKey => {
                VerifierKey::PublicKey(rekor2::PublicKey { raw_bytes: self.der().into() })
            }
            Material::Certificate { .. } => VerifierKey::X509Certificate(bundle::X509Certificate {
                raw_bytes: self.der().into(),
            }),
        };
        rekor2::Verifier { key, key_details: self.key_details.to_wire() }
    }

    /// The key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The algorithm.
    #[must_use]
    pub fn key_details(&self) -> KeyDetails {
        self.key_details
    }

    /// Verifies `signature` over the message of that digest.
    pub(crate) fn verify(
        &self,
        digest: &[u8],
        signature: &[u8],
        budget: &mut Budget,
    ) -> Result<(), EntryError> {
        if !form::is_of(self.key.key_type(), signature) {
            return Err(SignatureError::Mismatch.into());
        }
        budget.spend(self.key.as_authority_key())?;
        Ok(self.key.verify_digest(self.key_details.algorithm(), digest, signature)?)
    }

    /// Whose signature it verifies.
    pub(crate) fn signer(&self) -> Signer {
        let certificate = match &self.material {
            Material::PublicKey => None,
            Material::Certificate { der, .. } => Some(der.clone()),
        };
        Signer { key: self.key.clone(), certificate }
    }

    /// The member of the body's `verifier` that holds the DER.
    pub(crate) fn member_name(&self) -> &'static str {
        match self.material {
            Material::PublicKey => "publicKey",
            Material::Certificate { .. } => "x509Certificate",
        }
    }

    /// The certificate's or key's exact DER.
    pub(crate) fn der(&self) -> &[u8] {
        match &self.material {
            Material::PublicKey => self.key.spki_der(),
            Material::Certificate { der, .. } => der,
        }
    }

    /// Search keys: the key's hash and the certificate's names.
    pub(crate) fn index_keys(&self) -> Vec<(IndexKeyKind, String)> {
        let names = match &self.material {
            Material::PublicKey => &[][..],
            Material::Certificate { names, .. } => names,
        };
        [index_key::of_key(&self.key)].into_iter().chain(names.iter().cloned()).collect()
    }
}
