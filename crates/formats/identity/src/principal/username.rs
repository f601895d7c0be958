use unicode_normalization::is_nfc;
use x509::SubjectAlternativeName;

use super::{PrincipalError, claim_text::check_text};
use crate::{IssuerConfig, VerifiedClaims};

const SUBJECT: &str = "sub";

/// `<sub>!<subject_domain>`, or another claim in place of `sub` where the issuer's configuration
/// chooses one (Entra's `oid`, `preferred_username`). A name with `!` would have two readings, one with `@`
/// would pass for an address and one with `://` for a URI (verifiers compare texts), white space at an
/// end is not seen, and of names that look the same only the composed one counts.
pub(super) fn name(
    verified: &VerifiedClaims,
    issuer: &IssuerConfig,
    subject_domain: &str,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let username = match issuer.people().name_claim() {
        None => verified.claims().required_text(SUBJECT)?,
        Some(path) => {
            let text = verified.claims().text_at(path.names()).ok().flatten();
            text.ok_or_else(|| PrincipalError::NameClaim(path.to_string()))?
        }
    };
    check_text(SUBJECT, &username)?;
    let passes_for_another = username.contains(['!', '@']) || username.contains("://");
    if passes_for_another || username.trim() != username || !is_nfc(&username) {
        return Err(PrincipalError::Username);
    }
    Ok(SubjectAlternativeName::OtherName(format!("{username}!{subject_domain}")))
}
