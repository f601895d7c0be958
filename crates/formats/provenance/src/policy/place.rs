use super::{
    CertificateClaims, Forge, ForgeKind, PolicyError,
    forge_url::{ForgeUrl, host_of, segments_of},
};
use crate::issuer::{pinned_host, spoken_host};

/// A repository or owner, as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `https://host/org/repo`, or `host/org/repo`: there and nowhere else.
    Url(ForgeUrl),
    /// `org/repo`: on the forge that bare names mean.
    Bare {
        /// As it was given.
        text: String,
        segments: Vec<String>,
    },
}

impl Named {
    /// Reads a name of at least `least` segments; one final slash is passed over.
    ///
    /// A first segment with a dot in it is a host, when enough follow: no owner on GitHub, Azure
    /// or Bitbucket has a dot. A group of GitLab may: it needs its whole URL, since to take the
    /// host for a group would let whoever registers a group of that name speak for the host.
    pub(super) fn parse(text: &str, least: usize) -> Option<Self> {
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        if trimmed.contains("://") {
            let url = ForgeUrl::parse(trimmed)?;
            return (url.segments().len() >= least).then_some(Self::Url(url));
        }
        let (first, rest) = trimmed.split_once('/').unwrap_or((trimmed, ""));
        if let Some(host) = host_of(first).filter(|_| first.contains(['.', ':'])) {
            let enough = !rest.is_empty() && rest.split('/').count() >= least;
            if enough {
                return Some(Self::Url(ForgeUrl::new(host, segments_of(rest)?)));
            }
            // `github.com/acme` is no repository of an owner called `github.com`.
            if ForgeKind::of_host(&host).is_some() {
                return None;
            }
        }
        let segments = segments_of(trimmed)?;
        let enough = segments.len() >= least;
        enough.then(|| Self::Bare { text: trimmed.to_owned(), segments })
    }

    /// Whether a repository of this name could be.
    pub(super) fn is_repository(&self) -> bool {
        self.segments().last().is_none_or(|last| last != ".git")
    }

    fn segments(&self) -> &[String] {
        match self {
            Self::Url(url) => url.segments(),
            Self::Bare { segments, .. } => segments,
        }
    }

    /// The place that is meant.
    pub(super) fn resolved(self, names: &BareNames<'_>) -> Result<Place, PolicyError> {
        let (url, bare) = match self {
            Self::Url(url) => (url, false),
            Self::Bare { text, segments } => {
                let forge = names.forge_of(&text)?;
                (ForgeUrl::new(forge.host, segments), names.issuer.is_none())
            }
        };
        let known = names.forge.filter(|forge| forge.host == url.host()).map(|forge| forge.kind);
        let kind = known.or_else(|| ForgeKind::of_host(url.host())).unwrap_or(ForgeKind::Other);
        Ok(Place { url, kind, of_the_forges_own_issuer: bare })
    }
}

/// What a name without a host means.
#[derive(Clone, Copy, Debug, Default)]
pub struct BareNames<'a> {
    /// The forge that the trust configuration names for them.
    pub forge: Option<&'a Forge>,
    /// The one issuer whose certificates are taken, when one was demanded exactly.
    pub issuer: Option<&'a str>,
}

impl BareNames<'_> {
    /// The trust configuration's forge goes before the issuer's: what a name means should not
    /// change with another option. Where both are there and cannot both hold, nothing could ever
    /// pass, and what was meant is not ours to guess.
    fn forge_of(&self, name: &str) -> Result<Forge, PolicyError> {
        let of_issuer = self.issuer.and_then(Forge::of_issuer);
        match (self.forge, of_issuer, self.issuer) {
            (Some(forge), Some(other), Some(issuer)) if forge.host != other.host => {
                Err(PolicyError::AnotherForge {
                    name: name.to_owned(),
                    forge: forge.url(),
                    issuer: issuer.to_owned(),
                })
            }
            (Some(forge), _, _) => Ok(forge.clone()),
            (None, Some(forge), _) => Ok(forge),
            (None, None, Some(issuer)) => Err(PolicyError::NoForgeOfIssuer {
                name: name.to_owned(),
                issuer: issuer.to_owned(),
            }),
            (None, None, None) => Err(PolicyError::NoForge(name.to_owned())),
        }
    }
}

/// A repository or owner on its forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) url: ForgeUrl,
    kind: ForgeKind,
    /// Whether only the issuer of that very forge may speak of it: it was named by no host, and no
    /// issuer was demanded.
    of_the_forges_own_issuer: bool,
}

impl Place {
    /// The forge's equality of letters, also where only the certificate's issuer tells the forge.
    pub(super) fn kind(&self, certificate: &CertificateClaims) -> ForgeKind {
        let forge = certificate.issuer.as_deref().and_then(Forge::of_issuer);
        match forge.filter(|forge| forge.host == self.url.host()) {
            Some(forge) if self.kind == ForgeKind::Other => forge.kind,
            _ => self.kind,
        }
    }

    /// Whether the issuer's word about repositories of this host counts.
    pub(super) fn may_be_told_by(&self, issuer: &str) -> bool {
        let is_here = |host: String| host_of(&host).is_some_and(|host| host == self.url.host());
        if self.of_the_forges_own_issuer {
            spoken_host(issuer).is_some_and(is_here)
        } else {
            pinned_host(issuer).is_none_or(is_here)
        }
    }
}
