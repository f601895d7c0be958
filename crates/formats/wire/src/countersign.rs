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
    /// The audience that tokens for this instance have; `sigstore` where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// Longest audience, in bytes.
pub const MAX_AUDIENCE_LEN: usize = 256;

/// The audience that every Sigstore client asks for unless told.
pub const SIGSTORE_AUDIENCE: &str = "sigstore";

/// Whether an instance whose CA is at the URL `authority` may have its clients ask for tokens to
/// `audience`: [`SIGSTORE_AUDIENCE`], or an https URL of the CA's host or of one beside or above it.
///
/// Clients send the token to that CA. Were it free to choose, it could choose the audience of a cloud
/// and be there whoever signed here.
#[must_use]
pub fn may_ask_for(audience: &str, authority: &str) -> bool {
    let Some(asked) = audience.strip_prefix("https://").and_then(host) else {
        return audience == SIGSTORE_AUDIENCE;
    };
    let (_, rest) = authority.split_once("://").unwrap_or_default();
    let Some(own) = host(rest) else { return false };
    let sound = audience.len() <= MAX_AUDIENCE_LEN
        && audience.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\?#".contains(&byte));
    sound && (asked == own || is_beside(&asked, &own))
}

/// Whether `asked` is the domain above `own`, or of that too; one label is all of `example`.
fn is_beside(asked: &str, own: &str) -> bool {
    let above = |name: &str| name.split_once('.').map(|(_, above)| above.to_owned());
    let is_address = own.rsplit('.').next().is_some_and(|label| label.parse::<u8>().is_ok());
    above(own).filter(|domain| domain.contains('.') && !is_address).is_some_and(|domain| {
        asked == domain || above(asked).is_some_and(|asked_domain| asked_domain == domain)
    })
}

/// The host of what follows `//`, in lower case, without port; none with a user before it.
fn host(rest: &str) -> Option<String> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let sound = !host.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.[]:".contains(&byte));
    sound.then(|| host.to_ascii_lowercase())
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
    fn says_which_audience_its_tokens_have() {
        let document = json!({
            "mediaType": "application/vnd.countersign.instance.v1+json",
            "audience": "https://sign.acme.example"
        });
        let read: Instance = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(read.audience.as_deref(), Some("https://sign.acme.example"));
        assert_eq!(serde_json::to_value(read).unwrap(), document);
    }

    #[test]
    fn an_instance_asks_for_tokens_to_itself_alone() {
        for (audience, authority) in [
            ("sigstore", "https://ca.evil.example"),
            ("https://sign.acme.example", "https://ca.acme.example"),
            ("https://sign.acme.example", "https://CA.acme.example:8443/fulcio"),
            ("https://acme.example/sign", "https://ca.acme.example"),
            ("https://ca.acme.example", "https://ca.acme.example"),
            ("https://localhost", "http://localhost:5555"),
            ("https://10.0.0.1", "https://10.0.0.1"),
        ] {
            assert!(may_ask_for(audience, authority), "{audience} {authority}");
        }
        for (audience, authority) in [
            ("", "https://ca.acme.example"),
            ("sts.amazonaws.com", "https://ca.acme.example"),
            ("api://AzureADTokenExchange", "https://ca.acme.example"),
            ("pypi", "https://ca.acme.example"),
            ("https://iam.googleapis.com/projects/1", "https://ca.acme.example"),
            ("https://github.com/acme", "https://ca.acme.example"),
            ("https://acme.example.evil", "https://ca.acme.example"),
            ("https://evil.example", "https://acme.example"),
            ("https://other.example", "https://ca.example"),
            ("https://ca.acme.example@evil.example", "https://ca.acme.example"),
            ("https://u@ca.acme.example", "https://ca.acme.example"),
            ("http://ca.acme.example", "https://ca.acme.example"),
            ("https://10.0.0.2", "https://10.0.0.1"),
            ("https://ca.acme.example?x", "https://ca.acme.example"),
            ("https://ca.acme.example/a\nb", "https://ca.acme.example"),
            ("https://sign.acme.example", "not a url"),
        ] {
            assert!(!may_ask_for(audience, authority), "{audience} {authority}");
        }
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
