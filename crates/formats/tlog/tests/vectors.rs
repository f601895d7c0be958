//! Proofs and checkpoints made by other implementations, and `rs_merkle` as an independent oracle.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its vectors has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::PublicKey;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tlog::{
    BatchTree, Edge, KeyIdKind, LeafHash, LeafIndex, NodeHash, ProofError, ProofPlan, SignedNote,
    TreeHead, TreeSize, leaf_hash, log_key_id, node_hash, root_of, verify_consistency,
    verify_inclusion,
};

fn json_files(folder: &str) -> Vec<PathBuf> {
    let mut files = vectors::files(folder);
    files.retain(|path| path.extension().is_some_and(|e| e == "json" || e == "sigstore"));
    files
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Base64; `null` for nothing.
fn bytes(text: Option<&str>) -> Vec<u8> {
    STANDARD.decode(text.unwrap_or_default()).unwrap()
}

/// The hashes, or `None` when one has not 32 bytes, which our types cannot even hold.
fn hashes(texts: Option<Vec<String>>) -> Option<Vec<NodeHash>> {
    texts.unwrap_or_default().iter().map(|text| hash(Some(text))).collect()
}

fn hash(text: Option<&str>) -> Option<NodeHash> {
    NodeHash::try_from(bytes(text).as_slice()).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: Option<String>,
    leaf_hash: Option<String>,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[test]
fn judges_inclusion_proofs_as_transparency_dev_does() {
    let files = json_files("merkle/inclusion");
    assert!(files.len() > 50);
    for file in files {
        let case: Inclusion = read(&file);
        let accepted = (|| {
            let head =
                TreeHead { size: TreeSize(case.tree_size), root: hash(case.root.as_deref())? };
            let leaf = LeafHash(hash(case.leaf_hash.as_deref())?.0);
            verify_inclusion(&leaf, LeafIndex(case.leaf_idx), &hashes(case.proof)?, &head).ok()
        })();
        assert_eq!(accepted.is_none(), case.want_err, "{}", file.display());
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: Option<String>,
    root2: Option<String>,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[test]
fn judges_consistency_proofs_as_transparency_dev_does() {
    let files = json_files("merkle/consistency");
    assert!(files.len() > 50);
    for file in files {
        let case: Consistency = read(&file);
        // Roots that are no hashes ("dont care 1") stand for any root: equal texts, equal roots.
        let any = |text: &Option<String>| {
            let bytes = bytes(text.as_deref());
            NodeHash::try_from(bytes.as_slice()).unwrap_or(NodeHash(crypto::sha256(&bytes)))
        };
        let old = TreeHead { size: TreeSize(case.size1), root: any(&case.root1) };
        let new = TreeHead { size: TreeSize(case.size2), root: any(&case.root2) };
        let accepted =
            hashes(case.proof).and_then(|path| verify_consistency(&old, &new, &path).ok());
        assert_eq!(accepted.is_none(), case.want_err, "{}", file.display());
    }
}

/// Every log entry inside a bundle whose checkpoint a log of `root` has signed.
#[test]
fn verifies_checkpoints_and_proofs_of_public_logs() {
    let logs = public_logs();
    let files = json_files("bundles");
    let (mut v1, mut v2) = (0, 0);
    for file in files {
        let Ok(bundle) = serde_json::from_slice::<Value>(&fs::read(&file).unwrap()) else {
            continue;
        };
        let entries = bundle["verificationMaterial"]["tlogEntries"].as_array();
        for entry in entries.into_iter().flatten() {
            match verify_entry(entry, &logs) {
                Some(1) => v1 += 1,
                Some(_) => v2 += 1,
                None => {}
            }
        }
    }
    assert!(v1 >= 5 && v2 >= 2, "{v1} entries of Rekor v1, {v2} of v2");
}

struct PublicLog {
    key: PublicKey,
    key_id: Vec<u8>,
    host: String,
}

fn public_logs() -> Vec<PublicLog> {
    let mut logs = Vec::new();
    for name in ["public-good.json", "staging.json"] {
        let root: Value = read(&vectors::path("trusted-roots").join(name));
        for log in root["tlogs"].as_array().unwrap() {
            let url = log["baseUrl"].as_str().unwrap();
            logs.push(PublicLog {
                key: PublicKey::from_spki_der(&bytes(log["publicKey"]["rawBytes"].as_str()))
                    .unwrap(),
                key_id: bytes(log["logId"]["keyId"].as_str()),
                host: url.trim_start_matches("https://").to_owned(),
            });
        }
    }
    logs
}

/// The Rekor version of an entry that verifies; `None` for one of another log or without checkpoint.
fn verify_entry(entry: &Value, logs: &[PublicLog]) -> Option<u8> {
    let key_id = bytes(entry["logId"]["keyId"].as_str());
    let log = logs.iter().find(|log| log.key_id == key_id)?;
    let proof = &entry["inclusionProof"];
    let note: SignedNote = proof["checkpoint"]["envelope"].as_str()?.parse().ok()?;
    let named = log_key_id(&log.key, &log.host, KeyIdKind::Named);
    let version = if named == key_id[..] && note.text.starts_with(&format!("{}\n", log.host)) {
        2
    } else {
        assert_eq!(log_key_id(&log.key, "", KeyIdKind::SpkiSha256), key_id[..]);
        1
    };
    let key_id = key_id.try_into().unwrap();
    let checkpoint = note.verified_checkpoint(&log.key, &log.host, &key_id).ok()?;
    let leaf = leaf_hash(&bytes(entry["canonicalizedBody"].as_str()));
    let index = LeafIndex(proof["logIndex"].as_str()?.parse().ok()?);
    let path: Vec<NodeHash> =
        proof["hashes"].as_array()?.iter().map(|text| hash(text.as_str()).unwrap()).collect();
    // Some bundles are broken on purpose; those of other tests decide about them.
    verify_inclusion(&leaf, index, &path, &checkpoint.head).ok()?;
    let mut longer = path;
    longer.push(NodeHash::default());
    assert_eq!(
        verify_inclusion(&leaf, index, &longer, &checkpoint.head),
        Err(ProofError::PathLength)
    );
    Some(version)
}

/// RFC 6962 for `rs_merkle`, which hashes leaves outside and promotes lone nodes.
#[derive(Clone)]
struct Rfc6962;

impl rs_merkle::Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        leaf_hash(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| node_hash(&NodeHash(*left), &NodeHash(*right)).0)
    }
}

fn leaves(seed: u64, count: usize) -> Vec<LeafHash> {
    (0..count).map(|i| leaf_hash(&[seed.to_be_bytes(), i.to_be_bytes()].concat())).collect()
}

fn oracle(leaves: &[LeafHash]) -> rs_merkle::MerkleTree<Rfc6962> {
    let raw: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.0).collect();
    rs_merkle::MerkleTree::from_leaves(&raw)
}

proptest! {
    #[test]
    fn agrees_with_rs_merkle_on_roots_and_paths(seed: u64, count in 1usize..600, pick: prop::sample::Index) {
        let leaves = leaves(seed, count);
        let oracle = oracle(&leaves);
        let tree = BatchTree::new(Edge::default(), leaves.clone());
        prop_assert_eq!(Some(tree.head().root.0), oracle.root());
        prop_assert_eq!(tree.head().root, root_of(&leaves));
        let index = pick.index(count);
        let path: Vec<[u8; 32]> =
            tree.inclusion_path(LeafIndex(index as u64)).unwrap().iter().map(|hash| hash.0).collect();
        prop_assert_eq!(path, oracle.proof(&[index]).proof_hashes().to_vec());
    }

    #[test]
    fn planned_proofs_equal_those_from_memory(seed: u64, count in 1usize..255, pick: prop::sample::Index) {
        let leaves = leaves(seed, count);
        let index = LeafIndex(pick.index(count) as u64);
        let plan = ProofPlan::inclusion(index, TreeSize(count as u64)).unwrap();
        let read: Vec<Vec<NodeHash>> = plan
            .ranges()
            .iter()
            .map(|r| &leaves[usize::try_from(r.start).unwrap()..usize::try_from(r.end).unwrap()])
            .map(|leaves| leaves.iter().map(|leaf| NodeHash::from(*leaf)).collect())
            .collect();
        let tree = BatchTree::new(Edge::default(), leaves);
        prop_assert_eq!(plan.compute(&read).unwrap(), tree.inclusion_path(index).unwrap());
    }

    #[test]
    fn refuses_every_changed_proof(
        count in 2usize..300,
        pick: prop::sample::Index,
        spoil: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let leaves = leaves(1, count);
        let tree = BatchTree::new(Edge::default(), leaves.clone());
        let (index, head) = (pick.index(count), tree.head());
        let path = tree.inclusion_path(LeafIndex(index as u64)).unwrap();
        let verify = |leaf: &LeafHash, index: u64, path: &[NodeHash], head: &TreeHead| {
            verify_inclusion(leaf, LeafIndex(index), path, head)
        };
        let mut changed = path.clone();
        let at = spoil.index(path.len());
        changed[at].0[usize::from(bit)] ^= 1 << bit;
        prop_assert!(verify(&leaves[index], index as u64, &changed, &head).is_err());
        let (shorter, longer) = (&path[1..], [path.as_slice(), &[NodeHash::default()]].concat());
        prop_assert!(verify(&leaves[index], index as u64, shorter, &head).is_err());
        prop_assert!(verify(&leaves[index], index as u64, &longer, &head).is_err());
        prop_assert!(verify(&leaves[index], (index as u64) ^ 1, &path, &head).is_err());
        let taller = TreeHead { size: TreeSize(head.size.0 * 2), root: head.root };
        prop_assert!(verify(&leaves[index], index as u64, &path, &taller).is_err());
    }
}
