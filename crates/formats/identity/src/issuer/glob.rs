//! Texts with wildcards: `*` is one or more of `[-_a-zA-Z0-9]`, as in `url_pattern`; all else is itself.

use std::collections::BTreeSet;

const WILDCARD: u8 = b'*';

/// Whether `text` as a whole is of `pattern`. Costs the product of their lengths.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    takes(pattern, text, is_wild)
}

/// Whether every text of `pattern` is one of `whole`, as far as a wildcard of the one stands where
/// `whole` has one too. Says no where it cannot tell.
pub(super) fn covers(whole: &str, pattern: &str) -> bool {
    takes(whole, pattern, |byte| is_wild(byte) || byte == WILDCARD)
}

/// Whether some text is of both; either may have any number of wildcards, or none.
pub(super) fn meet(one: &str, other: &str) -> bool {
    meeting_points(one, other).contains(&Lengths { of_one: one.len(), of_other: other.len() })
}

/// Whether `pattern` takes all of `text`, its wildcards whatever they stand for.
fn takes(pattern: &str, text: &str, stands_for: impl Fn(u8) -> bool) -> bool {
    let pattern = pattern.as_bytes();
    // Which lengths of the pattern can have consumed the text so far.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    for byte in text.bytes() {
        let mut next = vec![false; pattern.len() + 1];
        for (position, expected) in pattern.iter().enumerate() {
            let wild = *expected == WILDCARD;
            let fits = if wild { stands_for(byte) } else { *expected == byte };
            // A wildcard that has begun goes on.
            let before = reached[position] || (wild && reached[position + 1]);
            next[position + 1] |= fits && before;
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

fn is_wild(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// How much of two patterns is consumed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lengths {
    pub(super) of_one: usize,
    pub(super) of_other: usize,
}

/// How much of two patterns one text can have consumed: every pair of lengths that some text, which
/// begins as both allow, leads to. Texts without `*` are patterns of themselves.
pub(super) fn meeting_points(one: &str, other: &str) -> BTreeSet<Lengths> {
    let mut reached = BTreeSet::from([Lengths::default()]);
    let mut open = vec![Lengths::default()];
    while let Some(at) = open.pop() {
        for (of_one, byte) in steps(one.as_bytes(), at.of_one) {
            for (of_other, other_byte) in steps(other.as_bytes(), at.of_other) {
                let wild = |byte: u8| byte == WILDCARD;
                let fits = byte == other_byte
                    || wild(byte) && is_wild(other_byte)
                    || wild(other_byte) && is_wild(byte);
                let next = Lengths { of_one, of_other };
                if fits && reached.insert(next) {
                    open.push(next);
                }
            }
        }
    }
    reached
}

/// Where one more byte leads to from `position`, and which byte, `*` for any that it stands for.
fn steps(pattern: &[u8], position: usize) -> impl Iterator<Item = (usize, u8)> {
    let on = pattern.get(position).map(|byte| (position + 1, *byte));
    // A wildcard that has begun goes on.
    let begun = position.checked_sub(1).and_then(|before| pattern.get(before));
    on.into_iter().chain(begun.filter(|byte| **byte == WILDCARD).map(|byte| (position, *byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All texts over `alphabet` of at most `most` characters.
    fn texts(alphabet: &[u8], most: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = 0;
        for _ in 0..most {
            let end = all.len();
            for position in last..end {
                for letter in alphabet {
                    all.push(format!("{}{}", all[position], char::from(*letter)));
                }
            }
            last = end;
        }
        all
    }

    /// By the definition: a wildcard takes one character, or more, and the rest the rest.
    fn is_of(text: &[u8], pattern: &[u8]) -> bool {
        match (text, pattern) {
            ([], []) => true,
            ([first, rest @ ..], [b'*', after @ ..]) => {
                *first != b'.' && (is_of(rest, after) || is_of(rest, pattern))
            }
            ([first, rest @ ..], [expected, after @ ..]) => first == expected && is_of(rest, after),
            _ => false,
        }
    }

    /// Each step of `meet` moves on in one pattern at least, so a common host of two patterns of `most`
    /// characters has fewer than twice as many: none is overlooked here.
    fn compare(letters: &[u8], most: usize) {
        let patterns = texts(&[letters, b".*"].concat(), most);
        let hosts = texts(&[letters, b"."].concat(), 2 * most - 1);
        let of = |pattern: &String| -> Vec<bool> {
            hosts.iter().map(|host| is_of(host.as_bytes(), pattern.as_bytes())).collect()
        };
        let of: Vec<Vec<bool>> = patterns.iter().map(of).collect();
        let mut covered = 0;
        for (one, hosts_of_one) in patterns.iter().zip(&of) {
            for (other, hosts_of_other) in patterns.iter().zip(&of) {
                let mut pairs = hosts_of_one.iter().zip(hosts_of_other);
                let common = pairs.clone().any(|(one, other)| *one && *other);
                assert_eq!(meet(one, other), common, "{one} and {other}");
                if covers(one, other) {
                    assert!(pairs.all(|(one, other)| *one || !other), "{one} covers {other}");
                    covered += 1;
                }
            }
        }
        assert!(covered > patterns.len(), "{covered}");
    }

    #[test]
    fn patterns_meet_where_a_host_is_of_both_and_cover_no_host_that_is_not_theirs() {
        compare(b"ab", 3);
        compare(b"a", 4);
    }

    #[test]
    fn several_wildcards_hide_no_host() {
        let github = "token.actions.githubusercontent.com";
        for pattern in [
            "*.*.githubusercontent.com",
            "t*k*n.actions.githubusercontent.com",
            "t*.a*.githubusercontent.com",
            "*n.*.*content.com",
        ] {
            assert!(meet(pattern, github) && meet(github, pattern), "{pattern}");
        }
        for pattern in ["*.githubusercontent.com", "*.*.*.githubusercontent.com", "t*k*m.actions"] {
            assert!(!meet(pattern, github), "{pattern}");
        }
        assert!(meet("oidc.eks.*.amazonaws.com", "oidc.*.eu-central-1.*.com"));
        assert!(covers("*.oic.prod-aks.azure.com", "*.oic.prod-aks.azure.com"));
        assert!(covers("*.oic.prod-aks.azure.com", "west*.oic.prod-aks.azure.com"));
        assert!(!covers("oidc.vercel.com", "*.vercel.com"));
    }

    #[test]
    fn two_patterns_meet_where_one_url_is_of_both() {
        let meet = |one: &str, other: &str| {
            let met = super::meet(one, other);
            assert_eq!(met, super::meet(other, one));
            met
        };
        for (one, other) in [
            ("https://k.example/a", "https://k.example/a"),
            ("https://k.example/*", "https://k.example/a"),
            ("https://k.example/*", "https://k.example/realms-*"),
            ("https://k.example/a*", "https://k.example/*b"),
            ("https://*.example/x*z", "https://k.*/xyz"),
        ] {
            assert!(meet(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("https://k.example/a", "https://k.example/b"),
            ("https://k.example/*", "https://k.example/"),
            ("https://k.example/*", "https://k.example/a/b"),
            ("https://k.example/a*", "https://k.example/b*"),
            ("https://*.example/x", "https://a.b.example/x"),
        ] {
            assert!(!meet(one, other), "{one} {other}");
        }
    }
}
