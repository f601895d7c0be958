use crypto::PublicKey;
use thiserror::Error;
use verify::{IdentityPolicy, Matcher, Trust, VerifyError};
use x509::{LeafError, LeafView};

/// A certificate of our key by a trusted CA, shown to a trusted CT log.
#[derive(Debug)]
pub(super) struct Certified {
    leaf: LeafView,
    subject: String,
}

impl Certified {
    /// Checks what the CA gave (DER, leaf first) for `own_key`.
    ///
    /// Periods of validity of the trusted root are left to the verification of the bundle.
    pub(super) fn check(
        chain: &[Vec<u8>],
        own_key: &PublicKey,
        trust: &Trust,
    ) -> Result<Self, CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::Empty)?;
        let leaf = LeafView::from_der(leaf)?;
        if leaf.public_key() != own_key {
            return Err(CertificateError::AnotherKey);
        }
        let subject = leaf.subject_alternative_name()?.as_str().to_owned();
        verify::check_issued(&leaf, trust)?;
        Ok(Self { leaf, subject })
    }

    pub(super) fn der(&self) -> &[u8] {
        self.leaf.der()
    }

    /// The very identity of the certificate, and no other.
    pub(super) fn exact_identity(&self) -> IdentityPolicy {
        IdentityPolicy {
            subject: Some(Matcher::Exact(self.subject.clone())),
            issuer: self.leaf.extensions().issuer.clone().map(Matcher::Exact),
        }
    }
}

/// Why a certificate is not one to sign under.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// No certificate at all.
    #[error("there is none")]
    Empty,
    /// It does not parse, or names nobody.
    #[error("{0}")]
    Leaf(#[from] LeafError),
    /// Whoever holds that key could sign in our name, and we could not.
    #[error("it is of another key than the one that was sent")]
    AnotherKey,
    /// No trusted CA issued it, or no trusted CT log gave an SCT for it.
    #[error("{0}")]
    Untrusted(#[from] VerifyError),
}
