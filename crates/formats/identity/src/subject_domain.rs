use std::fmt;

use url::{Host, Url};

use crate::IssuerConfigError;

/// Scheme and host below which an issuer may name subjects, such as `https://example.com`.
///
/// Compared byte by byte with what a subject begins with. No URL parser sees the subject: parsers
/// differ on backslashes, tabs and letter case, and such differences have been identities before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectDomain {
    scheme: String,
    host: String,
}

impl SubjectDomain {
    /// Reads `scheme://host`, lower case, without port, path, query or user.
    ///
    /// # Errors
    /// [`IssuerConfigError::SubjectDomain`].
    pub fn parse(text: &str) -> Result<Self, IssuerConfigError> {
        let wrong = || IssuerConfigError::SubjectDomain(text.to_owned());
        let parsed = Url::parse(text).map_err(|_| wrong())?;
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let domain = Self { scheme: parsed.scheme().to_owned(), host: host.to_owned() };
        // Whatever the parser changed, dropped or added shows in this comparison. A wildcard is a
        // character to it, and means something else to whoever wrote it.
        if domain.to_string() == text && !text.contains('*') { Ok(domain) } else { Err(wrong()) }
    }

    /// Whether `subject` is a URI with exactly this scheme and host; its port is ignored.
    #[must_use]
    pub fn contains(&self, subject: &str) -> bool {
        let rest = subject.strip_prefix(&self.scheme).and_then(|rest| rest.strip_prefix("://"));
        let Some(rest) = rest.and_then(|rest| rest.strip_prefix(&self.host)) else { return false };
        if !subject.bytes().all(is_uri_byte) {
            return false;
        }
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        match rest.split_at(authority_end).0.strip_prefix(':') {
            // `parse` alone would take a sign.
            Some(port) => {
                port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
            }
            None => authority_end == 0,
        }
    }

    /// Whether an issuer at `issuer_host` may speak for this domain: the same host, or one of the
    /// same registered domain. Addresses have no labels and must be equal.
    pub(crate) fn belongs_to(&self, issuer_host: &str) -> bool {
        is_of_one_owner(&self.host, issuer_host)
    }
}

impl fmt::Display for SubjectDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)
    }
}

/// Whether RFC 3986 lets this byte stand in a URI as it is (`%` only before two digits, which
/// [`has_only_whole_escapes`] checks).
pub(crate) fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// Whether every `%` begins an escape of two hexadecimal digits (RFC 3986 §2.1).
pub(crate) fn has_only_whole_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        matches!(rest.as_bytes(), [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// Whether two hosts are the same or below one registered domain. Two labels in common are not
/// enough: nobody owns `co.uk` or `github.io`, whose domains are strangers to each other.
pub(crate) fn is_of_one_owner(host: &str, other: &str) -> bool {
    if host == other {
        return true;
    }
    let is_name = |host| matches!(Host::parse(host), Ok(Host::Domain(_)));
    let is_whole = |host: &str| !host.split('.').any(str::is_empty);
    [host, other].into_iter().all(|host| is_name(host) && is_whole(host))
        && psl::domain_str(host).is_some_and(|domain| Some(domain) == psl::domain_str(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn domain(text: &str) -> SubjectDomain {
        SubjectDomain::parse(text).unwrap()
    }

    #[test]
    fn contains_uris_of_its_host_with_any_port_and_path() {
        let domain = domain("https://example.com");
        for subject in [
            "https://example.com",
            "https://example.com/",
            "https://example.com/team/app?x=1#y",
            "https://example.com:8443/team",
            "https://example.com?x",
            "https://example.com/a@b",
        ] {
            assert!(domain.contains(subject), "{subject}");
        }
    }

    #[test]
    fn refuses_prefix_suffix_and_parser_tricks() {
        let domain = domain("https://example.com");
        for subject in [
            "",
            "https://evil-example.com/",
            "https://example.com.evil.org/",
            "https://example.community/",
            "https://sub.example.com/",
            "https://example.com@evil.org/",
            "https://user@example.com/",
            "https://example.com:80@evil.org/",
            "https://example.com:/",
            "https://example.com:+80/",
            "https://example.com:65536/",
            "https://example.com\\@evil.org/",
            "https://example.com\t/",
            "https://example.com /",
            "https:///example.com/",
            "https:example.com/",
            "http://example.com/",
            "HTTPS://example.com/",
            "https://EXAMPLE.com/",
            "https://ex%61mple.com/",
            "https://example.com./",
            "https://example.com/ä",
            "//example.com/",
            "someone@example.com",
        ] {
            assert!(!domain.contains(subject), "{subject}");
        }
    }

    #[test]
    fn contains_addresses_exactly() {
        assert!(domain("http://[::1]").contains("http://[::1]:3006/me"));
        assert!(!domain("http://[::1]").contains("http://[::1]x/me"));
        assert!(domain("http://127.0.0.1").contains("http://127.0.0.1:3006/me"));
        assert!(!domain("http://127.0.0.1").contains("http://127.0.0.10/me"));
    }

    #[test]
    fn refuses_domains_that_say_more_than_scheme_and_host() {
        for text in [
            "",
            "example.com",
            "https://",
            "https://example.com/",
            "https://example.com/path",
            "https://example.com:8443",
            "https://user@example.com",
            "https://example.com?x",
            "https://Example.com",
            "https:\\\\example.com",
            "mailto:a@example.com",
            "https://*.example.com",
        ] {
            assert!(SubjectDomain::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn belongs_to_issuers_of_the_same_last_two_labels() {
        let of = domain("https://example.com");
        assert!(of.belongs_to("example.com"));
        assert!(of.belongs_to("accounts.example.com"));
        assert!(domain("https://a.example.com").belongs_to("b.example.com"));
        assert!(domain("http://localhost").belongs_to("localhost"));
        for host in ["example.org", "evil-example.com", "com", "", "example.com.evil.org"] {
            assert!(!of.belongs_to(host), "{host}");
        }
    }

    #[test]
    fn strangers_below_one_public_suffix_do_not_belong_together() {
        for (of, host) in [
            ("https://acme.co.uk", "evil.co.uk"),
            ("https://acme.github.io", "evil.github.io"),
            ("https://acme.com.au", "login.evil.com.au"),
            ("https://co.uk", "acme.co.uk"),
        ] {
            assert!(!domain(of).belongs_to(host), "{of} {host}");
        }
        assert!(domain("https://acme.co.uk").belongs_to("login.acme.co.uk"));
        assert!(domain("https://app.corp").belongs_to("sso.app.corp"));
    }

    #[test]
    fn addresses_belong_only_to_themselves() {
        assert!(domain("http://10.0.0.1").belongs_to("10.0.0.1"));
        assert!(!domain("http://10.9.0.1").belongs_to("10.8.0.1"));
    }

    #[test]
    fn knows_whole_escapes() {
        for text in ["", "a", "%20", "a%2Fb%aF"] {
            assert!(has_only_whole_escapes(text), "{text}");
        }
        for text in ["%", "%2", "%zz", "a%%20", "%2é"] {
            assert!(!has_only_whole_escapes(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn contains_only_what_a_url_parser_places_on_the_host(rest in "[ -~]{0,40}") {
            let subject = format!("https://example.com{rest}");
            if domain("https://example.com").contains(&subject) {
                let Ok(parsed) = Url::parse(&subject) else { return Ok(()) };
                prop_assert_eq!(parsed.host_str(), Some("example.com"));
            }
        }
    }
}
