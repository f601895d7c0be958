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
        match (url.scheme(), url.has_host()) {
            ("http" | "https", true) => Ok(Self(url)),
            (scheme, _) => Err(ServiceUrlError::Scheme(scheme.to_owned())),
        }
    }

    /// The URL as it was given.
    pub(super) fn verbatim(&self) -> Url {
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
    /// Not a URL.
    #[error("not a URL: {0}; write it as http://host:port or https://host")]
    Syntax(#[from] url::ParseError),
    /// Neither `http` nor `https`.
    #[error("the URL has scheme `{0}`; write it as http://host:port or https://host")]
    Scheme(String),
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
    fn rejects_what_is_no_url_of_a_service() {
        assert!(matches!(ServiceUrl::parse("host"), Err(ServiceUrlError::Syntax(_))));
        assert!(matches!(ServiceUrl::parse("localhost:5555"), Err(ServiceUrlError::Scheme(_))));
        assert!(matches!(ServiceUrl::parse("file:///etc"), Err(ServiceUrlError::Scheme(_))));
        let long = format!("http://host/{}", "a".repeat(MAX_URL_LEN));
        assert_eq!(ServiceUrl::parse(&long), Err(ServiceUrlError::TooLong));
    }
}
