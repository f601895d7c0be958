use url::Url;

use crate::{IssuerConfigError, SubjectDomain};

/// How an issuer's claims become a subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    /// The `email` claim, which must be marked as verified unless `skip_verification`.
    Email {
        /// Trusts `email` without `email_verified`, for issuers (Entra, ADFS) that never send it.
        skip_verification: bool,
    },
    /// The `sub` claim, a URI below `subject_domain`.
    Uri {
        /// Scheme and host that every subject must have.
        subject_domain: SubjectDomain,
    },
    /// [`IssuerKind::Email`] for tokens with an `email` claim, [`IssuerKind::Uri`] for those without:
    /// for issuers that serve people and machines at one URL.
    EmailOrUri {
        /// Scheme and host that every subject without `email` must have.
        subject_domain: SubjectDomain,
    },
    /// A job of GitHub Actions.
    GithubWorkflow {
        /// The server's URL without a final slash, such as `https://github.com`.
        base_url: String,
    },
    /// A service account of a Kubernetes cluster.
    Kubernetes,
}

impl IssuerKind {
    /// The server whose repositories GitHub's own issuer speaks for.
    pub const GITHUB: &'static str = "https://github.com";

    /// Fulcio's name of this kind, as in its configuration file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Email { .. } | Self::EmailOrUri { .. } => "email",
            Self::Uri { .. } => "uri",
            Self::GithubWorkflow { .. } => "github-workflow",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// The claim that Fulcio names as the one to sign. Proofs over `sub` and over a verified
    /// `email` are both accepted.
    #[must_use]
    pub const fn challenge_claim(&self) -> &'static str {
        match self {
            Self::Email { .. } | Self::EmailOrUri { .. } => "email",
            Self::Uri { .. } | Self::GithubWorkflow { .. } | Self::Kubernetes => "sub",
        }
    }

    /// The domain of its subjects, when the kind has one.
    #[must_use]
    pub const fn subject_domain(&self) -> Option<&SubjectDomain> {
        match self {
            Self::Uri { subject_domain } | Self::EmailOrUri { subject_domain } => {
                Some(subject_domain)
            }
            Self::Email { .. } | Self::GithubWorkflow { .. } | Self::Kubernetes => None,
        }
    }

    pub(super) fn check(&self, issuer_host: &str) -> Result<(), IssuerConfigError> {
        if let Some(domain) = self.subject_domain()
            && !domain.belongs_to(issuer_host)
        {
            return Err(IssuerConfigError::ForeignSubjectDomain {
                subject_domain: domain.to_string(),
                issuer_host: issuer_host.to_owned(),
            });
        }
        match self {
            Self::GithubWorkflow { base_url } => check_base_url(base_url),
            _ => Ok(()),
        }
    }
}

fn check_base_url(base_url: &str) -> Result<(), IssuerConfigError> {
    let wrong = || IssuerConfigError::BaseUrl(base_url.to_owned());
    let parsed = Url::parse(base_url).map_err(|_| wrong())?;
    let sound = matches!(parsed.scheme(), "https" | "http")
        && parsed.query().is_none()
        && parsed.fragment().is_none()
        && parsed.username().is_empty()
        && !base_url.ends_with('/')
        && base_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if sound { Ok(()) } else { Err(wrong()) }
}
