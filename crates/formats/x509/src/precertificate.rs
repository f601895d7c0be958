use crypto::sha256;
use ct::PreCertEntry;
use der::Encode;

use crate::{
    CertificateError,
    certificate::{Certificate, Tbs},
    issuance::POISON_CONTENT,
    oid,
};

/// Derives what a log signs from a precertificate: its `TBSCertificate` without the poison.
///
/// `issuer_spki` is the DER `SubjectPublicKeyInfo` of the CA, which signed the precertificate
/// itself; precertificate signing certificates are not supported.
///
/// # Errors
/// [`CertificateError`] when it is not canonical DER, and when it does not hold exactly one
/// critical poison with an ASN.1 NULL, or holds an SCT list.
pub fn pre_entry(precert_der: &[u8], issuer_spki: &[u8]) -> Result<PreCertEntry, CertificateError> {
    let precertificate = Certificate::from_der(precert_der)?;
    pre_entry_of(&precertificate, issuer_spki)
}

pub(crate) fn pre_entry_of(
    precertificate: &Certificate,
    issuer_spki: &[u8],
) -> Result<PreCertEntry, CertificateError> {
    if !is_poisoned(&precertificate.tbs)? {
        return Err(CertificateError::NoPoison);
    }
    if precertificate.extension(oid::SCT_LIST).is_some() {
        return Err(CertificateError::SctInPrecertificate);
    }
    // Parsing proved that encoding gives the same bytes, so leaving one out cuts just that one.
    let tbs = precertificate.tbs.without(oid::CT_POISON).to_der()?;
    Ok(PreCertEntry { issuer_key_hash: sha256(issuer_spki), tbs })
}

/// Whether a certificate is a precertificate.
pub(crate) fn is_poisoned(tbs: &Tbs) -> Result<bool, CertificateError> {
    let mut poisons = tbs.extensions_of(oid::CT_POISON);
    match (poisons.next(), poisons.next()) {
        (None, _) => Ok(false),
        (Some(poison), None)
            if poison.critical && poison.extn_value.as_bytes() == POISON_CONTENT =>
        {
            Ok(true)
        }
        _ => Err(CertificateError::MalformedPoison),
    }
}
