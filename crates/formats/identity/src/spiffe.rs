use std::fmt;

use crate::IssuerConfigError;

/// Longest trust domain and longest ID, in bytes (SPIFFE-ID §2.3).
const MAX_TRUST_DOMAIN_LEN: usize = 255;
const MAX_ID_LEN: usize = 2048;

/// The domain of a SPIFFE ID, such as `prod.acme.example`.
///
/// [SPIFFE-ID](https://spiffe.io/docs/latest/spiffe-specs/spiffe-id/) §2.1. Compared whole and byte
/// by byte: neither a domain below it nor one that ends like it is it (fulcio#588).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Reads a trust domain without `spiffe://`: lower case, digits, `.`, `-` and `_`.
    ///
    /// # Errors
    /// [`IssuerConfigError::Setting`].
    pub fn parse(text: &str) -> Result<Self, IssuerConfigError> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        let sound = (1..=MAX_TRUST_DOMAIN_LEN).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.bytes().all(|byte| byte == b'.');
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(IssuerConfigError::Setting { setting: "trust_domains", value: text.to_owned() })
        }
    }

    /// Whether `id` is a SPIFFE ID of a workload in this trust domain.
    ///
    /// The path has at least one segment: an ID without names the domain, and no workload.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        let path = id.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(&self.0));
        let Some(segments) = path.and_then(|path| path.strip_prefix('/')) else { return false };
        id.len() <= MAX_ID_LEN && segments.split('/').all(is_segment)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SPIFFE-ID §2.2: letters, digits, `.`, `-` and `_`; no escapes, no step to elsewhere.
fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_workloads_of_exactly_its_domain() {
        let domain = TrustDomain::parse("example.com").unwrap();
        for id in ["spiffe://example.com/foo/bar", "spiffe://example.com/A.b-c_9/..."] {
            assert!(domain.contains(id), "{id}");
        }
        for id in [
            "",
            "not-a-spiffe-id",
            "spiffe://example.com",
            "spiffe://example.com/",
            "spiffe://foo.example.com/foo",
            "spiffe://evil-example.com/foo",
            "spiffe://example.com.evil.org/foo",
            "spiffe://example.community/foo",
            "spiffe://example.com@evil.org/foo",
            "spiffe://user@example.com/foo",
            "spiffe://example.com:443/foo",
            "spiffe://EXAMPLE.com/foo",
            "SPIFFE://example.com/foo",
            "https://example.com/foo",
            "spiffe:/example.com/foo",
            "spiffe://example.com//foo",
            "spiffe://example.com/foo/",
            "spiffe://example.com/./foo",
            "spiffe://example.com/foo/../bar",
            "spiffe://example.com/foo?x",
            "spiffe://example.com/foo#x",
            "spiffe://example.com/%66oo",
            "spiffe://example.com/foo bar",
            "spiffe://example.com/foo\n",
            "spiffe://example.com/f\u{f6}o",
        ] {
            assert!(!domain.contains(id), "{id:?}");
        }
        let long = format!("spiffe://example.com/{}", "a".repeat(MAX_ID_LEN));
        assert!(!domain.contains(&long) && domain.contains(&long[..MAX_ID_LEN]));
    }

    #[test]
    fn refuses_domains_that_are_none() {
        for text in ["a", "prod.acme.example", "a_b-c.9"] {
            assert!(TrustDomain::parse(text).is_ok(), "{text}");
        }
        let long = "a".repeat(MAX_TRUST_DOMAIN_LEN + 1);
        for text in
            ["", ".", "Example.com", "spiffe://example.com", "a/b", "a:1", "u@a", "a#b", "*", &long]
        {
            assert!(TrustDomain::parse(text).is_err(), "{text}");
        }
    }
}
