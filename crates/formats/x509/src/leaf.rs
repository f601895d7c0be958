use const_oid::db::rfc5280;
use crypto::PublicKey;
use der::Any;
use moment::UnixSeconds;
use thiserror::Error;
use x509_cert::{
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
    name::Name,
};

use crate::{
    CertificateError, ExtensionsError, FulcioExtensions, SanError, SubjectAlternativeName,
    certificate::Certificate, oid,
};

/// What a leaf certificate says; reading it proves nothing about who issued it.
#[derive(Clone, Debug)]
pub struct LeafView {
    certificate: Certificate,
    public_key: PublicKey,
    extensions: FulcioExtensions,
    authority_key_identifier: Option<Vec<u8>>,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

impl LeafView {
    /// Reads a DER certificate.
    ///
    /// # Errors
    /// [`LeafError::Certificate`], [`LeafError::Extensions`].
    pub fn from_der(der: &[u8]) -> Result<Self, LeafError> {
        let certificate = Certificate::from_der(der)?;
        let public_key = certificate.public_key()?;
        let (not_before, not_after) = certificate.validity()?.into_inner();
        let extensions = FulcioExtensions::parse(
            certificate
                .tbs
                .extensions
                .iter()
                .map(|extension| (extension.extn_id, extension.extn_value.as_bytes())),
        )?;
        let authority_key_identifier = certificate.authority_key_identifier()?;
        Ok(Self {
            certificate,
            public_key,
            extensions,
            authority_key_identifier,
            not_before,
            not_after,
        })
    }

    /// The one name the certificate speaks for.
    ///
    /// # Errors
    /// [`LeafError::NoSubjectAlternativeName`], and [`LeafError::SubjectAlternativeName`] when there
    /// are several names or one of a kind that Fulcio does not issue.
    pub fn subject_alternative_name(&self) -> Result<SubjectAlternativeName, LeafError> {
        let (_, content) = self
            .certificate
            .extension(rfc5280::ID_CE_SUBJECT_ALT_NAME)
            .ok_or(LeafError::NoSubjectAlternativeName)?;
        Ok(SubjectAlternativeName::from_general_names_der(content)?)
    }

    /// The last common name of the subject, where certificates of a company's own PKI, which have no
    /// subject alternative name, say whose they are. Control characters are refused.
    #[must_use]
    pub fn subject_common_name(&self) -> Option<String> {
        let name: Name = self.certificate.tbs.subject.decode_as().ok()?;
        let common_name = name.common_name().ok().flatten()?;
        let text = common_name.value().to_string();
        (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
    }

    /// Checks that the certificate may sign code: usage digitalSignature, extended usage
    /// codeSigning, not a CA, not a precertificate.
    ///
    /// # Errors
    /// [`LeafError::Usage`], [`LeafError::Certificate`].
    pub fn check_usage(&self) -> Result<(), LeafError> {
        let usage = self.certificate.decoded::<KeyUsage>()?;
        let extended = self.certificate.decoded::<ExtendedKeyUsage>()?;
        let constraints = self.certificate.decoded::<BasicConstraints>()?;
        let signs = usage.is_some_and(|(_, usage)| usage.digital_signature());
        let for_code = extended.is_some_and(|(_, usages)| usages.0.contains(&oid::CODE_SIGNING));
        let authority = constraints.is_some_and(|(_, constraints)| constraints.ca);
        let poisoned = self.certificate.extension(oid::CT_POISON).is_some();
        if signs && for_code && !authority && !poisoned { Ok(()) } else { Err(LeafError::Usage) }
    }

    /// Identity and build.
    #[must_use]
    pub fn extensions(&self) -> &FulcioExtensions {
        &self.extensions
    }

    /// The key that made the signatures to verify.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// First second of validity.
    #[must_use]
    pub fn not_before(&self) -> UnixSeconds {
        self.not_before
    }

    /// Last second of validity.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.not_after
    }

    /// Serial number, big-endian without leading zeros.
    #[must_use]
    pub fn serial_number(&self) -> &[u8] {
        self.certificate.tbs.serial_number.as_bytes()
    }

    /// The issuer's name, as encoded.
    pub(crate) fn issuer_name(&self) -> &Any {
        &self.certificate.tbs.issuer
    }

    /// The identifier of the key that issued the certificate, if it says so.
    pub(crate) fn authority_key_identifier(&self) -> Option<&Vec<u8>> {
        self.authority_key_identifier.as_ref()
    }

    /// The exact DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.certificate.der
    }
}

/// Why a leaf certificate does not say what is asked.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LeafError {
    /// It does not parse.
    #[error("the certificate is not acceptable")]
    Certificate(#[from] CertificateError),
    /// A Fulcio extension does not parse.
    #[error("an extension of the certificate is not acceptable")]
    Extensions(#[from] ExtensionsError),
    /// No subject alternative name at all.
    #[error("the certificate has no subject alternative name")]
    NoSubjectAlternativeName,
    /// Several names, or one of another kind.
    #[error("the certificate's subject alternative name is not acceptable")]
    SubjectAlternativeName(#[from] SanError),
    /// Not a certificate for signing code.
    #[error("the certificate is not one for signing code")]
    Usage,
}
