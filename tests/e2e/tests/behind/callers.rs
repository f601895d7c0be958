//! Callers who write through the proxies, and read back at once what they wrote.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use crypto::{KeyType, LocalSigner, Signer, sha256};
use ct::LogEntry;
use e2e::{bundle_path, bundled_entries, unhex};
use moment::UnixMillis;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tlog::{LeafIndex, NodeHash, TreeHead, TreeSize, leaf_hash, verify_inclusion};
use tokio::{task::JoinSet, time::sleep};

/// Who writes and reads at once.
const CALLERS: usize = 16;
/// Which of the logs.
const REKOR2: usize = 0;
const REKOR1: usize = 1;
const CT: usize = 2;

/// A CA whose certificates the CT log takes.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { params, key, der, pem }
    }

    fn leaf(&self) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let random: [u8; 16] = crypto::random_bytes();
        params.serial_number = Some([&[1], random.as_slice()].concat().into());
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&self.key, &issuer).unwrap().der().to_vec()
    }
}

/// What all callers share.
pub(crate) struct Load {
    bases: [String; 3],
    http: reqwest::Client,
    signer: LocalSigner,
    authority: Authority,
    /// The largest tree of each log that anybody was told of.
    seen: [AtomicU64; 3],
    pub(crate) written: AtomicU64,
    /// 503, or no answer: to be tried again.
    pub(crate) refused: AtomicU64,
    /// What must not happen, each with what it was.
    pub(crate) absent: Mutex<Vec<String>>,
    pub(crate) smaller: Mutex<Vec<String>>,
}

impl Load {
    pub(crate) fn new(ports: [u16; 3], authority: Authority) -> Arc<Self> {
        Arc::new(Self {
            bases: ports.map(|port| format!("http://127.0.0.1:{port}")),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            signer: LocalSigner::generate(KeyType::EcdsaP256, "caller").unwrap(),
            authority,
            seen: Default::default(),
            written: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            absent: Mutex::default(),
            smaller: Mutex::default(),
        })
    }

    /// Writes and reads back from all callers until `is_enough` of what was written since.
    pub(crate) async fn run(
        self: &Arc<Self>,
        is_enough: impl Fn(u64) -> bool + Clone + Send + 'static,
    ) {
        let before = self.written.load(Ordering::SeqCst);
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (load, is_enough) = (Arc::clone(self), is_enough.clone());
            callers.spawn(async move {
                let mut log = caller;
                while !is_enough(load.written.load(Ordering::SeqCst) - before) {
                    match log % 3 {
                        REKOR2 => load.rekor2().await,
                        REKOR1 => load.rekor1().await,
                        _ => load.ct().await,
                    }
                    load.written.fetch_add(1, Ordering::SeqCst);
                    log += 1;
                }
            });
        }
        callers.join_all().await;
    }

    /// An entry of Rekor v2, then the checkpoint, and the entry in the bundle of that tree.
    async fn rekor2(&self) {
        let (artifact, signature) = self.signed();
        let key = STANDARD.encode(self.signer.public_key().spki_der());
        let request = json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(sha256(&artifact)),
            "signature": {"content": signature, "verifier": {
                "publicKey": {"rawBytes": key}, "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            }},
        }});
        let entry = self.write(REKOR2, "/api/v2/log/entries", &request, |entry| {
            number(&entry["inclusionProof"]["treeSize"])
        });
        let entry = entry.await;
        let (body, index) = (decoded(&entry["canonicalizedBody"]), number(&entry["logIndex"]));
        let proof = &entry["inclusionProof"];
        let head = head(number(&proof["treeSize"]), hash(&decoded(&proof["rootHash"])));
        proven(&body, index, &hashes(&proof["hashes"], decoded), head);

        let note = self.read(REKOR2, "/checkpoint", |note| {
            let text = String::from_utf8(note.to_vec()).unwrap();
            Some(text.lines().nth(1).unwrap().parse().unwrap())
        });
        let note = String::from_utf8(note.await.to_vec()).unwrap();
        let size = TreeSize(note.lines().nth(1).unwrap().parse().unwrap());
        if size.0 <= index {
            return remember(&self.smaller, format!("{size} entries, without entry {index}"));
        }
        let path = bundle_path(index / 256, size).unwrap();
        let bundle = self.read(REKOR2, &format!("/{path}"), |_| None).await;
        let entries = bundled_entries(&bundle).unwrap();
        assert_eq!(entries[usize::try_from(index % 256).unwrap()], body, "entry {index}");
    }

    /// An entry of Rekor v1, then by id, by index, the log's size, and the same once more.
    async fn rekor1(&self) {
        let (artifact, signature) = self.signed();
        let request = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha256(&artifact))}},
            "signature": {"content": signature, "publicKey": {
                "content": STANDARD.encode(self.signer.public_key().to_pem()),
            }},
        }});
        let path = "/api/v1/log/entries";
        let size =
            |answer: &Value| number(&only(answer).1["verification"]["inclusionProof"]["treeSize"]);
        let written = self.write(REKOR1, path, &request, size).await;
        let (id, index) = (only(&written).0.clone(), number(&only(&written).1["logIndex"]));
        for path in [format!("{path}/{id}"), format!("{path}?logIndex={index}")] {
            let read = self.read(REKOR1, &path, |answer| Some(size(&parsed(answer)))).await;
            let answer = parsed(&read);
            let (found, entry) = only(&answer);
            let proof = &entry["verification"]["inclusionProof"];
            let root = hash(&unhex(proof["rootHash"].as_str().unwrap()).unwrap());
            let of_hex = |text: &Value| unhex(text.as_str().unwrap()).unwrap();
            let (body, head) = (decoded(&entry["body"]), head(number(&proof["treeSize"]), root));
            proven(&body, index, &hashes(&proof["hashes"], of_hex), head);
            assert_eq!((found, number(&entry["logIndex"])), (&id, index));
        }
        self.read(REKOR1, "/api/v1/log", |answer| Some(number(&parsed(answer)["treeSize"]))).await;
        let again = self.write(REKOR1, path, &request, size).await;
        assert_eq!((only(&again).0, number(&only(&again).1["logIndex"])), (&id, index));
    }

    /// A certificate in the CT log, then the tree head, and its proof in that tree.
    async fn ct(&self) {
        let leaf = self.authority.leaf();
        let chain = [&leaf, &self.authority.der].map(|der| STANDARD.encode(der));
        let sct = self.write(CT, "/ct/v1/add-chain", &json!({"chain": chain}), |_| 0).await;
        let timestamp = UnixMillis(number(&sct["timestamp"]));
        let entry = LogEntry::Certificate(leaf);
        let body = ct::merkle_tree_leaf(&entry, timestamp, &[]).unwrap();

        let size = |answer: &Bytes| Some(number(&parsed(answer)["tree_size"]));
        let tree = parsed(&self.read(CT, "/ct/v1/get-sth", size).await);
        let (size, root) = (number(&tree["tree_size"]), hash(&decoded(&tree["sha256_root_hash"])));
        // Its `+` would be a blank.
        let wanted = STANDARD.encode(leaf_hash(&body).0).replace('+', "%2B");
        let path = format!("/ct/v1/get-proof-by-hash?hash={wanted}&tree_size={size}");
        let proof = parsed(&self.read(CT, &path, |_| None).await);
        proven(
            &body,
            number(&proof["leaf_index"]),
            &hashes(&proof["audit_path"], decoded),
            head(size, root),
        );
    }

    fn signed(&self) -> (Vec<u8>, String) {
        let artifact = crypto::random_bytes::<32>().to_vec();
        let signature = STANDARD.encode(self.signer.sign_now(&artifact).unwrap());
        (artifact, signature)
    }

    /// Repeats it until it is taken, as a client does.
    async fn write(
        &self,
        log: usize,
        path: &str,
        body: &Value,
        size: impl Fn(&Value) -> u64,
    ) -> Value {
        loop {
            let seen = self.seen[log].load(Ordering::SeqCst);
            let url = format!("{}{path}", self.bases[log]);
            let answer = self.http.post(url).body(body.to_string()).send().await.unwrap();
            if let Some(bytes) = self.taken(path, answer).await {
                let answer = parsed(&bytes);
                // A timestamp names no tree.
                if log != CT {
                    self.see(log, (seen, size(&answer)), path);
                }
                return answer;
            }
        }
    }

    /// Reads, and looks at the size that it says; what is absent is noted, and asked for again.
    async fn read(&self, log: usize, path: &str, size: impl Fn(&Bytes) -> Option<u64>) -> Bytes {
        loop {
            let seen = self.seen[log].load(Ordering::SeqCst);
            let answer = self.http.get(format!("{}{path}", self.bases[log])).send().await.unwrap();
            let status = answer.status();
            // A CT log says 400 of a size or an index that it does not have.
            if status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST {
                remember(
                    &self.absent,
                    format!("{path}: {status} {}", answer.text().await.unwrap()),
                );
                sleep(PAUSE).await;
                continue;
            }
            if let Some(bytes) = self.taken(path, answer).await {
                if let Some(size) = size(&bytes) {
                    self.see(log, (seen, size), path);
                }
                return bytes;
            }
        }
    }

    /// The body of a good answer; none of one that has to be tried again.
    async fn taken(&self, path: &str, answer: reqwest::Response) -> Option<Bytes> {
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        match status {
            StatusCode::OK | StatusCode::CREATED => Some(bytes),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                sleep(PAUSE).await;
                None
            }
            other => panic!("{path}: {other} {}", String::from_utf8_lossy(&bytes)),
        }
    }

    /// Nobody who asked after `seen` was answered may be told of less.
    fn see(&self, log: usize, (seen, size): (u64, u64), path: &str) {
        if size < seen {
            remember(&self.smaller, format!("{path}: {size} after {seen}"));
        }
        self.seen[log].fetch_max(size, Ordering::SeqCst);
    }
}

fn remember(notes: &Mutex<Vec<String>>, what: String) {
    let mut notes = notes.lock().unwrap();
    notes.push(what);
    assert!(notes.len() < 100, "{:?}", notes.first());
}

/// Before the next attempt.
const PAUSE: Duration = Duration::from_millis(100);

fn proven(body: &[u8], index: u64, path: &[NodeHash], head: TreeHead) {
    verify_inclusion(&leaf_hash(body), LeafIndex(index), path, &head).unwrap();
}

fn head(size: u64, root: NodeHash) -> TreeHead {
    TreeHead { size: TreeSize(size), root }
}

fn hash(bytes: &[u8]) -> NodeHash {
    NodeHash(bytes.try_into().unwrap())
}

/// Members that are empty are left out.
fn hashes(value: &Value, decode: impl Fn(&Value) -> Vec<u8>) -> Vec<NodeHash> {
    let hashes = value.as_array().map(Vec::as_slice).unwrap_or_default();
    hashes.iter().map(|value| hash(&decode(value))).collect()
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// Of JSON as Rekor v1 and CT have it, or of protobuf.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

fn parsed(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn only(answer: &Value) -> (&String, &Value) {
    answer.as_object().unwrap().iter().next().unwrap()
}
