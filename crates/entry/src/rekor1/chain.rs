//! Keys of certificates, and whether certificates that came together belong together.

use crypto::{KeyError, KeyType, PublicKey, SignatureAlgorithm};
use x509_cert::{
    Certificate,
    der::{Encode, asn1::ObjectIdentifier},
};

use crate::EntryError;

/// Checks that each certificate is issued and signed by the next.
///
/// Upstream looks for any path from the first to the last, in hashedrekord alone; clients that
/// send a chain send it in order.
pub(super) fn check(certificates: &[Certificate]) -> Result<(), EntryError> {
    for pair in certificates.windows(2) {
        if let [certificate, issuer] = pair {
            check_issued(certificate, issuer)?;
        }
    }
    Ok(())
}

/// The key that the certificate speaks for.
pub(super) fn key_of(certificate: &Certificate) -> Result<PublicKey, EntryError> {
    let spki = certificate.tbs_certificate().subject_public_key_info();
    key_of_spki(&spki.to_der().map_err(|_| EntryError::Certificate)?)
}

/// Reads a key, of which no other spelling is taken: upstream, too, refuses compressed points.
pub(super) fn key_of_spki(der: &[u8]) -> Result<PublicKey, EntryError> {
    let key = PublicKey::from_spki_der(der)?;
    let is_ecdsa =
        matches!(key.key_type(), KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521);
    if is_ecdsa && key.raw().first() != Some(&UNCOMPRESSED) {
        return Err(KeyError::Rejected.into());
    }
    Ok(key)
}

fn check_issued(certificate: &Certificate, issuer: &Certificate) -> Result<(), EntryError> {
    let tbs = certificate.tbs_certificate();
    if tbs.issuer() != issuer.tbs_certificate().subject() {
        return Err(EntryError::CertificateChain);
    }
    let key = key_of(issuer)?;
    let algorithm = algorithm_of(certificate.signature_algorithm().oid, key.key_type())
        .ok_or(EntryError::CertificateChain)?;
    let signed = tbs.to_der().map_err(|_| EntryError::Certificate)?;
    let signature = certificate.signature().as_bytes().ok_or(EntryError::Certificate)?;
    key.verify_with(algorithm, &signed, signature).map_err(|_| EntryError::CertificateChain)
}

fn algorithm_of(oid: ObjectIdentifier, key_type: KeyType) -> Option<SignatureAlgorithm> {
    match (oid, key_type) {
        (ECDSA_SHA256, KeyType::EcdsaP256) => Some(SignatureAlgorithm::EcdsaP256Sha256),
        (ECDSA_SHA256, KeyType::EcdsaP384) => Some(SignatureAlgorithm::EcdsaP384Sha256),
        (ECDSA_SHA256, KeyType::EcdsaP521) => Some(SignatureAlgorithm::EcdsaP521Sha256),
        (ECDSA_SHA384, KeyType::EcdsaP384) => Some(SignatureAlgorithm::EcdsaP384Sha384),
        (ECDSA_SHA512, KeyType::EcdsaP521) => Some(SignatureAlgorithm::EcdsaP521Sha512),
        (RSA_SHA256, KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096) => {
            Some(SignatureAlgorithm::RsaPkcs1Sha256)
        }
        (ED25519, KeyType::Ed25519) => Some(SignatureAlgorithm::Ed25519),
        _ => None,
    }
}

/// First byte of an elliptic curve point that has both coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
