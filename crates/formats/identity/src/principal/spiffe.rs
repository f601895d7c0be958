use x509::SubjectAlternativeName;

use crate::{PrincipalError, TrustDomain, VerifiedClaims};

/// The subject, which must be the SPIFFE ID of a workload in one of `trust_domains`.
pub(super) fn name(
    verified: &VerifiedClaims,
    trust_domains: &[TrustDomain],
) -> Result<SubjectAlternativeName, PrincipalError> {
    let id = verified.claims().required_text("sub")?;
    if trust_domains.iter().any(|domain| domain.contains(&id)) {
        Ok(SubjectAlternativeName::Uri(id))
    } else {
        Err(PrincipalError::TrustDomain)
    }
}
