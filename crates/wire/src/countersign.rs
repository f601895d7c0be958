//! `countersign.json`: what only our own clients ask of an instance (docs/adr/0016).
//!
//! Unknown members and unknown kinds are ignored on reading, since the file may be newer than this
//! program: whatever a reader must not overlook comes under another media type, in another file.

use serde::{Deserialize, Serialize};

/// Longest `countersign.json` that is read, in bytes: the lists that it may have one day fit.
pub const MAX_INSTANCE_LEN: usize = 16 * 1024;

/// What an instance says to our own clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Version of the format.
    pub media_type: InstanceMediaType,
    /// The forge that names of repositories without a host mean; none where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<Forge>,
}

/// Media type of `countersign.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceMediaType {
    /// Version 1.
    #[default]
    #[serde(rename = "application/vnd.countersign.instance.v1+json")]
    V1,
}

/// A host of source repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forge {
    /// `https://host`, perhaps with a port.
    pub url: String,
    /// `github`, `gitlab`, `azure`, `bitbucket` or `other`, where the host alone does not tell;
    /// each has its own equality of letters. To a reader that does not know it: `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_written_and_read_back() {
        let document = json!({
            "mediaType": "application/vnd.countersign.instance.v1+json",
            "forge": {"url": "https://git.acme.example", "kind": "gitlab"}
        });
        let read: Instance = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), document);
        let silent = json!({"mediaType": "application/vnd.countersign.instance.v1+json"});
        assert_eq!(serde_json::to_value(Instance::default()).unwrap(), silent);
    }

    #[test]
    fn a_newer_file_may_have_more_members_and_kinds() {
        let read: Instance = serde_json::from_value(json!({
            "mediaType": "application/vnd.countersign.instance.v1+json",
            "store": {"url": "https://store.acme.example"},
            "forge": {"url": "https://git.acme.example", "kind": "forgejo", "since": 2027}
        }))
        .unwrap();
        assert_eq!(read.forge.unwrap().kind.as_deref(), Some("forgejo"));
    }

    #[test]
    fn refuses_what_is_another_document_or_says_a_thing_twice() {
        for text in [
            "{}",
            "[]",
            r#"{"mediaType":"application/vnd.countersign.instance.v2+json"}"#,
            r#"{"mediaType":"application/vnd.countersign.instance.v1+json","forge":"https://x"}"#,
            r#"{"mediaType":"application/vnd.countersign.instance.v1+json","forge":{}}"#,
            r#"{"mediaType":"application/vnd.countersign.instance.v1+json",
                "forge":{"url":"https://a.example"},"forge":{"url":"https://b.example"}}"#,
            r#"{"mediaType":"application/vnd.countersign.instance.v1+json",
                "forge":{"url":"https://a.example","url":"https://b.example"}}"#,
        ] {
            assert!(serde_json::from_str::<Instance>(text).is_err(), "{text}");
        }
    }
}
