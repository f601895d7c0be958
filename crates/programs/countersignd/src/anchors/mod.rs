//! Where the last signed checkpoints of the logs are kept, out of reach of a restore: as the configuration
//! names it, and as it is opened.

mod http;

use std::{path::PathBuf, str::FromStr, sync::Arc};

use anyhow::Context;
use engine::{Anchor, FileAnchor};
use thiserror::Error;
use url::Url;
use wire::host::is_loopback;

use self::http::HttpAnchor;

/// A place for the checkpoints of any number of logs, each under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnchorPlace {
    /// A directory.
    Directory(PathBuf),
    /// A store that is read by GET and written by conditional PUT; its path ends in a slash.
    Http(Url),
}

impl AnchorPlace {
    /// The anchor of the log `name`.
    pub(crate) fn open(&self, name: &str) -> anyhow::Result<Arc<dyn Anchor>> {
        match self {
            Self::Directory(directory) => Ok(Arc::new(FileAnchor::new(directory.join(name)))),
            Self::Http(base) => {
                let url = base.join(name).with_context(|| format!("no URL below {base}"))?;
                Ok(Arc::new(HttpAnchor::new(url)?))
            }
        }
    }
}

impl FromStr for AnchorPlace {
    type Err = AnchorPlaceError;

    fn from_str(text: &str) -> Result<Self, AnchorPlaceError> {
        if let Some(path) = text.strip_prefix("file:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Directory(path))
            } else {
                Err(AnchorPlaceError::Form)
            };
        }
        let url = Url::parse(text).map_err(|_| AnchorPlaceError::Form)?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain || !url.path().ends_with('/') {
            return Err(AnchorPlaceError::Form);
        }
        match url.scheme() {
            "https" => Ok(Self::Http(url)),
            "http" if url.host_str().is_some_and(is_loopback) => Ok(Self::Http(url)),
            "http" => Err(AnchorPlaceError::PlainHttp),
            _ => Err(AnchorPlaceError::Form),
        }
    }
}

/// Why a text names no place.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum AnchorPlaceError {
    /// Neither of the two.
    #[error(
        "must be file:/ABSOLUTE/DIRECTORY or https://HOST/PATH/ with a final slash, without user, password and query"
    )]
    Form,
    /// Whoever is on the way could answer as if nothing had ever been signed.
    #[error("must be https, since the host is not loopback")]
    PlainHttp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_a_store_by_https() {
        let parse = |text: &str| text.parse::<AnchorPlace>();
        assert_eq!(parse("file:/mnt/a"), Ok(AnchorPlace::Directory("/mnt/a".into())));
        for good in ["https://a.example/", "https://a.example/b/", "http://127.0.0.1:9/a/"] {
            assert!(matches!(parse(good), Ok(AnchorPlace::Http(_))), "{good}");
        }
        assert_eq!(parse("http://a.example/"), Err(AnchorPlaceError::PlainHttp));
        let bad = ["file:a", "/mnt/a", "https://a.example/b", "https://u:p@a.example/", "s3://a/"];
        for bad in bad.into_iter().chain(["https://a.example/?x=/", ""]) {
            assert_eq!(parse(bad), Err(AnchorPlaceError::Form), "{bad}");
        }
    }
}
