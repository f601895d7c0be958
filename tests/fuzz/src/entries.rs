//! Requests to log a signature.

use std::sync::LazyLock;

use crypto::{PublicKey, Signer, sha256};
use entry::{
    VerifiedEntry,
    rekor2::{Options, Verifier, canonical_body, verify_request},
};
use serde_json::Value;
use wire::{
    PublicKeyDetails,
    dsse::{DsseEnvelope, DsseSignature, IN_TOTO_PAYLOAD_TYPE, pae},
    rekor2::{CreateEntryRequest, DsseRequest, HashedRekordRequest, Signature, VerifierKey},
};

use crate::{
    case::Case,
    certificates,
    input::{Input, joined},
    keys::P256,
};

pub(crate) const CASES: &[Case] = &[
    Case { run: request, seeds: requests },
    Case {
        run: hashed_rekord,
        seeds: || vec![joined([&*DIGEST, &*SIGNATURE, P256.public_key().spki_der()])],
    },
    Case { run: dsse, seeds: envelopes },
    Case { run: certificate, seeds: certificates::leaves },
];

/// What was signed, so that forgeries can be told.
const MESSAGE: &[u8] = b"message";

static DIGEST: LazyLock<Vec<u8>> = LazyLock::new(|| sha256(MESSAGE).to_vec());

static SIGNATURE: LazyLock<Vec<u8>> = LazyLock::new(|| P256.sign_now(MESSAGE).unwrap());

/// The whole request as it comes from the socket.
fn request(json: &[u8]) {
    let taken = verify_request(json, &Options { legacy_dsse: true });
    let strict = verify_request(json, &Options { legacy_dsse: false });
    if let Ok(entry) = &taken {
        check(entry);
    }
    // Refusing envelopes changes nothing for what is none.
    if let Ok(strict) = &strict {
        assert_eq!(taken.unwrap().body(), strict.body());
    }
}

/// A request whose JSON is good, and whose bytes are anything.
fn hashed_rekord(input: &[u8]) {
    let mut input = Input(input);
    let (digest, signature, key) = (input.bytes(), input.bytes(), input.bytes());
    let verifier = wire_verifier(key, input.byte());
    let signed = Signature { content: signature.into(), verifier: Some(verifier.clone()) };
    let request = HashedRekordRequest { digest: digest.into(), signature: Some(signed) };
    let Ok(entry) = submit(&CreateEntryRequest::HashedRekord(request)) else { return };
    check(&entry);
    let verifier = Verifier::from_wire(&verifier).unwrap();
    assert_eq!(entry.body(), canonical_body(digest, signature, &verifier));
    if verifier.public_key() == P256.public_key() {
        assert!(digest == *DIGEST || digest == sha256(&pae("t", b"payload")), "forged");
    }
}

/// The same for envelopes; whatever is logged for one is the hashedrekord of its encoding.
fn dsse(input: &[u8]) {
    let mut input = Input(input);
    let (payload, signature) = (input.bytes(), input.bytes());
    let Some(payload_type) = input.text() else { return };
    let mut verifiers = Vec::new();
    while !input.is_empty() {
        let key = input.bytes();
        verifiers.push(wire_verifier(key, input.byte()));
    }
    let envelope = DsseEnvelope {
        payload: payload.into(),
        payload_type: payload_type.to_owned(),
        signatures: vec![DsseSignature { sig: signature.into(), keyid: String::new() }],
    };
    let request = CreateEntryRequest::Dsse(DsseRequest { envelope: Some(envelope), verifiers });
    if let Ok(entry) = submit(&request) {
        check(&entry);
        assert_eq!((payload_type, payload), ("t", &b"payload"[..]), "forged");
    }
}

/// Certificates are only a way to carry a key, and are kept as they came.
fn certificate(der: &[u8]) {
    let Ok(verifier) = Verifier::from_certificate(der) else { return };
    let wire = verifier.to_wire();
    let again = Verifier::from_wire(&wire).unwrap();
    assert_eq!(again.to_wire(), wire);
    assert!(
        matches!(wire.key, VerifierKey::X509Certificate(kept) if kept.raw_bytes.as_slice() == der)
    );
}

fn submit(request: &CreateEntryRequest) -> Result<VerifiedEntry, entry::EntryError> {
    verify_request(&serde_json::to_vec(request).unwrap(), &Options::default())
}

/// A key when `kind` is 0, else a certificate; its algorithm is named rightly where it can be read.
fn wire_verifier(der: &[u8], kind: u8) -> wire::rekor2::Verifier {
    let raw_bytes = der.into();
    let (parsed, key) = if kind == 0 {
        let parsed = PublicKey::from_spki_der(der).ok();
        let key = VerifierKey::PublicKey(wire::rekor2::PublicKey { raw_bytes });
        (parsed.map(|key| Verifier::from_public_key(&key)), key)
    } else {
        let key = VerifierKey::X509Certificate(wire::bundle::X509Certificate { raw_bytes });
        (Verifier::from_certificate(der).ok(), key)
    };
    let fallback = PublicKeyDetails::PkixEcdsaP256Sha256;
    let key_details = parsed.map_or(fallback, |verifier| verifier.to_wire().key_details);
    wire::rekor2::Verifier { key, key_details }
}

/// The body is canonical JSON (RFC 8785): members in order, nothing between them.
fn check(entry: &VerifiedEntry) {
    let body: Value = serde_json::from_slice(entry.body()).unwrap();
    assert!(entry.body().is_ascii());
    // `Value` keeps members in the order of their names.
    assert_eq!(serde_json::to_vec(&body).unwrap(), entry.body());
    assert_eq!(
        (&body["kind"], &body["apiVersion"]),
        (&entry.kind().into(), &entry.version().into())
    );
    assert_eq!(entry.leaf_hash(), tlog::leaf_hash(entry.body()));
    assert!(entry.body().len() <= tlog::MAX_ENTRY_LEN);
    assert!(!entry.index_keys().is_empty());
}

fn requests() -> Vec<Vec<u8>> {
    let verifier = || wire_verifier(P256.public_key().spki_der(), 0);
    let content = SIGNATURE.clone().into();
    let signature = Some(Signature { content, verifier: Some(verifier()) });
    let hashed_rekord = HashedRekordRequest { digest: DIGEST.clone().into(), signature };
    let envelope = DsseEnvelope {
        payload: b"{}"[..].into(),
        payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
        signatures: vec![DsseSignature {
            sig: P256.sign_now(&pae(IN_TOTO_PAYLOAD_TYPE, b"{}")).unwrap().into(),
            keyid: String::new(),
        }],
    };
    let dsse = DsseRequest { envelope: Some(envelope), verifiers: vec![verifier()] };
    let requests =
        [CreateEntryRequest::HashedRekord(hashed_rekord), CreateEntryRequest::Dsse(dsse)];
    requests.iter().map(|request| serde_json::to_vec(request).unwrap()).collect()
}

fn envelopes() -> Vec<Vec<u8>> {
    let signature = P256.sign_now(&pae("t", b"payload")).unwrap();
    let parts = [b"payload", signature.as_slice(), b"t", P256.public_key().spki_der()];
    vec![joined(parts)]
}
