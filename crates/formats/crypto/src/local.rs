use async_trait::async_trait;
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self as backend, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair,
    },
};
use zeroize::Zeroizing;

use crate::{KeyError, KeyType, PublicKey, SignNow, SignatureAlgorithm, Signer, SignerError};

/// A private key in this process's memory.
pub struct LocalSigner {
    key_pair: Pair,
    pkcs8_der: Zeroizing<Vec<u8>>,
    public_key: PublicKey,
    key_id: String,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl LocalSigner {
    /// Makes a fresh key. `key_id` names it in logs.
    ///
    /// # Errors
    /// [`KeyError::Rejected`] when the backend gives no key of that type.
    pub fn generate(key_type: KeyType, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let pkcs8 = generate_pkcs8(key_type)?;
        Self::from_pkcs8_der(&pkcs8, key_id)
    }

    /// Reads an unencrypted PKCS#8 private key: EC P-256/384/521, Ed25519 or RSA 2048 to 4096.
    ///
    /// # Errors
    /// [`KeyError::Rejected`] for anything else.
    pub fn from_pkcs8_der(pkcs8_der: &[u8], key_id: impl Into<String>) -> Result<Self, KeyError> {
        let (key_pair, public_key) = parse_pkcs8(pkcs8_der)?;
        Ok(Self {
            key_pair,
            pkcs8_der: Zeroizing::new(pkcs8_der.to_vec()),
            public_key,
            key_id: key_id.into(),
        })
    }

    /// Reads a PEM `PRIVATE KEY` (PKCS#8, RFC 7468 §10).
    ///
    /// # Errors
    /// [`KeyError::Pem`], [`KeyError::UnexpectedPemLabel`], [`KeyError::Rejected`].
    pub fn from_pkcs8_pem(text: &str, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let block = pem::parse(text).map_err(|_| KeyError::Pem)?;
        if block.tag() != "PRIVATE KEY" {
            return Err(KeyError::UnexpectedPemLabel(block.tag().to_owned()));
        }
        let der = Zeroizing::new(block.into_contents());
        Self::from_pkcs8_der(&der, key_id)
    }

    /// The private key as PEM `PRIVATE KEY`, for writing to a file of mode 0600.
    #[must_use]
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let block = pem::Pem::new("PRIVATE KEY", self.pkcs8_der.to_vec());
        Zeroizing::new(pem::encode_config(
            &block,
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        ))
    }

    /// Signs without waiting; what [`Signer::sign`] does.
    ///
    /// # Errors
    /// [`SignerError::Refused`] when the backend fails.
    pub fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let rng = SystemRandom::new();
        let signed = match &self.key_pair {
            Pair::Ecdsa(pair) => pair.sign(&rng, message).map(|s| s.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(message).map(|s| s.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&backend::RSA_PKCS1_SHA256, &rng, message, &mut signature)
                    .map(|()| signature)
            }
        };
        signed.map_err(|_| SignerError::Refused {
            key_id: self.key_id.clone(),
            reason: "the cryptographic backend failed".to_owned(),
        })
    }
}

#[async_trait]
impl Signer for LocalSigner {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.sign_now(message)
    }

    fn in_memory(&self) -> Option<&dyn SignNow> {
        Some(self)
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key.default_algorithm()
    }

    fn key_id(&self) -> &str {
        &self.key_id
    }
}

impl SignNow for LocalSigner {
    fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Self::sign_now(self, message)
    }
}

impl std::fmt::Debug for LocalSigner {
    /// Shows the key's name and public half, never the private one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalSigner")
            .field("key_id", &self.key_id)
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

fn generate_pkcs8(key_type: KeyType) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
        EcdsaKeyPair::generate(algorithm)
            .and_then(|pair| pair.to_pkcs8v1())
            .map(|document| document.as_ref().to_vec())
    };
    let rsa = |size| {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        let pair = RsaKeyPair::generate(size)?;
        AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map(|der| der.as_ref().to_vec())
    };
    let der = match key_type {
        KeyType::EcdsaP256 => ecdsa(&backend::ECDSA_P256_SHA256_ASN1_SIGNING),
        KeyType::EcdsaP384 => ecdsa(&backend::ECDSA_P384_SHA384_ASN1_SIGNING),
        KeyType::EcdsaP521 => ecdsa(&backend::ECDSA_P521_SHA512_ASN1_SIGNING),
        KeyType::Ed25519 => Ed25519KeyPair::generate()
            .and_then(|pair| pair.to_pkcs8v1())
            .map(|document| document.as_ref().to_vec()),
        KeyType::Rsa2048 => rsa(KeySize::Rsa2048),
        KeyType::Rsa3072 => rsa(KeySize::Rsa3072),
        KeyType::Rsa4096 => rsa(KeySize::Rsa4096),
    };
    der.map(Zeroizing::new).map_err(|_| KeyError::Rejected)
}

fn parse_pkcs8(pkcs8_der: &[u8]) -> Result<(Pair, PublicKey), KeyError> {
    for (algorithm, key_type) in [
        (&backend::ECDSA_P256_SHA256_ASN1_SIGNING, KeyType::EcdsaP256),
        (&backend::ECDSA_P384_SHA384_ASN1_SIGNING, KeyType::EcdsaP384),
        (&backend::ECDSA_P521_SHA512_ASN1_SIGNING, KeyType::EcdsaP521),
    ] {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8_der) {
            let public_key = PublicKey::from_raw(key_type, pair.public_key().as_ref())?;
            return Ok((Pair::Ecdsa(pair), public_key));
        }
    }
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8(pkcs8_der)
        .or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8_der))
    {
        let public_key = PublicKey::from_raw(KeyType::Ed25519, pair.public_key().as_ref())?;
        return Ok((Pair::Ed25519(pair), public_key));
    }
    let pair = RsaKeyPair::from_pkcs8(pkcs8_der).map_err(|_| KeyError::Rejected)?;
    let key_type = KeyType::rsa_of_bits(pair.public_modulus_len() * 8)?;
    let public_key = PublicKey::from_raw(key_type, pair.public_key().as_ref())?;
    Ok((Pair::Rsa(Box::new(pair)), public_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [KeyType; 5] = [
        KeyType::EcdsaP256,
        KeyType::EcdsaP384,
        KeyType::EcdsaP521,
        KeyType::Ed25519,
        KeyType::Rsa2048,
    ];

    #[test]
    fn signs_what_its_public_key_verifies() {
        for key_type in ALL {
            let signer = LocalSigner::generate(key_type, "test").unwrap();
            let signature = signer.sign_now(b"message").unwrap();
            assert_eq!(signer.public_key().key_type(), key_type);
            signer.public_key().verify(b"message", &signature).unwrap();
            signer.public_key().verify(b"massage", &signature).unwrap_err();
        }
    }

    #[test]
    fn survives_a_round_trip_through_pem() {
        for key_type in ALL {
            let signer = LocalSigner::generate(key_type, "test").unwrap();
            let again = LocalSigner::from_pkcs8_pem(&signer.to_pkcs8_pem(), "again").unwrap();
            assert_eq!(again.public_key(), signer.public_key());
        }
    }

    #[test]
    fn debug_output_holds_no_private_bytes() {
        let signer = LocalSigner::generate(KeyType::EcdsaP256, "name").unwrap();
        let shown = format!("{signer:?}");
        assert!(shown.contains("name"));
        assert!(!shown.contains(&hex::encode(&*signer.pkcs8_der)));
    }

    #[test]
    fn rejects_pem_of_another_label() {
        let signer = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
        assert!(matches!(
            LocalSigner::from_pkcs8_pem(&signer.public_key().to_pem(), "x"),
            Err(KeyError::UnexpectedPemLabel(label)) if label == "PUBLIC KEY"
        ));
    }
}
