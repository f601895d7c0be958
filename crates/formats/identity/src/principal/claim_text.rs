//! Shapes that texts of CI tokens must have before they reach a certificate.

use super::{PrincipalError, refuse_controls};
use crate::{Claims, issuer::is_uuid, subject_domain::has_only_whole_escapes};

/// Longest claim that is mapped, in bytes: Git and the forges allow refs and paths of 255 and less,
/// Jenkins nests folders. Below the certificate's own limits, so that the error names the claim.
pub(super) const MAX_CLAIM_LEN: usize = 1024;

/// The claims of one job, read as texts that may be shown.
pub(super) struct JobClaims<'a>(pub(super) &'a Claims);

impl JobClaims<'_> {
    /// A claim without which there is no identity.
    pub(super) fn text(&self, name: &'static str) -> Result<String, PrincipalError> {
        let text = self.0.required_text(name)?;
        check_text(name, &text)?;
        Ok(text)
    }

    /// A claim that some jobs lack; `null` and empty are absent.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<String>, PrincipalError> {
        let text = self.0.text(name)?;
        check_text(name, text.as_deref().unwrap_or_default())?;
        Ok(text)
    }

    /// A claim that is `true` or `false`, sent as a text or as JSON's own.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<String>, PrincipalError> {
        if let Ok(flag) = self.0.typed::<bool>(name) {
            return Ok(flag.map(|flag| flag.to_string()));
        }
        let text = self.optional(name)?;
        text.map(|text| shaped(name, text, |text| matches!(text, "true" | "false"))).transpose()
    }

    /// A decimal number, sent as a number or as a text.
    pub(super) fn number(&self, name: &'static str) -> Result<String, PrincipalError> {
        shaped(name, self.text(name)?, |text| text.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// A UUID without braces.
    pub(super) fn uuid(&self, name: &'static str) -> Result<String, PrincipalError> {
        shaped(name, self.text(name)?, is_uuid)
    }

    /// A commit in hexadecimal.
    pub(super) fn commit(&self, name: &'static str) -> Result<String, PrincipalError> {
        shaped(name, self.text(name)?, is_commit)
    }

    /// A full ref.
    pub(super) fn full_ref(&self, name: &'static str) -> Result<String, PrincipalError> {
        shaped(name, self.text(name)?, is_full_ref)
    }
}

/// `text`, when it is `sound`.
pub(super) fn shaped(
    name: &'static str,
    text: String,
    sound: impl FnOnce(&str) -> bool,
) -> Result<String, PrincipalError> {
    if sound(&text) { Ok(text) } else { Err(PrincipalError::Shape(name)) }
}

/// Refuses what is too long to be true, and what shows otherwise than it reads.
pub(super) fn check_text(name: &'static str, text: &str) -> Result<(), PrincipalError> {
    if text.len() > MAX_CLAIM_LEN {
        return Err(PrincipalError::TooLong(name));
    }
    refuse_controls(name, text)
}

/// SHA-1 or SHA-256 in lower case, as Git writes them.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// `refs/heads/...`, `refs/tags/...` or another ref below `refs/`, of a sound name.
pub(super) fn is_full_ref(text: &str) -> bool {
    let name = text.strip_prefix("refs/").and_then(|rest| rest.split_once('/'));
    name.is_some_and(|(kind, name)| is_ref_name(kind) && is_ref_name(name))
}

/// What git-check-ref-format(1) lets a branch or tag be called, and no `@refs/`: names of
/// pipelines end in `@<ref>`, and a branch must not be able to end one early.
pub(super) fn is_ref_name(text: &str) -> bool {
    let sound_component = |component: &str| {
        let path: &std::path::Path = component.as_ref();
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        !component.is_empty() && !component.starts_with('.') && !is_lock
    };
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\\u{7f}".contains(c);
    !text.contains(forbidden)
        && !["..", "@{", "@refs/"].iter().any(|sequence| text.contains(sequence))
        && !text.ends_with('.')
        && text.split('/').all(sound_component)
}

/// The `https` URL of the repository that `text` names, when its host is one of `hosts`.
///
/// Read are `https://host/path` and what Git clients also take for it: `host/path`,
/// `ssh://git@host/path` and `git@host:path`. A final `.git` is left out, as forges do.
pub(super) fn repository_url(
    name: &'static str,
    text: &str,
    hosts: &[String],
) -> Result<String, PrincipalError> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("ssh://git@"))
        .map(str::to_owned)
        .or_else(|| text.strip_prefix("git@").map(|rest| rest.replacen(':', "/", 1)))
        .unwrap_or_else(|| text.to_owned());
    let (host, path) = rest.split_once('/').ok_or(PrincipalError::Shape(name))?;
    if !hosts.iter().any(|listed| listed == host) {
        return Err(PrincipalError::SourceHost(name));
    }
    let path = path.strip_suffix(".git").unwrap_or(path);
    let deep_enough = path.contains('/');
    if !deep_enough || !path.split('/').all(is_path_segment) {
        return Err(PrincipalError::Shape(name));
    }
    Ok(format!("https://{host}/{path}"))
}

/// One step of a URL's path that leads down: no dots alone, nothing that ends the path.
pub(super) fn is_path_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%+()!$',;=".contains(&byte);
    !segment.is_empty()
        && !segment.bytes().all(|byte| byte == b'.')
        && segment.bytes().all(allowed)
        && has_only_whole_escapes(segment)
        && !hides_structure(segment)
}

/// A path that leads down and ends where it ends: at most one empty segment (GitLab's
/// `project//file`), which neither begins nor ends it.
pub(crate) fn is_path(path: &str) -> bool {
    let empty = path.split('/').filter(|segment| segment.is_empty()).count();
    let leads_up = |segment: &str| matches!(segment, "." | "..");
    empty <= 1
        && !path.starts_with('/')
        && !path.ends_with('/')
        && !path.split('/').any(leads_up)
        && !hides_structure(path)
}

/// Whether an escape stands for something that parts a path or shows as nothing: a slash, a
/// backslash, a dot (RFC 3986 §6.2.2.2 lets readers decode it), a control character.
pub(super) fn hides_structure(segment: &str) -> bool {
    segment.split('%').skip(1).any(|rest| {
        let code = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_none_or(|code| code.is_ascii_control() || b"/\\.".contains(&code))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_refs() {
        for sound in ["refs/heads/main", "refs/tags/v1.0", "refs/pull/7/merge", "refs/heads/a@b"] {
            assert!(is_full_ref(sound), "{sound}");
        }
        for odd in [
            "",
            "main",
            "refs/heads",
            "refs/heads/",
            "refs//main",
            "refs/heads/../../evil",
            "refs/heads/./x",
            "refs/heads/a//b",
            "refs/heads/a/",
            "refs/heads/main\nfoo",
            "refs/heads/a b",
            "refs/heads/a\\b",
            "refs/heads/a.lock",
            "refs/heads/a.",
            "refs/heads/x@refs/heads/main",
            "refs/heads/@{1}",
            "/refs/heads/main",
        ] {
            assert!(!is_full_ref(odd), "{odd:?}");
        }
    }

    #[test]
    fn knows_commits() {
        assert!(is_commit(&"a0".repeat(20)) && is_commit(&"0f".repeat(32)));
        for odd in ["", "HEAD", "12345", &"A0".repeat(20), &"a0".repeat(21), &"g0".repeat(20)] {
            assert!(!is_commit(odd), "{odd}");
        }
    }

    #[test]
    fn reads_repositories_in_the_four_forms_of_git_clients() {
        let hosts = ["github.com".to_owned()];
        for text in [
            "https://github.com/acme/widgets",
            "https://github.com/acme/widgets.git",
            "github.com/acme/widgets",
            "git@github.com:acme/widgets.git",
            "ssh://git@github.com/acme/widgets.git",
        ] {
            let url = repository_url("u", text, &hosts);
            assert_eq!(url.as_deref(), Ok("https://github.com/acme/widgets"), "{text}");
        }
    }

    #[test]
    fn refuses_repositories_elsewhere_and_paths_that_lead_out() {
        let hosts = ["github.com".to_owned()];
        for text in [
            "https://github.com.evil.example/acme/widgets",
            "https://evil.example/github.com/acme/widgets",
            "https://acme@github.com/acme/widgets",
            "https://github.com:443/acme/widgets",
            "https://github.com@evil.example/acme/widgets",
            "http://github.com/acme/widgets",
            "git@evil.example:github.com/acme",
            "file:///github.com/acme",
        ] {
            let refused = repository_url("u", text, &hosts).unwrap_err();
            assert_eq!(refused, PrincipalError::SourceHost("u"), "{text}");
        }
        for text in [
            "https://github.com",
            "https://github.com/acme",
            "https://github.com/acme/",
            "https://github.com/acme/../evil",
            "https://github.com/acme/%2e%2e/evil",
            "https://github.com/acme/..%2fevil",
            "https://github.com/acme/widgets?x",
            "https://github.com/acme/widgets#x",
            "https://github.com/acme/widgets%0a",
            "https://github.com/acme\\evil/widgets",
            "https://github.com//acme/widgets",
        ] {
            let refused = repository_url("u", text, &hosts).unwrap_err();
            assert_eq!(refused, PrincipalError::Shape("u"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn repositories_are_of_a_listed_host_and_below_it(text in "[a-z@:/.%?#\\\\]{0,40}") {
            let hosts = ["a.b".to_owned()];
            if let Ok(url) = repository_url("u", &text, &hosts) {
                let parsed = url::Url::parse(&url).unwrap();
                prop_assert_eq!(parsed.host_str(), Some("a.b"));
                prop_assert_eq!(parsed.as_str(), &url, "no parser reads it otherwise");
            }
        }

        #[test]
        fn sound_refs_stay_what_they_are_in_a_path(text in "refs/heads/[a-z./@{\\\\]{0,12}") {
            if is_full_ref(&text) {
                let url = format!("https://a.b/{text}");
                let parsed = url::Url::parse(&url).unwrap();
                prop_assert!(parsed.path().starts_with("/refs/heads/"));
            }
        }
    }
}
