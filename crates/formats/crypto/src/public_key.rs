use std::fmt;

use aws_lc_rs::{digest::Digest, signature::UnparsedPublicKey};
use thiserror::Error;

use crate::{
    AuthorityKey, HashAlgorithm, KeyFamily, SignatureAlgorithm, authority_key::spki_der_of, sha256,
    soundness::rsa_bits,
};

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

    /// Its kind, without the size.
    #[must_use]
    pub const fn family(self) -> KeyFamily {
        match self {
            Self::EcdsaP256 => KeyFamily::P256,
            Self::EcdsaP384 => KeyFamily::P384,
            Self::EcdsaP521 => KeyFamily::P521,
            Self::Ed25519 => KeyFamily::Ed25519,
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => KeyFamily::Rsa,
        }
    }

    fn of(family: KeyFamily, rsa_public_key_der: &[u8]) -> Result<Self, KeyError> {
        match family {
            KeyFamily::P256 => Ok(Self::EcdsaP256),
            KeyFamily::P384 => Ok(Self::EcdsaP384),
            KeyFamily::P521 => Ok(Self::EcdsaP521),
            KeyFamily::Ed25519 => Ok(Self::Ed25519),
            KeyFamily::Rsa => Self::rsa_of_bits(rsa_bits(rsa_public_key_der)?),
        }
    }
}

/// A public key that signers may have: its exact DER, and its parsed form ready to verify.
///
/// All that an [`AuthorityKey`] must be, and one of the sizes of [`KeyType`]. Two keys are equal
/// when their DER is, and a key has one DER.
#[derive(Clone)]
pub struct PublicKey {
    key: AuthorityKey,
    key_type: KeyType,
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// [`KeyError`], by what is wrong.
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, KeyError> {
        if spki_der.len() > MAX_SPKI_LEN {
            return Err(KeyError::TooLong);
        }
        let key = AuthorityKey::parse(spki_der, |bits| KeyType::rsa_of_bits(bits).map(drop))?;
        Ok(Self { key_type: KeyType::of(key.family(), key.raw())?, key })
    }

    /// Builds a key from its raw form: the EC point (uncompressed), the 32 bytes of Ed25519,
    /// or a DER `RSAPublicKey`.
    ///
    /// # Errors
    /// [`KeyError::Rejected`] when the bytes are no such key, and those of [`PublicKey::from_spki_der`].
    pub fn from_raw(key_type: KeyType, raw: &[u8]) -> Result<Self, KeyError> {
        // Read back, so that a key is what its DER says: RSA has a size of its own.
        let key = Self::from_spki_der(&spki_der_of(key_type.family(), raw)?)?;
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
                let bits = rsa_bits(block.contents())?;
                Self::from_raw(KeyType::rsa_of_bits(bits)?, block.contents())
            }
            other => Err(KeyError::UnexpectedPemLabel(other.to_owned())),
        }
    }

    /// The exact DER this key was read from, or its DER encoding when made from raw bytes.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        self.key.spki_der()
    }

    /// The key as PEM `PUBLIC KEY`: 64 columns, LF, final newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let block = pem::Pem::new("PUBLIC KEY", self.spki_der());
        pem::encode_config(&block, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }

    /// Contents of the SPKI's bit string: EC point, 32 bytes of Ed25519, or DER `RSAPublicKey`.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.key.raw()
    }

    /// Kind and size.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 of the SPKI DER: the RFC 6962 log id, and Rekor's key hash.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(self.spki_der())
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
        self.key.verify_with(algorithm, message, signature)
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
        UnparsedPublicKey::new(algorithm.backend(), self.raw())
            .verify_digest(&digest, signature)
            .map_err(|_| SignatureError::Mismatch)
    }

    fn verify_ed25519ph(&self, digest: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let mismatch = |_| SignatureError::Mismatch;
        let raw: &[u8; 32] = self.raw().try_into().map_err(|_| SignatureError::WrongAlgorithm)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(raw).map_err(mismatch)?;
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(mismatch)?;
        let mut prehash = passthrough::Prehashed::default();
        prehash.set(digest);
        key.verify_prehashed_strict(prehash, None, &signature).map_err(mismatch)
    }

    fn check_fit(&self, algorithm: SignatureAlgorithm) -> Result<(), SignatureError> {
        if algorithm.family() == self.key_type.family() {
            Ok(())
        } else {
            Err(SignatureError::WrongAlgorithm)
        }
    }

    /// As a key that may be an authority's.
    #[must_use]
    pub fn as_authority_key(&self) -> &AuthorityKey {
        &self.key
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {} bytes)", self.key_type, self.spki_der().len())
    }
}

/// Why bytes are not a usable key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Longer than any supported key.
    #[error("the key is too long")]
    TooLong,
    /// Neither DER in PEM armour nor one block of it.
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
    /// Smaller is weak; larger takes a verifier's time.
    #[error("RSA keys must have 2048, 3072 or 4096 bits, not {0}")]
    RsaSize(usize),
    /// RSA of another size than authorities may have.
    #[error("RSA keys of authorities must have 2048 to 8192 bits, not {0}")]
    RsaAuthoritySize(usize),
    /// No product of two primes but one with 2: nobody holds such a key.
    #[error("the RSA key's modulus is even")]
    RsaModulus,
    /// An RSA exponent that is even, 1, or longer than 31 bits.
    #[error("the RSA key's exponent is not an odd number from 3 to 2^31 - 1")]
    RsaExponent,
    /// Parameters other than the standard has, or none where there must be some.
    #[error("the key's algorithm parameters are not those of RFC 5480, RFC 3279 and RFC 8410")]
    Parameters,
    /// A compressed or hybrid point: a second spelling of a key.
    #[error("the key's curve point is not uncompressed")]
    PointEncoding,
    /// No canonical point, or one of small order, under which one signature fits all messages.
    #[error("the Ed25519 key is not a canonical point of large order")]
    Ed25519Point,
    /// The backend refused it, for example a point that is not on the curve.
    #[error("the key is invalid")]
    Rejected,
}

/// Why a signature was not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// A header or token names it; it is compared and never believed.
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
