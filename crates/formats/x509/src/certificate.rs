//! A certificate cut into its parts, every byte kept.

use std::ops::RangeInclusive;

use crypto::{AuthorityKey, KeyError, PublicKey};
use der::{
    Any, Decode, Encode, Sequence,
    asn1::{BitString, Int, ObjectIdentifier},
};
use moment::UnixSeconds;
use spki::AlgorithmIdentifierOwned;
use thiserror::Error;
use x509_cert::{
    Version,
    ext::{Extension, pkix},
    time::Validity,
};

use crate::algorithm::algorithm_of;

/// Longest certificate accepted, in bytes; Fulcio's have 1 to 2 KiB.
pub(crate) const MAX_CERTIFICATE_LEN: usize = 16 * 1024;

/// The `TBSCertificate` of RFC 5280 §4.1, version 3, without unique identifiers.
///
/// Names, times and key are kept as encoded values, so that decoding and encoding again cannot
/// change their bytes. Precertificate and certificate differ in `extensions` alone.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct Tbs {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(crate) version: Version,
    pub(crate) serial_number: Int,
    pub(crate) signature: AlgorithmIdentifierOwned,
    pub(crate) issuer: Any,
    pub(crate) validity: Any,
    pub(crate) subject: Any,
    pub(crate) subject_public_key_info: Any,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    pub(crate) extensions: Vec<Extension>,
}

impl Tbs {
    /// Reads a `TBSCertificate`, demanding that it be canonical DER.
    pub(crate) fn from_canonical_der(der: &[u8]) -> Result<Self, CertificateError> {
        let tbs = Self::from_der(der)?;
        if tbs.to_der()? != der {
            return Err(CertificateError::NotCanonical);
        }
        Ok(tbs)
    }

    /// The extensions of type `oid`.
    pub(crate) fn extensions_of(&self, oid: ObjectIdentifier) -> impl Iterator<Item = &Extension> {
        self.extensions.iter().filter(move |extension| extension.extn_id == oid)
    }

    /// The same certificate without the extensions of type `oid`.
    pub(crate) fn without(&self, oid: ObjectIdentifier) -> Self {
        let mut rest = self.clone();
        rest.extensions.retain(|extension| extension.extn_id != oid);
        rest
    }
}

/// The outer `Certificate` of RFC 5280 §4.1.
#[derive(Sequence)]
struct Envelope {
    tbs: Any,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// Joins the signed parts to a DER certificate.
pub(crate) fn assemble(
    tbs_der: &[u8],
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: &[u8],
) -> der::Result<Vec<u8>> {
    Envelope {
        tbs: Any::from_der(tbs_der)?,
        signature_algorithm,
        signature: BitString::from_bytes(signature)?,
    }
    .to_der()
}

/// A parsed certificate; nothing about it is verified yet.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) tbs_der: Vec<u8>,
    pub(crate) tbs: Tbs,
    pub(crate) signature: Vec<u8>,
}

impl Certificate {
    /// Reads a DER certificate of version 3.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE_LEN {
            return Err(CertificateError::TooLong);
        }
        let envelope = Envelope::from_der(der)?;
        let tbs_der = envelope.tbs.to_der()?;
        let tbs = Tbs::from_canonical_der(&tbs_der)?;
        if envelope.to_der()? != der {
            return Err(CertificateError::NotCanonical);
        }
        if tbs.version != Version::V3 {
            return Err(CertificateError::Version);
        }
        if tbs.signature != envelope.signature_algorithm {
            return Err(CertificateError::AlgorithmsDiffer);
        }
        refuse_duplicates(&tbs.extensions)?;
        let signature = envelope.signature.as_bytes().ok_or(CertificateError::SignatureBits)?;
        Ok(Self { der: der.to_vec(), signature: signature.to_vec(), tbs_der, tbs })
    }

    /// First and last second of validity.
    pub(crate) fn validity(&self) -> Result<RangeInclusive<UnixSeconds>, CertificateError> {
        let validity: Validity = self.tbs.validity.decode_as()?;
        let seconds =
            |time: x509_cert::time::Time| UnixSeconds::from_epoch(time.to_unix_duration());
        Ok(seconds(validity.not_before)..=seconds(validity.not_after))
    }

    /// The subject's key.
    pub(crate) fn public_key(&self) -> Result<PublicKey, CertificateError> {
        let spki_der = self.tbs.subject_public_key_info.to_der()?;
        Ok(PublicKey::from_spki_der(&spki_der)?)
    }

    /// The key of a certificate that issues others.
    pub(crate) fn authority_key(&self) -> Result<AuthorityKey, CertificateError> {
        let spki_der = self.tbs.subject_public_key_info.to_der()?;
        Ok(AuthorityKey::from_spki_der(&spki_der)?)
    }

    /// The one extension of type `oid`: its criticality and content.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<(bool, &[u8])> {
        let extension = self.tbs.extensions_of(oid).next()?;
        Some((extension.critical, extension.extn_value.as_bytes()))
    }

    /// The one extension that `T` describes, decoded, with its criticality.
    pub(crate) fn decoded<T>(&self) -> Result<Option<(bool, T)>, CertificateError>
    where
        T: const_oid::AssociatedOid + for<'a> Decode<'a, Error = der::Error>,
    {
        let Some((critical, content)) = self.extension(T::OID) else {
            return Ok(None);
        };
        let value = T::from_der(content)
            .map_err(|source| CertificateError::Extension { oid: T::OID, source })?;
        Ok(Some((critical, value)))
    }

    /// The subject key identifier, if present.
    pub(crate) fn subject_key_identifier(&self) -> Result<Option<Vec<u8>>, CertificateError> {
        let found = self.decoded::<pkix::SubjectKeyIdentifier>()?;
        Ok(found.map(|(_, identifier)| identifier.0.as_bytes().to_vec()))
    }

    /// The key identifier of the issuer, if present.
    pub(crate) fn authority_key_identifier(&self) -> Result<Option<Vec<u8>>, CertificateError> {
        let found = self.decoded::<pkix::AuthorityKeyIdentifier>()?;
        let identifier = found.and_then(|(_, authority)| authority.key_identifier);
        Ok(identifier.map(|identifier| identifier.as_bytes().to_vec()))
    }

    /// Whether it may issue certificates, with `below` CAs below itself (RFC 5280 §6.1.4 (k) to (n)).
    pub(crate) fn may_issue(&self, below: usize) -> Result<bool, CertificateError> {
        let constraints = self.decoded::<pkix::BasicConstraints>()?;
        let usage = self.decoded::<pkix::KeyUsage>()?;
        let is_authority = constraints.is_some_and(|(_, constraints)| {
            let limit = constraints.path_len_constraint;
            constraints.ca && limit.is_none_or(|limit| usize::from(limit) >= below)
        });
        Ok(is_authority && usage.is_none_or(|(_, usage)| usage.key_cert_sign()))
    }

    /// Verifies that `issuer` bears the name and the key that issued this certificate.
    pub(crate) fn verify_issued_by(&self, issuer: &Self) -> Result<(), CertificateError> {
        // The name first, so that no key is parsed in vain.
        if self.tbs.issuer != issuer.tbs.subject {
            return Err(CertificateError::IssuerName);
        }
        self.verify_issued(&issuer.tbs.subject, &issuer.authority_key()?)
    }

    /// Verifies that an issuer of this name and key issued this certificate.
    pub(crate) fn verify_issued(
        &self,
        name: &Any,
        key: &AuthorityKey,
    ) -> Result<(), CertificateError> {
        if self.tbs.issuer != *name {
            return Err(CertificateError::IssuerName);
        }
        let algorithm = algorithm_of(&self.tbs.signature, key.family())
            .ok_or(CertificateError::SignatureAlgorithm(self.tbs.signature.oid))?;
        key.verify_with(algorithm, &self.tbs_der, &self.signature)
            .map_err(|_| CertificateError::SignatureMismatch)
    }
}

/// Why bytes are not an acceptable certificate.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Longer than any certificate of the profile.
    #[error("the certificate is longer than {MAX_CERTIFICATE_LEN} bytes")]
    TooLong,
    /// Not the ASN.1 of a certificate.
    #[error("the certificate is not valid DER")]
    Asn1(#[from] der::Error),
    /// Decodes, yet encodes to other bytes.
    #[error("the certificate is not canonical DER")]
    NotCanonical,
    /// Not version 3.
    #[error("the certificate is not of version 3")]
    Version,
    /// Inner and outer signature algorithm differ (RFC 5280 §4.1.1.2).
    #[error("the certificate names two signature algorithms")]
    AlgorithmsDiffer,
    /// The signature does not end at a byte.
    #[error("the certificate's signature is not a whole number of bytes")]
    SignatureBits,
    /// An extension appears twice (RFC 5280 §4.2).
    #[error("extension {0} appears twice")]
    DuplicateExtension(ObjectIdentifier),
    /// An extension's content does not decode.
    #[error("extension {oid} is malformed")]
    Extension {
        /// Its type.
        oid: ObjectIdentifier,
        /// What is wrong.
        #[source]
        source: der::Error,
    },
    /// The key is not one we support.
    #[error("the certificate's key is not usable")]
    PublicKey(#[from] KeyError),
    /// No poison, so it is not a precertificate.
    #[error("the certificate is not a precertificate")]
    NoPoison,
    /// A poison that is not critical or not ASN.1 NULL (RFC 6962 §3.1).
    #[error("the poison extension is malformed")]
    MalformedPoison,
    /// A precertificate with an SCT list, which no log could have signed.
    #[error("the precertificate carries an SCT list")]
    SctInPrecertificate,
    /// The issuer has another name.
    #[error("the issuer's name is not the one that the certificate gives")]
    IssuerName,
    /// The issuer's key cannot make such a signature, or we do not support it.
    #[error("signature algorithm {0} does not fit the issuer's key")]
    SignatureAlgorithm(ObjectIdentifier),
    /// The issuer did not sign this.
    #[error("the issuer's signature does not verify")]
    SignatureMismatch,
}

fn refuse_duplicates(extensions: &[Extension]) -> Result<(), CertificateError> {
    for (index, extension) in extensions.iter().enumerate() {
        let earlier = extensions.iter().take(index);
        if earlier.into_iter().any(|other| other.extn_id == extension.extn_id) {
            return Err(CertificateError::DuplicateExtension(extension.extn_id));
        }
    }
    Ok(())
}
