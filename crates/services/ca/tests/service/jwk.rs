//! Keys of a test issuer: real keys, published as JWK and signing real tokens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{KeyType, LocalSigner, Signer};
use der::{Decode, asn1::Uint};
use serde_json::{Value, json};

/// A key pair of an issuer.
pub(crate) struct TokenKey {
    signer: LocalSigner,
    key_type: KeyType,
}

#[derive(der::Sequence)]
struct TwoIntegers {
    first: Uint,
    second: Uint,
}

impl TokenKey {
    pub(crate) fn generate(key_type: KeyType) -> Self {
        Self { signer: LocalSigner::generate(key_type, "token key").unwrap(), key_type }
    }

    /// The algorithm of its tokens.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key_type {
            KeyType::EcdsaP256 => "ES256",
            KeyType::EcdsaP384 => "ES384",
            KeyType::Ed25519 => "EdDSA",
            _ => "RS256",
        }
    }

    /// The public key as JWK (RFC 7517) with this `kid`.
    pub(crate) fn jwk(&self, key_id: &str) -> Value {
        let raw = self.signer.public_key().raw();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self.key_type {
            KeyType::EcdsaP256 => {
                json!({"kty": "EC", "crv": "P-256", "x": encode(&raw[1..33]), "y": encode(&raw[33..])})
            }
            KeyType::EcdsaP384 => {
                json!({"kty": "EC", "crv": "P-384", "x": encode(&raw[1..49]), "y": encode(&raw[49..])})
            }
            KeyType::Ed25519 => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(raw)}),
            _ => {
                let rsa = TwoIntegers::from_der(raw).unwrap();
                json!({"kty": "RSA", "n": encode(rsa.first.as_bytes()), "e": encode(rsa.second.as_bytes())})
            }
        };
        jwk["kid"] = json!(key_id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The signature part of a JWS over `message` (RFC 7518 §3).
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.signer.sign_now(message).unwrap();
        match self.key_type {
            KeyType::EcdsaP256 => fixed::<32>(&signature),
            KeyType::EcdsaP384 => fixed::<48>(&signature),
            _ => signature,
        }
    }

    /// A compact token with this header and payload.
    pub(crate) fn token(&self, header: &Value, payload: &Value) -> String {
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", encode(header.to_string()), encode(payload.to_string()));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `ECDSA-Sig-Value` to the concatenation of two integers of `LEN` bytes.
pub(crate) fn fixed<const LEN: usize>(der: &[u8]) -> Vec<u8> {
    let pair = TwoIntegers::from_der(der).unwrap();
    let mut out = Vec::new();
    for integer in [pair.first.as_bytes(), pair.second.as_bytes()] {
        out.resize(out.len() + LEN - integer.len(), 0);
        out.extend_from_slice(integer);
    }
    out
}
