use crypto::{HashAlgorithm, KeyType, SignatureAlgorithm};
use wire::PublicKeyDetails;

/// The signature algorithms of Rekor v2's clients: one for each type of key.
///
/// Pure Ed25519 is not among them, since it signs messages and the log sees a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyDetails {
    /// RSA-2048, PKCS#1 v1.5, SHA-256.
    RsaPkcs1v15_2048Sha256,
    /// RSA-3072, PKCS#1 v1.5, SHA-256.
    RsaPkcs1v15_3072Sha256,
    /// RSA-4096, PKCS#1 v1.5, SHA-256.
    RsaPkcs1v15_4096Sha256,
    /// ECDSA P-256, SHA-256.
    EcdsaP256Sha256,
    /// ECDSA P-384, SHA-384.
    EcdsaP384Sha384,
    /// ECDSA P-521, SHA-512.
    EcdsaP521Sha512,
    /// Ed25519ph, SHA-512.
    Ed25519ph,
}

impl KeyDetails {
    /// The algorithm for keys of that type.
    #[must_use]
    pub fn of(key_type: KeyType) -> Self {
        match key_type {
            KeyType::Rsa2048 => Self::RsaPkcs1v15_2048Sha256,
            KeyType::Rsa3072 => Self::RsaPkcs1v15_3072Sha256,
            KeyType::Rsa4096 => Self::RsaPkcs1v15_4096Sha256,
            KeyType::EcdsaP256 => Self::EcdsaP256Sha256,
            KeyType::EcdsaP384 => Self::EcdsaP384Sha384,
            KeyType::EcdsaP521 => Self::EcdsaP521Sha512,
            KeyType::Ed25519 => Self::Ed25519ph,
        }
    }

    /// The algorithm of that protobuf value; `None` for one that Rekor v2 does not take.
    #[must_use]
    pub fn from_wire(details: PublicKeyDetails) -> Option<Self> {
        match details {
            PublicKeyDetails::PkixRsaPkcs1v15_2048Sha256 => Some(Self::RsaPkcs1v15_2048Sha256),
            PublicKeyDetails::PkixRsaPkcs1v15_3072Sha256 => Some(Self::RsaPkcs1v15_3072Sha256),
            PublicKeyDetails::PkixRsaPkcs1v15_4096Sha256 => Some(Self::RsaPkcs1v15_4096Sha256),
            PublicKeyDetails::PkixEcdsaP256Sha256 => Some(Self::EcdsaP256Sha256),
            PublicKeyDetails::PkixEcdsaP384Sha384 => Some(Self::EcdsaP384Sha384),
            PublicKeyDetails::PkixEcdsaP521Sha512 => Some(Self::EcdsaP521Sha512),
            PublicKeyDetails::PkixEd25519Ph => Some(Self::Ed25519ph),
            _ => None,
        }
    }

    /// The protobuf value.
    #[must_use]
    pub fn to_wire(self) -> PublicKeyDetails {
        match self {
            Self::RsaPkcs1v15_2048Sha256 => PublicKeyDetails::PkixRsaPkcs1v15_2048Sha256,
            Self::RsaPkcs1v15_3072Sha256 => PublicKeyDetails::PkixRsaPkcs1v15_3072Sha256,
            Self::RsaPkcs1v15_4096Sha256 => PublicKeyDetails::PkixRsaPkcs1v15_4096Sha256,
            Self::EcdsaP256Sha256 => PublicKeyDetails::PkixEcdsaP256Sha256,
            Self::EcdsaP384Sha384 => PublicKeyDetails::PkixEcdsaP384Sha384,
            Self::EcdsaP521Sha512 => PublicKeyDetails::PkixEcdsaP521Sha512,
            Self::Ed25519ph => PublicKeyDetails::PkixEd25519Ph,
        }
    }

    /// The protobuf name, as it stands in an entry's body.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.to_wire().name()
    }

    /// The algorithm by which signatures are verified.
    #[must_use]
    pub fn algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::RsaPkcs1v15_2048Sha256
            | Self::RsaPkcs1v15_3072Sha256
            | Self::RsaPkcs1v15_4096Sha256 => SignatureAlgorithm::RsaPkcs1Sha256,
            Self::EcdsaP256Sha256 => SignatureAlgorithm::EcdsaP256Sha256,
            Self::EcdsaP384Sha384 => SignatureAlgorithm::EcdsaP384Sha384,
            Self::EcdsaP521Sha512 => SignatureAlgorithm::EcdsaP521Sha512,
            Self::Ed25519ph => SignatureAlgorithm::Ed25519ph,
        }
    }

    /// The hash that makes the digest of an entry.
    #[must_use]
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Self::RsaPkcs1v15_2048Sha256
            | Self::RsaPkcs1v15_3072Sha256
            | Self::RsaPkcs1v15_4096Sha256
            | Self::EcdsaP256Sha256 => HashAlgorithm::Sha256,
            Self::EcdsaP384Sha384 => HashAlgorithm::Sha384,
            Self::EcdsaP521Sha512 | Self::Ed25519ph => HashAlgorithm::Sha512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_TYPES: [KeyType; 7] = [
        KeyType::Rsa2048,
        KeyType::Rsa3072,
        KeyType::Rsa4096,
        KeyType::EcdsaP256,
        KeyType::EcdsaP384,
        KeyType::EcdsaP521,
        KeyType::Ed25519,
    ];

    #[test]
    fn every_key_type_has_its_own_details_that_survive_the_wire() {
        for key_type in KEY_TYPES {
            let details = KeyDetails::of(key_type);
            assert_eq!(KeyDetails::from_wire(details.to_wire()), Some(details));
            let sharing = KEY_TYPES.iter().filter(|other| KeyDetails::of(**other) == details);
            assert_eq!(sharing.count(), 1);
        }
    }

    #[test]
    fn hash_is_the_one_of_the_algorithm() {
        for details in KEY_TYPES.map(KeyDetails::of) {
            assert_eq!(details.algorithm().hash(), Some(details.hash()));
        }
    }

    #[test]
    fn refuses_pure_ed25519_and_deprecated_algorithms() {
        for number in 0..=23 {
            let details = PublicKeyDetails::from_number(number).unwrap();
            let known = [5, 8, 9, 10, 11, 12, 13].contains(&number);
            assert_eq!(KeyDetails::from_wire(details).is_some(), known, "{}", details.name());
        }
    }
}
