//! Proof of possession of a client's private key: a signed challenge, or a PKCS#10 request.

use const_oid::AssociatedOid;
use crypto::{KeyError, PublicKey};
use der::{
    Any, Decode, Encode, Sequence, Tag, Tagged,
    asn1::{BitString, Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef},
};
use spki::AlgorithmIdentifierOwned;
use thiserror::Error;
use x509_cert::{
    ext::pkix::SubjectAltName,
    request::{CertReqInfo, ExtensionReq},
};

use crate::algorithm::identifier_of;

/// Longest challenge, in bytes: a token's `sub` or `email`.
const MAX_CHALLENGE_LEN: usize = 4096;

/// Longest PEM request, in bytes: RSA-4096 with a few extensions takes 2 KiB.
const MAX_REQUEST_LEN: usize = 16 * 1024;

/// Verifies a signature over the UTF-8 of `challenge` with the key's default algorithm.
///
/// P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512 (DER), RSA PKCS#1 v1.5 with
/// SHA-256, pure Ed25519.
///
/// # Errors
/// [`ProofError`]. An empty challenge proves nothing and is refused.
pub fn verify_challenge(
    key: &PublicKey,
    challenge: &str,
    signature: &[u8],
) -> Result<(), ProofError> {
    if challenge.is_empty() || challenge.len() > MAX_CHALLENGE_LEN {
        return Err(ProofError::Challenge);
    }
    key.verify(challenge.as_bytes(), signature).map_err(|_| ProofError::SignatureMismatch)
}

/// Why a signed challenge proves nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// Empty or overlong.
    #[error("the challenge is empty or longer than {MAX_CHALLENGE_LEN} bytes")]
    Challenge,
    /// Another key, algorithm or challenge.
    #[error("the proof of possession does not verify")]
    SignatureMismatch,
}

/// Reads a PEM `CERTIFICATE REQUEST` (or `NEW CERTIFICATE REQUEST`), verifies its signature by its
/// own key, and gives that key.
///
/// Subject and requested extensions are ignored, yet must be well-formed: strict DER, ASCII in
/// every `IA5String`. Only the default hash of each kind of key is permitted, RSA-PSS is not.
///
/// # Errors
/// [`CsrError`], by what is wrong.
pub fn parse_csr(pem_bytes: &[u8]) -> Result<PublicKey, CsrError> {
    if pem_bytes.len() > MAX_REQUEST_LEN {
        return Err(CsrError::TooLong);
    }
    let block = pem::parse(pem_bytes).map_err(|_| CsrError::Pem)?;
    if !matches!(block.tag(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
        return Err(CsrError::UnexpectedPemLabel(block.tag().to_owned()));
    }
    let request = Request::from_der(block.contents())?;
    let info_der = request.info.to_der()?;
    let info = CertReqInfo::from_der(&info_der)?;
    check_subject(&info)?;
    check_attributes(&info)?;
    let key = PublicKey::from_spki_der(&info.public_key.to_der()?)?;
    let algorithm = key.default_algorithm();
    // Written as we write it, and in no other form that verifiers must read (RSA without NULL).
    if identifier_of(algorithm).as_ref() != Some(&request.algorithm) {
        return Err(CsrError::SignatureAlgorithm(request.algorithm.oid));
    }
    let signature = request.signature.as_bytes().ok_or(CsrError::SignatureMismatch)?;
    key.verify_with(algorithm, &info_der, signature).map_err(|_| CsrError::SignatureMismatch)?;
    Ok(key)
}

/// Why a certificate request is not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CsrError {
    /// Longer than any request.
    #[error("the certificate request is longer than {MAX_REQUEST_LEN} bytes")]
    TooLong,
    /// Not PEM.
    #[error("the certificate request is not valid PEM")]
    Pem,
    /// PEM of something else.
    #[error("PEM block `{0}` is not a certificate request")]
    UnexpectedPemLabel(String),
    /// Not strict DER of a PKCS#10 request, or a string with characters it may not hold.
    #[error("the certificate request is not valid DER")]
    Asn1(#[from] der::Error),
    /// The key is not one we support.
    #[error("the certificate request's key is not usable")]
    PublicKey(#[from] KeyError),
    /// A pair of key and hash that is not permitted.
    #[error("signature algorithm {0} is not permitted for the request's key")]
    SignatureAlgorithm(ObjectIdentifier),
    /// Not signed by the key it asks a certificate for.
    #[error("the certificate request's signature does not verify")]
    SignatureMismatch,
}

/// `CertificationRequest` of RFC 2986 §4.2, with the signed part kept as it came.
#[derive(Sequence)]
struct Request {
    info: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// The string types whose alphabet a client could break; others are not looked into.
fn check_subject(info: &CertReqInfo) -> der::Result<()> {
    for part in info.subject.iter() {
        match part.value.tag() {
            Tag::Ia5String => part.value.decode_as::<Ia5StringRef<'_>>().map(drop)?,
            Tag::PrintableString => part.value.decode_as::<PrintableStringRef<'_>>().map(drop)?,
            Tag::Utf8String => part.value.decode_as::<Utf8StringRef<'_>>().map(drop)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_attributes(info: &CertReqInfo) -> der::Result<()> {
    let requests = info.attributes.iter().filter(|attribute| attribute.oid == ExtensionReq::OID);
    for value in requests.flat_map(|attribute| attribute.values.iter()) {
        let requested: ExtensionReq = value.decode_as()?;
        for extension in &requested.0 {
            if extension.extn_id == SubjectAltName::OID {
                SubjectAltName::from_der(extension.extn_value.as_bytes())?;
            }
        }
    }
    Ok(())
}
