use x509::SubjectAlternativeName;

use crate::{ClaimError, PrincipalError, VerifiedClaims};

pub(super) const CLAIM: &str = "email";
const VERIFIED_CLAIM: &str = "email_verified";

/// Longest address, RFC 5321 §4.5.3.1.3 less the angle brackets.
const MAX_ADDRESS_LEN: usize = 254;

/// The address as given, letter case kept.
pub(super) fn name(
    verified: &VerifiedClaims,
    skip_verification: bool,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let address = verified.claims().string(CLAIM)?.filter(|address| !address.is_empty());
    let address = address.ok_or(ClaimError::Missing(CLAIM))?;
    if !is_address(&address) {
        return Err(PrincipalError::Email);
    }
    if !skip_verification && !verified.claims().is_true(VERIFIED_CLAIM) {
        return Err(PrincipalError::EmailNotVerified);
    }
    Ok(SubjectAlternativeName::Email(address))
}

/// The address that clients sign in place of the subject; a malformed one is as good as none.
pub(super) fn verified_address(verified: &VerifiedClaims) -> Option<String> {
    let address = verified.claims().string(CLAIM).ok().flatten()?;
    (is_address(&address) && verified.claims().is_true(VERIFIED_CLAIM)).then_some(address)
}

/// Dot-atoms on both sides (RFC 5322 §3.4.1): no comments, quotes, literals or white space,
/// in which verifiers have found other addresses than issuers meant.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    text.len() <= MAX_ADDRESS_LEN
        && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte))
        && domain.split('.').all(is_label)
}

/// RFC 5322 §3.2.3 `atext`.
fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty()
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_addresses() {
        for text in ["a@b", "Some.One+tag&x'y@Mail.Example.com", "a@xn--bcher-kva.example"] {
            assert!(is_address(text), "{text}");
        }
    }

    #[test]
    fn knows_what_is_no_address() {
        let long = format!("{}@example.com", "a".repeat(243));
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@.b",
            "a@b.",
            "a@-b",
            "a@b-",
            "ä@b",
            "a@ä",
            "\"a\"@b",
            "<a@b>",
            "a@b,c@d",
            "a@[127.0.0.1]",
            "a\0@b",
            "a@b\n",
            &long,
        ] {
            assert!(!is_address(text), "{text}");
        }
    }
}
