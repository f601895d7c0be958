use thiserror::Error;

use crate::{
    CI_BUILD_TYPE, Provenance,
    issuer::{pinned_host, split_url, spoken_host},
};

/// What a verified signing certificate says of the build: Fulcio's extensions
/// `1.3.6.1.4.1.57264.1.N`, N in the comments. Absent when the issuer is no CI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateClaims {
    /// 8 (or 1): the OIDC issuer.
    pub issuer: Option<String>,
    /// 9: the workflow whose job signed.
    pub build_signer_uri: Option<String>,
    /// 11: `github-hosted`, `self-hosted`.
    pub runner_environment: Option<String>,
    /// 12: URL of the source repository.
    pub source_repository_uri: Option<String>,
    /// 13: commit, hex.
    pub source_repository_digest: Option<String>,
    /// 14: full ref.
    pub source_repository_ref: Option<String>,
    /// 16: URL of the repository's owner.
    pub source_repository_owner_uri: Option<String>,
    /// 18: the workflow that was triggered, with its ref after `@`.
    pub build_config_uri: Option<String>,
}

/// From where an artifact must come.
///
/// The certificate decides, since the CA took it from the CI's own token; a predicate is
/// what the job wrote, so it may only agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePolicy {
    repository: Option<Place>,
    organisation: Option<Place>,
    reference: Option<String>,
}

/// A repository or owner, as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// `org/repo`: under whatever host the issuer may speak for.
    Path(String),
    /// `https://host/org/repo`: there and nowhere else.
    Url(String),
}

impl SourcePolicy {
    /// Reads `--verify-repo`, `--verify-org` and `--verify-ref`.
    ///
    /// A repository is `org/repo` or its whole URL, an organisation `org` or its URL. A ref is
    /// a branch name (`main` is exactly `refs/heads/main`) or a full ref (`refs/tags/v1`).
    ///
    /// # Errors
    /// [`PolicyError`], each for its option.
    pub fn new(
        repository: Option<&str>,
        organisation: Option<&str>,
        reference: Option<&str>,
    ) -> Result<Self, PolicyError> {
        let repository = repository
            .map(|text| place(text, 2).ok_or_else(|| PolicyError::Repository(text.to_owned())));
        let organisation = organisation
            .map(|text| place(text, 1).ok_or_else(|| PolicyError::Organisation(text.to_owned())));
        Ok(Self {
            repository: repository.transpose()?,
            organisation: organisation.transpose()?,
            reference: reference.map(full_ref).transpose()?,
        })
    }

    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the certificate against what is demanded, and the predicate against the certificate.
    ///
    /// `provenance` is `None` for a statement of another kind; the certificate then stands alone.
    /// A predicate that contradicts its certificate is refused even if nothing is demanded.
    ///
    /// # Errors
    /// [`SourceViolation`], named by what is wrong.
    pub fn check(
        &self,
        certificate: &CertificateClaims,
        provenance: Option<&Provenance>,
    ) -> Result<(), SourceViolation> {
        if let Some(repository) = &self.repository {
            check_repository(repository, certificate)?;
        }
        if let Some(organisation) = &self.organisation {
            check_organisation(organisation, certificate)?;
        }
        if let Some(demanded) = &self.reference {
            let found = certificate.source_repository_ref.as_deref();
            if found != Some(demanded) {
                return Err(SourceViolation::Ref {
                    demanded: demanded.clone(),
                    found: shown(found),
                });
            }
        }
        let Some(provenance) = provenance else { return Ok(()) };
        let named = agree(certificate, provenance)?;
        if self.is_empty() || named { Ok(()) } else { Err(SourceViolation::PredicateSilent) }
    }
}

fn check_repository(
    demanded: &Place,
    certificate: &CertificateClaims,
) -> Result<(), SourceViolation> {
    let found = certificate.source_repository_uri.as_deref();
    let matches = |url: &str| found == Some(url);
    let violation =
        |demanded: String| SourceViolation::Repository { demanded, found: shown(found) };
    match_place(demanded, certificate, matches, violation)
}

fn check_organisation(
    demanded: &Place,
    certificate: &CertificateClaims,
) -> Result<(), SourceViolation> {
    let found = certificate.source_repository_uri.as_deref();
    let owner = certificate.source_repository_owner_uri.as_deref();
    let matches = |url: &str| {
        // GitLab's groups nest: an owner below the group is the group's.
        let is_within = |uri: &str| uri.strip_prefix(url).is_some_and(|rest| rest.starts_with('/'));
        found.is_some_and(is_within) && owner.is_none_or(|owner| owner == url || is_within(owner))
    };
    let violation =
        |demanded: String| SourceViolation::Organisation { demanded, found: shown(found) };
    match_place(demanded, certificate, matches, violation)
}

fn match_place(
    demanded: &Place,
    certificate: &CertificateClaims,
    matches: impl Fn(&str) -> bool,
    violation: impl Fn(String) -> SourceViolation,
) -> Result<(), SourceViolation> {
    let issuer = certificate.issuer.as_deref().unwrap_or_default();
    match demanded {
        Place::Url(url) => {
            let pinned = pinned_host(issuer);
            let allowed = pinned.is_none_or(|host| split_url(url).is_some_and(|u| u.1 == host));
            if allowed && matches(url) { Ok(()) } else { Err(violation(url.clone())) }
        }
        Place::Path(path) => {
            let host = spoken_host(issuer)
                .ok_or_else(|| SourceViolation::IssuerSpeaksForNoHost(issuer.to_owned()))?;
            let url = format!("https://{host}/{path}");
            if matches(&url) { Ok(()) } else { Err(violation(url)) }
        }
    }
}

/// Checks that the predicate says of its source what the certificate says, and
/// tells whether it names a source at all.
fn agree(
    certificate: &CertificateClaims,
    provenance: &Provenance,
) -> Result<bool, SourceViolation> {
    let Some(repository) = certificate.source_repository_uri.as_deref() else { return Ok(false) };
    let contradicts = |field: &'static str, found: &str| SourceViolation::PredicateContradicts {
        field,
        found: found.to_owned(),
    };
    let mut named = false;
    if let Some(found) = provenance.workflow_repository() {
        if found != repository {
            return Err(contradicts("the workflow's repository", found));
        }
        named = true;
    }
    if let Some(found) = provenance.workflow_ref() {
        let config = certificate.build_config_uri.as_deref();
        let config_ref = config.and_then(|uri| Some(uri.split_once('@')?.1));
        let source_ref = certificate.source_repository_ref.as_deref();
        if ![config_ref, source_ref].contains(&Some(found)) {
            return Err(contradicts("the workflow's ref", found));
        }
    }
    let builder = provenance.run_details.builder.id.as_str();
    let signer = certificate.build_signer_uri.as_deref();
    let is_named = builder.contains("/.github/workflows/")
        || provenance.build_definition.build_type == CI_BUILD_TYPE;
    if is_named && signer.is_some_and(|signer| signer != builder) {
        return Err(contradicts("builder.id", builder));
    }
    for dependency in &provenance.build_definition.resolved_dependencies {
        named |= agree_on_source(certificate, repository, dependency)?;
    }
    Ok(named)
}

/// The same for one resolved dependency: `git+https://host/org/repo@ref` with a commit.
fn agree_on_source(
    certificate: &CertificateClaims,
    repository: &str,
    dependency: &crate::ResourceDescriptor,
) -> Result<bool, SourceViolation> {
    let uri = dependency.uri.as_deref().and_then(|uri| uri.strip_prefix("git+"));
    let Some((found, reference)) = uri.and_then(|uri| uri.rsplit_once('@')) else {
        return Ok(false);
    };
    if found != repository {
        return Ok(false);
    }
    if certificate.source_repository_ref.as_deref() != Some(reference) {
        return Err(SourceViolation::PredicateContradicts {
            field: "the source's ref",
            found: reference.to_owned(),
        });
    }
    let commit = dependency.digest.get("gitCommit").or_else(|| dependency.digest.get("sha1"));
    match (commit, certificate.source_repository_digest.as_ref()) {
        (Some(found), Some(expected)) if found != expected => {
            Err(SourceViolation::PredicateContradicts {
                field: "the source's commit",
                found: found.clone(),
            })
        }
        _ => Ok(true),
    }
}

fn place(text: &str, segments: usize) -> Option<Place> {
    // Bitbucket's ids have braces, which certificates escape.
    let text = text.replace('{', "%7B").replace('}', "%7D");
    if let Some((scheme, _, path)) = split_url(&text) {
        let path = path.strip_prefix('/')?;
        return (scheme == "https" && is_path(path, segments)).then_some(Place::Url(text));
    }
    is_path(&text, segments).then_some(Place::Path(text))
}

/// Whether `path` has at least `segments` plain segments: GitLab's groups nest, and repositories
/// of Azure have four, in which spaces are escaped.
fn is_path(path: &str, segments: usize) -> bool {
    let plain = |segment: &str| {
        !segment.is_empty()
            && segment.chars().all(|c| c.is_alphanumeric() || "-_.~%()".contains(c))
            && !segment.chars().all(|c| c == '.')
    };
    path.split('/').all(plain) && path.split('/').count() >= segments
}

fn full_ref(text: &str) -> Result<String, PolicyError> {
    let error = || PolicyError::Reference(text.to_owned());
    let misplaced = text.is_empty()
        || text.starts_with('/')
        || text.ends_with('/')
        || text.contains("..")
        || text.chars().any(|c| c.is_whitespace() || c.is_control());
    // `tags/v1` is a branch of that name to git and a tag to people: it must be said in full.
    if misplaced || text.starts_with("tags/") || text.starts_with("heads/") || text == "refs" {
        return Err(error());
    }
    Ok(if text.starts_with("refs/") { text.to_owned() } else { format!("refs/heads/{text}") })
}

fn shown(found: Option<&str>) -> String {
    found.unwrap_or("none").to_owned()
}

/// Why a demand cannot be understood; the user's fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// `--verify-repo`.
    #[error("repository `{0}` must be `org/repo` or its whole https URL, without a trailing slash")]
    Repository(String),
    /// `--verify-org`.
    #[error("organisation `{0}` must be its name or its whole https URL, without a trailing slash")]
    Organisation(String),
    /// `--verify-ref`.
    #[error("ref `{0}` must be a branch name like `main` or a full ref like `refs/tags/v1`")]
    Reference(String),
}

/// Why an artifact is not from where it must be; the artifact's fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SourceViolation {
    /// Another repository, or none.
    #[error("repository {demanded} was demanded, the certificate's is {found}")]
    Repository {
        /// URL.
        demanded: String,
        /// URL, or `none`.
        found: String,
    },
    /// A repository of another owner, or none.
    #[error("organisation {demanded} was demanded, the certificate's repository is {found}")]
    Organisation {
        /// URL.
        demanded: String,
        /// URL of the repository, or `none`.
        found: String,
    },
    /// Another ref, or none.
    #[error("ref {demanded} was demanded, the certificate's is {found}")]
    Ref {
        /// Full ref.
        demanded: String,
        /// Full ref, or `none`.
        found: String,
    },
    /// A bare `org/repo` means nothing from this issuer.
    #[error("issuer `{0}` speaks for no known source host: demand the repository by its whole URL")]
    IssuerSpeaksForNoHost(String),
    /// The provenance says otherwise than the certificate.
    #[error("the provenance contradicts the certificate: {field} is {found}")]
    PredicateContradicts {
        /// Which statement of the predicate.
        field: &'static str,
        /// What it says.
        found: String,
    },
    /// A source was demanded, and the provenance names none.
    #[error("the provenance does not name the source repository that the certificate names")]
    PredicateSilent,
}

#[cfg(test)]
mod tests;
