use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest::Digest,
    signature::{self as backend, ParsedPublicKey, VerificationAlgorithm},
};
use der::{Decode, Encode, asn1::BitString};
use spki::{AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned};
use thiserror::Error;

use crate::{HashAlgorithm, sha256};

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Longest SPKI accepted, in bytes: RSA-4096 takes 550.
const MAX_SPKI_LEN: usize = 1024;

/// Longest PEM text accepted, in bytes: base64 of [`MAX_SPKI_LEN`], labels and stray white space.
const MAX_PEM_LEN: usize = 8 * 1024;

/// The kind and size of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSA with a 2048-bit modulus.
    Rsa2048,
    /// RSA with a 3072-bit modulus.
    Rsa3072,
    /// RSA with a 4096-bit modulus.
    Rsa4096,
}

impl KeyType {
    pub(crate) fn rsa_of_bits(bits: usize) -> Result<Self, KeyError> {
        match bits {
            2048 => Ok(Self::Rsa2048),
            3072 => Ok(Self::Rsa3072),
            4096 => Ok(Self::Rsa4096),
            bits => Err(KeyError::RsaSize(bits)),
        }
    }

    fn algorithm_identifier(self) -> AlgorithmIdentifierOwned {
        let ec = |curve: ObjectIdentifier| AlgorithmIdentifierOwned {
            oid: ID_EC_PUBLIC_KEY,
            parameters: Some((&curve).into()),
        };
        match self {
            Self::EcdsaP256 => ec(SECP256R1),
            Self::EcdsaP384 => ec(SECP384R1),
            Self::EcdsaP521 => ec(SECP521R1),
            Self::Ed25519 => AlgorithmIdentifierOwned { oid: ID_ED25519, parameters: None },
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => AlgorithmIdentifierOwned {
                oid: RSA_ENCRYPTION,
                parameters: Some(der::asn1::Null.into()),
            },
        }
    }
}

/// A signature algorithm of the Sigstore algorithm registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA P-256 with SHA-256, DER signature.
    EcdsaP256Sha256,
    /// ECDSA P-384 with SHA-384, DER signature.
    EcdsaP384Sha384,
    /// ECDSA P-384 with SHA-256, DER signature (older cosign with managed keys).
    EcdsaP384Sha256,
    /// ECDSA P-521 with SHA-512, DER signature.
    EcdsaP521Sha512,
    /// ECDSA P-521 with SHA-256, DER signature (older cosign with managed keys).
    EcdsaP521Sha256,
    /// Pure Ed25519.
    Ed25519,
    /// Ed25519ph with an empty context (RFC 8032 §5.1); its digest is SHA-512.
    Ed25519ph,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
}

impl SignatureAlgorithm {
    /// The hash that the algorithm applies to the message; `None` for pure Ed25519.
    #[must_use]
    pub const fn hash(self) -> Option<HashAlgorithm> {
        match self {
            Self::EcdsaP256Sha256
            | Self::EcdsaP384Sha256
            | Self::EcdsaP521Sha256
            | Self::RsaPkcs1Sha256 => Some(HashAlgorithm::Sha256),
            Self::EcdsaP384Sha384 => Some(HashAlgorithm::Sha384),
            Self::EcdsaP521Sha512 | Self::Ed25519ph => Some(HashAlgorithm::Sha512),
            Self::Ed25519 => None,
        }
    }

    fn fits(self, key_type: KeyType) -> bool {
        match self {
            Self::EcdsaP256Sha256 => key_type == KeyType::EcdsaP256,
            Self::EcdsaP384Sha384 | Self::EcdsaP384Sha256 => key_type == KeyType::EcdsaP384,
            Self::EcdsaP521Sha512 | Self::EcdsaP521Sha256 => key_type == KeyType::EcdsaP521,
            Self::Ed25519 | Self::Ed25519ph => key_type == KeyType::Ed25519,
            Self::RsaPkcs1Sha256 => {
                matches!(key_type, KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096)
            }
        }
    }

    fn backend(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &backend::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &backend::ECDSA_P384_SHA384_ASN1,
            Self::EcdsaP384Sha256 => &backend::ECDSA_P384_SHA256_ASN1,
            Self::EcdsaP521Sha512 => &backend::ECDSA_P521_SHA512_ASN1,
            Self::EcdsaP521Sha256 => &backend::ECDSA_P521_SHA256_ASN1,
            Self::Ed25519 | Self::Ed25519ph => &backend::ED25519,
            Self::RsaPkcs1Sha256 => &backend::RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// A public key: its exact DER, and its parsed form ready to verify.
///
/// Two keys are equal when their DER is.
#[derive(Clone)]
pub struct PublicKey {
    spki_der: Arc<[u8]>,
    raw: Arc<[u8]>,
    key_type: KeyType,
    parsed: Arc<ParsedPublicKey>,
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// [`KeyError::TooLong`], [`KeyError::Spki`], [`KeyError::UnsupportedAlgorithm`],
    /// [`KeyError::RsaSize`], [`KeyError::Rejected`] for a point that is not on its curve.
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, KeyError> {
        if spki_der.len() > MAX_SPKI_LEN {
            return Err(KeyError::TooLong);
        }
        let spki = SubjectPublicKeyInfoOwned::from_der(spki_der).map_err(|_| KeyError::Spki)?;
        let raw = spki.subject_public_key.as_bytes().ok_or(KeyError::Spki)?;
        let key_type = key_type_of(&spki.algorithm, raw)?;
        Self::build(key_type, raw, spki_der.to_vec())
    }

    /// Builds a key from its raw form: the EC point (uncompressed), the 32 bytes of Ed25519,
    /// or a DER `RSAPublicKey`.
    ///
    /// # Errors
    /// [`KeyError::Rejected`] when the bytes are no such key, and those of [`PublicKey::from_spki_der`].
    pub fn from_raw(key_type: KeyType, raw: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoOwned {
            algorithm: key_type.algorithm_identifier(),
            subject_public_key: BitString::from_bytes(raw).map_err(|_| KeyError::Spki)?,
        };
        // Read back, so that a key is what its DER says: RSA has a size of its own.
        let key = Self::from_spki_der(&spki.to_der().map_err(|_| KeyError::Spki)?)?;
        if key.key_type == key_type { Ok(key) } else { Err(KeyError::Rejected) }
    }

    /// Reads a PEM `PUBLIC KEY` or `RSA PUBLIC KEY` with lines of any length.
    ///
    /// sigstore-java sends the whole key as one base64 line, so RFC 7468's 64 columns are not demanded.
    ///
    /// # Errors
    /// [`KeyError::Pem`], [`KeyError::UnexpectedPemLabel`], and those of [`PublicKey::from_spki_der`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_PEM_LEN {
            return Err(KeyError::TooLong);
        }
        let block = pem::parse(text).map_err(|_| KeyError::Pem)?;
        match block.tag() {
            "PUBLIC KEY" => Self::from_spki_der(block.contents()),
            "RSA PUBLIC KEY" => {
                let bits = rsa_modulus_bits(block.contents())?;
                Self::from_raw(KeyType::rsa_of_bits(bits)?, block.contents())
            }
            other => Err(KeyError::UnexpectedPemLabel(other.to_owned())),
        }
    }

    /// The exact DER this key was read from, or its DER encoding when made from raw bytes.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The key as PEM `PUBLIC KEY`: 64 columns, LF, final newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let block = pem::Pem::new("PUBLIC KEY", self.spki_der.to_vec());
        pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }

    /// Contents of the SPKI's bit string: EC point, 32 bytes of Ed25519, or DER `RSAPublicKey`.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Kind and size.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 of the SPKI DER: the RFC 6962 log id, and Rekor's key hash.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.spki_der)
    }

    /// The algorithm that Sigstore clients use with a key of this type when nothing else is said.
    #[must_use]
    pub fn default_algorithm(&self) -> SignatureAlgorithm {
        match self.key_type {
            KeyType::EcdsaP256 => SignatureAlgorithm::EcdsaP256Sha256,
            KeyType::EcdsaP384 => SignatureAlgorithm::EcdsaP384Sha384,
            KeyType::EcdsaP521 => SignatureAlgorithm::EcdsaP521Sha512,
            KeyType::Ed25519 => SignatureAlgorithm::Ed25519,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => {
                SignatureAlgorithm::RsaPkcs1Sha256
            }
        }
    }

    /// Verifies `signature` over `message` with [`PublicKey::default_algorithm`].
    ///
    /// # Errors
    /// [`SignatureError::Mismatch`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.verify_with(self.default_algorithm(), message, signature)
    }

    /// Verifies `signature` over `message` with `algorithm`.
    ///
    /// # Errors
    /// [`SignatureError::WrongAlgorithm`] when the algorithm is not of this key,
    /// [`SignatureError::Mismatch`].
    pub fn verify_with(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        if algorithm == SignatureAlgorithm::Ed25519ph {
            let digest = crate::digest(HashAlgorithm::Sha512, message);
            return self.verify_digest(algorithm, &digest, signature);
        }
        self.check_fit(algorithm)?;
        let own = algorithm == self.default_algorithm();
        let verified = if own {
            self.parsed.verify_sig(message, signature)
        } else {
            backend::UnparsedPublicKey::new(algorithm.backend(), &self.raw)
                .verify(message, signature)
        };
        verified.map_err(|_| SignatureError::Mismatch)
    }

    /// Verifies `signature` over the message whose digest is `digest`.
    ///
    /// # Errors
    /// [`SignatureError::WrongAlgorithm`], [`SignatureError::NoPrehash`] for pure Ed25519,
    /// [`SignatureError::DigestLength`], [`SignatureError::Mismatch`].
    pub fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        self.check_fit(algorithm)?;
        let hash = algorithm.hash().ok_or(SignatureError::NoPrehash)?;
        if digest.len() != hash.output_len() {
            return Err(SignatureError::DigestLength {
                expected: hash.output_len(),
                found: digest.len(),
            });
        }
        if algorithm == SignatureAlgorithm::Ed25519ph {
            return self.verify_ed25519ph(digest, signature);
        }
        let digest = Digest::import_less_safe(digest, hash.backend())
            .map_err(|_| SignatureError::Mismatch)?;
        backend::UnparsedPublicKey::new(algorithm.backend(), &self.raw)
            .verify_digest(&digest, signature)
            .map_err(|_| SignatureError::Mismatch)
    }

    fn verify_ed25519ph(&self, digest: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let mismatch = |_| SignatureError::Mismatch;
        let raw: &[u8; 32] =
            self.raw.as_ref().try_into().map_err(|_| SignatureError::WrongAlgorithm)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(raw).map_err(mismatch)?;
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(mismatch)?;
        let mut prehash = passthrough::Prehashed::default();
        prehash.set(digest);
        key.verify_prehashed_strict(prehash, None, &signature).map_err(mismatch)
    }

    fn check_fit(&self, algorithm: SignatureAlgorithm) -> Result<(), SignatureError> {
        if algorithm.fits(self.key_type) { Ok(()) } else { Err(SignatureError::WrongAlgorithm) }
    }

    fn build(key_type: KeyType, raw: &[u8], spki_der: Vec<u8>) -> Result<Self, KeyError> {
        let algorithm: &'static dyn VerificationAlgorithm = match key_type {
            KeyType::EcdsaP256 => &backend::ECDSA_P256_SHA256_ASN1,
            KeyType::EcdsaP384 => &backend::ECDSA_P384_SHA384_ASN1,
            KeyType::EcdsaP521 => &backend::ECDSA_P521_SHA512_ASN1,
            KeyType::Ed25519 => &backend::ED25519,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => {
                &backend::RSA_PKCS1_2048_8192_SHA256
            }
        };
        let parsed = ParsedPublicKey::new(algorithm, raw).map_err(|_| KeyError::Rejected)?;
        Ok(Self { spki_der: spki_der.into(), raw: raw.into(), key_type, parsed: Arc::new(parsed) })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki_der == other.spki_der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {} bytes)", self.key_type, self.spki_der.len())
    }
}

/// Why bytes are not a usable key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Longer than any supported key.
    #[error("the key is too long")]
    TooLong,
    /// Not PEM.
    #[error("the key is not valid PEM")]
    Pem,
    /// PEM of something else.
    #[error("PEM block `{0}` is not the expected kind of key")]
    UnexpectedPemLabel(String),
    /// Not a DER `SubjectPublicKeyInfo`.
    #[error("the key is not a valid SubjectPublicKeyInfo")]
    Spki,
    /// An algorithm or curve that no Sigstore client uses.
    #[error("key algorithm {0} is not supported")]
    UnsupportedAlgorithm(String),
    /// RSA of another size than 2048, 3072 or 4096 bits.
    #[error("RSA keys must have 2048, 3072 or 4096 bits, not {0}")]
    RsaSize(usize),
    /// The backend refused it, for example a point that is not on the curve.
    #[error("the key is invalid")]
    Rejected,
}

/// Why a signature was not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// The algorithm is not one of this key.
    #[error("the signature algorithm does not fit the key")]
    WrongAlgorithm,
    /// Pure Ed25519 signs messages, never digests.
    #[error("pure Ed25519 cannot be verified from a digest")]
    NoPrehash,
    /// The digest has another length than the algorithm's hash gives.
    #[error("the digest has {found} bytes, the algorithm needs {expected}")]
    DigestLength {
        /// Bytes that the algorithm's hash gives.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// The signature is not of this key over this message.
    #[error("the signature does not verify")]
    Mismatch,
}

fn key_type_of(algorithm: &AlgorithmIdentifierOwned, raw: &[u8]) -> Result<KeyType, KeyError> {
    let unsupported = |oid: ObjectIdentifier| KeyError::UnsupportedAlgorithm(oid.to_string());
    match algorithm.oid {
        ID_EC_PUBLIC_KEY => {
            let parameters = algorithm.parameters.as_ref().ok_or(KeyError::Spki)?;
            let curve: ObjectIdentifier = parameters.decode_as().map_err(|_| KeyError::Spki)?;
            match curve {
                SECP256R1 => Ok(KeyType::EcdsaP256),
                SECP384R1 => Ok(KeyType::EcdsaP384),
                SECP521R1 => Ok(KeyType::EcdsaP521),
                other => Err(unsupported(other)),
            }
        }
        ID_ED25519 => Ok(KeyType::Ed25519),
        RSA_ENCRYPTION => KeyType::rsa_of_bits(rsa_modulus_bits(raw)?),
        other => Err(unsupported(other)),
    }
}

fn rsa_modulus_bits(rsa_public_key_der: &[u8]) -> Result<usize, KeyError> {
    #[derive(der::Sequence)]
    struct RsaPublicKey {
        modulus: der::asn1::Uint,
        public_exponent: der::asn1::Uint,
    }
    if rsa_public_key_der.len() > MAX_SPKI_LEN {
        return Err(KeyError::TooLong);
    }
    let key = RsaPublicKey::from_der(rsa_public_key_der).map_err(|_| KeyError::Spki)?;
    // `Uint` holds no leading zero byte, so its first byte has the top bit of the modulus.
    let bytes = key.modulus.as_bytes();
    let leading = bytes.first().map_or(0, |byte| byte.leading_zeros() as usize);
    Ok((bytes.len() * 8).saturating_sub(leading))
}

/// Ed25519ph wants a `Digest` object; the log has only the digest's bytes.
mod passthrough {
    use ed25519_dalek::{
        Digest,
        ed25519::signature::digest::{
            FixedOutput, HashMarker, Output, OutputSizeUser, Update, consts::U64,
        },
    };

    /// A hash whose output was set beforehand.
    #[derive(Clone)]
    pub(super) struct Prehashed([u8; 64]);

    impl Default for Prehashed {
        fn default() -> Self {
            Self([0; 64])
        }
    }

    impl Prehashed {
        pub(super) fn set(&mut self, digest: &[u8]) {
            if let Some(bytes) = digest.first_chunk::<64>() {
                self.0 = *bytes;
            }
        }
    }

    impl OutputSizeUser for Prehashed {
        type OutputSize = U64;
    }

    impl HashMarker for Prehashed {}

    impl Update for Prehashed {
        fn update(&mut self, _: &[u8]) {}
    }

    impl FixedOutput for Prehashed {
        fn finalize_into(self, out: &mut Output<Self>) {
            out.copy_from_slice(&self.0);
        }
    }

    const _: fn() = || {
        fn is_digest<D: Digest>() {}
        is_digest::<Prehashed>();
    };
}

#[cfg(test)]
mod tests;
