use crypto::{PublicKey, sha256};
use ct::{LogEntry, PreCertEntry, Sct, SctError, decode_sct_list};
use der::{Decode, Encode, asn1::OctetStringRef};
use thiserror::Error;

use crate::{CertificateError, certificate::Certificate, oid};

/// Reads the SCTs that a final certificate carries; none when it carries no list.
///
/// # Errors
/// [`EmbeddedSctError::Leaf`], [`EmbeddedSctError::Sct`].
pub fn embedded_scts(leaf_der: &[u8]) -> Result<Vec<Sct>, EmbeddedSctError> {
    let leaf = Certificate::from_der(leaf_der).map_err(EmbeddedSctError::Leaf)?;
    scts_of(&leaf)
}

/// Reads the SCT of a certificate that must carry exactly one, as sigstore-python demands.
///
/// # Errors
/// [`EmbeddedSctError::Count`] and those of [`embedded_scts`].
pub fn single_embedded_sct(leaf_der: &[u8]) -> Result<Sct, EmbeddedSctError> {
    exactly_one(embedded_scts(leaf_der)?)
}

/// Verifies the one SCT that a final certificate carries, and gives it.
///
/// `issuer_der` is the certificate of the CA that issued the leaf: the log signed the hash of
/// its key. Whether the log was to be trusted at the SCT's time is the caller's to judge;
/// [`single_embedded_sct`] tells the log id by which to choose `ct_key`.
///
/// # Errors
/// [`EmbeddedSctError`], by what is wrong.
pub fn verify_embedded_sct(
    leaf_der: &[u8],
    issuer_der: &[u8],
    ct_key: &PublicKey,
) -> Result<Sct, EmbeddedSctError> {
    let leaf = Certificate::from_der(leaf_der).map_err(EmbeddedSctError::Leaf)?;
    let issuer = Certificate::from_der(issuer_der).map_err(EmbeddedSctError::Issuer)?;
    leaf.verify_issued_by(&issuer).map_err(EmbeddedSctError::Leaf)?;
    let sct = exactly_one(scts_of(&leaf)?)?;
    let encode = |source: der::Error| EmbeddedSctError::Leaf(source.into());
    let issuer_spki = issuer.tbs.subject_public_key_info.to_der().map_err(encode)?;
    let entry = LogEntry::Precertificate(PreCertEntry {
        issuer_key_hash: sha256(&issuer_spki),
        tbs: leaf.tbs.without(oid::SCT_LIST).to_der().map_err(encode)?,
    });
    sct.verify(&entry, ct_key)?;
    Ok(sct)
}

/// Why an embedded SCT was not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EmbeddedSctError {
    /// The leaf does not parse, or the issuer given did not issue it.
    #[error("the leaf certificate is not acceptable")]
    Leaf(#[source] CertificateError),
    /// The issuer's certificate does not parse.
    #[error("the issuer's certificate is not acceptable")]
    Issuer(#[source] CertificateError),
    /// Another number of SCTs than one.
    #[error("the certificate carries {0} signed certificate timestamps instead of one")]
    Count(usize),
    /// The SCT is malformed or does not verify.
    #[error("the embedded signed certificate timestamp is not acceptable")]
    Sct(#[from] SctError),
}

fn scts_of(leaf: &Certificate) -> Result<Vec<Sct>, EmbeddedSctError> {
    let Some((_, content)) = leaf.extension(oid::SCT_LIST) else {
        return Ok(Vec::new());
    };
    let list = <&OctetStringRef>::from_der(content).map_err(|source| {
        EmbeddedSctError::Leaf(CertificateError::Extension { oid: oid::SCT_LIST, source })
    })?;
    Ok(decode_sct_list(list.as_bytes())?)
}

fn exactly_one(scts: Vec<Sct>) -> Result<Sct, EmbeddedSctError> {
    let count = scts.len();
    match <[Sct; 1]>::try_from(scts) {
        Ok([sct]) => Ok(sct),
        Err(_) => Err(EmbeddedSctError::Count(count)),
    }
}
