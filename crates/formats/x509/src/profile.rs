use const_oid::db::rfc5280;
use crypto::PublicKey;
use der::{
    Any, DateTime, Decode, Encode,
    asn1::{Int, ObjectIdentifier, OctetString, Uint},
};
use moment::UnixSeconds;
use sha1::{Digest, Sha1};
use thiserror::Error;
use x509_cert::{
    Version,
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
        },
    },
    time::{Time, Validity},
};

use crate::{
    CertificateChain, ExtensionsError, FulcioExtensions, SanError, SubjectAlternativeName,
    algorithm::identifier_of, certificate::Tbs, oid,
};

/// What a leaf certificate shall say; the rest follows from its CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafProfile {
    /// The one name.
    pub subject_alternative_name: SubjectAlternativeName,
    /// Identity and build.
    pub extensions: FulcioExtensions,
    /// The client's key; [`crate::lint::client_key`] is the caller's to run.
    pub public_key: PublicKey,
    /// First second of validity.
    pub not_before: UnixSeconds,
    /// Last second of validity (inclusive, RFC 5280 §4.1.2.5).
    pub not_after: UnixSeconds,
    /// Serial number, big-endian, made by [`positive_serial_number`].
    pub serial_number: [u8; 20],
}

impl LeafProfile {
    /// Builds the leaf's `TBSCertificate` without poison and without SCT list.
    pub(crate) fn to_tbs(&self, chain: &CertificateChain) -> Result<Tbs, ProfileError> {
        self.check(chain)?;
        let algorithm = chain.public_key().default_algorithm();
        Ok(Tbs {
            version: Version::V3,
            serial_number: Int::from(Uint::new(&self.serial_number)?),
            signature: identifier_of(algorithm).ok_or(ProfileError::IssuerKey)?,
            issuer: chain.issuer_name().clone(),
            validity: Any::encode_from(&Validity::<x509_cert::certificate::Rfc5280>::new(
                time(self.not_before)?,
                time(self.not_after)?,
            ))?,
            // The empty sequence: the identity is in the subject alternative name alone.
            subject: Any::new(der::Tag::Sequence, Vec::new())?,
            subject_public_key_info: Any::from_der(self.public_key.spki_der())?,
            extensions: self.to_extensions(chain)?,
        })
    }

    fn check(&self, chain: &CertificateChain) -> Result<(), ProfileError> {
        if self.not_before > self.not_after {
            return Err(ProfileError::NeverValid);
        }
        if self.not_before < chain.not_before() || self.not_after > chain.not_after() {
            return Err(ProfileError::BeyondIssuer);
        }
        match self.serial_number.first() {
            Some(0x01..=0x7f) => Ok(()),
            _ => Err(ProfileError::SerialNumber),
        }
    }

    /// In Fulcio's order: the fixed ones, the name, then 1.3.6.1.4.1.57264.1.
    fn to_extensions(&self, chain: &CertificateChain) -> Result<Vec<Extension>, ProfileError> {
        let usage = KeyUsage(KeyUsages::DigitalSignature.into()).to_der()?;
        let extended_usage = ExtendedKeyUsage(vec![oid::CODE_SIGNING]).to_der()?;
        let subject_key = SubjectKeyIdentifier(OctetString::new(
            // RFC 5280 §4.2.1.2 method (1); a name for the key, SHA-1 protects nothing here.
            Sha1::digest(self.public_key.raw()).to_vec(),
        )?);
        let authority_key = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(chain.subject_key_identifier())?),
            ..AuthorityKeyIdentifier::default()
        };
        let mut extensions = vec![
            extension(rfc5280::ID_CE_KEY_USAGE, true, usage)?,
            extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, extended_usage)?,
            extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, subject_key.to_der()?)?,
            extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, authority_key.to_der()?)?,
            extension(
                rfc5280::ID_CE_SUBJECT_ALT_NAME,
                // Critical because the subject is empty (RFC 5280 §4.2.1.6).
                true,
                self.subject_alternative_name.to_general_names_der()?,
            )?,
        ];
        for (oid, content) in self.extensions.encode()? {
            extensions.push(extension(oid, false, content)?);
        }
        Ok(extensions)
    }
}

/// Makes a serial number of exactly 20 bytes, positive in DER, from random bytes.
///
/// 158 of the 160 bits stay random; RFC 5280 §4.1.2.2 allows at most 20 bytes.
#[must_use]
pub fn positive_serial_number(mut random: [u8; 20]) -> [u8; 20] {
    if let Some(first) = random.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    random
}

/// Makes one extension.
pub(crate) fn extension(
    extn_id: ObjectIdentifier,
    critical: bool,
    content: Vec<u8>,
) -> der::Result<Extension> {
    Ok(Extension { extn_id, critical, extn_value: OctetString::new(content)? })
}

/// Why a leaf cannot be issued as asked.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProfileError {
    /// Ends before it starts.
    #[error("the certificate would end before it starts")]
    NeverValid,
    /// Starts before or ends after a certificate of its chain.
    #[error("the certificate would be valid when its issuer is not")]
    BeyondIssuer,
    /// Not 20 bytes of a positive integer.
    #[error("the serial number is not a positive integer of 20 bytes")]
    SerialNumber,
    /// The issuing key has no signature algorithm for certificates.
    #[error("the issuing key cannot sign certificates")]
    IssuerKey,
    /// The name may not stand in a certificate.
    #[error("the subject alternative name is not acceptable")]
    SubjectAlternativeName(#[from] SanError),
    /// An extension cannot be written.
    #[error("an extension is not acceptable")]
    Extensions(#[from] ExtensionsError),
    /// A value has no DER encoding, for example a year after 9999.
    #[error("the certificate cannot be encoded")]
    Encoding(#[from] der::Error),
}

/// `UTCTime` through 2049, `GeneralizedTime` after (RFC 5280 §4.1.2.5).
fn time(second: UnixSeconds) -> der::Result<Time> {
    Ok(Time::from(DateTime::from_unix_duration(second.since_epoch())?))
}
