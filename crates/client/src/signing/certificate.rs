use crypto::{KeyError, PublicKey};
use thiserror::Error;
use verify::{IdentityPolicy, Matcher};
use wire::trust::{CertificateAuthority, TrustedRoot};
use x509::{LeafError, LeafView, VerifiedChain, ct, ct::EmbeddedSctError, verify_leaf_chain};

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
        trusted_root: &TrustedRoot,
    ) -> Result<Self, CertificateError> {
        let leaf = chain.first().ok_or(CertificateError::Empty)?;
        let leaf = LeafView::from_der(leaf)?;
        if leaf.public_key() != own_key {
            return Err(CertificateError::AnotherKey);
        }
        let subject = leaf.subject_alternative_name()?.as_str().to_owned();
        let issued = trusted_chain(&leaf, trusted_root)?;
        check_sct(&leaf, &issued, trusted_root)?;
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

fn trusted_chain(
    leaf: &LeafView,
    trusted_root: &TrustedRoot,
) -> Result<VerifiedChain, CertificateError> {
    let mut reason = None;
    for authority in &trusted_root.certificate_authorities {
        let chain = ders_of(authority);
        let Some((root, intermediates)) = chain.split_last() else { continue };
        match verify_leaf_chain(leaf.der(), intermediates, &[root], leaf.not_before()) {
            Ok(chain) => return Ok(chain),
            Err(error) => reason = Some(error),
        }
    }
    Err(reason.map_or(CertificateError::NoAuthority, CertificateError::Chain))
}

fn ders_of(authority: &CertificateAuthority) -> Vec<&[u8]> {
    authority.cert_chain.certificates.iter().map(|one| one.raw_bytes.as_slice()).collect()
}

fn check_sct(
    leaf: &LeafView,
    issued: &VerifiedChain,
    trusted_root: &TrustedRoot,
) -> Result<(), CertificateError> {
    let sct = ct::single_embedded_sct(leaf.der())?;
    let log = trusted_root
        .ctlogs
        .iter()
        .find(|log| log.log_id.key_id.as_slice() == sct.log_id)
        .ok_or(CertificateError::UnknownLog)?;
    let key = PublicKey::from_spki_der(log.public_key.raw_bytes.as_slice())
        .map_err(CertificateError::LogKey)?;
    ct::verify_embedded_sct(leaf.der(), issued.issuer(), &key)?;
    Ok(())
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
    /// The trusted root has no CA.
    #[error("the trusted root has no certificate authority")]
    NoAuthority,
    /// No trusted CA issued it.
    #[error("no trusted certificate authority issued it: {0}")]
    Chain(#[source] x509::PathError),
    /// Its SCT is missing, or not of its log.
    #[error("{0}")]
    Sct(#[from] EmbeddedSctError),
    /// Its SCT is of a log that is not trusted.
    #[error("the promise in it is by a CT log that is not trusted")]
    UnknownLog,
    /// The trusted root holds a CT log key that cannot be used.
    #[error("the key of its CT log in the trusted root cannot be used: {0}")]
    LogKey(#[source] KeyError),
}
