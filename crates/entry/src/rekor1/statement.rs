//! What an in-toto statement is about, for finding its entry.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::distinct;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Longest digest that is indexed, in bytes: SHA-512.
const MAX_DIGEST_LEN: usize = 64;

#[derive(Deserialize)]
struct Statement<'a> {
    subject: Option<Vec<Resource>>,
    #[serde(borrow)]
    predicate: Option<&'a RawValue>,
}

/// SLSA provenance: 0.2 and before has materials, 1.0 has resolved dependencies.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provenance {
    materials: Option<Vec<Resource>>,
    build_definition: Option<BuildDefinition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    resolved_dependencies: Option<Vec<Resource>>,
}

#[derive(Deserialize)]
struct Resource {
    digest: Option<BTreeMap<String, String>>,
}

/// Digests of the subjects and materials, as lower-case hex without the algorithm's name.
///
/// Nothing of a payload that is no statement, nor of values that are no digest: whoever signed them
/// may write anything there, and the entry is valid all the same.
pub(super) fn digests(payload_type: &str, payload: &[u8]) -> Vec<String> {
    if payload_type != PAYLOAD_TYPE {
        return Vec::new();
    }
    let Ok(statement) = serde_json::from_slice::<Statement<'_>>(payload) else {
        return Vec::new();
    };
    let provenance = statement.predicate.and_then(|json| serde_json::from_str(json.get()).ok());
    let materials = provenance.map_or_else(Vec::new, |provenance: Provenance| {
        let definition = provenance.build_definition;
        let dependencies = definition.and_then(|definition| definition.resolved_dependencies);
        [provenance.materials, dependencies].into_iter().flatten().flatten().collect()
    });
    let resources = statement.subject.into_iter().flatten().chain(materials);
    let digests = resources
        .filter_map(|resource| resource.digest)
        .flat_map(BTreeMap::into_values)
        .map(|digest| digest.to_ascii_lowercase());
    distinct(digests.filter(|digest| is_digest(digest)))
}

fn is_digest(text: &str) -> bool {
    let digits = text.len();
    digits > 0
        && digits.is_multiple_of(2)
        && digits <= MAX_DIGEST_LEN * 2
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
