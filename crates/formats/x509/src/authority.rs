use x509_cert::name::Name;

use crate::{CertificateError, LeafView, certificate::Certificate};

/// What a CA certificate says; reading it proves nothing about who issued it.
#[derive(Clone, Debug)]
pub struct AuthorityView {
    certificate: Certificate,
    subject_key_identifier: Option<Vec<u8>>,
}

impl AuthorityView {
    /// Reads a DER certificate.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_der(der)?;
        certificate.validity()?;
        let subject_key_identifier = certificate.subject_key_identifier()?;
        Ok(Self { certificate, subject_key_identifier })
    }

    /// The subject's last organization (`O`).
    #[must_use]
    pub fn subject_organization(&self) -> Option<String> {
        let name: Name = self.certificate.tbs.subject.decode_as().ok()?;
        Some(name.organization().ok().flatten()?.value().to_string())
    }

    /// The subject's last common name (`CN`).
    #[must_use]
    pub fn subject_common_name(&self) -> Option<String> {
        let name: Name = self.certificate.tbs.subject.decode_as().ok()?;
        Some(name.common_name().ok().flatten()?.value().to_string())
    }

    /// Whether `leaf` gives this CA's name as its issuer's.
    #[must_use]
    pub fn is_named_by(&self, leaf: &LeafView) -> bool {
        leaf.issuer_name() == &self.certificate.tbs.subject
    }

    /// Whether `leaf` says that another key than this CA's issued it (RFC 5280 §4.2.1.1). Two
    /// instances of one product have the same names and different keys; who forges a certificate
    /// repeats both.
    #[must_use]
    pub fn has_another_key_than(&self, leaf: &LeafView) -> bool {
        match (leaf.authority_key_identifier(), &self.subject_key_identifier) {
            (Some(named), Some(own)) => named != own,
            _ => false,
        }
    }

    /// Whether `other` is a certificate of the same CA: its name and its key.
    #[must_use]
    pub fn is_same_ca(&self, other: &Self) -> bool {
        let (own, other) = (&self.certificate.tbs, &other.certificate.tbs);
        own.subject == other.subject && own.subject_public_key_info == other.subject_public_key_info
    }

    /// Checks that `issuer` issued this certificate.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check_issued_by(&self, issuer: &Self) -> Result<(), CertificateError> {
        self.certificate.verify_issued_by(&issuer.certificate)
    }

    /// Whether it may issue certificates, with `below` CAs below itself (RFC 5280 §6.1.4 (k) to (n)).
    ///
    /// # Errors
    /// [`CertificateError::Extension`].
    pub fn may_issue(&self, below: usize) -> Result<bool, CertificateError> {
        self.certificate.may_issue(below)
    }
}
