//! Signers, and requests that they made.

use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use entry::rekor2::{KeyDetails, Options};
use entry::{EntryError, VerifiedEntry, rekor2};
use serde_json::{Value, json};
use wire::{Base64, PublicKeyDetails};

/// What the tests sign.
pub(crate) const MESSAGE: &[u8] = b"first light";

/// Verifies a request with the default options.
pub(crate) fn verify(request: &Value) -> Result<VerifiedEntry, EntryError> {
    rekor2::verify_request(request.to_string().as_bytes(), &Options::default())
}

/// A key that signs digests as its type of key does for Rekor v2.
pub(crate) enum Key {
    Local(LocalSigner),
    Ed25519ph(ed25519_dalek::SigningKey),
}

impl Key {
    pub(crate) fn generate(key_type: KeyType) -> Self {
        if key_type == KeyType::Ed25519 {
            return Self::Ed25519ph(ed25519_dalek::SigningKey::from_bytes(&crypto::random_bytes()));
        }
        Self::Local(LocalSigner::generate(key_type, "test").unwrap())
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        match self {
            Self::Local(signer) => signer.public_key().clone(),
            Self::Ed25519ph(key) => {
                PublicKey::from_raw(KeyType::Ed25519, key.verifying_key().as_bytes()).unwrap()
            }
        }
    }

    pub(crate) fn details(&self) -> KeyDetails {
        KeyDetails::of(self.public_key().key_type())
    }

    pub(crate) fn digest(&self, message: &[u8]) -> Vec<u8> {
        crypto::digest(self.details().hash(), message)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Local(signer) => signer.sign_now(message).unwrap(),
            Self::Ed25519ph(key) => {
                use ed25519_dalek::Digest;
                let prehashed = ed25519_dalek::Sha512::new_with_prefix(message);
                key.sign_prehashed(prehashed, None).unwrap().to_bytes().to_vec()
            }
        }
    }

    /// `verifier` of a request.
    pub(crate) fn verifier(&self) -> Value {
        let raw = base64(self.public_key().spki_der());
        json!({"publicKey": {"rawBytes": raw}, "keyDetails": self.details().name()})
    }

    /// A valid request.
    pub(crate) fn hashed_rekord(&self) -> Value {
        hashed_rekord(&self.digest(MESSAGE), &self.sign(MESSAGE), &self.verifier())
    }

    /// A valid request.
    pub(crate) fn dsse(&self) -> Value {
        json!({"dsseRequestV002": {
            "envelope": {
                "payload": base64(MESSAGE), "payloadType": "text/plain",
                "signatures": [{"sig": base64(&self.sign(&pae("text/plain", MESSAGE))), "keyid": ""}],
            },
            "verifiers": [self.verifier()],
        }})
    }
}

pub(crate) fn hashed_rekord(digest: &[u8], signature: &[u8], verifier: &Value) -> Value {
    json!({"hashedRekordRequestV002": {
        "digest": base64(digest),
        "signature": {"content": base64(signature), "verifier": verifier},
    }})
}

/// Pre-authentication encoding, as the DSSE specification words it.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_len, payload_len) = (payload_type.len().to_string(), payload.len().to_string());
    let head = ["DSSEv1", &type_len, payload_type, &payload_len].join(" ");
    [head.as_bytes(), b" ", payload].concat()
}

/// A self-signed certificate with those names, and its P-256 key.
pub(crate) fn certificate(names: Vec<rcgen::SanType>) -> (Vec<u8>, Key) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = names;
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    (certificate, Key::Local(LocalSigner::from_pkcs8_der(&key.serialize_der(), "test").unwrap()))
}

/// `verifier` of a request with a certificate for a P-256 key.
pub(crate) fn certificate_verifier(der: &[u8]) -> Value {
    let details = PublicKeyDetails::PkixEcdsaP256Sha256.name();
    json!({"x509Certificate": {"rawBytes": base64(der)}, "keyDetails": details})
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    Base64::from(bytes).encode()
}
