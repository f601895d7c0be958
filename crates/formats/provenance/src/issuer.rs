//! Which source host an issuer of identity tokens may speak for.

/// The workspace of development tokens of Bitbucket, whose real issuer has it in its URL.
const DEVELOPMENT_WORKSPACE: &str = "acme";

/// Issuers of CI systems that build from forges of others: they have no host of their own.
const HOSTLESS: [&str; 2] = ["https://agent.buildkite.com", "https://oidc.circleci.com"];

/// The forge that `issuer` has of its own, and so may speak for when the user gave no host.
pub(crate) fn spoken_host(issuer: &str) -> Option<String> {
    if let Some(host) = pinned_host(issuer) {
        return Some(host);
    }
    if HOSTLESS.iter().any(|hostless| is_at_or_below(issuer, hostless)) {
        return None;
    }
    if development_ci(issuer).is_some() {
        return None;
    }
    let UrlParts { scheme, authority, path } = split_url(issuer)?;
    // GitHub Enterprise Server, and a GitLab of one's own, which is its own issuer.
    let own = scheme == "https" && matches!(path, "/_services/token" | "" | "/");
    own.then(|| authority.to_owned())
}

/// Whether this is the issuer of a GitHub Enterprise Server.
pub(crate) fn is_github_server(issuer: &str) -> bool {
    split_url(issuer).is_some_and(|url| url.scheme == "https" && url.path == "/_services/token")
}

/// The one forge of an issuer that is known to speak for no other.
pub(crate) fn pinned_host(issuer: &str) -> Option<String> {
    if let Some(ci) = development_ci(issuer) {
        let host = match ci {
            "github" => "github.com",
            "gitlab" => "gitlab.com",
            "azure" => "dev.azure.com",
            "bitbucket" => "bitbucket.org",
            _ => return None,
        };
        return Some(host.to_owned());
    }
    for (known, host) in [
        ("https://token.actions.githubusercontent.com", "github.com"),
        ("https://vstoken.dev.azure.com", "dev.azure.com"),
        ("https://api.bitbucket.org", "bitbucket.org"),
    ] {
        if is_at_or_below(issuer, known) {
            return Some(host.to_owned());
        }
    }
    let residency = issuer.strip_prefix("https://token.actions.");
    if let Some(host) = residency.filter(|host| host.ends_with(".ghe.com") && !host.contains('/')) {
        return Some(host.to_owned());
    }
    let gitlab = issuer.trim_end_matches('/') == "https://gitlab.com";
    gitlab.then(|| "gitlab.com".to_owned())
}

/// URL of the GitLab server whose issuer this is.
pub(crate) fn forge_of_gitlab(issuer: &str) -> Option<String> {
    match development_ci(issuer) {
        Some(ci) => (ci == "gitlab").then(|| "https://gitlab.com".to_owned()),
        None => split_url(issuer).map(|_| issuer.trim_end_matches('/').to_owned()),
    }
}

/// Slug of the Bitbucket workspace whose issuer this is.
pub(crate) fn workspace_of_bitbucket(issuer: &str) -> Option<String> {
    if development_ci(issuer) == Some("bitbucket") {
        return Some(DEVELOPMENT_WORKSPACE.to_owned());
    }
    let rest = issuer.strip_prefix("https://api.bitbucket.org/2.0/workspaces/")?;
    rest.split('/').next().filter(|slug| !slug.is_empty()).map(str::to_owned)
}

/// The CI that a development issuer stands in for: the one its path names.
fn development_ci(issuer: &str) -> Option<&str> {
    let UrlParts { scheme, authority, path } = split_url(issuer)?;
    if scheme != "http" || !is_loopback(authority) {
        return None;
    }
    path.strip_prefix('/')
}

fn is_at_or_below(issuer: &str, known: &str) -> bool {
    issuer.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    wire::host::is_loopback(host)
}

/// A URL, taken apart as it is written.
pub(crate) struct UrlParts<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) authority: &'a str,
    /// With its leading slash; empty where there is none.
    pub(crate) path: &'a str,
}

/// The parts of a URL that has an authority.
pub(crate) fn split_url(url: &str) -> Option<UrlParts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    (!authority.is_empty()).then_some(UrlParts { scheme, authority, path })
}
