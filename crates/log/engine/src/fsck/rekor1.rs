//! What only Rekor v1 promises about its rows.

use std::borrow::Cow;

use entry::rekor1::SUPPORTED;
use serde::{Deserialize, de::IgnoredAny};
use store::{LogSpec, StoredEntry};
use tlog::Rekor1Origin;

/// Whether the origin ends in the tree id, by which clients know the protocol and the tree.
pub(super) fn names_its_tree(spec: &LogSpec) -> bool {
    let named = Rekor1Origin::parse(&spec.origin);
    spec.tree_id > 0 && named.is_some_and(|origin| origin.is_of_tree(spec.tree_id))
}

/// Whether the body is an entry of the kind that is stored beside it. Signatures are not verified again.
pub(super) fn is_entry(row: &StoredEntry) -> bool {
    let Ok(Body { api_version, kind, spec: _ }) = serde_json::from_slice(&row.body) else {
        return false;
    };
    let known = SUPPORTED.iter().find(|(known, _)| *known == kind);
    kind == row.kind && known.is_some_and(|(_, versions)| versions.contains(&api_version.as_ref()))
}

/// What the entry's SET signs.
pub(super) fn set_payload(row: &StoredEntry, log_id: &[u8; 32]) -> Vec<u8> {
    entry::rekor1::set_payload(&row.body, row.integrated_at, log_id, row.index)
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
