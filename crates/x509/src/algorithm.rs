use const_oid::db::{rfc5912, rfc8410};
use crypto::{KeyType, SignatureAlgorithm};
use der::{Any, asn1::ObjectIdentifier};
use spki::AlgorithmIdentifierOwned;

/// The `AlgorithmIdentifier` under which a signature of `algorithm` is written.
///
/// ECDSA and Ed25519 have no parameters (RFC 5758 §3.2, RFC 8410 §3), RSA has NULL (RFC 4055 §5).
/// `None` for Ed25519ph, which certificates do not use.
pub(crate) fn identifier_of(algorithm: SignatureAlgorithm) -> Option<AlgorithmIdentifierOwned> {
    let (oid, parameters) = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256
        | SignatureAlgorithm::EcdsaP384Sha256
        | SignatureAlgorithm::EcdsaP521Sha256 => (rfc5912::ECDSA_WITH_SHA_256, None),
        SignatureAlgorithm::EcdsaP384Sha384 => (rfc5912::ECDSA_WITH_SHA_384, None),
        SignatureAlgorithm::EcdsaP521Sha512 => (rfc5912::ECDSA_WITH_SHA_512, None),
        SignatureAlgorithm::RsaPkcs1Sha256 => {
            (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(Any::null()))
        }
        SignatureAlgorithm::Ed25519 => (rfc8410::ID_ED_25519, None),
        SignatureAlgorithm::Ed25519ph => return None,
    };
    Some(AlgorithmIdentifierOwned { oid, parameters })
}

/// The algorithm that `identifier` names for a key of `key_type`; `None` when the two do not
/// fit, the parameters are not the ones of the standard, or we do not support the pair.
pub(crate) fn algorithm_of(
    identifier: &AlgorithmIdentifierOwned,
    key_type: KeyType,
) -> Option<SignatureAlgorithm> {
    let algorithm = by_oid(identifier.oid, key_type)?;
    (identifier_of(algorithm)?.parameters == identifier.parameters).then_some(algorithm)
}

fn by_oid(oid: ObjectIdentifier, key_type: KeyType) -> Option<SignatureAlgorithm> {
    match (key_type, oid) {
        (KeyType::EcdsaP256, rfc5912::ECDSA_WITH_SHA_256) => {
            Some(SignatureAlgorithm::EcdsaP256Sha256)
        }
        (KeyType::EcdsaP384, rfc5912::ECDSA_WITH_SHA_256) => {
            Some(SignatureAlgorithm::EcdsaP384Sha256)
        }
        (KeyType::EcdsaP384, rfc5912::ECDSA_WITH_SHA_384) => {
            Some(SignatureAlgorithm::EcdsaP384Sha384)
        }
        (KeyType::EcdsaP521, rfc5912::ECDSA_WITH_SHA_256) => {
            Some(SignatureAlgorithm::EcdsaP521Sha256)
        }
        (KeyType::EcdsaP521, rfc5912::ECDSA_WITH_SHA_512) => {
            Some(SignatureAlgorithm::EcdsaP521Sha512)
        }
        (
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096,
            rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
        ) => Some(SignatureAlgorithm::RsaPkcs1Sha256),
        (KeyType::Ed25519, rfc8410::ID_ED_25519) => Some(SignatureAlgorithm::Ed25519),
        _ => None,
    }
}
