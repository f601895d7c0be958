//! Bundles that public Rekor v2 logs answered for: their leaves are rebuilt from their own parts.

use crypto::{PublicKey, SignatureError};
use entry::{
    EntryError,
    rekor2::{Verifier, canonical_body},
};
use serde_json::{Value, json};
use tlog::{KeyIdKind, LeafIndex, NodeHash, SignedNote, log_key_id, verify_inclusion};
use wire::{
    bundle::{Bundle, BundleContent, TransparencyLogEntry, VerificationContent},
    trust::{TransparencyLogInstance, TrustedRoot},
};

use super::common::{pae, verify};

const BUNDLES: [&str; 2] = [
    "bundles/python/staging-rekor-v2.txt.sigstore.json",
    "bundles/python/a.dsse.staging-rekor-v2.txt.sigstore.json",
];

/// The golden bundles with their certificate, and the trusted root of their instance.
fn each(check: impl Fn(&Bundle, &Verifier, &TransparencyLogEntry, &TrustedRoot)) {
    for path in BUNDLES {
        let (bundle, root) = (vectors::read(path), vectors::read("trusted-roots/staging.json"));
        let bundle = Bundle::from_json(&bundle).unwrap();
        let VerificationContent::Certificate(certificate) = &bundle.verification_material.content
        else {
            panic!("no certificate")
        };
        let verifier = Verifier::from_certificate(certificate.raw_bytes.as_slice()).unwrap();
        let entry = &bundle.verification_material.tlog_entries[0];
        check(&bundle, &verifier, entry, &serde_json::from_slice(&root).unwrap());
    }
}

/// What the log saw of the bundle: SHA-256 of message or encoding, and the signature.
fn digest_and_signature(bundle: &Bundle) -> (Vec<u8>, Vec<u8>) {
    match &bundle.content {
        BundleContent::MessageSignature(message) => {
            (message.message_digest.clone().unwrap().digest.0, message.signature.0.clone())
        }
        BundleContent::DsseEnvelope(envelope) => {
            let encoded = pae(&envelope.payload_type, envelope.payload.as_slice());
            (crypto::sha256(&encoded).to_vec(), envelope.signatures[0].sig.0.clone())
        }
    }
}

#[test]
fn canonical_body_is_rebuilt_byte_for_byte() {
    each(|bundle, verifier, entry, _| {
        let (digest, signature) = digest_and_signature(bundle);
        let body = canonical_body(&digest, &signature, verifier);
        let logged = String::from_utf8(entry.canonicalized_body.0.clone()).unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), logged);
    });
}

#[test]
fn rebuilt_leaf_is_in_the_tree_of_the_signed_checkpoint() {
    each(|bundle, verifier, entry, root| {
        let (digest, signature) = digest_and_signature(bundle);
        let leaf = tlog::leaf_hash(&canonical_body(&digest, &signature, verifier));
        let proof = entry.inclusion_proof.as_ref().unwrap();
        let note: SignedNote = proof.checkpoint.as_ref().unwrap().envelope.parse().unwrap();
        let (key, origin) = log_of(entry, root);
        let key_id = log_key_id(&key, &origin, KeyIdKind::Named);
        assert_eq!(entry.log_id.key_id.as_slice(), key_id);
        let checkpoint = note.verified_checkpoint(&key, &origin, &key_id).unwrap();
        assert_eq!(checkpoint.head.root.as_ref(), proof.root_hash.as_slice());
        let path: Vec<NodeHash> =
            proof.hashes.iter().map(|hash| hash.as_slice().try_into().unwrap()).collect();
        let index = u64::try_from(proof.log_index).unwrap();
        verify_inclusion(&leaf, LeafIndex(index), &path, &checkpoint.head).unwrap();
    });
}

/// Key and origin of the log that the entry names.
fn log_of(entry: &TransparencyLogEntry, root: &TrustedRoot) -> (PublicKey, String) {
    let same = |log: &&TransparencyLogInstance| log.log_id.key_id == entry.log_id.key_id;
    let log = root.tlogs.iter().find(same).unwrap();
    let key = PublicKey::from_spki_der(log.public_key.raw_bytes.as_slice()).unwrap();
    (key, log.base_url.trim_start_matches("https://").to_owned())
}

#[test]
fn logs_the_same_leaf_for_either_request() {
    each(|bundle, verifier, entry, _| {
        let (digest, signature) = digest_and_signature(bundle);
        let verifier = serde_json::to_value(verifier.to_wire()).unwrap();
        let request = super::common::hashed_rekord(&digest, &signature, &verifier);
        assert_eq!(verify(&request).unwrap().body(), entry.canonicalized_body.as_slice());
        if let BundleContent::DsseEnvelope(envelope) = &bundle.content {
            let request =
                json!({"dsseRequestV002": {"envelope": envelope, "verifiers": [verifier]}});
            assert_eq!(verify(&request).unwrap().body(), entry.canonicalized_body.as_slice());
        }
    });
}

// The folder's README speaks of secp256k1; the key is P-256.
#[test]
fn logs_the_signatures_of_rekors_client_algorithms() {
    for (key, signature) in [("ec", "ec"), ("rsa", "rsa"), ("ed25519", "ed25519ph")] {
        let request = client_algorithm(key, signature);
        verify(&request).unwrap();
    }
}

#[test]
fn refuses_the_pure_ed25519_signature_of_rekors_client_algorithms() {
    let request = client_algorithm("ed25519", "ed25519");
    assert!(matches!(verify(&request), Err(EntryError::Signature(SignatureError::Mismatch))));
}

fn client_algorithm(key: &str, signature: &str) -> Value {
    let file = |name: &str| vectors::read(format!("rekor1/client-algorithms/{name}"));
    let pem = String::from_utf8(file(&format!("{key}_public.pem"))).unwrap();
    let verifier = Verifier::from_public_key(&PublicKey::from_pem(&pem).unwrap());
    let digest = crypto::digest(verifier.key_details().hash(), &file("file1"));
    let signature = file(&format!("file1.{signature}.sig"));
    let verifier = serde_json::to_value(verifier.to_wire()).unwrap();
    super::common::hashed_rekord(&digest, &signature, &verifier)
}
