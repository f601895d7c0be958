//! From verified claims to what a certificate says: one module per kind of issuer.

mod email;
mod github;
mod kubernetes;
mod uri;

use thiserror::Error;
use x509::{FulcioExtensions, SubjectAlternativeName};

use crate::{ClaimError, IssuerConfig, IssuerKind, VerifiedClaims};

/// Who asks for a certificate: its name, its extensions, and what the key must sign as proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The certificate's one name.
    pub san: SubjectAlternativeName,
    /// Extensions below 1.3.6.1.4.1.57264.1.
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
        let san = match issuer.kind() {
            IssuerKind::Email { skip_verification } => email::name(self, *skip_verification)?,
            IssuerKind::Uri { subject_domain } => uri::name(self, subject_domain)?,
            IssuerKind::EmailOrUri { subject_domain } => match self.claims().text(email::CLAIM)? {
                Some(_) => email::name(self, false)?,
                None => uri::name(self, subject_domain)?,
            },
            IssuerKind::GithubWorkflow { base_url } => github::name(self, base_url)?,
            IssuerKind::Kubernetes { cluster } => kubernetes::name(self, cluster.as_deref())?,
            _ => return Err(ClaimError::Missing("sub").into()),
        };
        let mut extensions = match issuer.kind() {
            IssuerKind::GithubWorkflow { base_url } => github::extensions(self, base_url)?,
            _ => FulcioExtensions::default(),
        };
        let subject = self.claims().text("sub")?;
        refuse_controls("sub", subject.as_deref().unwrap_or_default())?;
        let challenges = challenges(self, &san, subject.as_deref())?;
        extensions.issuer = Some(self.issuer().to_owned());
        extensions.token_subject = subject;
        Ok(Principal { san, extensions, challenges })
    }
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
    /// The issuer does not vouch for the address.
    #[error("claim `email_verified` is not true")]
    EmailNotVerified,
    /// The subject is not a URI below the issuer's subject domain.
    #[error("claim `sub` is not a URI below {0}")]
    SubjectDomain(String),
    /// The text cannot stand in a URI.
    #[error("claim `{0}` cannot be part of a URI")]
    NotUriText(&'static str),
    /// A line feed or another control character: what is shown to people and written to logs must
    /// not be able to look like something else.
    #[error("claim `{0}` holds a control character")]
    ControlCharacter(&'static str),
    /// Not `owner/name` as GitHub makes them, or a path that leads out of it.
    #[error("claim `{0}` does not begin with the name of a repository")]
    Repository(&'static str),
    /// Not the owner in `repository`.
    #[error("claim `repository_owner` is not the owner of the repository")]
    RepositoryOwner,
    /// Not a Kubernetes name.
    #[error("claim `kubernetes.io` names no service account in a namespace")]
    ServiceAccount,
}

fn refuse_controls(name: &'static str, text: &str) -> Result<(), PrincipalError> {
    if text.chars().any(char::is_control) {
        return Err(PrincipalError::ControlCharacter(name));
    }
    Ok(())
}

/// Clients sign the verified e-mail address where the token has one, else the subject, whatever
/// the issuer's kind; both bind the key to this token.
fn challenges(
    verified: &VerifiedClaims,
    san: &SubjectAlternativeName,
    subject: Option<&str>,
) -> Result<Vec<String>, PrincipalError> {
    let mut challenges = Vec::new();
    match san {
        SubjectAlternativeName::Email(address) => challenges.push(address.clone()),
        _ => challenges.extend(email::verified_address(verified)),
    }
    challenges.extend(subject.map(str::to_owned));
    if challenges.is_empty() { Err(ClaimError::Missing("sub").into()) } else { Ok(challenges) }
}

#[cfg(test)]
mod tests;
