use x509::SubjectAlternativeName;

use crate::{
    ClaimError, IssuerConfig, PrincipalError, VerifiedClaims,
    mail::{Address, AddressError},
};

pub(super) const CLAIM: &str = "email";
const VERIFIED_CLAIM: &str = "email_verified";

/// The address, its local part as given, of one of the issuer's domains.
pub(super) fn name(
    verified: &VerifiedClaims,
    issuer: &IssuerConfig,
    skip_verification: bool,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let text = claimed(verified, issuer)?;
    let wrong = |error| match (error, issuer.people().name_claim()) {
        (AddressError::LocalPart, _) => PrincipalError::LocalPart,
        (AddressError::Malformed, None) => PrincipalError::Email,
        (AddressError::Malformed, Some(path)) => PrincipalError::NameClaim(path.to_string()),
    };
    let address = Address::parse(&text).map_err(wrong)?;
    if !skip_verification && !verified.claims().is_true(VERIFIED_CLAIM) {
        return Err(PrincipalError::EmailNotVerified);
    }
    if !issuer.people().may_name(&address.domain) {
        return Err(PrincipalError::EmailDomain);
    }
    Ok(SubjectAlternativeName::Email(address.text))
}

/// The text of the claim that names people, as it came.
pub(super) fn claimed(
    verified: &VerifiedClaims,
    issuer: &IssuerConfig,
) -> Result<String, PrincipalError> {
    let Some(path) = issuer.people().name_claim() else {
        let address = verified.claims().string(CLAIM)?.filter(|address| !address.is_empty());
        return address.ok_or(ClaimError::Missing(CLAIM).into());
    };
    let text = verified.claims().text_at(path.names());
    let text = text.map_err(|_| PrincipalError::NameClaim(path.to_string()))?;
    text.ok_or_else(|| PrincipalError::NameClaim(path.to_string()))
}

/// The address that clients sign in place of the subject, as it came; a malformed one is as good as
/// none.
pub(super) fn verified_address(verified: &VerifiedClaims) -> Option<String> {
    let address = verified.claims().string(CLAIM).ok().flatten()?;
    let sound = Address::parse(&address).is_ok() && verified.claims().is_true(VERIFIED_CLAIM);
    sound.then_some(address)
}
