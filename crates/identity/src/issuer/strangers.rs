//! Issuers that anybody can get a token from: what makes one of them speak for its owner alone.

use super::{ClaimRules, IssuerConfigError, IssuerKind};

/// An issuer that serves more than one owner.
struct Shared {
    /// Host of its URL; `*.` in front stands for one or more labels.
    host: &'static str,
    /// What the path has to be for the issuer to be shared.
    path: Path,
    /// Who can get a token there.
    who: &'static str,
    /// Claims of which each alone tells the owner.
    claims: &'static [&'static str],
    /// Whether `domains` tell the owner: where the issuer has verified addresses.
    by_domains: bool,
}

/// Which paths of a host are shared. Others are one owner's, as the URL says.
#[derive(Clone, Copy)]
enum Path {
    /// All.
    Any,
    /// Nothing, or one with a wildcard.
    Root,
    /// One whose segment of this number (from 0) is a wildcard, or is not there.
    Segment(usize),
    /// One whose first segment is one of these, or a wildcard.
    First(&'static [&'static str]),
}

/// Microsoft's tenant of all personal accounts: its id names nobody.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// The first that fits counts. From public documentation of each provider; docs/adr/0018.
const SHARED: &[Shared] = &[
    Shared {
        host: "token.actions.githubusercontent.com",
        path: Path::Root,
        who: "every repository on github.com",
        claims: &[
            "repository_owner_id",
            "repository_owner",
            "repository_id",
            "repository",
            "enterprise_id",
            "enterprise",
        ],
        by_domains: false,
    },
    Shared {
        host: "gitlab.com",
        path: Path::Any,
        who: "every project on gitlab.com",
        claims: &["namespace_id", "namespace_path", "project_id", "project_path"],
        by_domains: true,
    },
    Shared {
        host: "oidc.circleci.com",
        path: Path::Segment(1),
        who: "every organisation of CircleCI",
        claims: &["oidc.circleci.com/org-id", "oidc.circleci.com/project-id"],
        by_domains: false,
    },
    Shared {
        host: "agent.buildkite.com",
        path: Path::Any,
        who: "every organisation of Buildkite",
        claims: &["organization_id", "organization_slug", "pipeline_id"],
        by_domains: false,
    },
    Shared {
        host: "vstoken.dev.azure.com",
        path: Path::Segment(0),
        who: "every organisation of Azure DevOps",
        claims: &["org_id"],
        by_domains: false,
    },
    Shared {
        host: "api.bitbucket.org",
        path: Path::Segment(2),
        who: "every workspace of Bitbucket",
        claims: &["workspaceUuid", "repositoryUuid"],
        by_domains: false,
    },
    Shared {
        host: "accounts.google.com",
        path: Path::Any,
        who: "everybody with a Google account",
        claims: &["hd", "sub", "email"],
        by_domains: true,
    },
    // Administrators of any tenant can give their users any address, hence not by domains.
    Shared {
        host: "login.microsoftonline.*",
        path: Path::First(&["common", "organizations", "consumers"]),
        who: "every tenant of Entra",
        claims: &["tid"],
        by_domains: false,
    },
    Shared {
        host: "login.microsoftonline.*",
        path: Path::First(&[CONSUMERS]),
        who: "everybody with a personal Microsoft account",
        claims: &["sub", "oid"],
        by_domains: false,
    },
    Shared {
        host: "sts.windows.net",
        path: Path::Segment(0),
        who: "every tenant of Entra",
        claims: &["tid"],
        by_domains: false,
    },
    Shared {
        host: "login.live.com",
        path: Path::Any,
        who: "everybody with a personal Microsoft account",
        claims: &["sub"],
        by_domains: false,
    },
    Shared {
        host: "oauth2.sigstore.dev",
        path: Path::Any,
        who: "everybody with an account at GitHub, Google or Microsoft",
        claims: &["email", "sub"],
        by_domains: true,
    },
    Shared {
        host: "appleid.apple.com",
        path: Path::Any,
        who: "everybody with an Apple account",
        claims: &["sub", "email"],
        by_domains: true,
    },
    Shared {
        host: "slack.com",
        path: Path::Any,
        who: "every workspace of Slack",
        claims: &["https://slack.com/team_id"],
        by_domains: true,
    },
    Shared {
        host: "app.terraform.io",
        path: Path::Any,
        who: "every organisation of HCP Terraform",
        claims: &["terraform_organization_id", "terraform_organization_name"],
        by_domains: false,
    },
    Shared {
        host: "oidc.codefresh.io",
        path: Path::Any,
        who: "every account of Codefresh",
        claims: &["account_id"],
        by_domains: false,
    },
    Shared {
        host: "*oidc.buddyusercontent.com",
        path: Path::Any,
        who: "every workspace of Buddy",
        claims: &["workspace_id", "workspace_domain"],
        by_domains: false,
    },
    Shared {
        host: "oidc.vercel.com",
        path: Path::Root,
        who: "every team of Vercel",
        claims: &["owner_id", "owner", "project_id"],
        by_domains: false,
    },
    Shared {
        host: "issuer.enforce.dev",
        path: Path::Any,
        who: "every customer of Chainguard",
        claims: &["sub"],
        by_domains: true,
    },
    Shared {
        host: "codeberg.org",
        path: Path::Any,
        who: "every repository on codeberg.org",
        claims: &["repository_owner_id", "repository_owner", "repository_id", "repository"],
        by_domains: true,
    },
    Shared {
        host: "gitea.com",
        path: Path::Any,
        who: "every repository on gitea.com",
        claims: &["repository_owner_id", "repository_owner", "repository_id", "repository"],
        by_domains: true,
    },
    // Managed Kubernetes: the issuer's URL alone tells whose cluster it is.
    Shared {
        host: "oidc.eks.*.amazonaws.com",
        path: Path::Segment(1),
        who: "every cluster of EKS in the region",
        claims: &["iss"],
        by_domains: false,
    },
    Shared {
        host: "container.googleapis.com",
        path: Path::Segment(2),
        who: "every cluster of GKE",
        claims: &["iss"],
        by_domains: false,
    },
    Shared {
        host: "oidc.prod-aks.azure.com",
        path: Path::Segment(0),
        who: "every cluster of AKS",
        claims: &["iss"],
        by_domains: false,
    },
    Shared {
        host: "*.oic.prod-aks.azure.com",
        path: Path::Segment(0),
        who: "every cluster of AKS in the region",
        claims: &["iss"],
        by_domains: false,
    },
];

/// Whether an issuer serves strangers, and if so what the operator has said about it.
pub(super) struct Owners<'a> {
    /// The issuer's URL or pattern.
    pub(super) url: &'a str,
    pub(super) kind: &'a IssuerKind,
    pub(super) rules: &'a ClaimRules,
    /// Whether `domains` were given.
    pub(super) has_domains: bool,
    pub(super) open_to_all: bool,
}

impl Owners<'_> {
    /// Refuses an issuer of strangers that nothing ties to an owner, and a statement that it is open
    /// where it is not.
    pub(super) fn check(&self) -> Result<(), IssuerConfigError> {
        let shared = SHARED.iter().find(|shared| shared.is(self.url));
        let of_people = self.kind.is_of_addresses();
        let lacks = match shared {
            Some(shared) if !self.pins(shared) => Some(self.unpinned(shared)),
            _ if of_people && !self.has_domains => {
                Some(IssuerConfigError::NoDomains(self.url.to_owned()))
            }
            None if is_any_host(self.url) && self.rules.texts_of("iss").is_empty() => {
                Some(IssuerConfigError::OpenPattern(self.url.to_owned()))
            }
            _ => None,
        };
        match (lacks, self.open_to_all) {
            (Some(error), false) => Err(error),
            (None, true) => Err(IssuerConfigError::NotOpen(self.url.to_owned())),
            _ => Ok(()),
        }
    }

    fn pins(&self, shared: &Shared) -> bool {
        let pinned = |name: &&str| {
            let values = self.rules.texts_of(name);
            !values.is_empty() && !values.contains(&CONSUMERS)
        };
        self.kind.names_owners()
            || shared.claims.iter().any(pinned)
            || (shared.by_domains && self.has_domains)
    }

    fn unpinned(&self, shared: &Shared) -> IssuerConfigError {
        let domains = shared.by_domains && self.kind.is_of_addresses();
        IssuerConfigError::Strangers {
            issuer: self.url.to_owned(),
            who: shared.who,
            claims: shared.claims.join("`, `"),
            or_domains: if domains { ", or `domains`" } else { "" },
        }
    }
}

impl Shared {
    fn is(&self, url: &str) -> bool {
        let (host, path) = host_and_path(url);
        fits(&host, self.host) && self.path.is_shared(path)
    }
}

/// Whether the pattern `url` leaves open whose host it is.
fn is_any_host(url: &str) -> bool {
    let (host, _) = host_and_path(url);
    host.contains('*') && !SHARED.iter().any(|shared| fits(&host, shared.host))
}

/// Host in lower case without port, and the path without its first slash. No URL parser, since the
/// text may be a pattern.
fn host_and_path(url: &str) -> (String, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    (host.to_ascii_lowercase(), path)
}

impl Path {
    fn is_shared(self, path: &str) -> bool {
        let segment = |number| path.split('/').nth(number).unwrap_or_default();
        let is_open = |segment: &str| segment.is_empty() || segment.contains('*');
        match self {
            Self::Any => true,
            Self::Root => is_open(segment(0)),
            Self::Segment(number) => is_open(segment(number)),
            Self::First(names) => {
                let first = segment(0).to_ascii_lowercase();
                names.contains(&first.as_str()) || is_open(&first)
            }
        }
    }
}

/// Whether `host`, which may be a pattern itself, can be one that `pattern` means.
fn fits(host: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let (Some(before), Some(after)) = (parts.next(), parts.next()) else {
        return host == pattern || (host.contains('*') && fits(pattern, host));
    };
    host.len() >= before.len() + after.len() && host.starts_with(before) && host.ends_with(after)
}
