//! What only Rekor v1 knows of its rows.

use std::borrow::Cow;

use crypto::PublicKey;
use engine::EntryRules;
use entry::rekor1::{SUPPORTED, set_payload};
use serde::{Deserialize, de::IgnoredAny};
use store::{LogSpec, StoredEntry};
use tlog::Rekor1Origin;

/// What fsck checks of the entries of a Rekor v1 log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rekor1Rules;

impl EntryRules for Rekor1Rules {
    /// Whether the origin ends in the tree id, by which clients know the protocol and the tree.
    fn names_its_tree(&self, spec: &LogSpec) -> bool {
        let named = Rekor1Origin::parse(&spec.origin);
        spec.tree_id > 0 && named.is_some_and(|origin| origin.is_of_tree(spec.tree_id))
    }

    /// Whether the stored SET is the log's. It may be missing: what was lost is signed again when it is asked for.
    fn is_timestamp_signed(&self, row: &StoredEntry, public_key: Option<&PublicKey>) -> bool {
        let Some(key) = public_key.filter(|_| !row.timestamp_signature.is_empty()) else {
            return true;
        };
        let payload = set_payload(&row.body, row.integrated_at, &key.spki_sha256(), row.index);
        key.verify(&payload, &row.timestamp_signature).is_ok()
    }

    /// Signatures are not verified again.
    fn is_entry(&self, row: &StoredEntry) -> bool {
        let Ok(Body { api_version, kind, spec: _ }) = serde_json::from_slice(&row.body) else {
            return false;
        };
        let known = SUPPORTED.iter().find(|(known, _)| *known == kind);
        kind == row.kind
            && known.is_some_and(|(_, versions)| versions.contains(&api_version.as_ref()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[expect(dead_code, reason = "it only has to be there")]
    spec: IgnoredAny,
}
