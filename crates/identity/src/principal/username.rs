use x509::SubjectAlternativeName;

use super::{PrincipalError, claim_text::check_text};
use crate::VerifiedClaims;

const SUBJECT: &str = "sub";

/// `<sub>!<subject_domain>`. A name with `!` would have two readings, one with `@` would pass for
/// an address, and white space at an end is not seen.
pub(super) fn name(
    verified: &VerifiedClaims,
    subject_domain: &str,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let username = verified.claims().required_text(SUBJECT)?;
    check_text(SUBJECT, &username)?;
    if username.contains(['!', '@']) || username.trim() != username {
        return Err(PrincipalError::Username);
    }
    Ok(SubjectAlternativeName::OtherName(format!("{username}!{subject_domain}")))
}
