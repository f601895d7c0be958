//! Issuers that are known to serve more than one owner. From public documentation of each provider;
//! docs/adr/0018. It cannot be whole: what it lacks is taken for its operator's own.

use crate::issuer::{
    glob::{covers, meet},
    names::{SplitUrl, split_url},
};

/// An issuer that serves more than one owner.
pub(super) struct Shared {
    /// Hosts of its URL; `*` as in `url_pattern`.
    hosts: &'static [&'static str],
    /// What the path has to be for the issuer to be shared.
    path: Path,
    /// Who can get a token there.
    pub(super) who: &'static str,
    /// Claims of which each alone tells the owner. `iss`: the issuer's URL alone does.
    pub(super) claims: &'static [&'static str],
    /// Whether `domains` tell the owner: where addresses are verified, and no claim has the owner.
    pub(super) by_domains: bool,
}

/// Which paths of a host are shared. Others are one owner's, as the URL says.
#[derive(Clone, Copy)]
enum Path {
    /// All.
    Any,
    /// Nothing, or one with a wildcard in the first segments, up to the one of this number (from 0)
    /// that tells the owner.
    Segment(usize),
    /// One whose first segment is one of these, or a wildcard.
    First(&'static [&'static str]),
    /// One whose first segment is this; a wildcard is another entry's.
    Is(&'static str),
}

use Path::{Any, First, Is, Segment};

/// Microsoft's tenant of all personal accounts: its id names nobody.
pub(super) const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

const ENTRA: &[&str] = &[
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.microsoftonline.de",
    "login.microsoftonline.cn",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "login.microsoft.com",
    "login.windows.net",
];

const ENTRA_V1: &[&str] = &[
    "sts.windows.net",
    "sts.chinacloudapi.cn",
    "sts.microsoftonline.de",
    "sts.microsoftonline.us",
];

/// The issuer's URL alone tells whose it is.
const BY_URL: &[&str] = &["iss"];

const OF_FORGES: &[&str] =
    &["repository_owner_id", "repository_owner", "repository_id", "repository"];

const OF_GITLAB: &[&str] = &["namespace_id", "namespace_path", "project_id", "project_path"];

/// Servers on which anybody may have a project.
const OPEN_GITLABS: &[&str] = &[
    "framagit.org",
    "gitlab.archlinux.org",
    "gitlab.freedesktop.org",
    "gitlab.gnome.org",
    "invent.kde.org",
    "salsa.debian.org",
];

/// People's accounts that belong to no company: an account, or an address that it has verified.
const OF_PEOPLE: &[&str] = &["sub", "email"];

const OPEN_PROVIDERS: &[&str] = &[
    "access.line.me",
    "api.login.yahoo.com",
    "appleid.apple.com",
    "huggingface.co",
    "id.twitch.tv",
    "issuer.hello.coop",
    "www.facebook.com",
    "www.linkedin.com",
    "www.paypal.com",
    "www.paypalobjects.com",
];

pub(super) const SHARED: &[Shared] = &[
    // Jobs.
    Shared {
        claims: &[
            "repository_owner_id",
            "repository_owner",
            "repository_id",
            "repository",
            "enterprise_id",
            "enterprise",
        ],
        ..of(&["token.actions.githubusercontent.com"], Segment(0), "every repository on github.com")
    },
    Shared {
        claims: OF_GITLAB,
        by_domains: true,
        ..of(&["gitlab.com"], Any, "every project on gitlab.com")
    },
    Shared {
        claims: OF_GITLAB,
        by_domains: true,
        ..of(OPEN_GITLABS, Any, "every project on that server")
    },
    Shared {
        claims: OF_FORGES,
        by_domains: true,
        ..of(&["codeberg.org", "gitea.com"], Any, "every repository on that server")
    },
    Shared {
        claims: &["oidc.circleci.com/org-id", "oidc.circleci.com/project-id"],
        ..of(&["oidc.circleci.com"], Segment(1), "every organisation of CircleCI")
    },
    Shared {
        claims: &["organization_id", "organization_slug", "pipeline_id"],
        ..of(&["agent.buildkite.com"], Any, "every organisation of Buildkite")
    },
    Shared {
        claims: &["org_id"],
        ..of(&["vstoken.dev.azure.com"], Segment(0), "every organisation of Azure DevOps")
    },
    Shared {
        claims: &["workspaceUuid", "repositoryUuid"],
        ..of(&["api.bitbucket.org"], Segment(2), "every workspace of Bitbucket")
    },
    Shared {
        claims: &["terraform_organization_id", "terraform_organization_name"],
        ..of(
            &["app.terraform.io", "app.*.terraform.io"],
            Any,
            "every organisation of HCP Terraform",
        )
    },
    Shared {
        claims: &["https://pulumi.com/org_id", "https://pulumi.com/org", "sub"],
        ..of(&["api.pulumi.com"], Any, "every organisation of Pulumi")
    },
    Shared {
        claims: &["account_id"],
        ..of(&["oidc.codefresh.io"], Any, "every account of Codefresh")
    },
    Shared {
        claims: &["workspace_id", "workspace_domain"],
        ..of(
            &["oidc.buddyusercontent.com", "*-oidc.buddyusercontent.com"],
            Any,
            "every workspace of Buddy",
        )
    },
    Shared {
        claims: &["owner_id", "owner", "project_id"],
        ..of(&["oidc.vercel.com"], Segment(0), "every team of Vercel")
    },
    Shared {
        claims: &["org_id", "org_name", "app_id"],
        ..of(&["oidc.fly.io"], Segment(0), "every organisation of Fly.io")
    },
    Shared {
        claims: &["org_id", "repository_owner_id", "repository_owner", "repository_id"],
        ..of(&["identity.depot.dev"], Any, "every organisation of Depot")
    },
    Shared {
        claims: &["workspace_id"],
        ..of(&["oidc.modal.com"], Any, "every workspace of Modal")
    },
    Shared {
        claims: &["sub"],
        ..of(
            &["login.app.env0.com", "oidc.cirrus-ci.com", "token.builds.bitrise.io"],
            Any,
            "every customer of that service",
        )
    },
    // People, and machines beside them.
    Shared {
        claims: &["hd", "sub", "email"],
        ..of(&["accounts.google.com"], Any, "everybody with a Google account")
    },
    Shared {
        claims: BY_URL,
        ..of(&["securetoken.google.com"], Segment(0), "every project of Firebase")
    },
    // Administrators of any tenant can give their users any address, hence not by domains.
    Shared {
        claims: &["tid"],
        ..of(ENTRA, First(&["common", "organizations", "consumers"]), "every tenant of Entra")
    },
    Shared {
        claims: &["sub", "oid"],
        ..of(ENTRA, Is(CONSUMERS), "everybody with a personal Microsoft account")
    },
    Shared { claims: &["tid"], ..of(ENTRA_V1, Segment(0), "every tenant of Entra") },
    Shared {
        claims: &["sub"],
        ..of(&["login.live.com"], Any, "everybody with a personal Microsoft account")
    },
    Shared {
        claims: OF_PEOPLE,
        by_domains: true,
        ..of(
            &["oauth2.sigstore.dev", "oauth2.sigstage.dev"],
            Any,
            "everybody with an account at GitHub, Google or Microsoft",
        )
    },
    Shared {
        claims: OF_PEOPLE,
        by_domains: true,
        ..of(OPEN_PROVIDERS, Any, "everybody with an account there")
    },
    // Addresses are what the administrators of any workspace or organisation say.
    Shared {
        claims: &["https://slack.com/team_id", "sub"],
        ..of(&["slack.com"], Any, "every workspace of Slack")
    },
    Shared {
        claims: &["organization_id", "sub"],
        ..of(
            &["login.salesforce.com", "test.salesforce.com"],
            Any,
            "every organisation of Salesforce",
        )
    },
    Shared {
        claims: OF_PEOPLE,
        ..of(&["issuer.enforce.dev", "www.kaggle.com"], Any, "every customer of that service")
    },
    // Managed Kubernetes.
    Shared {
        claims: BY_URL,
        ..of(
            &[
                "oidc.eks.*.amazonaws.com",
                "oidc.eks.*.amazonaws.com.cn",
                "oidc-eks.*.api.aws",
                "oidc-eks.*.api.amazonwebservices.com.cn",
            ],
            Segment(1),
            "every cluster of EKS in the region",
        )
    },
    Shared {
        claims: BY_URL,
        ..of(
            &["container.googleapis.com", "gkehub.googleapis.com"],
            Segment(2),
            "every cluster of GKE",
        )
    },
    Shared {
        claims: BY_URL,
        ..of(
            &["oidc.prod-aks.azure.com", "oidc.prod-aks.azure.cn", "oidc.prod-aks.azure.us"],
            Segment(0),
            "every cluster of AKS",
        )
    },
    Shared {
        claims: BY_URL,
        ..of(
            &[
                "*.oic.prod-aks.azure.com",
                "*.oic.prod-aks.azure.cn",
                "*.oic.prod-aks.azure.us",
                "*.oic.prod-arc.azure.com",
            ],
            Segment(0),
            "every cluster of AKS in the region",
        )
    },
];

const fn of(hosts: &'static [&'static str], path: Path, who: &'static str) -> Shared {
    Shared { hosts, path, who, claims: &[], by_domains: false }
}

impl Shared {
    /// Whether a token of it may be one of `url`, an issuer or a pattern.
    pub(super) fn is(&self, url: &str) -> bool {
        let Location { host, path } = location(url);
        self.hosts.iter().any(|of| meet(&host, of)) && self.path.is_shared(path)
    }

    /// Whether each issuer of the pattern `url` is on its hosts. Then the path tells whose they are,
    /// or a claim.
    pub(super) fn has_all_of(&self, url: &str) -> bool {
        let Location { host, .. } = location(url);
        self.hosts.iter().any(|of| covers(of, &host))
    }
}

/// Where an issuer is.
struct Location<'a> {
    /// As it is compared.
    host: String,
    path: &'a str,
}

/// Host in lower case without port and final dot, and the path without its first slash.
fn location(url: &str) -> Location<'_> {
    let SplitUrl { origin, path } = split_url(url);
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    Location { host, path: path.strip_prefix('/').unwrap_or(path) }
}

impl Path {
    fn is_shared(self, path: &str) -> bool {
        let segment = |number| path.split('/').nth(number).unwrap_or_default();
        let is_open = |segment: &str| segment.is_empty() || segment.contains('*');
        match self {
            Self::Any => true,
            Self::Segment(number) => (0..=number).any(|number| is_open(segment(number))),
            Self::First(names) => {
                let first = segment(0).to_ascii_lowercase();
                names.contains(&first.as_str()) || is_open(&first)
            }
            Self::Is(name) => segment(0).eq_ignore_ascii_case(name),
        }
    }
}
