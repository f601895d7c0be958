use std::fmt;

use thiserror::Error;
use url::Url;

/// Longest URL of a service, in bytes: what common servers take as a request line.
const MAX_URL_LEN: usize = 8 * 1024;

/// An `http` or `https` URL of a service.
///
/// Credentials in it are sent and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

impl ServiceUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`ServiceUrlError`].
    pub fn parse(text: &str) -> Result<Self, ServiceUrlError> {
        if text.len() > MAX_URL_LEN {
            return Err(ServiceUrlError::TooLong);
        }
        let url = Url::parse(text.trim())?;
        let url = match (url.scheme(), url.has_host()) {
            ("http" | "https", true) => Self(url),
            (scheme, _) => return Err(ServiceUrlError::Scheme(scheme.to_owned())),
        };
        let Self(inner) = &url;
        let has_credentials = !inner.username().is_empty() || inner.password().is_some();
        if has_credentials && !url.is_private() {
            return Err(ServiceUrlError::PlainCredentials(url.to_string()));
        }
        Ok(url)
    }

    /// Whether nobody on the way reads what is sent there: TLS, or this machine.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.0.scheme() == "https" || is_loopback(&self.0)
    }

    /// The URL as it was given.
    pub(crate) fn verbatim(&self) -> Url {
        self.0.clone()
    }

    /// `path` (with a leading slash) below this base URL, whether or not that ends in a slash.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&(base + path));
        url.set_query(None);
        url.set_fragment(None);
        url
    }
}

/// Whether the URL is of this machine, where nothing leaves.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(wire::host::is_loopback)
}

/// A [`ServiceUrl`] to which a token may be sent: whoever reads one on its way can sign with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateUrl(ServiceUrl);

impl TryFrom<ServiceUrl> for PrivateUrl {
    type Error = ServiceUrlError;

    fn try_from(url: ServiceUrl) -> Result<Self, ServiceUrlError> {
        if url.is_private() { Ok(Self(url)) } else { Err(ServiceUrlError::Plain(url.to_string())) }
    }
}

impl From<PrivateUrl> for ServiceUrl {
    fn from(PrivateUrl(url): PrivateUrl) -> Self {
        url
    }
}

impl fmt::Display for ServiceUrl {
    /// Without credentials, query and fragment, in which secrets are kept too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceUrl({self})")
    }
}

/// Why text is no URL of a service. Does not repeat the text, which may hold credentials.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ServiceUrlError {
    /// More than 8 KiB.
    #[error("the URL is too long")]
    TooLong,
    /// Often a host without a scheme before it.
    #[error("not a URL: {0}; write it as http://host:port or https://host")]
    Syntax(#[from] url::ParseError),
    /// `localhost:3001` reads as scheme `localhost`, for one.
    #[error("the URL has scheme `{0}`; write it as http://host:port or https://host")]
    Scheme(String),
    /// A token would be read on its way. Without credentials and query.
    #[error(
        "{0} is http to another machine, and whoever is on the way could take the token and sign \
         with it; use https (http is for this machine alone)"
    )]
    Plain(String),
    /// The same for a password in the URL.
    #[error(
        "{0} is http to another machine, and the URL holds credentials, which whoever is on the way \
         could read; use https"
    )]
    PlainCredentials(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_paths_with_and_without_a_final_slash() {
        for (base, joined) in [
            ("http://localhost:5555", "http://localhost:5555/api/v2/x"),
            ("http://localhost:5555/", "http://localhost:5555/api/v2/x"),
            ("https://host/fulcio", "https://host/fulcio/api/v2/x"),
            ("https://host/fulcio//?a=b#c", "https://host/fulcio/api/v2/x"),
        ] {
            assert_eq!(ServiceUrl::parse(base).unwrap().join("/api/v2/x").as_str(), joined);
        }
    }

    #[test]
    fn keeps_a_complete_url_verbatim() {
        let text = "http://localhost:3004/api/v1/timestamp/?policy=1";
        assert_eq!(ServiceUrl::parse(text).unwrap().verbatim().as_str(), text);
    }

    #[test]
    fn shows_neither_credentials_nor_query() {
        let url = ServiceUrl::parse("https://user:secret@host:8443/ca/?key=secret#secret").unwrap();
        assert_eq!(url.to_string(), "https://host:8443/ca");
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn tokens_go_by_tls_or_to_this_machine_and_nowhere_else() {
        let private = |text: &str| PrivateUrl::try_from(ServiceUrl::parse(text).unwrap());
        for text in [
            "https://ca.example",
            "https://10.0.0.1:5555",
            "http://localhost:5555",
            "http://LOCALHOST",
            "http://127.0.0.1",
            "http://127.8.7.6:1",
            "http://[::1]:5555",
            // One number is an address too.
            "http://2130706433",
        ] {
            private(text).unwrap();
        }
        for text in [
            "http://ca.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.",
            "http://ca.localhost",
            "http://localhost@evil.example",
        ] {
            let refused = ServiceUrl::parse(text).and_then(PrivateUrl::try_from).unwrap_err();
            let said = refused.to_string();
            assert!(said.contains("http://") && said.contains("use https"), "{text}: {said}");
        }
    }

    #[test]
    fn credentials_go_by_tls_or_to_this_machine_too_and_are_not_shown() {
        ServiceUrl::parse("https://user:secret@host").unwrap();
        ServiceUrl::parse("http://user:secret@localhost").unwrap();
        for text in
            ["http://user:secret@host/x?secret", "http://secret@host", "http://:secret@host"]
        {
            let refused = ServiceUrl::parse(text).unwrap_err();
            assert!(matches!(refused, ServiceUrlError::PlainCredentials(_)), "{text}");
            assert!(!format!("{refused} {refused:?}").contains("secret"), "{refused}");
        }
    }

    #[test]
    fn rejects_what_is_no_url_of_a_service() {
        assert!(matches!(ServiceUrl::parse("host"), Err(ServiceUrlError::Syntax(_))));
        assert!(matches!(ServiceUrl::parse("localhost:5555"), Err(ServiceUrlError::Scheme(_))));
        assert!(matches!(ServiceUrl::parse("file:///etc"), Err(ServiceUrlError::Scheme(_))));
        let long = format!("http://host/{}", "a".repeat(MAX_URL_LEN));
        assert_eq!(ServiceUrl::parse(&long), Err(ServiceUrlError::TooLong));
    }
}
