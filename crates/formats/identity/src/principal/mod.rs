//! From verified claims to what a certificate says: one module per kind of issuer.

mod azure;
mod bitbucket;
mod buildkite;
mod ci_provider;
mod circleci;
mod claim_text;
mod email;
mod github;
mod gitlab;
mod jenkins;
mod kubernetes;
mod machine;
mod spiffe;
mod uri;
mod username;

pub(crate) use claim_text::is_path;
use thiserror::Error;
pub(crate) use uri::escape_segment;
use x509::{ExtensionsError, FulcioExtensions, SanError, SubjectAlternativeName};

use crate::{ClaimError, IssuerConfig, IssuerKind, VerifiedClaims};

/// Who asks for a certificate: its name, its extensions, and what the key must sign as proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The certificate's one name.
    pub san: SubjectAlternativeName,
    /// Extensions below 1.3.6.1.4.1.57264.1, and ours.
    pub extensions: FulcioExtensions,
    /// Texts of which the key must have signed one: the verified e-mail address, the subject.
    /// Never empty; no text is empty.
    pub challenges: Vec<String>,
}

impl VerifiedClaims {
    /// Maps the claims as `issuer`'s kind says.
    ///
    /// # Errors
    /// [`PrincipalError`], each variant.
    pub fn principal(&self, issuer: &IssuerConfig) -> Result<Principal, PrincipalError> {
        // Before anything is made of the claims: what the operator demands of them.
        if let Some(claim) = issuer.required_claims().broken_by(self.claims()) {
            return Err(PrincipalError::Required(claim));
        }
        let Identity { san, mut extensions } = self.identity(issuer)?;
        let subject = self.claims().text("sub")?;
        refuse_controls("sub", subject.as_deref().unwrap_or_default())?;
        let challenges = challenges(self, issuer, subject.as_deref())?;
        extensions.issuer = Some(self.named_issuer(issuer)?);
        extensions.token_subject = subject;
        // Here, where it is the token's fault, and not when the certificate is made.
        san.check()?;
        extensions.check()?;
        Ok(Principal { san, extensions, challenges })
    }

    /// The token's issuer, or the one that a claim of it names as `issuer` allows.
    fn named_issuer(&self, issuer: &IssuerConfig) -> Result<String, PrincipalError> {
        let Some(claim) = issuer.people().issuer_claim() else {
            return Ok(self.issuer().to_owned());
        };
        let named = self.claims().text_at(claim.path.names()).ok().flatten();
        let named = named.filter(|named| claim.values.contains(named));
        named.ok_or_else(|| PrincipalError::Required(claim.path.to_string()))
    }

    fn identity(&self, issuer: &IssuerConfig) -> Result<Identity, PrincipalError> {
        let san = match issuer.kind() {
            IssuerKind::Email { skip_verification } => {
                email::name(self, issuer, *skip_verification)?
            }
            IssuerKind::Uri { subject_domain } => uri::name(self, subject_domain)?,
            IssuerKind::EmailOrUri { subject_domain } => match self.claims().text(email::CLAIM)? {
                Some(_) => email::name(self, issuer, false)?,
                None => uri::name(self, subject_domain)?,
            },
            IssuerKind::Machine(machines) => machine::name(self, machines)?,
            IssuerKind::Kubernetes { cluster } => kubernetes::name(self, cluster.as_deref())?,
            IssuerKind::Spiffe { trust_domains } => spiffe::name(self, trust_domains)?,
            IssuerKind::Username { subject_domain } => {
                username::name(self, issuer, subject_domain)?
            }
            IssuerKind::GithubWorkflow { base_url } => return github::identity(self, base_url),
            IssuerKind::GitlabPipeline { base_url } => return gitlab::identity(self, base_url),
            IssuerKind::AzurePipeline(owner) => return azure::identity(self, owner),
            IssuerKind::JenkinsJob(owner) => return jenkins::identity(self, owner),
            IssuerKind::BuildkiteJob(owners) => return buildkite::identity(self, owners),
            IssuerKind::CircleciJob(owners) => return circleci::identity(self, owners),
            IssuerKind::BitbucketPipeline(owner) => return bitbucket::identity(self, owner),
            IssuerKind::CiProvider(template) => return ci_provider::identity(self, template),
        };
        Ok(Identity { san, extensions: FulcioExtensions::default() })
    }
}

/// What the kind of the issuer decides.
struct Identity {
    san: SubjectAlternativeName,
    extensions: FulcioExtensions,
}

/// Why verified claims are no identity for a certificate.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PrincipalError {
    /// A claim is missing or of the wrong type.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Not an ASCII address of the form `local@domain`.
    #[error("claim `email` is not an e-mail address")]
    Email,
    /// The local part is of another script than ASCII.
    #[error(
        "the e-mail address has letters outside of ASCII before the @; a certificate could hold them \
         only where no client looks for them (SmtpUTF8Mailbox, RFC 9598)"
    )]
    LocalPart,
    /// Its domain is not in `domains`; which are is not told.
    #[error("the e-mail address is of a domain that this issuer is not configured for")]
    EmailDomain,
    /// The claim that the operator chose names nobody.
    #[error("claim `{0}`, which names people of this issuer, is missing or not of the right form")]
    NameClaim(String),
    /// A person's token, or one that might be.
    #[error("claim `{0}` is not what the provider puts into the tokens of machines")]
    NotAMachine(&'static str),
    /// A machine that is not listed.
    #[error("the token is of a client that this issuer is not configured for")]
    Client,
    /// The issuer does not vouch for the address.
    #[error("claim `email_verified` is not true")]
    EmailNotVerified,
    /// The subject is not a URI below the issuer's subject domain.
    #[error("claim `sub` is not a URI below {0}")]
    SubjectDomain(String),
    /// Of another trust domain, or of a trust domain itself, which is nobody's.
    #[error("claim `sub` is not the SPIFFE ID of a workload in a trust domain of this issuer")]
    TrustDomain,
    /// A user's name that would pass for another, for an address or for a URI.
    #[error(
        "claim `sub` is no user name: it holds `!`, `@` or `://`, begins or ends with white space, or is \
         not in Unicode's normal form C"
    )]
    Username,
    /// `ä`, which is escaped, and `%C3%A4`, which is kept.
    #[error(
        "claim `{0}` holds a percent-escape of a character that names have as it is, or escaped \
         themselves: two texts would be one name"
    )]
    TwoSpellings(String),
    /// The text cannot stand in a URI.
    #[error(
        "claim `{0}` cannot be part of a URI: it has a control character, or a `%` that no two \
         hexadecimal digits follow"
    )]
    NotUriText(&'static str),
    /// A line feed, a mark of direction or another character that is not seen as what it is: what is
    /// shown to people and written to logs must not be able to look like something else.
    #[error("claim `{0}` holds a control character")]
    ControlCharacter(&'static str),
    /// A name that may pass for another, for all that its kind allows.
    #[error("the claims make no name for a certificate: {0}")]
    Name(#[from] SanError),
    /// Likewise an extension.
    #[error("the claims make no extensions for a certificate: {0}")]
    Extensions(#[from] ExtensionsError),
    /// Not `owner/name` as GitHub makes them, or a path that leads out of it.
    #[error("claim `{0}` does not begin with the name of a repository")]
    Repository(&'static str),
    /// Two claims of one fact disagree, so neither is believed.
    #[error("claim `repository_owner` is not the owner of the repository")]
    RepositoryOwner,
    /// Not what the CI makes: a number, UUID, commit, ref or path of another form.
    #[error("claim `{0}` is not of the form that the issuer's tokens have")]
    Shape(&'static str),
    /// Longer than any real value.
    #[error("claim `{0}` is too long")]
    TooLong(&'static str),
    /// An organisation, workspace or controller that the issuer is not trusted for.
    #[error("claim `{0}` is of an owner that this issuer is not configured for")]
    Owner(&'static str),
    /// Whoever may write the claim would choose the forge.
    #[error("claim `{0}` names a repository on a host that this issuer is not configured for")]
    SourceHost(&'static str),
    /// Two claims that cannot both be true.
    #[error("claims `{claim}` and `{other}` contradict each other")]
    Contradiction {
        /// The more telling one.
        claim: &'static str,
        /// The one that it does not fit.
        other: &'static str,
    },
    /// A claim that the controller's administrators defined.
    #[error("claim `{0}` does not hold what the configuration says")]
    DefinedClaim(String),
    /// One of `required_claims` is absent, or has none of the values listed there.
    #[error("claim `{0}` is not what the issuer's configuration demands")]
    Required(String),
    /// Whoever opens a pull request would sign in the name of the project.
    #[error("the pipeline may run changes of a fork, which have no name of their own")]
    Fork,
    /// `sc://`: not a pipeline.
    #[error("the subject is a service connection, which this issuer is not configured for")]
    ServiceConnection,
    /// Somebody may have been logged in to the job.
    #[error("the job was run again with SSH, which this issuer is not configured for")]
    SshRerun,
    /// Where a token may lack it, the template writes it with `?`.
    #[error("claim `{0}` is missing, which the template `{1}` needs")]
    TemplateMissing(String, &'static str),
    /// A claim of another type or form than a template takes, or too long.
    #[error("claim `{0}` does not fit the template `{1}`")]
    TemplateClaim(String, &'static str),
    /// A result that no preset would let through.
    #[error("the template `{template}` makes no value for a certificate: {reason}")]
    TemplateResult {
        /// Which setting.
        template: &'static str,
        /// What is wrong with what it made.
        reason: &'static str,
    },
    /// Not a Kubernetes name.
    #[error("claim `kubernetes.io` names no service account in a namespace")]
    ServiceAccount,
    /// A token of a Secret: it never expires, and is not bound to a pod.
    #[error(
        "the token is a Secret's, which never ends; take a projected one, of `kubectl create token` or a volume"
    )]
    LegacyServiceAccount,
}

fn refuse_controls(name: &'static str, text: &str) -> Result<(), PrincipalError> {
    if wire::name::check_text(text).is_err() {
        return Err(PrincipalError::ControlCharacter(name));
    }
    Ok(())
}

/// Clients sign the verified e-mail address where the token has one, else the subject, whatever
/// the issuer's kind; both bind the key to this token.
fn challenges(
    verified: &VerifiedClaims,
    issuer: &IssuerConfig,
    subject: Option<&str>,
) -> Result<Vec<String>, PrincipalError> {
    let mut challenges = Vec::new();
    // As it came: the certificate may have its domain in another form.
    if matches!(issuer.kind(), IssuerKind::Email { .. }) {
        challenges.push(email::claimed(verified, issuer)?);
    }
    challenges.extend(email::verified_address(verified));
    challenges.extend(subject.map(str::to_owned));
    challenges.dedup();
    if challenges.is_empty() { Err(ClaimError::Missing("sub").into()) } else { Ok(challenges) }
}

#[cfg(test)]
mod tests;
