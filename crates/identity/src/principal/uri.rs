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

/// Percent-encodes what a URI cannot hold (spaces, quotes, non-ASCII) and keeps all else.
///
/// `%2F` and the like stay as they are; that is what Fulcio does with names from CI templates.
/// `None` for control characters and for a `%` that begins no escape.
pub(super) fn escape(text: &str) -> Option<String> {
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
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
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
            assert_eq!(escape(text).as_deref(), Some(expected.unwrap_or(text)));
        }
    }

    #[test]
    fn refuses_controls_and_broken_escapes() {
        for text in ["a\nb", "a\0b", "a\u{85}b", "100%", "%zz", "%2"] {
            assert_eq!(escape(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn escaped_text_is_uri_text(text in ".{0,40}") {
            if let Some(escaped) = escape(&text) {
                prop_assert!(escaped.bytes().all(is_uri_byte) && has_only_whole_escapes(&escaped));
            }
        }
    }
}
