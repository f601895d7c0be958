use std::{fmt, path::PathBuf, str::FromStr};

use thiserror::Error;
use url::Url;
use wire::host::is_loopback;

/// The URL at which clients find a service: scheme, host, perhaps a port, and nothing more.
///
/// `https`, or `http` on a loopback host: tokens are sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    text: String,
    host: String,
}

impl BaseUrl {
    /// Host without a port: the origin of a Rekor v2 log.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port of an `http` URL, which is of this machine; with `https` somebody else ends TLS.
    pub(crate) fn plain_port(&self) -> Option<u16> {
        let url = Url::parse(&self.text).ok().filter(|url| url.scheme() == "http")?;
        url.port_or_known_default()
    }
}

impl fmt::Display for BaseUrl {
    /// Without a final slash.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text).map_err(|_| BaseUrlError::Form)?;
        let host = url.host_str().ok_or(BaseUrlError::Form)?.to_owned();
        let plain = url.scheme() == "http";
        // Clients compare and append text: `https://host` and no other form of it.
        let normal = url.as_str().strip_suffix('/').unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || normal != text || url.path() != "/" {
            return Err(BaseUrlError::Form);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::Form);
        }
        if plain && !url.host_str().is_some_and(is_loopback) {
            return Err(BaseUrlError::PlainHttp);
        }
        Ok(Self { text: text.to_owned(), host })
    }
}

/// Why a text is no [`BaseUrl`] or [`LoginUrl`].
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BaseUrlError {
    /// More or less than scheme, host and port.
    #[error("must be https://HOST or https://HOST:PORT in lower case, without a final slash")]
    Form,
    /// Tokens would cross a network in the clear.
    #[error("must be https, since the host is not loopback; put a TLS proxy in front")]
    PlainHttp,
    /// Passwords would cross a network in the clear.
    #[error("must be an https URL, or http on a loopback host")]
    Login,
    /// More than an issuer's URL has.
    #[error("must be without user, password, query and fragment, as the provider's `issuer` is")]
    LoginParts,
}

/// The URL of the identity provider that people log in to, as it was written; it may have a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoginUrl(pub(super) String);

impl FromStr for LoginUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text).map_err(|_| BaseUrlError::Login)?;
        // OpenID Connect Discovery §2: an issuer has none of these. A final slash may well be part of it.
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        match url.scheme() {
            _ if !bare => Err(BaseUrlError::LoginParts),
            "https" => Ok(Self(text.to_owned())),
            "http" if url.host_str().is_some_and(is_loopback) => Ok(Self(text.to_owned())),
            _ => Err(BaseUrlError::Login),
        }
    }
}

/// A private key in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFile(pub(super) PathBuf);

impl FromStr for KeyFile {
    type Err = KeyUriError;

    fn from_str(text: &str) -> Result<Self, KeyUriError> {
        let (scheme, rest) = text.split_once(':').ok_or(KeyUriError::NotAUri)?;
        match scheme {
            "file" => {
                let path = PathBuf::from(rest);
                if path.is_absolute() { Ok(Self(path)) } else { Err(KeyUriError::Relative) }
            }
            "pkcs11" | "awskms" | "gcpkms" | "azurekms" | "hashivault" => {
                Err(KeyUriError::NotYet(scheme.to_owned()))
            }
            _ => Err(KeyUriError::NotAUri),
        }
    }
}

/// Why a text names no key.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum KeyUriError {
    /// No scheme, or one that is nobody's.
    #[error("must be file:/ABSOLUTE/PATH")]
    NotAUri,
    /// A file that depends on where the process was started.
    #[error("must be an absolute path after file:")]
    Relative,
    /// Keys elsewhere.
    #[error("keys of {0}: are not supported yet; file:/ABSOLUTE/PATH is")]
    NotYet(String),
}
