//! Entries of public Rekor v1 logs: each is proposed again, made of what its bundle holds, and must
//! come out as it was logged.

use std::collections::BTreeMap;

use crypto::{HashAlgorithm, PublicKey, SignatureError};
use entry::{
    EntryError, VerifiedEntry,
    rekor1::{EntryId, Options, set_payload, verify_proposed},
};
use serde_json::{Value, json};
use tlog::{LeafIndex, NodeHash, SignedNote, verify_inclusion};
use wire::{Base64, bundle::TransparencyLogEntry, trust::TrustedRoot};

use super::{
    common::{base64, hashedrekord, pem_of_certificate, verify},
    vectors::folder,
};

/// Bundles that were made wrong on purpose, in what goes into the entry.
const BROKEN: [&str; 3] = [
    "dsse-2sigs.sigstore.json",
    "bundle_cve_2022_36056.txt.sigstore",
    "bundle_no_cert_v1.txt.sigstore",
];

/// A bundle, read as plain JSON: some are not quite the shape, which is no matter here.
struct Golden {
    name: String,
    bundle: Value,
    entry: TransparencyLogEntry,
    kind: String,
}

/// Every entry once, out of the bundle that shows the most of it.
fn goldens() -> Vec<Golden> {
    let mut goldens: BTreeMap<Vec<u8>, Golden> = BTreeMap::new();
    for client in ["cosign", "go", "js", "python"] {
        for (name, file) in folder(&format!("bundles/{client}")) {
            let Some(golden) = Golden::read(&name, &file) else { continue };
            let before = goldens.get(golden.body());
            if before.is_none_or(|before| before.evidence() < golden.evidence()) {
                goldens.insert(golden.body().to_vec(), golden);
            }
        }
    }
    goldens.into_values().collect()
}

impl Golden {
    /// `None` for a file without an entry of Rekor v1.
    fn read(name: &str, file: &[u8]) -> Option<Self> {
        let bundle: Value = serde_json::from_slice(file).ok()?;
        let entry = bundle["verificationMaterial"]["tlogEntries"][0].clone();
        let entry: TransparencyLogEntry = serde_json::from_value(entry).ok()?;
        let body: Value = serde_json::from_slice(entry.canonicalized_body.as_slice()).ok()?;
        let kind = format!("{} {}", body["kind"].as_str()?, body["apiVersion"].as_str()?);
        let wanted = kind != "hashedrekord 0.0.2" && !BROKEN.contains(&name);
        wanted.then(|| Self { name: name.to_owned(), bundle, entry, kind })
    }

    /// How much of SET and signed proof there is.
    fn evidence(&self) -> usize {
        usize::from(self.entry.inclusion_promise.is_some())
            + usize::from(self.checkpoint().is_some())
    }

    fn checkpoint(&self) -> Option<SignedNote> {
        let checkpoint = self.entry.inclusion_proof.as_ref()?.checkpoint.as_ref()?;
        Some(checkpoint.envelope.parse().unwrap())
    }

    fn log_id(&self) -> [u8; 32] {
        self.entry.log_id.key_id.as_slice().try_into().unwrap()
    }

    fn body(&self) -> &[u8] {
        self.entry.canonicalized_body.as_slice()
    }

    fn logged(&self) -> Value {
        serde_json::from_slice(self.body()).unwrap()
    }

    /// The proposed entry, of which the log made the body.
    fn proposed(&self) -> Value {
        let (kind, version) = self.kind.split_once(' ').unwrap();
        let spec = match kind {
            "hashedrekord" => self.hashedrekord(),
            "dsse" => self.dsse(),
            _ => self.intoto(),
        };
        json!({"apiVersion": version, "kind": kind, "spec": spec})
    }

    /// The signer's certificate or key, as clients write PEM.
    fn pem(&self) -> String {
        let material = &self.bundle["verificationMaterial"];
        let chain = &material["x509CertificateChain"]["certificates"][0]["rawBytes"];
        let single = &material["certificate"]["rawBytes"];
        match chain.as_str().or(single.as_str()) {
            Some(certificate) => pem_of_certificate(&decode(certificate)),
            // The only bundle of a bare key is npm's.
            None => String::from_utf8(vectors::read("bundles/go/publish_key.pub")).unwrap(),
        }
    }

    fn hashedrekord(&self) -> Value {
        let message = &self.bundle["messageSignature"];
        assert_eq!(message["messageDigest"]["algorithm"], "SHA2_256");
        let digest = decode(message["messageDigest"]["digest"].as_str().unwrap());
        json!({
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(digest)}},
            "signature": {
                "content": message["signature"],
                "publicKey": {"content": base64(self.pem().as_bytes())},
            },
        })
    }

    /// Clients write the envelope each in its own order; the logged hash tells which it was.
    fn dsse(&self) -> Value {
        let envelope = &self.bundle["dsseEnvelope"];
        let (payload, payload_type) = (&envelope["payload"], &envelope["payloadType"]);
        let sig = &envelope["signatures"][0]["sig"];
        let texts = [
            format!(
                r#"{{"payload":{payload},"payloadType":{payload_type},"signatures":[{{"sig":{sig},"keyid":""}}]}}"#
            ),
            format!(
                r#"{{"payload":{payload},"payloadType":{payload_type},"signatures":[{{"sig":{sig}}}]}}"#
            ),
            format!(
                r#"{{"payloadType":{payload_type},"payload":{payload},"signatures":[{{"sig":{sig}}}]}}"#
            ),
            format!(
                r#"{{"payloadType":{payload_type},"payload":{payload},"signatures":[{{"keyid":"","sig":{sig}}}]}}"#
            ),
        ];
        let logged = self.logged()["spec"]["envelopeHash"]["value"].as_str().unwrap().to_owned();
        let text = texts.iter().find(|text| hex::encode(crypto::sha256(text.as_bytes())) == logged);
        let text = text.unwrap_or_else(|| panic!("{}: another envelope", self.name));
        let verifier = base64(self.pem().as_bytes());
        json!({"proposedContent": {"envelope": text, "verifiers": [verifier]}})
    }

    /// Payload and signature in base64 of base64; the hash is the client's own.
    fn intoto(&self) -> Value {
        let envelope = &self.bundle["dsseEnvelope"];
        let twice = |text: &Value| base64(text.as_str().unwrap().as_bytes());
        let logged = &self.logged()["spec"]["content"];
        // Kept as it came, and some clients sent it without the final newline.
        let pem = self.pem();
        let sent = decode(logged["envelope"]["signatures"][0]["publicKey"].as_str().unwrap());
        assert_eq!(String::from_utf8(sent.clone()).unwrap().trim(), pem.trim(), "{}", self.name);
        json!({"content": {
            "envelope": {
                "payload": twice(&envelope["payload"]),
                "payloadType": envelope["payloadType"],
                "signatures": [{
                    "keyid": envelope["signatures"][0]["keyid"],
                    "sig": twice(&envelope["signatures"][0]["sig"]),
                    "publicKey": base64(&sent),
                }],
            },
            "hash": logged["hash"],
        }})
    }
}

fn decode(text: &str) -> Vec<u8> {
    Base64::decode(text).unwrap().0
}

/// Runs `check` on every entry that upstream logged and this crate verifies, and counts them by kind.
fn each(check: impl Fn(&Golden, &VerifiedEntry) -> bool) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for golden in goldens() {
        let verified = verify(&golden.proposed()).unwrap_or_else(|error| {
            panic!("{}: {error}", golden.name);
        });
        if check(&golden, &verified) {
            *counts.entry(golden.kind.clone()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn bodies_and_leaves_are_those_that_were_logged() {
    let counts = each(|golden, verified| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(verified.body()), text(golden.body()), "{}", golden.name);
        assert_eq!(verified.leaf_hash(), tlog::leaf_hash(golden.body()));
        assert_eq!(format!("{} {}", verified.kind(), verified.version()), golden.kind);
        true
    });
    assert_counts(&counts, [2, 10, 5]);
}

#[test]
fn sets_sign_the_payload_of_the_rebuilt_body() {
    let keys = log_keys();
    let counts = each(|golden, verified| {
        let Some(set) = &golden.entry.inclusion_promise else { return false };
        let time = u64::try_from(golden.entry.integrated_time).unwrap();
        let index = u64::try_from(golden.entry.log_index).unwrap();
        let payload = set_payload(
            verified.body(),
            moment::UnixSeconds(time),
            &golden.log_id(),
            LeafIndex(index),
        );
        let key = &keys[&golden.log_id()];
        key.verify(&payload, set.signed_entry_timestamp.as_slice()).expect(&golden.name);
        true
    });
    assert_counts(&counts, [2, 9, 5]);
}

#[test]
fn rebuilt_leaves_are_in_the_trees_of_signed_checkpoints() {
    let keys = log_keys();
    let counts = each(|golden, verified| {
        let Some(note) = golden.checkpoint() else { return false };
        let key = &keys[&golden.log_id()];
        let host = note.text.split(" - ").next().unwrap();
        let checkpoint =
            note.verified_checkpoint(key, host, &key.spki_sha256()).expect(&golden.name);
        let proof = golden.entry.inclusion_proof.as_ref().unwrap();
        let path: Vec<NodeHash> =
            proof.hashes.iter().map(|hash| hash.as_slice().try_into().unwrap()).collect();
        let index = u64::try_from(proof.log_index).unwrap();
        verify_inclusion(&verified.leaf_hash(), LeafIndex(index), &path, &checkpoint.head).unwrap();

        let tree_id: i64 = checkpoint.origin.rsplit_once(" - ").unwrap().1.parse().unwrap();
        let id = EntryId { tree_id: Some(tree_id), leaf_hash: verified.leaf_hash() };
        let uuid = format!("{tree_id:016x}{}", hex::encode(tlog::leaf_hash(golden.body())));
        assert_eq!((id.to_string(), uuid.parse()), (uuid, Ok(id)));
        true
    });
    assert_counts(&counts, [2, 8, 2]);
}

/// That so many entries of dsse 0.0.1, hashedrekord 0.0.1 and intoto 0.0.2 were checked.
fn assert_counts(counts: &BTreeMap<String, usize>, [dsse, hashedrekord, intoto]: [usize; 3]) {
    let expected =
        [("dsse 0.0.1", dsse), ("hashedrekord 0.0.1", hashedrekord), ("intoto 0.0.2", intoto)];
    assert_eq!(*counts, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

/// The keys of all logs that some trusted root has, by log id.
fn log_keys() -> BTreeMap<[u8; 32], PublicKey> {
    let mut keys = BTreeMap::new();
    for name in ["public-good", "staging", "go-scaffolding"] {
        let root = vectors::read(format!("trusted-roots/{name}.json"));
        let root: TrustedRoot = serde_json::from_slice(&root).unwrap();
        for log in root.tlogs {
            let key = PublicKey::from_spki_der(log.public_key.raw_bytes.as_slice()).unwrap();
            keys.insert(key.spki_sha256(), key);
        }
    }
    keys
}

// The folder's README speaks of secp256k1; the key is P-256.
#[test]
fn logs_the_signatures_of_rekors_client_algorithms() {
    for (key, hash, signature) in [
        ("ec", "sha256", "file1.ec"),
        ("rsa", "sha256", "file1.rsa"),
        ("ed25519", "sha512", "file1.ed25519ph"),
    ] {
        let proposed = client_algorithm(key, hash, signature);
        verify(&proposed).expect(signature);
    }
}

#[test]
fn refuses_what_rekors_client_algorithms_refuse() {
    let pure = client_algorithm("ed25519", "sha512", "file1.ed25519");
    assert!(matches!(verify(&pure), Err(EntryError::Signature(SignatureError::Mismatch))));
    let rsa512 = client_algorithm("rsa", "sha512", "file2.rsa512");
    assert!(matches!(verify(&rsa512), Err(EntryError::HashDoesNotFit { .. })));
}

fn client_algorithm(key: &str, hash: &str, signature: &str) -> Value {
    let file = |name: &str| vectors::read(format!("rekor1/client-algorithms/{name}"));
    let (artifact, _) = signature.split_once('.').unwrap();
    let algorithm = if hash == "sha256" { HashAlgorithm::Sha256 } else { HashAlgorithm::Sha512 };
    let digest = crypto::digest(algorithm, &file(artifact));
    let (signature, pem) = (file(&format!("{signature}.sig")), file(&format!("{key}_public.pem")));
    hashedrekord(hash, &hex::encode(digest), &signature, &pem)
}

#[test]
fn logs_the_models_of_rekors_own_tests() {
    for (name, kind) in [("model-dsse", "dsse"), ("model-hashedrekord", "hashedrekord")] {
        let model = vectors::read(format!("rekor1/{name}.json"));
        let entry = verify_proposed(&model, &Options::default()).unwrap();
        assert_eq!((entry.kind(), entry.version()), (kind, "0.0.1"));
    }
}

// The model says 0.0.2, and has the members of 0.0.1.
#[test]
fn logs_the_intoto_model_as_the_version_that_it_is() {
    let model = vectors::read("rekor1/model-intoto.json");
    assert!(matches!(verify_proposed(&model, &Options::default()), Err(EntryError::Malformed(_))));
    let mut model: Value = serde_json::from_slice(&model).unwrap();
    model["apiVersion"] = json!("0.0.1");
    let entry = verify(&model).unwrap();
    let body: Value = serde_json::from_slice(entry.body()).unwrap();
    assert_eq!(body["spec"]["content"]["hash"], model["spec"]["content"]["hash"]);
    assert_eq!(entry.body(), serde_json_canonicalizer::to_vec(&body).unwrap());
}

#[test]
fn logs_an_envelope_that_two_keys_signed() {
    let envelope = vectors::read("rekor1/types/intoto_multi_dsse.json");
    let pem = |name: &str| base64(&vectors::read(format!("rekor1/types/{name}.pem")));
    let (ec, rsa) = (pem("intoto_dsse"), pem("intoto_multi_pub2"));
    let proposed = |verifiers: Value| {
        let envelope = std::str::from_utf8(&envelope).unwrap();
        let content = json!({"envelope": envelope, "verifiers": verifiers});
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}})
    };
    let entry = verify(&proposed(json!([ec, rsa]))).unwrap();
    assert_eq!(entry.body(), verify(&proposed(json!([rsa, ec]))).unwrap().body());
    let body: Value = serde_json::from_slice(entry.body()).unwrap();
    assert_eq!(body["spec"]["signatures"].as_array().unwrap().len(), 2);
    assert!(matches!(verify(&proposed(json!([ec]))), Err(EntryError::NoVerifierFits(1))));
}
