//! Requests and answers of Rekor v1 (`/api/v1`), as its `OpenAPI` document has them.
//!
//! Unlike in the protobuf APIs, integers are JSON numbers and hashes are hex. Unknown
//! members are ignored, as upstream's generated code does; `null` is "absent". What a
//! proposed entry holds is read by `entry::rekor1`, which also verifies it.

use std::marker::PhantomData;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use crate::{Base64, proto::or_default};

/// An answer that holds one entry: `{"<entry id>": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryResponse {
    /// 80 hex digits (tree id and leaf hash), or 64 (leaf hash) from old servers.
    pub id: String,
    /// The entry under that id.
    pub entry: LogEntry,
}

/// An entry of the log, and the proof of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// The canonical JSON that is the leaf.
    pub body: Base64,
    /// When it was logged, seconds since 1970, UTC.
    pub integrated_time: i64,
    /// SHA-256 of the log key's `SubjectPublicKeyInfo`, hex.
    #[serde(rename = "logID")]
    pub log_id: String,
    /// 0-based index over all shards.
    pub log_index: i64,
    /// SET and proof; upstream gives both at all times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
}

/// Why a reader may believe an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Verification {
    /// Merkle proof under a checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inclusion_proof: Option<InclusionProof>,
    /// Signature over the canonical JSON of body, integrated time, log id and index.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Base64::is_empty")]
    pub signed_entry_timestamp: Base64,
}

/// Merkle proof of an entry (RFC 6962 §2.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// Signed note over `tree_size` and `root_hash`.
    pub checkpoint: String,
    /// Hex, from the leaf's sibling upward; `[]` in a tree of one leaf.
    #[serde(deserialize_with = "or_default")]
    pub hashes: Vec<String>,
    /// 0-based index in the entry's own tree.
    pub log_index: i64,
    /// Hex.
    pub root_hash: String,
    /// Leaves of the tree.
    pub tree_size: i64,
}

/// Answer of `GET /api/v1/log`: the active tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogInfo {
    /// Trees that take no more entries, oldest first.
    #[serde(default, deserialize_with = "or_default")]
    pub inactive_shards: Vec<InactiveShard>,
    /// Hex.
    pub root_hash: String,
    /// Checkpoint of the active tree.
    pub signed_tree_head: String,
    /// Decimal digits.
    #[serde(rename = "treeID")]
    pub tree_id: String,
    /// Leaves of the active tree alone.
    pub tree_size: i64,
}

/// A tree that takes no more entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InactiveShard {
    /// Hex.
    pub root_hash: String,
    /// Its last checkpoint.
    pub signed_tree_head: String,
    /// Decimal digits.
    #[serde(rename = "treeID")]
    pub tree_id: String,
    /// Its leaves, for good.
    pub tree_size: i64,
}

/// Answer of `GET /api/v1/log/proof` (RFC 6962 §2.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsistencyProof {
    /// Hex.
    pub hashes: Vec<String>,
    /// Hex: the log's latest root, not the one at the size asked for.
    pub root_hash: String,
}

/// Body of `POST /api/v1/index/retrieve`.
///
/// Strings are as they came: their form is the log's to check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SearchIndex {
    /// E-mail address of a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Any subject alternative name of a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Key or certificate that verified an entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<SearchPublicKey>,
    /// Hex digest of the artifact, bare or after `sha256:` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Whether an entry must have all that is asked for, or one of it; default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<SearchOperator>,
}

/// A key to search by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchPublicKey {
    /// Form of `content`.
    pub format: PublicKeyFormat,
    /// The key, such as PEM for [`PublicKeyFormat::X509`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Base64>,
    /// Where upstream, before 1.5.0, fetched the key from. Never fetched here: to be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Forms of keys that upstream's schema names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicKeyFormat {
    /// `OpenPGP`.
    Pgp,
    /// PEM key or certificate.
    X509,
    /// minisign.
    Minisign,
    /// OpenSSH.
    Ssh,
    /// TUF root.
    Tuf,
}

/// How the members of a [`SearchIndex`] are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchOperator {
    /// An entry must have all.
    And,
    /// An entry must have one.
    #[default]
    Or,
}

/// Most entries that one [`SearchLogQuery`] may ask for, as upstream.
pub const MAX_QUERIES: usize = 10;

/// Body of `POST /api/v1/log/entries/retrieve`: entries by any of three names.
///
/// Of a list longer than [`MAX_QUERIES`], one element more than that is read: enough to count that it
/// is too long, and no memory for the rest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SearchLogQuery {
    /// Entry ids of 64 or 80 hex digits.
    #[serde(
        rename = "entryUUIDs",
        deserialize_with = "first::<{ MAX_QUERIES + 1 }, _, _>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub entry_uuids: Vec<String>,
    /// 0-based indexes over all shards.
    #[serde(
        deserialize_with = "first::<{ MAX_QUERIES + 1 }, _, _>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub log_indexes: Vec<i64>,
    /// Proposed entries, as they would be sent to be logged.
    #[serde(
        deserialize_with = "first::<{ MAX_QUERIES + 1 }, _, _>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub entries: Vec<Box<RawValue>>,
}

/// Body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The HTTP status.
    pub code: u16,
    /// What is wrong, for the caller's eyes.
    #[serde(default)]
    pub message: String,
}

impl Serialize for EntryResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.id, &self.entry)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for EntryResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneMember;

        impl<'de> de::Visitor<'de> for OneMember {
            type Value = EntryResponse;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of one entry under its id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EntryResponse, A::Error> {
                let (id, entry) =
                    map.next_entry()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                if map.next_key::<de::IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(2, &self));
                }
                Ok(EntryResponse { id, entry })
            }
        }

        deserializer.deserialize_map(OneMember)
    }
}

/// Reads a list, of which `null` is the empty one, and keeps its first `N` elements.
///
/// For `#[serde(deserialize_with)]`. The others are scanned, so that the text is JSON to its end.
///
/// # Errors
/// What is not a list, and an element that is no `T` among the first.
pub fn first<'de, const N: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct First<const N: usize, T>(PhantomData<T>);

    impl<'de, const N: usize, T: Deserialize<'de>> de::Visitor<'de> for First<N, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut first = Vec::new();
            while first.len() < N {
                let Some(element) = list.next_element()? else { return Ok(first) };
                first.push(element);
            }
            while list.next_element::<de::IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    deserializer.deserialize_any(First::<N, T>(PhantomData))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
        serde_json::from_str(&value.to_string())
    }

    fn entry() -> Value {
        json!({"108e": {
            "body": "e30=",
            "integratedTime": 1_700_000_000,
            "logID": "c0d2",
            "logIndex": 7,
            "verification": {
                "inclusionProof": {
                    "checkpoint": "localhost - 1\n",
                    "hashes": ["00"],
                    "logIndex": 6,
                    "rootHash": "11",
                    "treeSize": 8,
                },
                "signedEntryTimestamp": "AAEC",
            },
        }})
    }

    #[test]
    fn entry_is_written_as_upstream_writes_it() {
        let read: EntryResponse = read(&entry()).unwrap();
        assert_eq!((read.id.as_str(), read.entry.log_index), ("108e", 7));
        assert_eq!(serde_json::to_value(&read).unwrap(), entry());
    }

    #[test]
    fn entry_may_lack_proof_set_and_verification() {
        let mut value = entry();
        value["108e"]["verification"] =
            json!({"inclusionProof": null, "signedEntryTimestamp": null});
        let bare: EntryResponse = read(&value).unwrap();
        assert_eq!(bare.entry.verification, Some(Verification::default()));
        for nothing in [json!({}), Value::Null] {
            value["108e"]["verification"] = nothing;
            read::<EntryResponse>(&value).unwrap();
        }
        value["108e"].as_object_mut().unwrap().remove("verification");
        assert_eq!(read::<EntryResponse>(&value).unwrap().entry.verification, None);
        assert_eq!(serde_json::to_value(read::<EntryResponse>(&value).unwrap()).unwrap(), value);
    }

    #[test]
    fn attestation_and_other_unknown_members_are_ignored() {
        let mut value = entry();
        value["108e"]["attestation"] = json!({"data": "e30="});
        assert_eq!(
            read::<EntryResponse>(&value).unwrap(),
            read::<EntryResponse>(&entry()).unwrap()
        );
    }

    #[test]
    fn answer_without_or_with_two_entries_is_refused() {
        let mut two = entry();
        two["208e"] = two["108e"].clone();
        for value in [json!({}), two, json!([]), json!({"108e": null})] {
            read::<EntryResponse>(&value).unwrap_err();
        }
    }

    #[test]
    fn numbers_are_numbers_and_members_are_there_once() {
        let mut value = entry();
        value["108e"]["logIndex"] = json!("7");
        read::<EntryResponse>(&value).unwrap_err();
        let twice = entry().to_string().replace(r#""logIndex":7"#, r#""logIndex":7,"logIndex":8"#);
        serde_json::from_str::<EntryResponse>(&twice).unwrap_err();
    }

    #[test]
    fn log_info_and_proof_are_written_as_upstream_writes_them() {
        let info = json!({
            "inactiveShards": [
                {"rootHash": "00", "signedTreeHead": "a", "treeID": "1", "treeSize": 1},
            ],
            "rootHash": "11",
            "signedTreeHead": "b",
            "treeID": "2605736670972794746",
            "treeSize": 9,
        });
        assert_eq!(serde_json::to_value(read::<LogInfo>(&info).unwrap()).unwrap(), info);
        let proof = json!({"hashes": [], "rootHash": "00"});
        assert_eq!(serde_json::to_value(read::<ConsistencyProof>(&proof).unwrap()).unwrap(), proof);
        let error = json!({"code": 400, "message": "no"});
        assert_eq!(serde_json::to_value(read::<Error>(&error).unwrap()).unwrap(), error);
    }

    #[test]
    fn log_without_inactive_shards_may_leave_them_out() {
        let info = json!({"rootHash": "", "signedTreeHead": "", "treeID": "1", "treeSize": 0});
        assert!(read::<LogInfo>(&info).unwrap().inactive_shards.is_empty());
    }

    #[test]
    fn search_index_is_read_with_null_as_absent() {
        let query = json!({
            "email": null, "hash": "sha256:00", "operator": "and", "unknown": 1,
            "publicKey": {"format": "x509", "content": "LS0=", "url": null},
        });
        let read: SearchIndex = read(&query).unwrap();
        assert_eq!((read.email, read.operator), (None, Some(SearchOperator::And)));
        let key = read.public_key.unwrap();
        assert_eq!((key.format, key.content), (PublicKeyFormat::X509, Some(b"--"[..].into())));
        for query in [
            json!({"operator": "xor"}),
            json!({"operator": "AND"}),
            json!({"publicKey": {"content": "LS0="}}),
            json!({"publicKey": {"format": "PGP"}}),
            json!({"hash": 1}),
        ] {
            super::tests::read::<SearchIndex>(&query).unwrap_err();
        }
    }

    #[test]
    fn log_query_keeps_proposed_entries_as_they_came() {
        let text = r#"{"entryUUIDs":null,"logIndexes":[3],"entries":[{ "kind":"dsse" }]}"#;
        let query: SearchLogQuery = serde_json::from_str(text).unwrap();
        assert_eq!((query.entry_uuids.len(), query.log_indexes), (0, vec![3]));
        assert_eq!(query.entries[0].get(), r#"{ "kind":"dsse" }"#);
        let text = r#"{"entryUUIDs":["00"]}"#;
        let query: SearchLogQuery = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&query).unwrap(), text);
    }

    #[test]
    fn longer_lists_are_read_to_one_more_than_allowed() {
        let of = |count: usize| {
            let query = json!({"entries": vec![json!({}); count], "logIndexes": vec![1; count]});
            let query: SearchLogQuery = read(&query).unwrap();
            (query.entries.len(), query.log_indexes.len())
        };
        assert_eq!([of(0), of(10), of(11), of(5000)], [(0, 0), (10, 10), (11, 11), (11, 11)]);
        for query in
            [json!({"entries": {}}), json!({"logIndexes": ["1"]}), json!({"entryUUIDs": "00"})]
        {
            read::<SearchLogQuery>(&query).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn entries_survive_a_round_trip(id: String, body: Vec<u8>, time: i64, index: i64) {
            let entry = LogEntry {
                body: body.into(),
                integrated_time: time,
                log_id: id.clone(),
                log_index: index,
                verification: None,
            };
            let response = EntryResponse { id, entry };
            let text = serde_json::to_string(&response).unwrap();
            prop_assert_eq!(serde_json::from_str::<EntryResponse>(&text).unwrap(), response);
        }
    }
}
