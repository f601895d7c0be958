//! The Rekor v1 API against what nobody should send: the right status and words, by the real process.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer, sha256};
use e2e::{Database, Stack, hex};
use reqwest::header::{ETAG, HeaderMap, LOCATION};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const ARTIFACT: &[u8] = b"artifact";

fn base64_of(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A running Rekor v1.
struct Log {
    stack: Stack,
    runtime: Runtime,
    http: reqwest::Client,
}

/// What it answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A refusal in the API's form that says `words`.
    fn refuses(&self, status: u16, words: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json();
        assert!(error["code"].is_u64(), "{self:?}");
        let message = error["message"].as_str().unwrap();
        for word in words {
            assert!(message.contains(word), "`{word}` is not in `{message}`");
        }
    }
}

impl Log {
    fn new() -> Self {
        let stack = Stack::start(Database::Sqlite).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { stack, runtime: Runtime::new().unwrap(), http }
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, text: response.text().await.unwrap() }
        })
    }

    fn post(&self, path: &str, body: impl Into<String>) -> Answer {
        let url = format!("{}{path}", self.stack.ready("rekor1"));
        let request = self.http.post(url).header("content-type", "application/json");
        self.send(request.body(body.into()))
    }

    fn propose(&self, entry: &Value) -> Answer {
        self.post("/api/v1/log/entries", entry.to_string())
    }

    fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.stack.ready("rekor1"))))
    }

    fn size(&self) -> u64 {
        self.get("/api/v1/log").json()["treeSize"].as_u64().unwrap()
    }
}

fn key() -> LocalSigner {
    LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap()
}

fn hashedrekord(key: &LocalSigner) -> Value {
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": hex(&sha256(ARTIFACT))}},
        "signature": {"content": base64_of(key.sign_now(ARTIFACT).unwrap()),
            "publicKey": {"content": base64_of(key.public_key().to_pem())}}}})
}

/// An in-toto envelope: the only kind whose body has a text of the sender's, the key id.
fn intoto(key: &LocalSigner, keyid: &str) -> Value {
    let payload_type = "application/vnd.in-toto+json";
    let payload = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[]}"#;
    let length = payload.len();
    let mut signed = format!("DSSEv1 {} {payload_type} {length} ", payload_type.len()).into_bytes();
    signed.extend_from_slice(payload);
    json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
        "envelope": {"payloadType": payload_type, "payload": base64_of(base64_of(payload)),
            "signatures": [{"keyid": keyid,
                "sig": base64_of(base64_of(key.sign_now(&signed).unwrap())),
                "publicKey": base64_of(key.public_key().to_pem())}]},
        "hash": {"algorithm": "sha256", "value": hex(&sha256(payload))}}}})
}

fn with(entry: &Value, place: &str, value: Value) -> Value {
    let mut changed = entry.clone();
    *changed.pointer_mut(place).unwrap() = value;
    changed
}

#[test]
fn refuses_entries_that_prove_nothing_and_logs_none_of_them() {
    let log = Log::new();
    let before = log.size();
    let (key, other) = (key(), key());
    let good = hashedrekord(&key);
    let hash = "/spec/data/hash";
    let pem = "/spec/signature/publicKey/content";
    // X25519 (RFC 8410), which signs nothing.
    let x25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n-----END PUBLIC KEY-----\n";
    let ed25519 = LocalSigner::generate(KeyType::Ed25519, "test").unwrap();
    for (what, entry) in [
        (
            "the hash of another artifact",
            with(&good, hash, json!({"algorithm": "sha256", "value": hex(&sha256(b"other"))})),
        ),
        (
            "a hash of another length",
            with(&good, hash, json!({"algorithm": "sha512", "value": hex(&sha256(ARTIFACT))})),
        ),
        ("a hash that is not hex", with(&good, "/spec/data/hash/value", json!("z".repeat(64)))),
        (
            "a hash with its algorithm before it",
            with(
                &good,
                "/spec/data/hash/value",
                json!(format!("sha256:{}", hex(&sha256(ARTIFACT)))),
            ),
        ),
        ("an unknown hash", with(&good, "/spec/data/hash/algorithm", json!("md5"))),
        (
            "a signature of another key",
            with(&good, pem, json!(base64_of(other.public_key().to_pem()))),
        ),
        ("a key that signs nothing", with(&good, pem, json!(base64_of(x25519)))),
        // Over a digest only Ed25519ph can be verified.
        ("pure Ed25519", hashedrekord(&ed25519)),
        ("a key that is none", with(&good, pem, json!(base64_of("text")))),
        ("no base64", with(&good, "/spec/signature/content", json!("!"))),
        ("an empty signature", with(&good, "/spec/signature/content", json!(""))),
        ("no spec", json!({"apiVersion": "0.0.1", "kind": "hashedrekord"})),
    ] {
        let answer = log.propose(&entry);
        assert!([400, 422].contains(&answer.status), "{what}: {answer:?}");
        assert!(!answer.json()["message"].as_str().unwrap().is_empty(), "{what}");
    }
    for text in ["", "{", "[]", "null", "\"text\"", "{\"kind\":1}"] {
        let answer = log.post("/api/v1/log/entries", text);
        assert!([400, 422].contains(&answer.status), "{text}: {answer:?}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(log.post("/api/v1/log/entries", deep).status, 400);
    assert_eq!(log.size(), before, "something was logged");
}

#[test]
fn names_what_it_supports_to_who_asks_for_something_else() {
    let log = Log::new();
    let good = hashedrekord(&key());
    for (place, value) in [
        ("/kind", "rpm"),
        ("/kind", "Hashedrekord"),
        ("/apiVersion", "0.0.2"),
        ("/apiVersion", "1"),
    ] {
        let answer = log.propose(&with(&good, place, json!(value)));
        answer.refuses(400, &["hashedrekord", "0.0.1"]);
    }
    log.propose(&with(&good, "/kind", json!("rpm"))).refuses(400, &["dsse", "intoto", "0.0.2"]);
}

#[test]
fn refuses_what_is_too_long_and_names_the_limit() {
    let log = Log::new();
    let key = key();
    let body_of = |answer: &Answer| {
        let answer = answer.json();
        let (_, entry) = answer.as_object().unwrap().iter().next().unwrap();
        STANDARD.decode(entry["body"].as_str().unwrap()).unwrap().len()
    };
    // How long a body is without its key id: signatures differ by a byte or two.
    let probe = intoto(&key, "k");
    let answer = log.propose(&probe);
    assert_eq!(answer.status, 201, "{answer:?}");
    let bare = body_of(&answer) - 1;
    let keyid = "/spec/content/envelope/signatures/0/keyid";
    let fits = log.propose(&with(&probe, keyid, json!("k".repeat(65_535 - bare))));
    assert_eq!((fits.status, body_of(&fits)), (201, 65_535));
    let longer = log.propose(&with(&probe, keyid, json!("k".repeat(65_536 - bare))));
    longer.refuses(413, &["65535", "65536"]);
    let request = log.post("/api/v1/log/entries", " ".repeat(4 * 1024 * 1024 + 1));
    request.refuses(413, &["4194304"]);
}

#[test]
fn gives_a_stored_entry_again() {
    let log = Log::new();
    let entry = hashedrekord(&key());
    let (first, again) = (log.propose(&entry), log.propose(&entry));
    assert_eq!((first.status, again.status), (201, 201), "{again:?}");
    let id = first.headers[ETAG].to_str().unwrap();
    assert!(id.len() == 80 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(first.headers[LOCATION], format!("/api/v1/log/entries/{id}"));
    assert_eq!(again.headers[ETAG], first.headers[ETAG]);
    let (first, again) = (first.json(), again.json());
    for member in ["body", "integratedTime", "logID", "logIndex"] {
        assert_eq!(first[id][member], again[id][member], "{member}");
    }
    let set = "signedEntryTimestamp";
    assert_eq!(first[id]["verification"][set], again[id]["verification"][set]);
    let got = log.get(&format!("/api/v1/log/entries/{id}")).json();
    assert_eq!(got[id]["verification"][set], first[id]["verification"][set]);
    assert_eq!(log.size(), first[id]["logIndex"].as_u64().unwrap() + 1, "it was logged twice");
}

#[test]
fn refuses_questions_that_cannot_be_meant() {
    let log = Log::new();
    let id = "0".repeat(64);
    for (path, status) in [
        ("/api/v1/log/entries?logIndex=-1", 422),
        ("/api/v1/log/entries?logIndex=x", 422),
        ("/api/v1/log/entries", 422),
        ("/api/v1/log/entries?logIndex=99999", 404),
        ("/api/v1/log/entries/zz", 422),
        ("/api/v1/log/proof?lastSize=0", 422),
        ("/api/v1/log/proof?firstSize=2&lastSize=1", 400),
        ("/api/v1/log/proof?lastSize=99999", 400),
        ("/api/v1/log/publicKey?treeID=1", 400),
        ("/api/v1/nothing", 404),
    ] {
        assert_eq!(log.get(path).status, status, "{path}");
    }
    assert_eq!(log.get(&format!("/api/v1/log/entries/{id}")).status, 404);
    let negative = format!("ffffffffffffffff{id}");
    assert_eq!(log.get(&format!("/api/v1/log/entries/{negative}")).status, 400);
    let retrieve = |body: Value| log.post("/api/v1/log/entries/retrieve", body.to_string());
    assert_eq!(retrieve(json!({"logIndexes": [0]})).json().as_array().unwrap().len(), 1);
    assert_eq!(retrieve(json!({"logIndexes": [99_999]})).json(), json!([]));
    retrieve(json!({"logIndexes": (0..11).collect::<Vec<_>>()})).refuses(422, &["10"]);
    retrieve(json!({"logIndexes": (0..9).collect::<Vec<_>>(), "entryUUIDs": [id, id]}))
        .refuses(422, &["10"]);
    let search = |body: Value| log.post("/api/v1/index/retrieve", body.to_string());
    assert_eq!(search(json!({})).status, 400);
    let hash = hex(&sha256(b"nobody logged this"));
    for form in [hash.clone(), format!("sha256:{hash}")] {
        assert_eq!(search(json!({"hash": form})).json(), json!([]));
    }
    for form in
        ["abc".to_owned(), format!("sha512:{hash}"), format!("md5:{hash}"), format!("{hash}0")]
    {
        assert_eq!(search(json!({"hash": form})).status, 422, "{form}");
    }
    let url = json!({"publicKey": {"format": "x509", "url": "http://127.0.0.1:1/key"}});
    assert!([400, 422].contains(&search(url).status));
}
