use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{ParsedPublicKey, UnparsedPublicKey};
use der::{Any, Decode, Encode, asn1::BitString};
use spki::{AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned};

use crate::{
    KeyError, SignatureAlgorithm, SignatureError, signature_algorithm::RSA_ENCRYPTION, soundness,
};

/// Longest SPKI accepted, in bytes: RSA-8192 takes 1,062.
const MAX_SPKI_LEN: usize = 2048;

/// Sizes of RSA keys that verifiers upstream take, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The kind of a key, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyFamily {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSA (RFC 8017).
    Rsa,
}

impl KeyFamily {
    /// DER of the `AlgorithmIdentifier` that a `SubjectPublicKeyInfo` of such a key has: there is one.
    #[must_use]
    pub fn identifier_der(self) -> Vec<u8> {
        self.identifier().to_der().unwrap_or_default()
    }

    pub(crate) fn identifier(self) -> AlgorithmIdentifierOwned {
        let ec = |curve: ObjectIdentifier| AlgorithmIdentifierOwned {
            oid: ID_EC_PUBLIC_KEY,
            parameters: Some((&curve).into()),
        };
        match self {
            Self::P256 => ec(SECP256R1),
            Self::P384 => ec(SECP384R1),
            Self::P521 => ec(SECP521R1),
            Self::Ed25519 => AlgorithmIdentifierOwned { oid: ID_ED25519, parameters: None },
            Self::Rsa => {
                AlgorithmIdentifierOwned { oid: RSA_ENCRYPTION, parameters: Some(Any::null()) }
            }
        }
    }

    /// Reads the identifier of a key, of which one spelling is taken: RFC 5480 §2.1.1 has a named
    /// curve, RFC 3279 §2.3.1 has NULL for RSA, RFC 8410 §3 has nothing for Ed25519.
    fn of(algorithm: &AlgorithmIdentifierOwned) -> Result<Self, KeyError> {
        let unsupported = |oid: ObjectIdentifier| KeyError::UnsupportedAlgorithm(oid.to_string());
        let family = match algorithm.oid {
            ID_EC_PUBLIC_KEY => {
                let parameters = algorithm.parameters.as_ref().ok_or(KeyError::Parameters)?;
                match parameters.decode_as().map_err(|_| KeyError::Parameters)? {
                    SECP256R1 => Self::P256,
                    SECP384R1 => Self::P384,
                    SECP521R1 => Self::P521,
                    other => return Err(unsupported(other)),
                }
            }
            ID_ED25519 => Self::Ed25519,
            RSA_ENCRYPTION => Self::Rsa,
            other => return Err(unsupported(other)),
        };
        if family.identifier() == *algorithm { Ok(family) } else { Err(KeyError::Parameters) }
    }

    const fn default_algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::EcdsaP256Sha256,
            Self::P384 => SignatureAlgorithm::EcdsaP384Sha384,
            Self::P521 => SignatureAlgorithm::EcdsaP521Sha512,
            Self::Ed25519 => SignatureAlgorithm::Ed25519,
            Self::Rsa => SignatureAlgorithm::RsaPkcs1Sha256,
        }
    }
}

/// A public key of a CA, a timestamp authority or a log of anybody's, ready to verify.
///
/// Wider than [`crate::PublicKey`] in one thing: RSA has any size from 2048 to 8192 bits, as the
/// authorities of companies have. Every key has one spelling: curve points are uncompressed, as
/// Go's clients and servers demand, and parameters are those of the standards. Ed25519 keys are
/// canonical points not of small order, under which one signature would fit every message; RSA
/// moduli and exponents are odd, and the exponent is 3 at least.
#[derive(Clone)]
pub struct AuthorityKey(Arc<Inner>);

struct Inner {
    spki_der: Vec<u8>,
    raw: Vec<u8>,
    family: KeyFamily,
    parsed: ParsedPublicKey,
}

impl AuthorityKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// [`KeyError`], by what is wrong.
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, KeyError> {
        if spki_der.len() > MAX_SPKI_LEN {
            return Err(KeyError::TooLong);
        }
        Self::parse(spki_der, |bits| {
            if RSA_BITS.contains(&bits) { Ok(()) } else { Err(KeyError::RsaAuthoritySize(bits)) }
        })
    }

    /// Builds a key from what an SPKI's bit string holds: the uncompressed point, the 32 bytes of
    /// Ed25519, or a DER `RSAPublicKey`.
    ///
    /// # Errors
    /// [`KeyError`], by what is wrong.
    pub fn from_raw(family: KeyFamily, raw: &[u8]) -> Result<Self, KeyError> {
        Self::from_spki_der(&spki_der_of(family, raw)?)
    }

    /// Builds an RSA key from its numbers, big-endian without leading zeros.
    ///
    /// # Errors
    /// [`KeyError`], by what is wrong.
    pub fn from_rsa_components(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        Self::from_raw(KeyFamily::Rsa, &soundness::rsa_public_key_der(modulus, exponent)?)
    }

    /// The exact DER this key was read from.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// Contents of the SPKI's bit string.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.0.raw
    }

    /// Its kind.
    #[must_use]
    pub fn family(&self) -> KeyFamily {
        self.0.family
    }

    /// Verifies `signature` over `message` with `algorithm`.
    ///
    /// # Errors
    /// [`SignatureError::WrongAlgorithm`] when the algorithm is not of this key, or Ed25519ph,
    /// which authorities do not use; [`SignatureError::Mismatch`].
    pub fn verify_with(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        if algorithm.family() != self.family() || algorithm == SignatureAlgorithm::Ed25519ph {
            return Err(SignatureError::WrongAlgorithm);
        }
        let verified = if algorithm == self.family().default_algorithm() {
            self.0.parsed.verify_sig(message, signature)
        } else {
            UnparsedPublicKey::new(algorithm.backend(), self.raw()).verify(message, signature)
        };
        verified.map_err(|_| SignatureError::Mismatch)
    }

    /// Reads a key whose RSA size `check_rsa_bits` admits.
    pub(crate) fn parse(
        spki_der: &[u8],
        check_rsa_bits: impl FnOnce(usize) -> Result<(), KeyError>,
    ) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoOwned::from_der(spki_der).map_err(|_| KeyError::Spki)?;
        let raw = spki.subject_public_key.as_bytes().ok_or(KeyError::Spki)?;
        let family = KeyFamily::of(&spki.algorithm)?;
        match family {
            KeyFamily::P256 | KeyFamily::P384 | KeyFamily::P521 => soundness::check_point(raw)?,
            KeyFamily::Ed25519 => soundness::check_ed25519(raw)?,
            KeyFamily::Rsa => soundness::check_rsa(raw, check_rsa_bits)?,
        }
        // The backend checks that a point lies on its curve.
        let parsed = ParsedPublicKey::new(family.default_algorithm().backend(), raw)
            .map_err(|_| KeyError::Rejected)?;
        let (spki_der, raw) = (spki_der.to_vec(), raw.to_vec());
        Ok(Self(Arc::new(Inner { spki_der, raw, family, parsed })))
    }
}

impl PartialEq for AuthorityKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.spki_der == other.0.spki_der
    }
}

impl Eq for AuthorityKey {}

impl fmt::Debug for AuthorityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityKey({:?}, {} bytes)", self.family(), self.spki_der().len())
    }
}

/// DER of the one `SubjectPublicKeyInfo` that a raw key has.
pub(crate) fn spki_der_of(family: KeyFamily, raw: &[u8]) -> Result<Vec<u8>, KeyError> {
    let spki = SubjectPublicKeyInfoOwned {
        algorithm: family.identifier(),
        subject_public_key: BitString::from_bytes(raw).map_err(|_| KeyError::Spki)?,
    };
    spki.to_der().map_err(|_| KeyError::Spki)
}

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

#[cfg(test)]
mod tests;
