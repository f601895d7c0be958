//! Notes, checkpoints, tile paths and the arithmetic of proofs.

use crypto::{Signer, Unsigned};
use tlog::{
    BatchTree, Checkpoint, Edge, HashRange, KeyIdKind, LeafHash, LeafIndex, NodeHash,
    NoteSignature, ProofError, ProofPlan, SignedNote, TILE_WIDTH, TileId, TilePath, TreeHead,
    TreeSize, UnsignedCheckpoint, complete_subtrees, leaf_hash, log_key_id, node_hash,
    verify_consistency, verify_inclusion,
};

use crate::{case::Case, input::Input, keys::ED25519};

pub(crate) const CASES: &[Case] = &[
    Case { run: note, seeds: || vec![signed_note().to_string().into()] },
    Case { run: note_signature, seeds: || vec![signed_note().signatures[0].to_string().into()] },
    Case { run: checkpoint, seeds: || vec![some_checkpoint().to_string().into()] },
    Case { run: tile_path, seeds: tile_paths },
    Case { run: inclusion, seeds: || numbers(&[[0, 1], [5, 7], [255, 256], [70_000, 70_001]]) },
    Case { run: consistency, seeds: || numbers(&[[1, 1], [6, 7], [256, 257], [3, 1 << 40]]) },
    Case { run: foreign_proof, seeds: || numbers(&[[0, 1], [1, 1], [5, 7]]) },
    Case { run: batch, seeds: || numbers(&[[0, 3], [255, 3], [(1 << 40) - 1, 9]]) },
];

/// Name of the log that signs with [`ED25519`].
const ORIGIN: &str = "log.example";

fn numbers(pairs: &[[u64; 2]]) -> Vec<Vec<u8>> {
    pairs.iter().map(|pair| pair.map(u64::to_be_bytes).concat()).collect()
}

pub(crate) fn some_checkpoint() -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.to_owned(),
        head: TreeHead { size: TreeSize(1), root: leaf_hash(b"entry").into() },
        extensions: Vec::new(),
    }
}

pub(crate) fn signed_note() -> SignedNote {
    let key = ED25519.public_key();
    let key_id = log_key_id(key, ORIGIN, KeyIdKind::Named);
    let unsigned = UnsignedCheckpoint::new(&some_checkpoint(), ORIGIN.to_owned(), key_id);
    let signature = ED25519.sign_now(unsigned.bytes_to_sign()).unwrap();
    unsigned.with_signature(&signature, key).unwrap()
}

/// A note has one spelling, and only one was ever signed.
fn note(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(note) = text.parse::<SignedNote>() else { return };
    assert_eq!(note.to_string(), text);
    let key = ED25519.public_key();
    let key_id = log_key_id(key, ORIGIN, KeyIdKind::Named);
    if let Ok(found) = note.verified_checkpoint(key, ORIGIN, &key_id) {
        assert_eq!(found, some_checkpoint());
    }
}

fn note_signature(line: &[u8]) {
    if let Ok(line) = std::str::from_utf8(line)
        && let Ok(signature) = line.parse::<NoteSignature>()
    {
        assert_eq!(signature.to_string(), line);
    }
}

fn checkpoint(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(checkpoint) = text.parse::<Checkpoint>()
    {
        assert_eq!(checkpoint.to_string(), text);
    }
}

fn tile_path(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(path) = text.parse::<TilePath>()
    {
        assert_eq!(path.to_string(), text);
    }
}

fn tile_paths() -> Vec<Vec<u8>> {
    let tile = TileId { level: 3, index: u64::MAX };
    let paths = [
        TilePath::Hashes { tile, width: 256 },
        TilePath::Hashes { tile: TileId { level: 0, index: 1_234_067 }, width: 8 },
        TilePath::Entries { index: 0, width: 255 },
    ];
    paths.iter().map(|path| path.to_string().into()).collect()
}

/// Of every leaf of a tree of any size there is a proof that verifies, and a changed one does not.
fn inclusion(input: &[u8]) {
    let mut input = Input(input);
    let (index, tree_size) = (LeafIndex(input.number()), TreeSize(input.number()));
    let plan = match ProofPlan::inclusion(index, tree_size) {
        Ok(plan) => plan,
        Err(error) => return assert_eq!(error, ProofError::IndexOutOfRange { index, tree_size }),
    };
    assert!(tree_size.contains(index));
    check_ranges(plan.ranges(), tree_size);
    let (head, path) = (uniform_head(tree_size), uniform(&plan));
    let verify = |path: &[NodeHash]| verify_inclusion(&leaf_hash(b""), index, path, &head);
    assert_eq!(verify(&path), Ok(()));
    refuses_changes(path, &mut input, verify);
}

/// Every tree extends every smaller one of the same leaves, provably.
fn consistency(input: &[u8]) {
    let mut input = Input(input);
    let (old_size, new_size) = (TreeSize(input.number()), TreeSize(input.number()));
    let plan = match ProofPlan::consistency(old_size, new_size) {
        Ok(plan) => plan,
        Err(error) => return assert_eq!(error, ProofError::Shrunk { old_size, new_size }),
    };
    assert!(old_size <= new_size);
    check_ranges(plan.ranges(), new_size);
    let (old, new) = (uniform_head(old_size), uniform_head(new_size));
    let path = uniform(&plan);
    let verify = |path: &[NodeHash]| verify_consistency(&old, &new, path);
    if old_size == TreeSize(0) {
        return assert_eq!(verify(&path), Err(ProofError::FromEmptyTree));
    }
    assert_eq!(verify(&path), Ok(()));
    refuses_changes(path, &mut input, verify);
}

/// A proof of somebody else's: it may be anything, and is as long as its tree demands or refused.
fn foreign_proof(input: &[u8]) {
    let mut input = Input(input);
    let (small, large) = (input.number(), input.number());
    let (small, large) = (TreeSize(small), TreeSize(large));
    let (leaf, root) = (LeafHash(input.array()), NodeHash(input.array()));
    let path: Vec<NodeHash> = input.0.as_chunks().0.iter().map(|hash| NodeHash(*hash)).collect();
    let head = TreeHead { size: large, root };
    if verify_inclusion(&leaf, small.end(), &path, &head).is_ok() {
        let expected = uniform(&ProofPlan::inclusion(small.end(), large).unwrap());
        assert_eq!(path.len(), expected.len());
    }
    let old = TreeHead { size: small, root: leaf.into() };
    if verify_consistency(&old, &head, &path).is_ok() {
        let expected = uniform(&ProofPlan::consistency(small, large).unwrap());
        assert_eq!(path.len(), expected.len());
    }
}

/// What is appended to any edge can be proved in the grown tree, each leaf of it.
fn batch(input: &[u8]) {
    const MAX_LEAVES: u64 = 64;
    let mut input = Input(input);
    // No tree of 2^64 leaves exists: SQL stores sizes as signed numbers.
    let (size, count) = (input.number() >> 1, input.number() % MAX_LEAVES);
    let node = |number: u64| leaf_hash(&[&number.to_be_bytes(), input.0].concat());
    let nodes: Vec<u8> = (0..u64::from(size.count_ones())).flat_map(|n| node(n).0).collect();
    let edge = Edge::from_bytes(TreeSize(size), &nodes).unwrap();
    assert_eq!((edge.size(), edge.to_bytes()), (TreeSize(size), nodes));
    let leaves: Vec<LeafHash> = (1000..1000 + count).map(node).collect();
    let tree = BatchTree::new(edge.clone(), leaves.clone());
    let head = tree.head();
    let end = TreeSize(size + count);
    assert_eq!((tree.before(), tree.after().head(), head.size), (&edge, head, end));
    for (index, leaf) in (size..).map(LeafIndex).zip(&leaves) {
        let path = tree.inclusion_path(index).unwrap();
        assert_eq!(verify_inclusion(leaf, index, &path, &head), Ok(()));
    }
    assert_eq!(tree.inclusion_path(end.end()), None);
    assert_eq!(size.checked_sub(1).and_then(|index| tree.inclusion_path(LeafIndex(index))), None);
}

/// Changes one bit, cuts one hash off, and adds one.
fn refuses_changes(
    mut path: Vec<NodeHash>,
    input: &mut Input<'_>,
    verify: impl Fn(&[NodeHash]) -> Result<(), ProofError>,
) {
    let (at, bit) = (usize::from(input.byte()), input.byte());
    path.push(NodeHash(input.array()));
    assert_eq!(verify(&path), Err(ProofError::PathLength));
    path.pop();
    let length = path.len();
    if let Some(hash) = path.get_mut(at % length.max(1)) {
        hash.0[usize::from(bit / 8)] ^= 1 << (bit % 8);
        assert_eq!(verify(&path), Err(ProofError::RootMismatch));
        path.pop();
        assert_eq!(verify(&path), Err(ProofError::PathLength));
    }
}

/// A plan reads what a tree of that size has, and each tile by itself.
fn check_ranges(ranges: &[HashRange], tree_size: TreeSize) {
    for range in ranges {
        let stored = complete_subtrees(tree_size, range.level);
        assert!(range.start < range.end && range.end <= stored, "{range:?} of {tree_size}");
        assert_eq!(range.start / TILE_WIDTH, (range.end - 1) / TILE_WIDTH, "{range:?}");
    }
}

/// A tree of any size can be had when all its leaves are alike.
fn uniform_head(size: TreeSize) -> TreeHead {
    let roots = uniform(&ProofPlan::root(size));
    let nodes: Vec<u8> = (0..u64::BITS)
        .rev()
        .filter(|height| size.0 >> height & 1 == 1)
        .flat_map(|height| perfect(height).0)
        .collect();
    let head = Edge::from_bytes(size, &nodes).unwrap().head();
    assert_eq!(roots, [head.root]);
    head
}

fn uniform(plan: &ProofPlan) -> Vec<NodeHash> {
    let stored = |range: &HashRange| {
        let count = usize::try_from(range.end - range.start).unwrap();
        vec![perfect(8 * u32::from(range.level)); count]
    };
    let hashes: Vec<Vec<NodeHash>> = plan.ranges().iter().map(stored).collect();
    plan.compute(&hashes).unwrap()
}

/// Root over `2^height` of the leaves that are alike.
fn perfect(height: u32) -> NodeHash {
    (0..height).fold(leaf_hash(b"").into(), |hash, _| node_hash(&hash, &hash))
}
