use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use crypto::{LocalSigner, PublicKey, Signer, SignerError};
use der::{Decode, Sequence, asn1::UintRef};
use serde_json::{Map, Value, json};
use thiserror::Error;

/// Signs tokens with RS256 (RFC 7515, RFC 7518 §3.3), the one algorithm that every relying party has.
pub struct Minter {
    key: LocalSigner,
}

impl Minter {
    /// Signs with `key`, an RSA key.
    #[must_use]
    pub fn new(key: LocalSigner) -> Self {
        Self { key }
    }

    /// The signed token, in the compact serialisation.
    ///
    /// # Errors
    /// [`SignerError`] when the backend fails.
    pub fn mint(&self, claims: Map<String, Value>) -> Result<String, SignerError> {
        let header = json!({"alg": "RS256", "kid": key_id(self.key.public_key()), "typ": "JWT"});
        let parts = [header, claims.into()].map(|part| encoded(part.to_string().as_bytes()));
        let mut token = parts.join(".");
        let signature = self.key.sign_now(token.as_bytes())?;
        token.push('.');
        token.push_str(&encoded(&signature));
        Ok(token)
    }
}

/// The key set (RFC 7517) that verifies the tokens of `key`, an RSA key.
pub(crate) fn key_set(key: &PublicKey) -> Result<Value, NotRsa> {
    let rsa = RsaPublicKey::from_der(key.raw())?;
    Ok(json!({"keys": [{
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": key_id(key),
        "n": encoded(rsa.modulus.as_bytes()),
        "e": encoded(rsa.public_exponent.as_bytes()),
    }]}))
}

/// The provider was given a key of another kind than its tokens are signed with.
#[derive(Debug, Error)]
#[error("the provider's key is not RSA")]
pub struct NotRsa(#[from] der::Error);

/// RFC 8017 A.1.1.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

fn key_id(key: &PublicKey) -> String {
    hex::encode(&key.spki_sha256()[..8])
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use crypto::KeyType;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};

    use super::*;

    #[test]
    fn another_implementation_verifies_the_token_with_the_key_set() {
        let key = LocalSigner::generate(KeyType::Rsa2048, "oidc").unwrap();
        let keys = key_set(key.public_key()).unwrap();
        let Value::Object(claims) =
            json!({"iss": "http://localhost:3006", "aud": "sigstore", "exp": 4_102_444_800u64})
        else {
            panic!("an object")
        };
        let token = Minter::new(key).mint(claims.clone()).unwrap();

        let keys: JwkSet = serde_json::from_value(keys).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let jwk = keys.find(&header.kid.unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["sigstore"]);
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(
            &token,
            &DecodingKey::from_jwk(jwk).unwrap(),
            &validation,
        );
        assert_eq!(decoded.unwrap().claims, claims);
    }

    #[test]
    fn refuses_a_key_that_is_not_rsa() {
        let key = LocalSigner::generate(KeyType::EcdsaP256, "oidc").unwrap();
        assert!(key_set(key.public_key()).is_err());
    }
}
