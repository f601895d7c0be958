//! Proposed entries of Rekor v1, ids of entries, and searches.

use std::sync::LazyLock;

use crypto::{Signer, sha256};
use entry::{
    EntryError, VerifiedEntry,
    rekor1::{EntryId, MAX_BODY_LEN, MAX_INDEX_KEYS, Options, search_keys, verify_proposed},
};
use serde_json::{Value, json};
use wire::{
    Base64,
    dsse::{IN_TOTO_PAYLOAD_TYPE, pae},
    rekor1::SearchIndex,
};

use crate::{
    case::Case,
    certificates,
    input::{Input, joined},
    keys::P256,
    vectors,
};

pub(crate) const CASES: &[Case] = &[
    Case { run: proposed, seeds: requests },
    Case { run: hashed_rekord, seeds: || vec![joined([&*DIGEST, &*SIGNATURE, PEM.as_bytes()])] },
    Case { run: dsse, seeds: envelopes },
    Case { run: intoto, seeds: envelopes },
    Case { run: verifier, seeds: pems },
    Case { run: id, seeds: || vec!["0".repeat(64).into(), "12".repeat(40).into()] },
    Case { run: search, seeds: searches },
];

/// What was signed, so that forgeries can be told.
const MESSAGE: &[u8] = b"message";

const PAYLOAD: &[u8] = b"payload";

const PAYLOAD_TYPE: &str = "t";

static DIGEST: LazyLock<Vec<u8>> = LazyLock::new(|| sha256(MESSAGE).to_vec());

static SIGNATURE: LazyLock<Vec<u8>> = LazyLock::new(|| P256.sign_now(MESSAGE).unwrap());

static ENVELOPE_SIGNATURE: LazyLock<Vec<u8>> =
    LazyLock::new(|| P256.sign_now(&pae(PAYLOAD_TYPE, PAYLOAD)).unwrap());

static PEM: LazyLock<String> = LazyLock::new(|| P256.public_key().to_pem());

/// The whole request as it comes from the socket.
fn proposed(json: &[u8]) {
    let taken = verify_proposed(json, &Options::default());
    let strict = verify_proposed(json, &Options { dsse: false, intoto: false });
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
    let (digest, signature, pem) = (input.bytes(), input.bytes(), input.bytes());
    let algorithm = ["sha256", "sha384", "sha512"][usize::from(input.byte() % 3)];
    let proposed = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": algorithm, "value": hex::encode(digest)}},
        "signature": {"content": base64(signature), "publicKey": {"content": base64(pem)}},
    }});
    let Ok(entry) = submit(&proposed) else { return };
    if is_of_our_key(&entry) {
        assert!(digest == *DIGEST || digest == sha256(&pae(PAYLOAD_TYPE, PAYLOAD)), "forged");
    }
}

/// An envelope as text, with anything for its parts and any number of verifiers.
fn dsse(input: &[u8]) {
    let mut input = Input(input);
    let (payload, signature) = (input.bytes(), input.bytes());
    let Some(payload_type) = input.text() else { return };
    let mut verifiers = Vec::new();
    while !input.is_empty() {
        verifiers.push(base64(input.bytes()));
    }
    let envelope = json!({
        "payload": base64(payload), "payloadType": payload_type,
        "signatures": [{"sig": base64(signature)}],
    });
    let content = json!({"envelope": envelope.to_string(), "verifiers": verifiers});
    let proposed =
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}});
    let first = submit(&proposed);
    check_envelope(first.as_ref(), payload_type, payload);

    let content = json!({"envelope": envelope.to_string()});
    let spec = json!({"content": content, "publicKey": verifiers.first()});
    let older = submit(&json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": spec}));
    check_envelope(older.as_ref(), payload_type, payload);
    if verifiers.len() == 1 {
        assert_eq!(first.is_ok(), older.is_ok(), "one form takes what the other refuses");
    }
}

/// An envelope as an object, of which more is logged as it came.
fn intoto(input: &[u8]) {
    let mut input = Input(input);
    let (payload, signature) = (input.bytes(), input.bytes());
    let Some(payload_type) = input.text() else { return };
    let pem = input.bytes();
    let Some(keyid) = input.text() else { return };
    let proposed = json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
        "envelope": {
            "payload": base64(base64(payload).as_bytes()), "payloadType": payload_type,
            "signatures": [{
                "keyid": keyid, "publicKey": base64(pem),
                "sig": base64(base64(signature).as_bytes()),
            }],
        },
        "hash": {"algorithm": "sha256", "value": hex::encode(sha256(input.0))},
    }}});
    let entry = submit(&proposed);
    check_envelope(entry.as_ref(), payload_type, payload);
    if let Ok(entry) = entry {
        let body: Value = serde_json::from_slice(entry.body()).unwrap();
        let logged = &body["spec"]["content"]["envelope"];
        assert_eq!(logged["payloadType"], payload_type);
        assert_eq!(logged["signatures"][0]["publicKey"], base64(pem));
        assert_eq!(logged["signatures"][0]["keyid"].as_str().unwrap_or(""), keyid);
    }
}

/// What is logged of a key reads as the same key, and is what it would be logged as again.
fn verifier(pem: &[u8]) {
    let Some(hash) = key_hash(pem) else { return };
    let text = String::from_utf8_lossy(pem);
    let respelled = text.replace("\r\n", "\n").replace('\n', "\r\n");
    if let Some(other) = key_hash(respelled.as_bytes()) {
        assert_eq!(other, hash, "line ends make another key");
    }
}

fn id(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(id) = text.parse::<EntryId>() else { return };
    let written = id.to_string();
    assert_eq!(written.parse(), Ok(id));
    assert!(text.to_lowercase().ends_with(&written));
    assert_eq!(
        text.len(),
        if text.starts_with(&"0".repeat(16)) { text.len() } else { written.len() }
    );
}

fn search(json: &[u8]) {
    let Ok(query) = serde_json::from_slice::<SearchIndex>(json) else { return };
    let Ok(search) = search_keys(&query) else { return };
    assert!((1..=4).contains(&search.keys.len()));
    assert!(search.keys.iter().all(|(_, key)| !key.is_empty() && *key == key.to_lowercase()));
}

fn submit(proposed: &Value) -> Result<VerifiedEntry, EntryError> {
    let entry = verify_proposed(proposed.to_string().as_bytes(), &Options::default());
    if let Ok(entry) = &entry {
        check(entry);
    }
    entry
}

fn check_envelope(entry: Result<&VerifiedEntry, &EntryError>, payload_type: &str, payload: &[u8]) {
    if let Ok(entry) = entry
        && is_of_our_key(entry)
    {
        assert_eq!((payload_type, payload), (PAYLOAD_TYPE, PAYLOAD), "forged");
    }
}

fn is_of_our_key(entry: &VerifiedEntry) -> bool {
    let hash = hex::encode(P256.public_key().spki_sha256());
    entry.index_keys().iter().any(|(_, key)| *key == hash)
}

fn key_hash(pem: &[u8]) -> Option<String> {
    let key = json!({"publicKey": {"format": "x509", "content": base64(pem)}});
    let query: SearchIndex = serde_json::from_value(key).unwrap();
    Some(search_keys(&query).ok()?.keys.remove(0).1)
}

/// The body is canonical JSON (RFC 8785): members in order, nothing between them.
fn check(entry: &VerifiedEntry) {
    let body: Value = serde_json::from_slice(entry.body()).unwrap();
    // `Value` keeps members in the order of their names.
    assert_eq!(serde_json::to_vec(&body).unwrap(), entry.body());
    assert_eq!(
        (&body["kind"], &body["apiVersion"]),
        (&entry.kind().into(), &entry.version().into())
    );
    assert_eq!(entry.leaf_hash(), tlog::leaf_hash(entry.body()));
    assert!(entry.body().len() <= MAX_BODY_LEN);
    let keys = entry.index_keys();
    assert!((3..=MAX_INDEX_KEYS).contains(&keys.len()));
    assert!(keys.iter().all(|(_, key)| !key.is_empty() && *key == key.to_lowercase()));
}

fn base64(bytes: &[u8]) -> String {
    Base64::from(bytes).encode()
}

fn requests() -> Vec<Vec<u8>> {
    let statement = br#"{"subject":[{"digest":{"sha256":"00"}}]}"#;
    let sig = base64(&P256.sign_now(&pae(IN_TOTO_PAYLOAD_TYPE, statement)).unwrap());
    let key = base64(PEM.as_bytes());
    let envelope = json!({
        "payload": base64(statement), "payloadType": IN_TOTO_PAYLOAD_TYPE,
        "signatures": [{"sig": sig}],
    });
    let mut newer = envelope.clone();
    newer["payload"] = json!(base64(base64(statement).as_bytes()));
    newer["signatures"] = json!([{"sig": base64(sig.as_bytes()), "publicKey": key}]);
    let hash = json!({"algorithm": "sha256", "value": hex::encode(&*DIGEST)});
    let text = envelope.to_string();
    let specs = [
        (
            "hashedrekord",
            "0.0.1",
            json!({
                "data": {"hash": hash},
                "signature": {"content": base64(&SIGNATURE), "publicKey": {"content": key}},
            }),
        ),
        ("dsse", "0.0.1", json!({"proposedContent": {"envelope": text, "verifiers": [key]}})),
        ("intoto", "0.0.1", json!({"content": {"envelope": text}, "publicKey": key})),
        ("intoto", "0.0.2", json!({"content": {"envelope": newer, "hash": hash}})),
    ];
    let made = specs.map(|(kind, version, spec)| {
        json!({"kind": kind, "apiVersion": version, "spec": spec}).to_string().into_bytes()
    });
    made.into_iter().chain(vectors::folder("rekor1")).collect()
}

fn envelopes() -> Vec<Vec<u8>> {
    vec![joined([PAYLOAD, &ENVELOPE_SIGNATURE, PAYLOAD_TYPE.as_bytes(), PEM.as_bytes()])]
}

fn pems() -> Vec<Vec<u8>> {
    let certificates = certificates::leaves();
    let chain: String = certificates.iter().map(|der| x509::to_pem(der)).collect();
    let single = certificates.iter().map(|der| x509::to_pem(der).into_bytes());
    single.chain([PEM.clone().into_bytes(), chain.into_bytes()]).collect()
}

fn searches() -> Vec<Vec<u8>> {
    let key = json!({"format": "x509", "content": base64(PEM.as_bytes())});
    let queries = [
        json!({"email": "a@b", "hash": "00".repeat(32), "operator": "and"}),
        json!({"subject": "https://a/", "publicKey": key, "hash": format!("sha1:{}", "00".repeat(20))}),
    ];
    queries.map(|query| query.to_string().into_bytes()).into()
}
