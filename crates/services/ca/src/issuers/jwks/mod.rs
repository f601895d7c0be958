mod fault;
mod pem;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use crypto::{AuthorityKey, KeyFamily, SignatureAlgorithm};
use identity::JwsAlgorithm;
use jsonwebtoken::{Algorithm, DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::fault::KeySetFault;

/// Most keys read from one issuer. Google publishes 2 or 3, Entra about 10.
const MAX_KEYS: usize = 64;

/// Most keys tried for one token: of a token without `kid`, or of a `kid` that several keys have.
const MAX_CANDIDATES: usize = 8;

/// Moduli of 2048 to 4096 bits, in bytes.
const RSA_MODULUS_LEN: std::ops::RangeInclusive<usize> = 256..=512;

/// An `RSAPublicKey` of 4096 bits: the modulus, an exponent of 8 bytes, and what is around them.
const MAX_RSA_DER_LEN: usize = 540;

/// The keys that an issuer published (RFC 7517 §5), those of them that can verify tokens.
#[derive(Clone)]
pub(crate) struct KeySet {
    keys: Vec<VerifyingKey>,
    /// The usable keys as they were read, to be kept. What else was published is nothing to keep:
    /// it may be private.
    document: Bytes,
    has_private: bool,
}

/// Members that are secret (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2). Of a key that has one of
/// them, everybody who reads the set may have the private half.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl KeySet {
    /// Reads a JWK Set. Keys of unknown kinds, symmetric ones among them, are passed over
    /// (RFC 7517 §5), and those whose private half is there too. A set without any key says that there
    /// is none; one whose keys cannot be used says nothing.
    ///
    /// # Errors
    /// [`KeySetFault`], each variant.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeySetFault> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        if json.starts_with("\u{feff}".as_bytes()) {
            return Err(KeySetFault::Mark);
        }
        let document: Document = wire::json::from_slice(json).map_err(|_| KeySetFault::NotASet)?;
        let is_empty = document.keys.is_empty();
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetFault::TooMany);
        }
        let is_private = |key: &Value| {
            let symmetric = key.get("kty").is_some_and(|kind| kind == "oct");
            !symmetric && PRIVATE_MEMBERS.iter().any(|member| key.get(member).is_some())
        };
        let (private, public): (Vec<Value>, Vec<Value>) =
            document.keys.into_iter().partition(is_private);
        let usable = |key: Value| {
            let jwk = serde_json::from_value::<Jwk>(key.clone()).ok()?;
            Some((jwk.into_verifying_key()?, key))
        };
        let (keys, usable): (Vec<VerifyingKey>, Vec<Value>) =
            public.into_iter().filter_map(usable).unzip();
        let has_private = !private.is_empty();
        if keys.is_empty() && !is_empty {
            return Err(if has_private { KeySetFault::Private } else { KeySetFault::NoneUsable });
        }
        let document = json!({ "keys": usable }).to_string().into();
        Ok(Self { keys, document, has_private })
    }

    /// Whether it says that there is no key.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key was passed over since its private half is there.
    pub(crate) fn has_private(&self) -> bool {
        self.has_private
    }

    /// Reads a file of keys: a JWK Set, or PEM public keys, which have no id. All of those must be
    /// usable, and no more than are tried for one token.
    pub(crate) fn parse_file(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?;
        if !text.contains("-----BEGIN") {
            return Self::parse(content).ok();
        }
        let keys: Option<Vec<VerifyingKey>> =
            pem::public_keys(text)?.iter().map(|der| VerifyingKey::of_spki(der)).collect();
        let keys = keys.filter(|keys| (1..=MAX_CANDIDATES).contains(&keys.len()))?;
        Some(Self { keys, document: Bytes::copy_from_slice(content), has_private: false })
    }

    /// Its usable keys as they were read.
    pub(crate) fn document(&self) -> &Bytes {
        &self.document
    }

    /// The keys by id and digest, in the order of publication.
    pub(crate) fn names(&self) -> Vec<KeyName> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }

    /// The keys that a token with this `kid` and `alg` may be signed with. Empty when there is none.
    /// A key without an id may have signed tokens with any.
    pub(crate) fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Vec<VerifyingKey> {
        let named = |key: &&VerifyingKey| key_id.is_none() || key.name.id.as_deref() == key_id;
        let nameless = |key: &&VerifyingKey| key_id.is_some() && key.name.id.is_none();
        let fitting = || self.keys.iter().filter(|key| key.fits(algorithm));
        fitting()
            .filter(named)
            .chain(fitting().filter(nameless))
            .take(MAX_CANDIDATES)
            .cloned()
            .collect()
    }
}

/// Which key it is, for people and for comparing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    /// Its `kid`.
    pub id: Option<String>,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub sha256: [u8; 32],
}

/// A public key of an issuer.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    name: KeyName,
    /// The one algorithm that the issuer published the key for, when it says so.
    algorithm: Option<JwsAlgorithm>,
    family: Family,
    key: Backend,
}

#[derive(Clone)]
enum Backend {
    Jwt(Arc<DecodingKey>),
    /// The backend of tokens has no P-521.
    P521(AuthorityKey),
}

impl VerifyingKey {
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub(crate) const fn sha256(&self) -> [u8; 32] {
        self.name.sha256
    }

    /// Whether `signature` is one by this key over `message` with `algorithm`.
    pub(crate) fn verifies(
        &self,
        algorithm: JwsAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.key {
            Backend::P521(key) => ecdsa_sig_value::<66>(signature).is_some_and(|der| {
                key.verify_with(SignatureAlgorithm::EcdsaP521Sha512, message, &der).is_ok()
            }),
            Backend::Jwt(key) => {
                let verifier = backend_of(algorithm)
                    .and_then(|backend| (DEFAULT_PROVIDER.verifier_factory)(&backend, key).ok());
                verifier
                    .is_some_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
            }
        }
    }

    fn fits(&self, algorithm: JwsAlgorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.family == Family::of(algorithm)
    }

    fn new(
        key_id: Option<String>,
        algorithm: Option<JwsAlgorithm>,
        key: &AuthorityKey,
    ) -> Option<Self> {
        let raw = key.raw();
        let (family, backend) = match key.family() {
            KeyFamily::Rsa => (Family::Rsa, DecodingKey::from_rsa_der(raw)),
            KeyFamily::P256 => (Family::P256, DecodingKey::from_ec_der(raw)),
            KeyFamily::P384 => (Family::P384, DecodingKey::from_ec_der(raw)),
            KeyFamily::Ed25519 => (Family::Ed25519, DecodingKey::from_ed_der(raw)),
            KeyFamily::P521 => {
                let name = KeyName { id: key_id, sha256: crypto::sha256(key.spki_der()) };
                let key = Backend::P521(key.clone());
                return Some(Self { name, algorithm, family: Family::P521, key });
            }
        };
        if family == Family::Rsa && raw.len() > MAX_RSA_DER_LEN {
            return None;
        }
        let name = KeyName { id: key_id, sha256: crypto::sha256(key.spki_der()) };
        Some(Self { name, algorithm, family, key: Backend::Jwt(Arc::new(backend)) })
    }

    fn of_spki(der: &[u8]) -> Option<Self> {
        Self::new(None, None, &AuthorityKey::from_spki_der(der).ok()?)
    }
}

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3) of a JWS signature: two integers of `LEN` bytes each.
fn ecdsa_sig_value<const LEN: usize>(signature: &[u8]) -> Option<Vec<u8>> {
    const INTEGER: u8 = 2;
    const SEQUENCE: u8 = 0x30;
    let mut integers = Vec::new();
    let (r, s) = (signature.len() == 2 * LEN).then(|| signature.split_at(LEN))?;
    for integer in [r, s] {
        let integer = without_leading_zeros(integer);
        // A first bit would be a sign.
        let sign = integer.first().is_none_or(|first| *first >= 0x80);
        integers.push(INTEGER);
        integers.push(u8::try_from(integer.len() + usize::from(sign)).ok()?);
        integers.extend(sign.then_some(0));
        integers.extend_from_slice(integer);
    }
    let length = u8::try_from(integers.len()).ok()?;
    let header: &[u8] = if length < 0x80 { &[SEQUENCE, length] } else { &[SEQUENCE, 0x81, length] };
    Some([header, &integers].concat())
}

/// What a key can do by its type; the header's `alg` never decides that (RFC 8725 §3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    P521,
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
            JwsAlgorithm::Es512 => Self::P521,
            JwsAlgorithm::EdDsa => Self::Ed25519,
        }
    }
}

const fn backend_of(algorithm: JwsAlgorithm) -> Option<Algorithm> {
    Some(match algorithm {
        JwsAlgorithm::Rs256 => Algorithm::RS256,
        JwsAlgorithm::Rs384 => Algorithm::RS384,
        JwsAlgorithm::Rs512 => Algorithm::RS512,
        JwsAlgorithm::Ps256 => Algorithm::PS256,
        JwsAlgorithm::Ps384 => Algorithm::PS384,
        JwsAlgorithm::Ps512 => Algorithm::PS512,
        JwsAlgorithm::Es256 => Algorithm::ES256,
        JwsAlgorithm::Es384 => Algorithm::ES384,
        JwsAlgorithm::EdDsa => Algorithm::EdDSA,
        JwsAlgorithm::Es512 => return None,
    })
}

/// A JSON Web Key, as far as it is read (RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
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
        // RFC 7517 §4.3.
        if self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
            return None;
        }
        let algorithm = match &self.alg {
            Some(name) => Some(JwsAlgorithm::from_name(name)?),
            None => None,
        };
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => self.rsa()?,
            ("EC", Some("P-256")) => self.elliptic::<32>(KeyFamily::P256)?,
            ("EC", Some("P-384")) => self.elliptic::<48>(KeyFamily::P384)?,
            ("EC", Some("P-521")) => self.elliptic::<66>(KeyFamily::P521)?,
            // Under a key of small order one signature would fit every token; it is refused.
            ("OKP", Some("Ed25519")) => {
                AuthorityKey::from_raw(KeyFamily::Ed25519, &decode(self.x.as_ref())?).ok()?
            }
            _ => return None,
        };
        VerifyingKey::new(self.kid, algorithm, &key)
    }

    /// Jenkins writes a leading zero byte, which the backend refuses; it carries no value.
    fn rsa(&self) -> Option<AuthorityKey> {
        let (n, e) = (decode(self.n.as_ref())?, decode(self.e.as_ref())?);
        let (n, e) = (without_leading_zeros(&n), without_leading_zeros(&e));
        // Under an exponent of 1 everybody can sign; it is refused.
        let key = AuthorityKey::from_rsa_components(n, e).ok()?;
        RSA_MODULUS_LEN.contains(&n.len()).then_some(key)
    }

    /// Coordinates have the curve's full length (RFC 7518 §6.2.1.2).
    fn elliptic<const LEN: usize>(&self, family: KeyFamily) -> Option<AuthorityKey> {
        const UNCOMPRESSED_POINT: u8 = 4;
        let x: [u8; LEN] = decode(self.x.as_ref())?.try_into().ok()?;
        let y: [u8; LEN] = decode(self.y.as_ref())?.try_into().ok()?;
        let point = [&[UNCOMPRESSED_POINT], x.as_slice(), &y].concat();
        AuthorityKey::from_raw(family, &point).ok()
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
