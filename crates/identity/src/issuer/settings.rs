use serde::Deserialize;
use url::Url;

use super::check_transport;
use crate::{IssuerConfig, IssuerConfigError, IssuerKind, JwsAlgorithm, SubjectDomain};

/// What a configuration file says, before it is known to make sense.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    url: String,
    audiences: Vec<String>,
    #[serde(rename = "type")]
    kind: KindName,
    subject_domain: Option<String>,
    base_url: Option<String>,
    skip_email_verification: Option<bool>,
    jwks_uri: Option<Url>,
    algorithms: Option<Vec<JwsAlgorithm>>,
    clock_skew_s: Option<u64>,
    max_age_s: Option<u64>,
    max_lifetime_s: Option<u64>,
    #[serde(default)]
    allow_loopback_http: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Email,
    Uri,
    EmailOrUri,
    GithubWorkflow,
    Kubernetes,
}

impl KindName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Uri => "uri",
            Self::EmailOrUri => "email-or-uri",
            Self::GithubWorkflow => "github-workflow",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl TryFrom<Settings> for IssuerConfig {
    type Error = IssuerConfigError;

    fn try_from(mut settings: Settings) -> Result<Self, Self::Error> {
        let kind = settings.take_kind()?;
        let mut issuer =
            Self::build(&settings.url, settings.audiences, kind, settings.allow_loopback_http)?;
        if let Some(uri) = settings.jwks_uri {
            check_transport(&uri, settings.allow_loopback_http)?;
            issuer.jwks_uri = Some(uri);
        }
        if let Some(algorithms) = settings.algorithms {
            if algorithms.is_empty() {
                return Err(IssuerConfigError::NoAlgorithm(issuer.url));
            }
            issuer.algorithms = algorithms;
        }
        issuer.clock_skew_s = settings.clock_skew_s.unwrap_or(issuer.clock_skew_s);
        issuer.max_age_s = settings.max_age_s;
        issuer.max_lifetime_s = settings.max_lifetime_s.unwrap_or(issuer.max_lifetime_s);
        Ok(issuer)
    }
}

impl Settings {
    /// Builds the kind from the settings that belong to it, and refuses those that do not.
    fn take_kind(&mut self) -> Result<IssuerKind, IssuerConfigError> {
        let kind = match self.kind {
            KindName::Email => IssuerKind::Email {
                skip_verification: self.skip_email_verification.take().unwrap_or(false),
            },
            KindName::Uri => IssuerKind::Uri { subject_domain: self.take_subject_domain()? },
            KindName::EmailOrUri => {
                IssuerKind::EmailOrUri { subject_domain: self.take_subject_domain()? }
            }
            KindName::GithubWorkflow => IssuerKind::GithubWorkflow {
                base_url: self.base_url.take().unwrap_or_else(|| IssuerKind::GITHUB.to_owned()),
            },
            KindName::Kubernetes => IssuerKind::Kubernetes,
        };
        let unused = [
            ("subject_domain", self.subject_domain.is_some()),
            ("base_url", self.base_url.is_some()),
            ("skip_email_verification", self.skip_email_verification.is_some()),
        ];
        match unused.into_iter().find(|(_, present)| *present) {
            None => Ok(kind),
            Some((setting, _)) => {
                Err(IssuerConfigError::UnusedSetting { kind: self.kind.as_str(), setting })
            }
        }
    }

    fn take_subject_domain(&mut self) -> Result<SubjectDomain, IssuerConfigError> {
        let text = self.subject_domain.take().ok_or(IssuerConfigError::MissingSetting {
            kind: self.kind.as_str(),
            setting: "subject_domain",
        })?;
        SubjectDomain::parse(&text)
    }
}
