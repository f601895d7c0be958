//! Signers, and proposed entries that they made.

use crypto::{HashAlgorithm, KeyType, LocalSigner, PublicKey, Signer};
use entry::{
    EntryError, VerifiedEntry,
    rekor1::{Options, verify_proposed},
};
use serde_json::{Value, json};
use wire::Base64;

/// What the tests sign.
pub(crate) const MESSAGE: &[u8] = b"first light";

/// An in-toto statement about one file, with one material.
pub(crate) const STATEMENT: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"a",
"digest":{"sha256":"AA11","sha1":"bb22"}}],"predicate":{"materials":[{"digest":{"sha1":"cc33"}}]}}"#;

pub(crate) const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Every type of key that clients have.
pub(crate) const KEY_TYPES: [KeyType; 5] = [
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::EcdsaP521,
    KeyType::Ed25519,
    KeyType::Rsa2048,
];

/// Verifies a proposed entry with the default options.
pub(crate) fn verify(proposed: &Value) -> Result<VerifiedEntry, EntryError> {
    verify_proposed(proposed.to_string().as_bytes(), &Options::default())
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    Base64::from(bytes).encode()
}

/// PEM as upstream writes it, made without the code under test.
pub(crate) fn pem_of(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap());
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

pub(crate) fn pem_of_certificate(der: &[u8]) -> String {
    pem_of("CERTIFICATE", der)
}

/// A key that signs digests as Rekor v1 wants them, and envelopes as clients do.
pub(crate) struct Key(LocalSigner);

impl Key {
    pub(crate) fn generate(key_type: KeyType) -> Self {
        Self(LocalSigner::generate(key_type, "test").unwrap())
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    pub(crate) fn pem(&self) -> String {
        pem_of("PUBLIC KEY", self.public_key().spki_der())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign_now(message).unwrap()
    }

    /// A valid hashedrekord.
    pub(crate) fn hashedrekord(&self) -> Value {
        let (name, hash) = match self.public_key().key_type() {
            KeyType::EcdsaP384 => ("sha384", HashAlgorithm::Sha384),
            KeyType::EcdsaP521 | KeyType::Ed25519 => ("sha512", HashAlgorithm::Sha512),
            _ => ("sha256", HashAlgorithm::Sha256),
        };
        let value = hex::encode(crypto::digest(hash, MESSAGE));
        hashedrekord(name, &value, &self.sign_digest_of(MESSAGE), self.pem().as_bytes())
    }

    /// Ed25519 as Ed25519ph.
    fn sign_digest_of(&self, message: &[u8]) -> Vec<u8> {
        use ed25519_dalek::{Digest, Sha512};
        if self.public_key().key_type() != KeyType::Ed25519 {
            return self.sign(message);
        }
        let pkcs8 = Base64::decode(
            &self.0.to_pkcs8_pem().lines().filter(|line| !line.contains("--")).collect::<String>(),
        )
        .unwrap()
        .0;
        let secret = pkcs8[16..48].try_into().unwrap();
        let secret = ed25519_dalek::SigningKey::from_bytes(secret);
        assert_eq!(secret.verifying_key().as_bytes(), self.public_key().raw());
        secret.sign_prehashed(Sha512::new_with_prefix(message), None).unwrap().to_bytes().to_vec()
    }

    /// The signature of an envelope, base64.
    pub(crate) fn sig(&self, payload_type: &str, payload: &[u8]) -> String {
        base64(&self.sign(&pae(payload_type, payload)))
    }

    /// An envelope with this key's signature.
    pub(crate) fn envelope(&self, payload_type: &str, payload: &[u8]) -> Value {
        envelope(payload_type, payload, &[self.sig(payload_type, payload)])
    }

    /// A valid dsse entry of a statement.
    pub(crate) fn dsse(&self) -> Value {
        dsse(&self.envelope(IN_TOTO, STATEMENT).to_string(), &[self.pem()])
    }

    /// A valid intoto 0.0.1 entry of a statement.
    pub(crate) fn intoto_1(&self) -> Value {
        let envelope = self.envelope(IN_TOTO, STATEMENT).to_string();
        intoto_1(&envelope, &self.pem())
    }

    /// A valid intoto 0.0.2 entry of a statement.
    pub(crate) fn intoto_2(&self) -> Value {
        json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
            "envelope": {
                "payloadType": IN_TOTO,
                "payload": base64(base64(STATEMENT).as_bytes()),
                "signatures": [{
                    "keyid": "",
                    "sig": base64(self.sig(IN_TOTO, STATEMENT).as_bytes()),
                    "publicKey": base64(self.pem().as_bytes()),
                }],
            },
            "hash": {"algorithm": "sha256", "value": "Ab".repeat(32)},
        }}})
    }
}

pub(crate) fn hashedrekord(algorithm: &str, value: &str, signature: &[u8], pem: &[u8]) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": algorithm, "value": value}},
        "signature": {"content": base64(signature), "publicKey": {"content": base64(pem)}},
    }})
}

pub(crate) fn envelope(payload_type: &str, payload: &[u8], sigs: &[String]) -> Value {
    let signatures: Vec<_> = sigs.iter().map(|sig| json!({"sig": sig, "keyid": ""})).collect();
    json!({"payload": base64(payload), "payloadType": payload_type, "signatures": signatures})
}

pub(crate) fn dsse(envelope: &str, pems: &[String]) -> Value {
    let verifiers: Vec<_> = pems.iter().map(|pem| base64(pem.as_bytes())).collect();
    let content = json!({"envelope": envelope, "verifiers": verifiers});
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}})
}

pub(crate) fn intoto_1(envelope: &str, pem: &str) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": {
        "content": {"envelope": envelope}, "publicKey": base64(pem.as_bytes()),
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
    (certificate, Key(LocalSigner::from_pkcs8_der(&key.serialize_der(), "test").unwrap()))
}

/// A leaf and as many issuers above it as `length` needs, each signed by the next, and the leaf's key.
pub(crate) fn chain(length: usize) -> (Vec<Vec<u8>>, Key) {
    let mut ders = Vec::new();
    let mut issuer: Option<rcgen::CertifiedIssuer<'static, rcgen::KeyPair>> = None;
    for level in (0..length).rev() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("level {level}"));
        if level == 0 {
            let signer = LocalSigner::from_pkcs8_der(&key.serialize_der(), "test").unwrap();
            let leaf = params.signed_by(&key, issuer.as_ref().unwrap()).unwrap();
            ders.insert(0, leaf.der().to_vec());
            return (ders, Key(signer));
        }
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let made = match &issuer {
            None => rcgen::CertifiedIssuer::self_signed(params, key),
            Some(above) => rcgen::CertifiedIssuer::signed_by(params, key, above),
        };
        let made = made.unwrap();
        ders.insert(0, made.der().to_vec());
        issuer = Some(made);
    }
    panic!("a chain has a leaf and an issuer")
}
