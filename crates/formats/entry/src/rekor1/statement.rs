//! What an in-toto statement is about, for finding its entry.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess},
};
use serde_json::value::RawValue;
use wire::dsse::IN_TOTO_PAYLOAD_TYPE;

use super::{MAX_INDEX_KEYS, distinct, proposed::Text};

/// Longest digest that is indexed, in bytes: SHA-512.
const MAX_DIGEST_LEN: usize = 64;

#[derive(Deserialize)]
struct Statement<'a> {
    #[serde(borrow)]
    subject: Option<Vec<Resource<'a>>>,
    #[serde(borrow)]
    predicate: Option<&'a RawValue>,
}

/// SLSA provenance: 0.2 and before has materials, 1.0 has resolved dependencies.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provenance<'a> {
    #[serde(borrow)]
    materials: Option<Vec<Resource<'a>>>,
    #[serde(borrow)]
    build_definition: Option<BuildDefinition<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition<'a> {
    #[serde(borrow)]
    resolved_dependencies: Option<Vec<Resource<'a>>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    digest: Option<Digests<'a>>,
}

/// The values of a map from algorithms to digests; others are not kept.
struct Digests<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Digests<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> de::Visitor<'de> for Map {
            type Value = Digests<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of digests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Digests<'de>, A::Error> {
                let mut digests = Vec::new();
                while let Some((de::IgnoredAny, Text(digest))) = map.next_entry()? {
                    if is_digest(&digest) && digests.len() < MAX_INDEX_KEYS {
                        digests.push(digest);
                    }
                }
                Ok(Digests(digests))
            }
        }

        deserializer.deserialize_map(Map)
    }
}

/// Digests of the subjects and materials, as lower-case hex without the algorithm's name.
///
/// Nothing of a payload that is no statement or one of two meanings, nor of values that are no digest:
/// whoever signed them may write anything there, and the entry is valid all the same.
pub(super) fn digests(payload_type: &str, payload: &[u8]) -> Vec<String> {
    if payload_type != IN_TOTO_PAYLOAD_TYPE {
        return Vec::new();
    }
    let Ok(statement) = wire::json::from_slice::<Statement<'_>>(payload) else {
        return Vec::new();
    };
    let provenance = statement.predicate.and_then(|json| serde_json::from_str(json.get()).ok());
    let materials = provenance.map_or_else(Vec::new, |provenance: Provenance<'_>| {
        let definition = provenance.build_definition;
        let dependencies = definition.and_then(|definition| definition.resolved_dependencies);
        [provenance.materials, dependencies].into_iter().flatten().flatten().collect()
    });
    let resources = statement.subject.into_iter().flatten().chain(materials);
    let digests = resources.filter_map(|resource| resource.digest).flat_map(|digests| digests.0);
    distinct(digests.map(|digest| digest.to_ascii_lowercase()))
}

fn is_digest(text: &str) -> bool {
    let digits = text.len();
    digits > 0
        && digits.is_multiple_of(2)
        && digits <= MAX_DIGEST_LEN * 2
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
