//! What a file is that is no bundle: whoever took the wrong file is told which.

use std::fmt;

use serde_json::Value;

/// Something that is known, and no bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherFormat {
    /// Nothing, or white space.
    Empty,
    /// Text that begins with a byte order mark, or is in UTF-16.
    ByteOrderMark,
    /// What cosign 2 writes with `--bundle` but without `--new-bundle-format`.
    Cosign2Bundle,
    /// Several JSON documents, one on each line.
    JsonLines,
    /// The answer of a registry or forge that holds bundles in a list.
    BundleList,
    /// A signed envelope (DSSE) without the evidence of a bundle.
    Envelope,
    /// An unsigned in-toto statement.
    Statement,
    /// A trusted root, client trust config or signing config.
    TrustFile,
    /// A bundle of a version that this program does not know.
    UnknownVersion,
    /// JSON that ends too early.
    Truncated,
    /// PEM of keys or certificates.
    Pem,
    /// A bare signature, as base64 or DER.
    Signature,
    /// JSON of something else, such as a server's error.
    OtherJson,
    /// No JSON at all: an artifact, a web page, an archive.
    NoJson,
}

impl OtherFormat {
    /// Recognises what `content` is, which could not be read as a bundle.
    pub(crate) fn of(content: &[u8]) -> Option<Self> {
        const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        if MARKS.iter().any(|mark| content.starts_with(mark)) {
            return Some(Self::ByteOrderMark);
        }
        let trimmed = content.trim_ascii();
        match trimmed {
            [] => Some(Self::Empty),
            [b'{' | b'[', ..] => Self::of_json(trimmed),
            _ if trimmed.starts_with(b"-----BEGIN ") => Some(Self::Pem),
            _ if is_signature(trimmed) => Some(Self::Signature),
            _ => Some(Self::NoJson),
        }
    }

    fn of_json(json: &[u8]) -> Option<Self> {
        let mut documents = serde_json::Deserializer::from_slice(json).into_iter::<Value>();
        let first = match documents.next()? {
            Ok(first) => first,
            Err(error) if error.is_eof() => return Some(Self::Truncated),
            Err(_) if json.starts_with(b"{") => return None,
            Err(_) => return Some(Self::NoJson),
        };
        if documents.next().is_some() {
            return Some(Self::JsonLines);
        }
        let has = |names: &[&str]| names.iter().all(|name| first.get(name).is_some());
        let media_type = first.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        match () {
            () if first.is_array() || has(&["attestations"]) => Some(Self::BundleList),
            () if has(&["base64Signature"]) || has(&["rekorBundle"]) => Some(Self::Cosign2Bundle),
            () if has(&["payload", "payloadType"]) => Some(Self::Envelope),
            () if has(&["_type", "predicateType"]) => Some(Self::Statement),
            () if ["trustedroot", "clienttrustconfig", "signingconfig"]
                .iter()
                .any(|name| media_type.contains(name)) =>
            {
                Some(Self::TrustFile)
            }
            () if is_unknown_version(media_type) => Some(Self::UnknownVersion),
            () if media_type.is_empty() && !has(&["verificationMaterial"]) => Some(Self::OtherJson),
            () => None,
        }
    }
}

impl fmt::Display for OtherFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the file is empty",
            Self::ByteOrderMark => "the file begins with a byte order mark or is in UTF-16",
            Self::Cosign2Bundle => "it is a bundle of cosign 2's own format",
            Self::JsonLines => "it holds several JSON documents",
            Self::BundleList => "it is a list of bundles",
            Self::Envelope => "it is a signed envelope (DSSE) alone",
            Self::Statement => "it is an unsigned in-toto statement",
            Self::TrustFile => "it is a trust file",
            Self::UnknownVersion => "it is a bundle of a version that is not known here",
            Self::Truncated => "the JSON ends too early",
            Self::Pem => "it is PEM",
            Self::Signature => "it is a bare signature",
            Self::OtherJson => "it is JSON of something else",
            Self::NoJson => "it is no JSON",
        })
    }
}

/// Whether it is a bundle's media type whose version none of [`wire::bundle::BundleMediaType`] is.
fn is_unknown_version(media_type: &str) -> bool {
    let known = serde_json::from_value::<wire::bundle::BundleMediaType>(media_type.into());
    media_type.starts_with("application/vnd.dev.sigstore.bundle") && known.is_err()
}

/// Whether it may be a signature: an ECDSA or RSA one in base64, or an ECDSA one in DER.
fn is_signature(content: &[u8]) -> bool {
    const MOST: usize = 1024;
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
    let der = content.starts_with(&[0x30]) && (64..=140).contains(&content.len());
    der || ((64..=MOST).contains(&content.len()) && content.iter().all(base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_what_people_take_for_a_bundle() {
        use OtherFormat as F;
        let bundle = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#;
        for (content, expected) in [
            ("", F::Empty),
            (" \r\n", F::Empty),
            ("\u{feff}{}", F::ByteOrderMark),
            (r#"{"base64Signature":"MEU=","cert":"LS0t","rekorBundle":{}}"#, F::Cosign2Bundle),
            (&format!("{bundle}\n{bundle}\n"), F::JsonLines),
            (r#"{"attestations":[{"bundle":{}}]}"#, F::BundleList),
            ("[{}]", F::BundleList),
            (r#"{"payload":"e30=","payloadType":"t","signatures":[]}"#, F::Envelope),
            (r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"p"}"#, F::Statement),
            (
                r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
                F::TrustFile,
            ),
            (r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.9+json"}"#, F::UnknownVersion),
            (r#"{"mediaType":"application/vnd.dev"#, F::Truncated),
            ("-----BEGIN PUBLIC KEY-----\n", F::Pem),
            (&"MEUCIQ".repeat(16), F::Signature),
            (r#"{"message":"Not Found"}"#, F::OtherJson),
            ("<!DOCTYPE html>", F::NoJson),
            ("hello", F::NoJson),
        ] {
            assert_eq!(OtherFormat::of(content.as_bytes()), Some(expected), "{content}");
        }
        assert_eq!(OtherFormat::of(b"\xff\xfe{\0}\0"), Some(F::ByteOrderMark));
    }

    #[test]
    fn says_nothing_of_a_bundle_and_of_what_is_not_known() {
        let bundle = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#;
        for content in [bundle, r#"{"verificationMaterial":{}}"#, "{]"] {
            assert_eq!(OtherFormat::of(content.as_bytes()), None, "{content}");
        }
    }
}
