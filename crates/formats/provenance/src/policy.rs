use thiserror::Error;

mod forge;
mod forge_url;
mod place;

use self::{
    forge::is_same_repository,
    forge_url::ForgeUrl,
    place::{Named, Place},
};
pub use self::{
    forge::{Forge, ForgeError, ForgeKind},
    place::BareNames,
};
use crate::{CI_BUILD_TYPE, Provenance};

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

/// From where an artifact must come, in the words of the user: `--verify-repo`, `--verify-org` and
/// `--verify-ref`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceWords<'a> {
    /// `org/repo`, `host/org/repo` or its whole URL.
    pub repository: Option<&'a str>,
    /// `org`, `host/org` or its URL.
    pub organisation: Option<&'a str>,
    /// A branch name (`main` is exactly `refs/heads/main`) or a full ref (`refs/tags/v1`).
    pub reference: Option<&'a str>,
}

/// From where an artifact must come, as the user said it: names may still lack their forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceDemand {
    repository: Option<Named>,
    organisation: Option<Named>,
    reference: Option<String>,
}

impl SourceDemand {
    /// Reads the words.
    ///
    /// # Errors
    /// [`PolicyError::Repository`], [`PolicyError::Organisation`], [`PolicyError::Reference`].
    pub fn new(words: SourceWords<'_>) -> Result<Self, PolicyError> {
        let SourceWords { repository, organisation, reference } = words;
        let repository = repository.map(|text| {
            let named = Named::parse(text, 2).filter(Named::is_repository);
            named.ok_or_else(|| PolicyError::Repository(text.to_owned()))
        });
        let organisation = organisation.map(|text| {
            Named::parse(text, 1).ok_or_else(|| PolicyError::Organisation(text.to_owned()))
        });
        Ok(Self {
            repository: repository.transpose()?,
            organisation: organisation.transpose()?,
            reference: reference.map(full_ref).transpose()?,
        })
    }

    /// Whether a repository or an owner is demanded.
    #[must_use]
    pub const fn names_a_place(&self) -> bool {
        self.repository.is_some() || self.organisation.is_some()
    }

    /// With the forges that bare names mean.
    ///
    /// # Errors
    /// [`PolicyError::NoForge`], [`PolicyError::NoForgeOfIssuer`], [`PolicyError::AnotherForge`].
    pub fn resolve(self, names: &BareNames<'_>) -> Result<SourcePolicy, PolicyError> {
        let place = |named: Option<Named>| named.map(|named| named.resolved(names)).transpose();
        Ok(SourcePolicy {
            repository: place(self.repository)?,
            organisation: place(self.organisation)?,
            reference: self.reference,
        })
    }
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

impl SourcePolicy {
    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a repository or an owner is demanded; a ref alone is everybody's.
    #[must_use]
    pub const fn names_a_place(&self) -> bool {
        self.repository.is_some() || self.organisation.is_some()
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
    let kind = demanded.kind(certificate);
    let is_demanded = |found: &ForgeUrl| {
        let bare = demanded.url.without_git_suffix();
        demanded.url.is_same(found, kind) || bare.is_some_and(|url| url.is_same(found, kind))
    };
    if !found.and_then(ForgeUrl::parse).is_some_and(|found| is_demanded(&found)) {
        let demanded = demanded.url.to_string();
        return Err(SourceViolation::Repository { demanded, found: shown(found) });
    }
    check_issuer(demanded, certificate)
}

fn check_organisation(
    demanded: &Place,
    certificate: &CertificateClaims,
) -> Result<(), SourceViolation> {
    let found = certificate.source_repository_uri.as_deref();
    let kind = demanded.kind(certificate);
    let within = |url: &ForgeUrl| demanded.url.is_at_or_above(url, kind);
    let repository = found.and_then(ForgeUrl::parse).filter(within);
    // GitLab's groups nest: an owner below the group is the group's.
    let owner = certificate.source_repository_owner_uri.as_deref();
    let owned = owner.is_none_or(|owner| ForgeUrl::parse(owner).is_some_and(|url| within(&url)));
    let below = |url: ForgeUrl| url.segments().len() > demanded.url.segments().len();
    if !(owned && repository.is_some_and(below)) {
        let demanded = demanded.url.to_string();
        return Err(SourceViolation::Organisation { demanded, found: shown(found) });
    }
    check_issuer(demanded, certificate)
}

/// Whoever speaks of a place must be able to: a CA that knows two forges knows two issuers.
fn check_issuer(demanded: &Place, certificate: &CertificateClaims) -> Result<(), SourceViolation> {
    let issuer = certificate.issuer.as_deref().unwrap_or_default();
    if demanded.may_be_told_by(issuer) {
        return Ok(());
    }
    let host = demanded.url.host().to_owned();
    Err(SourceViolation::Issuer { host, issuer: issuer.to_owned() })
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
        if !is_same_repository(found, repository) {
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
    if !is_same_repository(found, repository) {
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
    /// Before anything is read: one may not be narrower than it looks.
    #[error("repository `{0}` (--verify-repo) must be `org/repo` or its whole https URL")]
    Repository(String),
    /// Likewise.
    #[error("organisation `{0}` (--verify-org) must be its name or its whole https URL")]
    Organisation(String),
    /// Likewise; a branch and a tag may have one name.
    #[error(
        "ref `{0}` (--verify-ref) must be a branch name like `main` or a full ref like \
         `refs/tags/v1`"
    )]
    Reference(String),
    /// A name without a host, and nothing that says which is meant.
    #[error(
        "`{0}` names no forge, and any may have one of that name: give the whole URL \
         (https://HOST/{0}), or the CI's issuer by --certificate-oidc-issuer, or trust whose \
         countersign.json names a forge"
    )]
    NoForge(String),
    /// Any provider may know a repository of that name.
    #[error(
        "`{name}` names no forge, and the issuer {issuer} has none of its own: give the whole URL \
         (https://HOST/{name})"
    )]
    NoForgeOfIssuer {
        /// As given.
        name: String,
        /// As demanded.
        issuer: String,
    },
    /// The forge of bare names is none that the demanded issuer can speak for.
    #[error(
        "`{name}` is at {forge} by countersign.json, and the issuer {issuer} speaks \
         for another forge: give the whole URL (https://HOST/{name}), or the forge's own issuer"
    )]
    AnotherForge {
        /// As given.
        name: String,
        /// URL.
        forge: String,
        /// As demanded.
        issuer: String,
    },
}

/// Why an artifact is not from where it must be; the artifact's fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SourceViolation {
    /// Another repository, none, or something that is no URL of one.
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
    /// A CA that knows several issuers may certify the claims of each about any host.
    #[error(
        "issuer `{issuer}` is not the one of {host}: if it may speak for repositories there, demand \
         the repository by its whole URL, or the issuer by --certificate-oidc-issuer"
    )]
    Issuer {
        /// Of the repository that was demanded.
        host: String,
        /// By the certificate.
        issuer: String,
    },
    /// The provenance says otherwise than the certificate.
    #[error("the provenance contradicts the certificate: {field} is {found}")]
    PredicateContradicts {
        /// Which statement of the predicate.
        field: &'static str,
        /// What it says.
        found: String,
    },
    /// Certificate and provenance must agree, and silence is no agreement.
    #[error("the provenance does not name the source repository that the certificate names")]
    PredicateSilent,
}

#[cfg(test)]
mod tests;
