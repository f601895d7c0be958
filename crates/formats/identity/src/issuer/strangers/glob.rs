//! Hosts with wildcards: `*` is one or more characters of a label, as in `url_pattern`.

const WILDCARD: u8 = b'*';

/// Whether some host is of both patterns; either may have any number of wildcards, or none.
///
/// A walk through both at once: each step takes one character that both allow, and moves on in one
/// of them or in both, for a wildcard may have more to come.
pub(super) fn meet(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let width = other.len() + 1;
    let mut reached = vec![false; (one.len() + 1) * width];
    reached[0] = true;
    for (row, first) in one.iter().enumerate() {
        for (column, second) in other.iter().enumerate() {
            if !reached[row * width + column] || !share_a_character(*first, *second) {
                continue;
            }
            reached[(row + 1) * width + column + 1] = true;
            reached[(row + 1) * width + column] |= *second == WILDCARD;
            reached[row * width + column + 1] |= *first == WILDCARD;
        }
    }
    reached.last() == Some(&true)
}

/// Whether every host of `pattern` is one of `whole`, as far as a wildcard of the one stands where
/// `whole` has one too. Says no where it cannot tell.
pub(super) fn covers(whole: &str, pattern: &str) -> bool {
    let whole = whole.as_bytes();
    // Which lengths of `whole` can have taken what was read of `pattern`.
    let mut reached = vec![false; whole.len() + 1];
    reached[0] = true;
    for character in pattern.bytes() {
        let mut next = vec![false; whole.len() + 1];
        for (position, expected) in whole.iter().enumerate() {
            let wild = *expected == WILDCARD;
            let fits = if wild { is_of_label(character) } else { *expected == character };
            // A wildcard that has begun goes on.
            let before = reached[position] || (wild && reached[position + 1]);
            next[position + 1] |= fits && before && (wild || character != WILDCARD);
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

fn share_a_character(one: u8, other: u8) -> bool {
    match (one, other) {
        (WILDCARD, other) => is_of_label(other),
        (one, WILDCARD) => is_of_label(one),
        (one, other) => one == other,
    }
}

/// What a wildcard stands for, or a wildcard.
fn is_of_label(character: u8) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, b'-' | b'_' | WILDCARD)
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
}
