use thiserror::Error;

use super::forge_url::{ForgeUrl, host_of};
use crate::issuer::{is_github_server, spoken_host};

/// What a forge is, and so which letters are the same to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgeKind {
    /// github.com, a `ghe.com` tenant, a GitHub Enterprise Server.
    Github,
    /// gitlab.com, or a GitLab of one's own.
    Gitlab,
    /// Azure Repos.
    Azure,
    /// Bitbucket Cloud.
    Bitbucket,
    /// One that is not known: two names are the same only letter by letter.
    Other,
}

impl ForgeKind {
    /// The kind of that name, as configuration and `countersign.json` have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "github" => Self::Github,
            "gitlab" => Self::Gitlab,
            "azure" => Self::Azure,
            "bitbucket" => Self::Bitbucket,
            "other" => Self::Other,
            _ => return None,
        })
    }

    /// The kind of a forge that everybody knows; `None` for all other hosts.
    pub(super) fn of_host(host: &str) -> Option<Self> {
        match host {
            "github.com" => Some(Self::Github),
            "gitlab.com" => Some(Self::Gitlab),
            "dev.azure.com" => Some(Self::Azure),
            "bitbucket.org" => Some(Self::Bitbucket),
            host => host.ends_with(".ghe.com").then_some(Self::Github),
        }
    }

    /// Whether two names of owners or repositories are one to this forge.
    ///
    /// Each of the known ones takes a name in any case, and lets nobody register a second one
    /// that differs in nothing else. Only ASCII letters: what the forges do to others differs.
    pub(super) fn is_same_name(self, one: &str, other: &str) -> bool {
        match self {
            Self::Github | Self::Gitlab | Self::Azure | Self::Bitbucket => {
                one.eq_ignore_ascii_case(other)
            }
            Self::Other => one == other,
        }
    }
}

/// A host of source repositories, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forge {
    /// In lower case, with a port when it is another than 443.
    pub(super) host: String,
    pub(super) kind: ForgeKind,
}

impl Forge {
    /// Reads `https://host` or `https://host:port`, with or without a final slash.
    ///
    /// `kind` may be left out: hosts that everybody knows are known, others are
    /// [`ForgeKind::Other`].
    ///
    /// # Errors
    /// [`ForgeError`].
    pub fn new(url: &str, kind: Option<ForgeKind>) -> Result<Self, ForgeError> {
        let wrong = || ForgeError::Url(url.to_owned());
        let text = url.strip_suffix('/').unwrap_or(url);
        let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(wrong());
        }
        let host = host_of(authority).ok_or_else(wrong)?;
        let known = ForgeKind::of_host(&host);
        if let (Some(known), Some(kind)) = (known, kind)
            && known != kind
        {
            return Err(ForgeError::Kind(host));
        }
        Ok(Self { kind: known.or(kind).unwrap_or(ForgeKind::Other), host })
    }

    /// The forge of an issuer of identity tokens, where that is known.
    pub(super) fn of_issuer(issuer: &str) -> Option<Self> {
        let host = host_of(&spoken_host(issuer)?)?;
        let server = is_github_server(issuer).then_some(ForgeKind::Github);
        let kind = ForgeKind::of_host(&host).or(server).unwrap_or(ForgeKind::Other);
        Some(Self { host, kind })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.host)
    }
}

/// Whether two URLs are of one repository, by what is known of their forge.
pub(super) fn is_same_repository(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (Some(one), Some(other)) = (ForgeUrl::parse(one), ForgeUrl::parse(other)) else {
        return false;
    };
    let kind = ForgeKind::of_host(one.host()).unwrap_or(ForgeKind::Other);
    one.is_same(&other, kind)
}

/// Why a text is no forge.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ForgeError {
    /// More or less than an https URL of a host.
    #[error("forge `{0}` must be https://HOST or https://HOST:PORT")]
    Url(String),
    /// A well-known host was said to be something else.
    #[error("{0} is a forge of another kind")]
    Kind(String),
}
