//! The table of docs/ci-issuers.md says what the presets do.

use std::collections::BTreeSet;

use super::*;

const PAGE: &str = include_str!("../../../../../../docs/ci-issuers.md");

/// The numbers of the last column of the row of `kind`, such as `.9 .12-.18`.
fn documented(kind: &str) -> BTreeSet<u32> {
    let begin = format!("| `{kind}` |");
    let row = PAGE.lines().find(|line| line.starts_with(&begin)).unwrap();
    let column = row.trim_end_matches('|').rsplit('|').next().unwrap();
    let words = column.split([' ', ',']).filter(|word| word.starts_with('.'));
    let number = |text: &str| text.trim_start_matches('.').parse::<u32>().unwrap();
    words
        .flat_map(|word| match word.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(word)..=number(word),
        })
        .collect()
}

/// Those of Fulcio's arc but for issuer and subject, which all have.
fn mapped(kind: IssuerKind, claims: &Value) -> BTreeSet<u32> {
    let extensions = map(kind, claims).unwrap().extensions;
    let numbers = extensions.entries().filter_map(|(_, oid, _)| {
        oid.to_string().strip_prefix("1.3.6.1.4.1.57264.1.")?.parse().ok()
    });
    numbers.filter(|number| ![1, 8, 24].contains(number)).collect()
}

#[test]
fn every_preset_fills_no_extension_that_the_table_lacks() {
    for (kind, claims, optional) in [
        (github(), github_claims(), vec![23]),
        (gitlab::public(), gitlab::claims(), vec![23]),
        (azure::kind(), azure::claims(), vec![11]),
        (jenkins::kind(), jenkins::claims(), vec![11, 12, 13, 14, 20]),
        (buildkite::kind(), buildkite::claims(), vec![]),
        (circleci::kind(), circleci::claims(), vec![11]),
        (bitbucket::kind(), bitbucket::claims(), vec![23]),
    ] {
        let name = kind.name();
        let (table, mapped) = (documented(name), mapped(kind, &claims));
        assert!(mapped.is_subset(&table), "{name}: {mapped:?} {table:?}");
        let lacking: Vec<u32> = table.difference(&mapped).copied().collect();
        let unexplained = lacking.iter().find(|number| !optional.contains(number));
        assert_eq!(unexplained, None, "{name}: {mapped:?} {table:?}");
    }
}
