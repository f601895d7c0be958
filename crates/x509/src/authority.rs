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

    /// Whether `leaf` says that this CA issued it: by name and, where both have one, by the
    /// identifier of the key (RFC 5280 §4.2.1.1). Two instances of one product have the same names
    /// and different keys; who forges a certificate repeats both.
    #[must_use]
    pub fn is_named_by(&self, leaf: &LeafView) -> bool {
        if leaf.issuer_name() != &self.certificate.tbs.subject {
            return false;
        }
        match (leaf.authority_key_identifier(), &self.subject_key_identifier) {
            (Some(named), Some(own)) => named == own,
            _ => true,
        }
    }
}
