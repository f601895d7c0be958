use std::fmt;

use url::{Host, Url};
use wire::host::is_loopback;

/// Shows the code to a person, who types it: for programs that no browser reaches.
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";

/// Where a code is sent: a program on this machine (RFC 8252 §7.3), at any port, or a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RedirectUri {
    text: String,
    url: Option<Url>,
}

impl RedirectUri {
    /// Takes `http` on a loopback host, without user or fragment (RFC 6749 §3.1.2), and
    /// [`OUT_OF_BAND`]. What a client would have registered is all that this machine could receive.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == OUT_OF_BAND {
            return Some(Self { text: text.to_owned(), url: None });
        }
        let url = Url::parse(text).ok()?;
        let bare = url.username().is_empty() && url.password().is_none() && !text.contains('#');
        // As it was written: the parser drops line ends and tabs, and turns backslashes round.
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let is_local = url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
        (bare && plain && is_local).then(|| Self { text: text.to_owned(), url: Some(url) })
    }

    /// Whether this is it, to the letter (OpenID Connect Core §3.1.3.2).
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// The address to go to with `parameters`; nothing where a person is told.
    pub(super) fn with(&self, parameters: &[(&str, Option<&str>)]) -> Option<String> {
        let mut url = self.url.clone()?;
        let given = parameters.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        url.query_pairs_mut().extend_pairs(given);
        Some(url.into())
    }

    /// What a form of ours may lead to: browsers apply `form-action` to redirects as well. They know no
    /// IPv6 addresses there.
    pub(super) fn form_action(&self) -> String {
        match &self.url {
            None => String::new(),
            Some(url) if matches!(url.host(), Some(Host::Ipv6(_))) => "http:".to_owned(),
            Some(url) => url.origin().ascii_serialization(),
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_on_this_machine_are_taken_at_any_port() {
        for text in [
            "http://localhost:40123/auth/callback",
            "http://127.0.0.1:1/",
            "http://[::1]:65535/a?b=c",
            "http://localhost",
            OUT_OF_BAND,
        ] {
            assert!(RedirectUri::parse(text).is_some_and(|uri| uri.is(text)), "{text}");
        }
    }

    #[test]
    fn nobody_else_is() {
        for text in [
            "",
            "localhost:80",
            "https://localhost/",
            "http://evil.example/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://evil.example\\@localhost/",
            "http://user@localhost/",
            "http://localhost/#fragment",
            "http://localhost/#",
            "http://0.0.0.0/",
            "http://10.0.0.1/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::]/",
            "http:\\\\localhost/",
            "http://local\thost/",
            "http://localhost/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "urn:ietf:wg:oauth:2.0:oob:auto",
            "com.example.app:/callback",
        ] {
            assert!(RedirectUri::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn parameters_are_added_to_those_that_are_there() {
        let uri = RedirectUri::parse("http://127.0.0.1:1/cb?x=1").unwrap();
        let parameters = [("code", Some("a&b")), ("state", None), ("error", Some("é"))];
        let location = uri.with(&parameters).unwrap();
        assert_eq!(location, "http://127.0.0.1:1/cb?x=1&code=a%26b&error=%C3%A9");
        assert_eq!(uri.form_action(), "http://127.0.0.1:1");
        assert_eq!(RedirectUri::parse(OUT_OF_BAND).unwrap().with(&parameters), None);
    }
}
