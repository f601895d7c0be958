use std::str::FromStr;

use identity::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CircleciOrganizations,
    IssuerConfig, IssuerConfigError, IssuerKind, JenkinsClaims, JenkinsController, SubjectDomain,
};

/// The domain of people's and URIs' subjects.
const SUBJECT_DOMAIN: &str = "http://localhost";

/// A CI system whose tokens can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Azure Pipelines.
    Azure,
    /// Jenkins with the plugin oidc-provider.
    Jenkins,
    /// Buildkite.
    Buildkite,
    /// CircleCI.
    Circleci,
    /// Bitbucket Pipelines.
    Bitbucket,
    /// A projected service account token.
    Kubernetes,
}

/// What every Sigstore client asks its provider for.
pub const AUDIENCE: &str = "sigstore";

/// The organisation of Azure DevOps that development tokens are of.
pub(super) const AZURE_ORGANIZATION: &str = "6a8f1c1e-3b0d-4d5a-9a7e-2f0c4b8d9e10";

/// `JENKINS_URL` of the controller that development tokens are of, without its final slash.
pub(super) const JENKINS_URL: &str = "https://jenkins.acme.example";

/// Slug of the organisation or workspace that development tokens are of.
pub(super) const ORGANIZATION: &str = "acme";

/// The organisation of CircleCI that development tokens are of.
pub(super) const CIRCLECI_ORGANIZATION: &str = "c1ec1111-2b3c-4d5e-8f60-718293a4b5c6";

/// The workspace of Bitbucket that development tokens are of.
pub(super) const BITBUCKET_WORKSPACE: &str = "b17b0c4e-5d6f-4a7b-8c9d-0e1f2a3b4c5d";

impl Ci {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Github,
        Self::Gitlab,
        Self::Azure,
        Self::Jenkins,
        Self::Buildkite,
        Self::Circleci,
        Self::Bitbucket,
        Self::Kubernetes,
    ];

    /// Name, and path of its issuer below the provider's base URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Azure => "azure",
            Self::Jenkins => "jenkins",
            Self::Buildkite => "buildkite",
            Self::Circleci => "circleci",
            Self::Bitbucket => "bitbucket",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// The issuer's URL, `oidc_base` being the provider's.
    #[must_use]
    pub fn issuer(self, oidc_base: &str) -> String {
        format!("{oidc_base}/{}", self.name())
    }

    /// How the stack maps the claims of this CI's development tokens: as those of the real one, which
    /// the URL of the development issuer does not tell.
    #[must_use]
    pub fn issuer_kind(self) -> IssuerKind {
        match self {
            Self::Github => IssuerKind::GithubWorkflow { base_url: IssuerKind::GITHUB.to_owned() },
            Self::Gitlab => IssuerKind::GitlabPipeline { base_url: IssuerKind::GITLAB.to_owned() },
            Self::Azure => IssuerKind::AzurePipeline(AzureOrganization::new(AZURE_ORGANIZATION)),
            Self::Jenkins => IssuerKind::JenkinsJob(jenkins()),
            Self::Buildkite => IssuerKind::BuildkiteJob(BuildkiteOrganizations {
                slugs: vec![ORGANIZATION.to_owned()],
                ids: Vec::new(),
            }),
            Self::Circleci => IssuerKind::CircleciJob(CircleciOrganizations::new(vec![
                CIRCLECI_ORGANIZATION.to_owned(),
            ])),
            Self::Bitbucket => IssuerKind::BitbucketPipeline(BitbucketWorkspace {
                slug: ORGANIZATION.to_owned(),
                id: BITBUCKET_WORKSPACE.to_owned(),
            }),
            Self::Kubernetes => IssuerKind::Kubernetes { cluster: None },
        }
    }

    /// Audiences that the stack accepts from this CI; the first is what its tokens have unless told.
    ///
    /// Where a job can choose, as most can, it is the one of every Sigstore client.
    #[must_use]
    pub fn audiences(self) -> Vec<String> {
        let audience = match self {
            Self::Azure => IssuerKind::AZURE_AUDIENCE,
            _ => AUDIENCE,
        };
        vec![audience.to_owned()]
    }
}

/// What the stack believes of the provider at `base_url`: people and URIs by its plain issuer, and
/// the jobs of every CI system by that system's.
///
/// The audience is `own` alone, where the deployment has one: the provider's tokens are of anybody, and another
/// deployment that believes it is told from this one by nothing else. Without one it is that of every client.
///
/// # Errors
/// [`IssuerConfigError`] where `base_url` is neither `https` nor on a loopback host.
pub fn issuers(base_url: &str, own: Option<&str>) -> Result<Vec<IssuerConfig>, IssuerConfigError> {
    let plain = plain_issuer(base_url, own)?;
    let of_ci = |ci: Ci| {
        let audiences = own_or(ci.audiences(), own);
        IssuerConfig::new_loopback(&ci.issuer(base_url), audiences, ci.issuer_kind())
    };
    let mut issuers = vec![plain];
    for ci in Ci::ALL {
        issuers.push(of_ci(ci)?);
    }
    Ok(issuers)
}

/// What the stack believes of people and URIs; its audiences are the clients that log people in.
///
/// # Errors
/// As of [`issuers`].
pub fn plain_issuer(base_url: &str, own: Option<&str>) -> Result<IssuerConfig, IssuerConfigError> {
    let subject_domain = SubjectDomain::parse(SUBJECT_DOMAIN)?;
    let kind = IssuerKind::EmailOrUri { subject_domain };
    let audiences = own_or(vec![AUDIENCE.to_owned()], own);
    IssuerConfig::new_loopback(base_url, audiences, kind)
}

fn own_or(usual: Vec<String>, own: Option<&str>) -> Vec<String> {
    own.map_or(usual, |own| vec![own.to_owned()])
}

/// A controller whose administrators have added what the certificate can say of the source.
fn jenkins() -> JenkinsController {
    let named = |name: &str| Some(name.to_owned());
    JenkinsController {
        url: JENKINS_URL.to_owned(),
        claims: JenkinsClaims {
            source_repository_uri: named("git_url"),
            source_repository_digest: named("git_commit"),
            source_repository_ref: named("git_ref"),
            ..JenkinsClaims::default()
        },
        source_hosts: vec!["git.acme.example".to_owned()],
        subject_template: None,
    }
}

impl FromStr for Ci {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|ci| ci.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no such CI system; there are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_of_the_page_on_issuers_is_sound() {
        let page = include_str!("../../../../docs/ci-issuers.md");
        let samples = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let mut kinds = Vec::new();
        for sample in samples {
            // The switches that are commented out must be settings too.
            for text in [sample.to_owned(), sample.replace("\n# allow", "\nallow")] {
                let mut table: toml::Table = toml::from_str(&text).unwrap();
                let issuer = table["ca"]["default"]["issuer"].as_array_mut().unwrap().remove(0);
                let issuer: IssuerConfig = issuer.try_into().unwrap();
                kinds.push(issuer.kind().name());
            }
        }
        kinds.dedup();
        let mut all: Vec<_> = Ci::ALL.map(|ci| ci.issuer_kind().name()).into();
        all.extend(["ci-provider", "spiffe", "username"]);
        assert_eq!(kinds[..2], ["email", "machine"]);
        kinds.drain(..2);
        assert_eq!(kinds, all);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for ci in Ci::ALL {
            assert_eq!(ci.name().parse(), Ok(ci));
        }
        assert!("travis".parse::<Ci>().unwrap_err().contains("github, gitlab, azure"));
    }
}
