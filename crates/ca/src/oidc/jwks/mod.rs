use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{AuthorityKey, KeyFamily};
use identity::JwsAlgorithm;
use jsonwebtoken::{Algorithm, DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
use serde::Deserialize;

/// Most keys read from one issuer. Google publishes 2 or 3, Entra about 10.
const MAX_KEYS: usize = 64;

/// Most keys tried for one token: of a token without `kid`, or of a `kid` that several keys have.
const MAX_CANDIDATES: usize = 8;

/// Moduli of 2048 to 4096 bits, in bytes.
const RSA_MODULUS_LEN: std::ops::RangeInclusive<usize> = 256..=512;

/// The keys that an issuer published (RFC 7517 §5), those of them that can verify tokens.
pub(crate) struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// Reads a JWK Set. Keys of unknown kinds, symmetric ones among them, are passed over
    /// (RFC 7517 §5); `None` when it is no JWK Set, has a member twice, no usable
    /// key, or too many.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let document: Document = wire::json::from_slice(json).ok()?;
        if document.keys.len() > MAX_KEYS {
            return None;
        }
        let usable = |key| serde_json::from_value::<Jwk>(key).ok()?.into_verifying_key();
        let keys: Vec<VerifyingKey> = document.keys.into_iter().filter_map(usable).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The keys that a token with this `kid` and `alg` may be signed with. Empty when there is none.
    pub(crate) fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Vec<VerifyingKey> {
        self.0
            .iter()
            .filter(|key| key_id.is_none() || key.key_id.as_deref() == key_id)
            .filter(|key| key.fits(algorithm))
            .take(MAX_CANDIDATES)
            .cloned()
            .collect()
    }
}

/// A public key of an issuer.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    key_id: Option<String>,
    /// The one algorithm that the issuer published the key for, when it says so.
    algorithm: Option<JwsAlgorithm>,
    family: Family,
    key: Arc<DecodingKey>,
}

impl VerifyingKey {
    /// Whether `signature` is one by this key over `message` with `algorithm`.
    pub(crate) fn verifies(
        &self,
        algorithm: JwsAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&backend_of(algorithm), &self.key);
        self.fits(algorithm)
            && verifier.is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
    }

    fn fits(&self, algorithm: JwsAlgorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.family == Family::of(algorithm)
    }
}

/// What a key can do by its type; the header's `alg` never decides that (RFC 8725 §3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Family {
    const fn of(algorithm: JwsAlgorithm) -> Self {
        match algorithm {
            JwsAlgorithm::Rs256
            | JwsAlgorithm::Rs384
            | JwsAlgorithm::Rs512
            | JwsAlgorithm::Ps256
            | JwsAlgorithm::Ps384
            | JwsAlgorithm::Ps512 => Self::Rsa,
            JwsAlgorithm::Es256 => Self::P256,
            JwsAlgorithm::Es384 => Self::P384,
            JwsAlgorithm::EdDsa => Self::Ed25519,
        }
    }
}

const fn backend_of(algorithm: JwsAlgorithm) -> Algorithm {
    match algorithm {
        JwsAlgorithm::Rs256 => Algorithm::RS256,
        JwsAlgorithm::Rs384 => Algorithm::RS384,
        JwsAlgorithm::Rs512 => Algorithm::RS512,
        JwsAlgorithm::Ps256 => Algorithm::PS256,
        JwsAlgorithm::Ps384 => Algorithm::PS384,
        JwsAlgorithm::Ps512 => Algorithm::PS512,
        JwsAlgorithm::Es256 => Algorithm::ES256,
        JwsAlgorithm::Es384 => Algorithm::ES384,
        JwsAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// A JSON Web Key, as far as it is read (RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn into_verifying_key(self) -> Option<VerifyingKey> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let algorithm = match &self.alg {
            Some(name) => Some(JwsAlgorithm::from_name(name)?),
            None => None,
        };
        let (family, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (Family::Rsa, self.rsa()?),
            ("EC", Some("P-256")) => (Family::P256, self.elliptic::<32>(KeyFamily::P256)?),
            ("EC", Some("P-384")) => (Family::P384, self.elliptic::<48>(KeyFamily::P384)?),
            ("OKP", Some("Ed25519")) => {
                let raw = decode(self.x.as_ref())?;
                // Under a key of small order one signature fits every token.
                AuthorityKey::from_raw(KeyFamily::Ed25519, &raw).ok()?;
                (Family::Ed25519, DecodingKey::from_ed_der(&raw))
            }
            _ => return None,
        };
        Some(VerifyingKey { key_id: self.kid, algorithm, family, key: Arc::new(key) })
    }

    /// Jenkins writes a leading zero byte, which the backend refuses; it carries no value.
    fn rsa(&self) -> Option<DecodingKey> {
        let (n, e) = (decode(self.n.as_ref())?, decode(self.e.as_ref())?);
        let (n, e) = (without_leading_zeros(&n), without_leading_zeros(&e));
        // Under an exponent of 1 everybody can sign.
        AuthorityKey::from_rsa_components(n, e).ok()?;
        RSA_MODULUS_LEN.contains(&n.len()).then(|| DecodingKey::from_rsa_raw_components(n, e))
    }

    /// Coordinates have the curve's full length (RFC 7518 §6.2.1.2).
    fn elliptic<const LEN: usize>(&self, family: KeyFamily) -> Option<DecodingKey> {
        const UNCOMPRESSED_POINT: u8 = 4;
        let x: [u8; LEN] = decode(self.x.as_ref())?.try_into().ok()?;
        let y: [u8; LEN] = decode(self.y.as_ref())?.try_into().ok()?;
        let point = [&[UNCOMPRESSED_POINT], x.as_slice(), &y].concat();
        AuthorityKey::from_raw(family, &point).ok()?;
        Some(DecodingKey::from_ec_der(&point))
    }
}

/// Some issuers pad, though RFC 7515 §2 forbids it.
fn decode(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok()
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    bytes.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
