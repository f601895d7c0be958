//! What a name or URI may hold, wherever it is written, read, compared or shown.
//!
//! One rule for all, so that readers are as strict as writers. It refuses only what can make one name
//! pass for another: characters that are not seen or turn what is seen around, dot segments
//! (RFC 3986 §5.2.4), also where escapes hide them, backslashes (a slash to some readers), and users
//! in front of a host. Spaces, umlauts, emoji, empty segments (GitLab's `project//file`) and escaped
//! slashes (Jenkins' folders) are of honest names.

use std::borrow::Cow;

use thiserror::Error;

use crate::inert::is_deceptive;

/// How often escapes within escapes are resolved: Jenkins has two, nobody reads more.
const MAX_DECODINGS: usize = 4;

/// Why a name may pass for another.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// [`is_deceptive`], as it is or as percent escapes.
    #[error("it holds the character U+{0:04X}, which is not seen as what it is")]
    Character(u32),
    /// URL parsers take such segments away before they ask.
    #[error("it holds a dot segment")]
    DotSegment,
    /// `\`.
    #[error("it holds a backslash")]
    Backslash,
    /// `https://user@host` or escapes in the host's place.
    #[error("it holds more than a host where the host belongs")]
    UserInfo,
}

/// Checks free text, such as the name of a workflow or an artifact.
///
/// # Errors
/// [`NameError::Character`].
pub fn check_text(text: &str) -> Result<(), NameError> {
    match text.chars().find(|c| is_deceptive(*c)) {
        None => Ok(()),
        Some(c) => Err(NameError::Character(c.into())),
    }
}

/// Checks a path, ref or other name of segments.
///
/// # Errors
/// [`NameError::Character`], [`NameError::DotSegment`], [`NameError::Backslash`].
pub fn check_path(path: &str) -> Result<(), NameError> {
    let mut path = Cow::Borrowed(path);
    for _ in 0..=MAX_DECODINGS {
        check_text(&path)?;
        if path.contains('\\') {
            return Err(NameError::Backslash);
        }
        if path.split(['/', '?', '#']).any(|segment| matches!(segment, "." | "..")) {
            return Err(NameError::DotSegment);
        }
        match decoded(&path) {
            Some(inner) => path = Cow::Owned(inner),
            None => break,
        }
    }
    Ok(())
}

/// Checks a URI, or what stands in the place of one.
///
/// # Errors
/// Those of [`check_path`], and [`NameError::UserInfo`] but for `ssh`, which has users.
pub fn check_uri(uri: &str) -> Result<(), NameError> {
    check_path(uri)?;
    let Some((scheme, rest)) = uri.split_once("://") else { return Ok(()) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains(['@', '%']) && !scheme.ends_with("ssh") {
        return Err(NameError::UserInfo);
    }
    Ok(())
}

/// `text` with its percent escapes resolved once; `None` when it has none.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut found = false;
    while let Some((byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'%', [high, low, tail @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    (rest, found) = (tail, true);
                    continue;
                }
                _ => bytes.push(*byte),
            },
            _ => bytes.push(*byte),
        }
        rest = after;
    }
    found.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From certificates of each CI, docs/ci-issuers.md.
    const HONEST: &[&str] = &[
        "https://github.com/acme/widgets/.github/workflows/release.yml@refs/heads/main",
        "https://github.com/acme/widgets/.github/workflows/w.yml@refs/heads/größe",
        "https://github.com/acme/widgets/actions/runs/1/attempts/1",
        "https://gitlab.com/group/sub/project//.gitlab-ci.yml@refs/heads/feature/a b",
        "https://jenkins.example/job/a/job/feature%252Fx/12/",
        "https://dev.azure.com/org/My%20Project/_build?definitionId=7",
        "https://bitbucket.org/%7Bfa4bb5b3-0ab7-4bd1-9a09-8d2a4b3c9a2f%7D/r",
        "https://accounts.google.com",
        "https://agent.buildkite.com/o/p/builds/1#0190f8f1",
        "spiffe://example.org/ns/a",
        "git+ssh://git@github.com/acme/widgets@refs/tags/v1..2",
        "git+https://github.com/acme/widgets@refs/heads/main",
        "pkg:npm/%40scope/name@1.0.0",
        "urn:uuid:0190f8f1-0000-7000-8000-000000000000",
        "refs/heads/👩\u{200d}💻/x",
        "refs/pull/7/merge",
        "100%/x%zz",
        "...",
        "",
    ];

    #[test]
    fn honest_names_pass() {
        for name in HONEST {
            assert_eq!(check_uri(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn each_way_to_pass_for_another_name_is_refused() {
        for (name, error) in [
            ("https://github.com/acme/../evil/widgets", NameError::DotSegment),
            ("https://github.com/acme/./widgets", NameError::DotSegment),
            ("https://github.com/acme/widgets/..", NameError::DotSegment),
            ("https://github.com/acme/%2e%2e/evil", NameError::DotSegment),
            ("https://github.com/acme/.%2E/evil", NameError::DotSegment),
            ("https://github.com/acme%2f..%2fevil", NameError::DotSegment),
            ("https://github.com/acme/%252e%252e/evil", NameError::DotSegment),
            ("https://github.com/acme?/../evil", NameError::DotSegment),
            ("../evil", NameError::DotSegment),
            ("https://github.com\\@evil.example/acme", NameError::Backslash),
            ("https://github.com/acme%5c..%5cevil", NameError::Backslash),
            ("https://github.com@evil.example/acme", NameError::UserInfo),
            ("https://github.com%40evil.example/acme", NameError::UserInfo),
            ("https://github.com/acme\u{202e}stegdiw", NameError::Character(0x202e)),
            ("https://github.com/acme%E2%80%AEstegdiw", NameError::Character(0x202e)),
            ("https://github.com/acme%0aevil", NameError::Character(0x0a)),
            ("https://github.com/acme%1b[2J", NameError::Character(0x1b)),
            ("a\u{2028}b", NameError::Character(0x2028)),
            ("a\u{200b}b", NameError::Character(0x200b)),
            ("a\u{7f}b", NameError::Character(0x7f)),
            ("a\u{9b}b", NameError::Character(0x9b)),
        ] {
            assert_eq!(check_uri(name), Err(error), "{name:?}");
        }
    }

    #[test]
    fn free_text_may_hold_dots_and_backslashes() {
        assert_eq!(check_text("../dist/a\\b & c"), Ok(()));
        assert_eq!(check_text("a\nb"), Err(NameError::Character(0x0a)));
    }

    proptest! {
        #[test]
        fn what_passes_has_no_dot_segment_after_any_decoding(name in "[a./%2eEfF]{0,24}") {
            if check_path(&name).is_ok() {
                let mut name = name;
                for _ in 0..3 {
                    prop_assert!(!name.split('/').any(|segment| segment == ".."));
                    let Some(inner) = decoded(&name) else { break };
                    name = inner;
                }
            }
        }

        #[test]
        fn never_panics(name: String) {
            let _ = check_uri(&name);
        }
    }
}
