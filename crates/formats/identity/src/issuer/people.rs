//! What an operator says of the people whom an issuer vouches for.

use super::{ClaimPath, IssuerConfigError};
use crate::mail::MailDomain;

/// Longest list of domains, or of values of one claim.
const MAX_LISTED: usize = 256;

/// Longest text that stands for an issuer in a certificate, in bytes.
const MAX_ISSUER_LEN: usize = 1024;

/// Whose addresses count, and which claims say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    domains: Vec<MailDomain>,
    name_claim: Option<ClaimPath>,
    issuer_claim: Option<IssuerClaim>,
}

/// A claim that tells for whom the issuer speaks, as Dex's `federated_claims.connector_id` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuerClaim {
    pub(crate) path: ClaimPath,
    /// What it may be; the certificate then names that as the issuer.
    pub(crate) values: Vec<String>,
}

impl People {
    /// Addresses of `domains` only; of every domain where there is none.
    ///
    /// # Errors
    /// [`IssuerConfigError::Setting`].
    pub fn of_domains(domains: &[String]) -> Result<Self, IssuerConfigError> {
        let wrong = |value: &str| IssuerConfigError::Setting {
            setting: "domains",
            value: value.to_owned(),
        };
        if domains.len() > MAX_LISTED {
            return Err(wrong("hundreds"));
        }
        let read = |text: &String| {
            MailDomain::parse(text)
                .map_err(|why| IssuerConfigError::Domain { value: text.clone(), why })
        };
        let domains = domains.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { domains, ..Self::default() })
    }

    /// Takes the name from another claim than `email`.
    #[must_use]
    pub fn named_by(mut self, name_claim: Option<ClaimPath>) -> Self {
        self.name_claim = name_claim;
        self
    }

    /// Lets the claim at `path`, which must be one of `values`, be the certificate's issuer.
    ///
    /// # Errors
    /// [`IssuerConfigError::Setting`].
    pub fn of_issuers(
        mut self,
        path: ClaimPath,
        values: Vec<String>,
    ) -> Result<Self, IssuerConfigError> {
        let sound = |value: &String| {
            (1..=MAX_ISSUER_LEN).contains(&value.len()) && wire::name::check_text(value).is_ok()
        };
        if values.is_empty() || values.len() > MAX_LISTED || !values.iter().all(sound) {
            let setting = "issuer_claim_values";
            let value = values.into_iter().find(|value| !sound(value)).unwrap_or_default();
            return Err(IssuerConfigError::Setting { setting, value });
        }
        self.issuer_claim = Some(IssuerClaim { path, values });
        Ok(self)
    }

    /// The domains whose addresses count; none where all do.
    #[must_use]
    pub fn domains(&self) -> &[MailDomain] {
        &self.domains
    }

    /// The claim that names people, where it is not the usual one.
    #[must_use]
    pub fn name_claim(&self) -> Option<&ClaimPath> {
        self.name_claim.as_ref()
    }

    pub(crate) fn issuer_claim(&self) -> Option<&IssuerClaim> {
        self.issuer_claim.as_ref()
    }

    /// Whether addresses of `domain`, in A-labels of lower case, count.
    pub(crate) fn may_name(&self, domain: &str) -> bool {
        self.domains.is_empty() || self.domains.iter().any(|listed| listed.contains(domain))
    }
}
