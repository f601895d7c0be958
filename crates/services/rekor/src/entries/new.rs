use bytes::Bytes;
use entry::{IndexKeyKind, VerifiedEntry};
use store::{DedupHash, IndexKey, MAX_INDEX_KEY_LEN, MAX_INDEX_KEYS, NewEntry};

/// What the log stores of a verified entry.
pub(crate) fn new_entry(verified: VerifiedEntry) -> NewEntry {
    let leaf_hash = verified.leaf_hash();
    NewEntry {
        leaf_hash,
        dedup_hash: DedupHash::from(leaf_hash),
        kind: verified.kind(),
        index_keys: index_keys(&verified),
        body: verified.into_body().into(),
        extra: Bytes::new(),
        timestamp_signature: Bytes::new(),
    }
}

/// The words that the index can hold. One that it cannot is no reason to refuse a good signature.
///
/// A name that is known for an address or a URI is not kept once more as any name: who searches for
/// any name looks at all three.
fn index_keys(verified: &VerifiedEntry) -> Vec<IndexKey> {
    let keys = verified.index_keys();
    let named = |word: &str| {
        keys.iter().any(|(kind, key)| {
            matches!(kind, IndexKeyKind::Email | IndexKeyKind::Uri) && key == word
        })
    };
    keys.iter()
        .filter(|(kind, key)| *kind != IndexKeyKind::Subject || !named(key))
        .filter(|(_, key)| !key.is_empty() && key.len() <= MAX_INDEX_KEY_LEN && !key.contains('\0'))
        .map(|(kind, key)| IndexKey { kind: kind.as_str(), key: key.clone() })
        .take(MAX_INDEX_KEYS)
        .collect()
}
