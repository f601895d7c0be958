//! Keys of certificates, and whether certificates that came together belong together.

use crypto::{AuthorityKey, PublicKey, SignatureAlgorithm};
use x509_cert::{Certificate, der::Encode, spki::SubjectPublicKeyInfoOwned};

use crate::{Budget, EntryError};

/// Checks that each certificate is issued and signed by the next.
///
/// Upstream looks for any path from the first to the last, in hashedrekord alone; clients that
/// send a chain send it in order.
pub(super) fn check(certificates: &[Certificate], budget: &mut Budget) -> Result<(), EntryError> {
    budget.require(certificates.len().saturating_sub(1))?;
    for pair in certificates.windows(2) {
        if let [certificate, issuer] = pair {
            check_issued(certificate, issuer, budget)?;
        }
    }
    Ok(())
}

/// The key that the certificate speaks for.
pub(super) fn key_of(certificate: &Certificate) -> Result<PublicKey, EntryError> {
    let spki = certificate.tbs_certificate().subject_public_key_info();
    Ok(PublicKey::from_spki_der(&spki.to_der().map_err(|_| EntryError::Certificate)?)?)
}

fn check_issued(
    certificate: &Certificate,
    issuer: &Certificate,
    budget: &mut Budget,
) -> Result<(), EntryError> {
    let tbs = certificate.tbs_certificate();
    if tbs.issuer() != issuer.tbs_certificate().subject() {
        return Err(EntryError::CertificateChain);
    }
    let der = |spki: &SubjectPublicKeyInfoOwned| spki.to_der().map_err(|_| EntryError::Certificate);
    let key =
        AuthorityKey::from_spki_der(&der(issuer.tbs_certificate().subject_public_key_info())?)?;
    let identifier =
        certificate.signature_algorithm().to_der().map_err(|_| EntryError::Certificate)?;
    let algorithm = SignatureAlgorithm::of_certificate(&identifier, key.family())
        .ok_or(EntryError::CertificateChain)?;
    let signed = tbs.to_der().map_err(|_| EntryError::Certificate)?;
    let signature = certificate.signature().as_bytes().ok_or(EntryError::Certificate)?;
    budget.spend_over(&key, signed.len())?;
    key.verify_with(algorithm, &signed, signature).map_err(|_| EntryError::CertificateChain)
}
