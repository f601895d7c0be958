//! A log, a CA and keys made here, and bundles by them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, PublicKey, Signer, Unsigned, sha256};
use moment::UnixSeconds;
use provenance::{ResourceDescriptor, Statement, UnsignedEnvelope};
use serde_json::{Value, json};
use verify::Trust;

/// Of a verifier.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
/// When the bundles here were logged.
pub(crate) const LOGGED: UnixSeconds = UnixSeconds(1_780_000_000);
/// So many seconds after another.
pub(crate) const fn after(moment: UnixSeconds, seconds: u64) -> UnixSeconds {
    moment.saturating_add(Duration::from_secs(seconds))
}

pub(crate) const ARTIFACT: &[u8] = b"artifact";
pub(crate) const ORIGIN: &str = "localhost - 1193050959916656506";

pub(crate) fn signer(key_type: KeyType) -> LocalSigner {
    LocalSigner::generate(key_type, "test").unwrap()
}

pub(crate) fn base64_of(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn pem_of(signer: &LocalSigner) -> String {
    base64_of(signer.public_key().to_pem())
}

/// A log whose trees have one leaf.
pub(crate) struct Log(pub(crate) LocalSigner);

impl Log {
    pub(crate) fn new() -> Self {
        Self(signer(KeyType::EcdsaP256))
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::from_json(self.root().to_string().as_bytes()).unwrap()
    }

    /// The trusted root that lists this log alone.
    pub(crate) fn root(&self) -> Value {
        let key = self.0.public_key();
        let log = json!({
            "baseUrl": "http://localhost:3000", "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": base64_of(key.spki_der()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": "2026-01-01T00:00:00Z"}},
            "logId": {"keyId": base64_of(key.spki_sha256())}
        });
        json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log]})
    }

    /// The entry of `body`, of a bundle.
    pub(crate) fn entry(&self, body: &Value, at: UnixSeconds, origin: &str) -> Value {
        let bytes = body.to_string().into_bytes();
        let key = self.0.public_key();
        let log_id = key.spki_sha256();
        let payload = entry::rekor1::set_payload(&bytes, at, &log_id, tlog::LeafIndex(7));
        let root = tlog::leaf_hash(&bytes).into();
        let head = tlog::TreeHead { size: tlog::TreeSize(1), root };
        let checkpoint =
            tlog::Checkpoint { origin: origin.to_owned(), head, extensions: Vec::new() };
        let name = origin.split(' ').next().unwrap().to_owned();
        let unsigned = tlog::UnsignedCheckpoint::new(&checkpoint, name, log_id);
        let signature = self.0.sign_now(unsigned.bytes_to_sign()).unwrap();
        let note = unsigned.with_signature(&signature, key).unwrap().to_string();
        json!({
            "logIndex": "7", "logId": {"keyId": base64_of(log_id)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": at.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": base64_of(self.0.sign_now(&payload).unwrap())},
            "inclusionProof": {"logIndex": "0", "rootHash": base64_of(root.0), "treeSize": "1",
                "hashes": [], "checkpoint": {"envelope": note}},
            "canonicalizedBody": base64_of(&bytes)
        })
    }
}

pub(crate) fn message(signer: &LocalSigner) -> Value {
    json!({"messageDigest": {"algorithm": "SHA2_256", "digest": base64_of(sha256(ARTIFACT))},
        "signature": base64_of(signer.sign_now(ARTIFACT).unwrap())})
}

pub(crate) fn envelope(signer: &LocalSigner) -> Value {
    let subject = ResourceDescriptor::with_sha256("artifact", &sha256(ARTIFACT));
    let statement = Statement::new(vec![subject], "https://example.com/p", 1.into()).unwrap();
    let unsigned = UnsignedEnvelope::new(&statement).unwrap();
    let signature = signer.sign_now(unsigned.bytes_to_sign()).unwrap();
    let envelope = unsigned.with_signature(&signature, signer.public_key()).unwrap();
    json!({"payload": base64_of(envelope.payload), "payloadType": envelope.payload_type,
        "signatures": [{"sig": base64_of(signature)}]})
}

pub(crate) fn hashedrekord(message: &Value, pem: &str) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(ARTIFACT))}},
        "signature": {"content": message["signature"], "publicKey": {"content": pem}}}})
}

pub(crate) fn hash(bytes: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": hex::encode(sha256(bytes))})
}

pub(crate) fn payload_hash(envelope: &Value) -> Value {
    hash(&STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap())
}

pub(crate) fn dsse(envelope: &Value, pem: &str) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": hash(envelope.to_string().as_bytes()), "payloadHash": payload_hash(envelope),
        "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": pem}]}})
}

pub(crate) fn intoto(envelope: &Value, pem: &str) -> Value {
    let sig = base64_of(envelope["signatures"][0]["sig"].as_str().unwrap());
    json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
        "envelope": {"payloadType": envelope["payloadType"],
            "signatures": [{"publicKey": pem, "sig": sig}]},
        "hash": hash(envelope.to_string().as_bytes()), "payloadHash": payload_hash(envelope)}}})
}

/// A bundle by a bare key.
pub(crate) fn bundle(key: &PublicKey, content: &Value, entry: &Value) -> Value {
    let member = if content.get("payload").is_some() { "dsseEnvelope" } else { "messageSignature" };
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": base64_of(key.spki_sha256())},
            "tlogEntries": [entry]},
        member: content
    })
}

/// A CA of Fulcio's kind.
pub(crate) struct Ca {
    pub(crate) key: LocalSigner,
    /// DER, this CA first, root last.
    pub(crate) chain: Vec<Vec<u8>>,
    params: rcgen::CertificateParams,
}

impl Ca {
    pub(crate) fn root() -> Self {
        Self::with_key(signer(KeyType::EcdsaP256), None)
    }

    /// A CA below this one.
    pub(crate) fn below(&self) -> Self {
        Self::with_key(signer(KeyType::EcdsaP256), Some(self))
    }

    /// Another certificate of this CA, by `above`.
    pub(crate) fn anew(&self, above: &Self) -> Self {
        let key = LocalSigner::from_pkcs8_pem(&self.key.to_pkcs8_pem(), "anew").unwrap();
        Self::with_key(key, Some(above))
    }

    fn with_key(key: LocalSigner, above: Option<&Self>) -> Self {
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages =
            vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        // The same names everywhere, as two instances of one product have them.
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "acme");
        let name = if above.is_some() { "intermediate" } else { "root" };
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let own = rcgen::KeyPair::from_pem(&key.to_pkcs8_pem()).unwrap();
        let chain = match above {
            None => vec![params.self_signed(&own).unwrap().der().to_vec()],
            Some(above) => {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
                params.use_authority_key_identifier_extension = true;
                let issuer = rcgen::KeyPair::from_pem(&above.key.to_pkcs8_pem()).unwrap();
                let issuer = rcgen::Issuer::from_params(&above.params, issuer);
                let der = params.signed_by(&own, &issuer).unwrap().der().to_vec();
                [vec![der], above.chain.clone()].concat()
            }
        };
        Self { key, chain, params }
    }

    /// A leaf for `signer`'s key, valid for ten minutes from [`LOGGED`], with an SCT of `ct`.
    pub(crate) fn leaf(&self, signer: &LocalSigner, ct: &LocalSigner) -> Vec<u8> {
        let chain = x509::CertificateChain::from_der(self.chain.clone()).unwrap();
        let profile = x509::LeafProfile {
            subject_alternative_name: x509::SubjectAlternativeName::Email(ALICE.to_owned()),
            extensions: x509::FulcioExtensions {
                issuer: Some("https://issuer.example".to_owned()),
                ..x509::FulcioExtensions::default()
            },
            public_key: signer.public_key().clone(),
            not_before: LOGGED,
            not_after: after(LOGGED, 600),
            serial_number: x509::positive_serial_number([7; 20]),
        };
        let key = self.key.public_key();
        let unsigned = x509::UnsignedPrecertificate::new(&profile, &chain).unwrap();
        let signature = self.key.sign_now(unsigned.bytes_to_sign()).unwrap();
        let made = unsigned.with_signature(&signature, key).unwrap();
        let unsigned = ct::UnsignedSct::new(made.log_entry().unwrap(), LOGGED.to_millis()).unwrap();
        let signature = ct.sign_now(unsigned.bytes_to_sign()).unwrap();
        let sct = unsigned.with_signature(&signature, ct.public_key()).unwrap();
        let unsigned = made.with_sct(&sct, ct.public_key()).unwrap();
        let signature = self.key.sign_now(unsigned.bytes_to_sign()).unwrap();
        unsigned.with_signature(&signature, key).unwrap().into_der()
    }
}

pub(crate) const ALICE: &str = "alice@acme.example";

/// A window of a trusted root that holds [`LOGGED`].
pub(crate) fn open() -> Value {
    json!({"start": "2026-01-01T00:00:00Z"})
}

/// Logs and CAs to trust.
pub(crate) struct Instance {
    pub(crate) log: Log,
    pub(crate) ct: LocalSigner,
}

impl Instance {
    pub(crate) fn new() -> Self {
        Self { log: Log::new(), ct: signer(KeyType::EcdsaP256) }
    }

    /// The trusted root that lists these logs, and CAs by chain and window.
    pub(crate) fn root(&self, authorities: &[(&[Vec<u8>], Value)]) -> Value {
        let mut root = self.log.root();
        let mut ct = root["tlogs"][0].clone();
        ct["publicKey"]["rawBytes"] = base64_of(self.ct.public_key().spki_der()).into();
        ct["logId"]["keyId"] = base64_of(self.ct.public_key().spki_sha256()).into();
        root["ctlogs"] = json!([ct]);
        let authorities = authorities.iter().map(|(chain, window)| {
            let chain: Vec<Value> =
                chain.iter().map(|der| json!({"rawBytes": base64_of(der)})).collect();
            json!({"uri": "https://ca.example", "certChain": {"certificates": chain},
                "validFor": window})
        });
        root["certificateAuthorities"] = authorities.collect();
        root
    }

    /// A bundle 0.2 of `signer`, certified by `leaf`, that brings `brought` beside it.
    pub(crate) fn bundle(&self, signer: &LocalSigner, leaf: &[u8], brought: &[Vec<u8>]) -> Value {
        let message = message(signer);
        let body = hashedrekord(&message, &base64_of(x509::to_pem(leaf)));
        let certificates: Vec<Value> = std::iter::once(leaf)
            .chain(brought.iter().map(Vec::as_slice))
            .map(|der| json!({"rawBytes": base64_of(der)}))
            .collect();
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2",
            "verificationMaterial": {
                "x509CertificateChain": {"certificates": certificates},
                "tlogEntries": [self.log.entry(&body, after(LOGGED, 1), ORIGIN)]},
            "messageSignature": message
        })
    }
}

/// A timestamp authority of two certificates.
pub(crate) struct Tsa {
    key: LocalSigner,
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Tsa {
    pub(crate) fn new(name: &str) -> Self {
        let named = |name: String| {
            let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2040, 1, 1);
            params
        };
        let mut root = named(format!("{name} root"));
        root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let root_key = rcgen::KeyPair::generate().unwrap();
        let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
        let mut leaf = named(name.to_owned());
        leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::TimeStamping];
        let key = signer(KeyType::EcdsaP256);
        let own = rcgen::KeyPair::from_pem(&key.to_pkcs8_pem()).unwrap();
        let issuer = rcgen::Issuer::from_params(&root, root_key);
        let leaf_der = leaf.signed_by(&own, &issuer).unwrap().der().to_vec();
        Self { key, chain: vec![leaf_der, root_der] }
    }

    /// DER of a response over `signature` (base64, of a bundle).
    pub(crate) fn stamp(&self, signature: &Value, at: UnixSeconds) -> Vec<u8> {
        let signature = STANDARD.decode(signature.as_str().unwrap()).unwrap();
        let imprint = tsp::MessageImprint::of_message(crypto::HashAlgorithm::Sha256, &signature);
        let request = tsp::TimestampRequest::new(imprint).with_certificates(true);
        let chain = tsp::TsaChain::from_ders(&self.chain).unwrap();
        let profile = std::sync::Arc::new(tsp::TokenProfile::new(&chain).unwrap());
        let serial = tsp::SerialNumber::from_random([7; 20]);
        let token = profile.prepare(&request, &tsp::PolicyOid::SIGSTORE, at, serial).unwrap();
        let signed = self.key.sign_now(token.bytes_to_sign()).unwrap();
        token.with_signature(&signed, self.key.public_key()).unwrap().into_der()
    }

    /// As a trusted root lists it.
    pub(crate) fn listed(&self) -> Value {
        let chain: Vec<Value> =
            self.chain.iter().map(|der| json!({"rawBytes": base64_of(der)})).collect();
        json!({"uri": "https://tsa.example", "certChain": {"certificates": chain},
            "validFor": open()})
    }
}

/// A bundle by `signer`'s key with an entry of a Rekor v2 log of one leaf, and the trusted root.
pub(crate) fn rekor2_bundle(signer: &LocalSigner) -> (Value, Value) {
    let log = Log::new();
    let message = message(signer);
    let signature = STANDARD.decode(message["signature"].as_str().unwrap()).unwrap();
    let verifier = entry::rekor2::Verifier::from_public_key(signer.public_key());
    let body = entry::rekor2::canonical_body(&sha256(ARTIFACT), &signature, &verifier);
    let key = log.0.public_key();
    let head = tlog::TreeHead { size: tlog::TreeSize(1), root: tlog::leaf_hash(&body).into() };
    let origin = "localhost".to_owned();
    let checkpoint = tlog::Checkpoint { origin: origin.clone(), head, extensions: Vec::new() };
    let unsigned = tlog::UnsignedCheckpoint::new(&checkpoint, origin, key.spki_sha256());
    let signed = log.0.sign_now(unsigned.bytes_to_sign()).unwrap();
    let note = unsigned.with_signature(&signed, key).unwrap().to_string();
    let entry = json!({
        "logId": {"keyId": base64_of(key.spki_sha256())},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "inclusionProof": {"rootHash": base64_of(head.root.0), "treeSize": "1",
            "checkpoint": {"envelope": note}},
        "canonicalizedBody": base64_of(&body)
    });
    (bundle(signer.public_key(), &message, &entry), log.root())
}
