use x509::SubjectAlternativeName;

use crate::{
    PrincipalError, SubjectDomain, VerifiedClaims,
    subject_domain::{has_only_whole_escapes, is_uri_byte},
};

/// The subject, which must be a URI of the configured scheme and host.
pub(super) fn name(
    verified: &VerifiedClaims,
    subject_domain: &SubjectDomain,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let subject = verified.claims().required_text("sub")?;
    if !subject_domain.contains(&subject) || !has_only_whole_escapes(&subject) {
        return Err(PrincipalError::SubjectDomain(subject_domain.to_string()));
    }
    Ok(SubjectAlternativeName::Uri(subject))
}

/// The claim `claim` as a part of a URI, percent-encoded where a URI cannot hold it.
///
/// `%2F` and the like stay as they are; that is what Fulcio does with names from CI templates. An
/// escape that two texts would lead to is refused: the branches `ä` and `%C3%A4` have one name else.
///
/// # Errors
/// [`PrincipalError::NotUriText`], [`PrincipalError::TwoSpellings`].
pub(super) fn escape(claim: &'static str, text: &str) -> Result<String, PrincipalError> {
    refuse_spellings(claim, text)?;
    escape_url(text).ok_or(PrincipalError::NotUriText(claim))
}

/// Refuses a claim that goes into a URI with an escape of what needs none, or of what is escaped
/// when it comes as it is: all but characters that part URIs (RFC 3986 §2.2), and `%` itself.
pub(super) fn refuse_spellings(claim: &str, text: &str) -> Result<(), PrincipalError> {
    let is_kept = |byte: u8| is_uri_byte(byte) && !is_unreserved(byte);
    let odd = text.split('%').skip(1).any(|rest| {
        let code = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        // A `%` that begins no escape is another's business.
        code.is_some_and(|code| !is_kept(code))
    });
    if odd { Err(PrincipalError::TwoSpellings(claim.to_owned())) } else { Ok(()) }
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Percent-encodes what a URI cannot hold (spaces, quotes, non-ASCII) and keeps all else: for texts
/// that are URLs already, in which both spellings are one.
///
/// `None` for control characters and for a `%` that begins no escape.
pub(super) fn escape_url(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) || !has_only_whole_escapes(text) {
        return None;
    }
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_uri_byte(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.extend([byte >> 4, byte & 15].map(hexadecimal_digit));
        }
    }
    Some(escaped)
}

/// Percent-encodes all but RFC 3986's unreserved characters, for one segment of a path.
pub(crate) fn escape_segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.extend([byte >> 4, byte & 15].map(hexadecimal_digit));
        }
    }
    escaped
}

/// The text that `escaped` stands for; `None` when that is no UTF-8 or an escape is broken.
pub(super) fn unescape(escaped: &str) -> Option<String> {
    if !has_only_whole_escapes(escaped) {
        return None;
    }
    let mut parts = escaped.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn hexadecimal_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_only_what_must_be() {
        for (text, expected) in [
            ("org/repo/.github/workflows/w.yml@refs/heads/main", None),
            ("a%2Fb//c", None),
            ("a&b'c+d", None),
            ("a b", Some("a%20b")),
            ("größe", Some("gr%C3%B6%C3%9Fe")),
            ("a<b>\"c\"", Some("a%3Cb%3E%22c%22")),
        ] {
            assert_eq!(escape("c", text).as_deref(), Ok(expected.unwrap_or(text)));
        }
    }

    #[test]
    fn refuses_controls_and_broken_escapes() {
        for text in ["a\nb", "a\0b", "a\u{85}b", "100%", "%zz", "%2"] {
            assert_eq!(escape("c", text), Err(PrincipalError::NotUriText("c")), "{text:?}");
        }
    }

    #[test]
    fn refuses_escapes_by_which_two_texts_would_be_one() {
        for text in ["%C3%A4", "%c3%a4", "a%20b", "%61", "%2E", "%7e", "%22", "%5C", "%0A", "%7F"] {
            let refused = PrincipalError::TwoSpellings("c".to_owned());
            assert_eq!(escape("c", text), Err(refused), "{text:?}");
        }
        for text in ["a%2Fb", "%40", "%3a", "%25C3%25A4", "%23%3F"] {
            assert_eq!(escape("c", text).as_deref(), Ok(text));
        }
    }

    proptest! {
        #[test]
        fn escaped_text_is_uri_text(text in ".{0,40}") {
            if let Ok(escaped) = escape("c", &text) {
                prop_assert!(escaped.bytes().all(is_uri_byte) && has_only_whole_escapes(&escaped));
            }
        }

        #[test]
        fn two_texts_are_never_one(one in "[aä %0-9A-F]{0,8}", other in "[aä %0-9A-F]{0,8}") {
            if let Ok(escaped) = escape("c", &one) {
                prop_assert!(one == other || escape("c", &other) != Ok(escaped.clone()));
                // What it looks like is no text of its own, unless it is the text.
                prop_assert!(escaped == one || escape("c", &escaped).is_err());
            }
        }
    }
}
