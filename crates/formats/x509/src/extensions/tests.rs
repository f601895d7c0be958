use super::{
    field::{Encoding, Field},
    *,
};

fn filled() -> FulcioExtensions {
    let mut extensions = FulcioExtensions::default();
    for (number, field) in FIELDS.iter().enumerate() {
        let value = match (field.encoding, field.name) {
            (Encoding::Flag, _) => "true".to_owned(),
            (_, "issuer") => "value 0".to_owned(),
            _ => format!("value {number} \u{e4}&<>'\"+"),
        };
        *(field.get_mut)(&mut extensions) = Some(value);
    }
    extensions
}

fn parse(encoded: &[(ObjectIdentifier, Vec<u8>)]) -> Result<FulcioExtensions, ExtensionsError> {
    FulcioExtensions::parse(encoded.iter().map(|(oid, content)| (*oid, content.as_slice())))
}

#[test]
fn every_field_survives_encoding() {
    let extensions = filled();
    assert_eq!(parse(&extensions.encode().unwrap()), Ok(extensions));
}

#[test]
fn writes_one_to_six_raw_and_the_rest_as_utf8_string() {
    let encoded = filled().encode().unwrap();
    let (raw, der) = encoded.split_at(6);
    assert!(raw.iter().all(|(_, content)| content.starts_with(b"value")));
    assert!(der.iter().all(|(_, content)| content.starts_with(&[0x0c])));
    assert_eq!(encoded.len(), 27);
}

#[test]
fn leaves_out_absent_and_empty_fields() {
    let extensions = FulcioExtensions {
        issuer: Some("https://issuer.example".to_owned()),
        build_trigger: Some(String::new()),
        ..FulcioExtensions::default()
    };
    let oids: Vec<_> = extensions.encode().unwrap().iter().map(|(oid, _)| *oid).collect();
    assert_eq!(oids, [oid::ISSUER, oid::ISSUER_V2]);
    let named: Vec<_> = extensions.named().map(|(name, _)| name).collect();
    assert_eq!(named, ["issuer", "build_trigger"]);
}

#[test]
fn refuses_bytes_after_the_der_string() {
    let content = vec![0x0c, 0x01, b'a', 0x00];
    let refused = Err(ExtensionsError::Malformed(oid::BUILD_TRIGGER));
    assert_eq!(parse(&[(oid::BUILD_TRIGGER, content)]), refused);
}

#[test]
fn refuses_other_string_types_and_broken_utf8() {
    for (oid, content) in [
        (oid::ISSUER_V2, vec![0x13, 0x01, b'a']),
        (oid::ISSUER_V2, vec![0x0c, 0x01, 0xff]),
        (oid::ISSUER_V2, b"https://issuer.example".to_vec()),
        (oid::ISSUER, vec![0xff]),
    ] {
        assert_eq!(parse(&[(oid, content)]), Err(ExtensionsError::Malformed(oid)));
    }
}

#[test]
fn refuses_two_different_issuers() {
    let old = (oid::ISSUER, b"a".to_vec());
    let new = (oid::ISSUER_V2, vec![0x0c, 0x01, b'b']);
    assert_eq!(parse(&[old, new]), Err(ExtensionsError::Contradiction(oid::ISSUER_V2)));
}

/// As a CA that checks nothing would write it.
fn unchecked(field: &Field, value: &str) -> [(ObjectIdentifier, Vec<u8>); 1] {
    [(field.oid, field.encoding.encode(value).unwrap())]
}

#[test]
fn no_field_holds_what_is_not_seen_as_what_it_is() {
    for field in FIELDS {
        for c in [
            '\0',
            '\n',
            '\r',
            '\t',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            let value = format!("https://forge.example/a{c}b");
            let refused = match field.encoding {
                Encoding::Flag => ExtensionsError::Malformed(field.oid),
                _ => ExtensionsError::Deceptive(field.oid, NameError::Character(c.into())),
            };
            assert_eq!(parse(&unchecked(field, &value)).as_ref(), Err(&refused), "{c:?}");
            let mut extensions = FulcioExtensions::default();
            *(field.get_mut)(&mut extensions) = Some(value);
            assert!(extensions.encode().is_err(), "{c:?}");
        }
    }
}

#[test]
fn no_uri_or_ref_passes_for_another() {
    let of = |names: &[&str]| -> Vec<&Field> {
        FIELDS.iter().filter(|field| names.iter().any(|end| field.name.ends_with(end))).collect()
    };
    let (uris, paths) = (of(&["issuer", "_uri"]), of(&["_ref", "_repository"]));
    assert_eq!((uris.len(), paths.len()), (7, 3));
    for (value, error) in [
        ("https://github.com/acme/../evil", NameError::DotSegment),
        ("https://github.com/acme/./evil", NameError::DotSegment),
        ("https://github.com/acme/%2e%2E/evil", NameError::DotSegment),
        ("refs/heads/../../evil", NameError::DotSegment),
        ("https://github.com\\evil", NameError::Backslash),
    ] {
        for field in uris.iter().chain(&paths) {
            let refused = Err(ExtensionsError::Deceptive(field.oid, error));
            assert_eq!(parse(&unchecked(field, value)), refused, "{value}");
        }
    }
    for field in uris {
        let refused = Err(ExtensionsError::Deceptive(field.oid, NameError::UserInfo));
        assert_eq!(parse(&unchecked(field, "https://github.com@evil.example/a")), refused);
    }
}

#[test]
fn reads_certificates_that_have_the_old_issuer_only() {
    let parsed = parse(&[(oid::ISSUER, b"a".to_vec())]).unwrap();
    assert_eq!(parsed.issuer.as_deref(), Some("a"));
}

/// The arc is derived, not invented: whoever doubts it repeats the script.
#[test]
fn the_arc_is_that_of_its_guid() {
    let digits = oid::ARC_GUID.replace('-', "");
    let mut rest = digits.as_str();
    let mut arc = "1.2.840.113556.1.8000.2554".to_owned();
    for length in [4, 4, 4, 4, 4, 6, 6] {
        let (number, after) = rest.split_at(length);
        let number = u32::from_str_radix(number, 16).unwrap();
        // Below 2^31, where Go's reader of certificates ends.
        assert!(number < 1 << 24);
        arc = format!("{arc}.{number}");
        rest = after;
    }
    assert_eq!((arc, rest), (oid::ARC.to_string(), ""));
    let below = format!("{}.1.", oid::ARC);
    let ours = FIELDS.iter().filter(|field| field.oid.to_string().starts_with(&below));
    assert_eq!(ours.count(), 4);
}

/// Two registers that differ are none.
#[test]
fn the_document_lists_the_extensions_of_our_own_as_the_table_has_them() {
    const DOCUMENT: &str = include_str!("../../../../../docs/extensions.md");
    let listed: Vec<_> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| .1."))
        .map(|line| line.split(" | ").take(3).collect::<Vec<_>>().join(" | "))
        .collect();
    let ours = FIELDS.iter().filter_map(|field| {
        let number = field.oid.to_string().strip_prefix(&oid::ARC.to_string())?.to_owned();
        let form = match field.encoding {
            Encoding::Flag => "`UTF8String`, `true` or `false`",
            Encoding::Der => "`UTF8String`",
            Encoding::Raw => "raw",
        };
        Some(format!("| {number} | `{}` | {form}", field.name))
    });
    assert_eq!(listed, ours.collect::<Vec<_>>());
    for needed in [oid::ARC_GUID.to_owned(), oid::ARC.to_string()] {
        assert!(DOCUMENT.contains(&needed), "{needed}");
    }
}

#[test]
fn a_flag_is_true_or_false_and_nothing_else() {
    for word in ["true", "false"] {
        let extensions = FulcioExtensions {
            ref_protected: Some(word.to_owned()),
            ..FulcioExtensions::default()
        };
        let encoded = extensions.encode().unwrap();
        assert_eq!(
            encoded[0].1,
            [&[0x0c, word.len().try_into().unwrap()], word.as_bytes()].concat()
        );
        assert_eq!(parse(&encoded), Ok(extensions));
    }
    for word in ["True", "1", "yes", "true "] {
        let extensions = FulcioExtensions {
            environment_protected: Some(word.to_owned()),
            ..FulcioExtensions::default()
        };
        let refused = ExtensionsError::Malformed(oid::ENVIRONMENT_PROTECTED);
        assert_eq!(extensions.encode(), Err(refused), "{word}");
    }
    // DER BOOLEAN TRUE.
    let boolean = (oid::REF_PROTECTED, vec![0x01, 0x01, 0xff]);
    assert_eq!(parse(&[boolean]), Err(ExtensionsError::Malformed(oid::REF_PROTECTED)));
}

#[test]
fn entries_have_every_extension_with_its_type() {
    let extensions = filled();
    let entries: Vec<_> = extensions.entries().map(|(_, oid, _)| oid).collect();
    let encoded: Vec<_> = extensions.encode().unwrap().iter().map(|(oid, _)| *oid).collect();
    assert_eq!(entries, encoded);
    let last = extensions.entries().last().unwrap();
    assert_eq!((last.0, last.1), ("deployment_tier", oid::DEPLOYMENT_TIER));
}

#[test]
fn takes_values_up_to_the_limit() {
    let of_len = |len| FulcioExtensions {
        token_subject: Some("s".repeat(len)),
        ..FulcioExtensions::default()
    };
    let longest = of_len(MAX_VALUE_LEN);
    assert_eq!(parse(&longest.encode().unwrap()), Ok(longest));
    let refused = Err(ExtensionsError::TooLong(oid::TOKEN_SUBJECT));
    assert_eq!(of_len(MAX_VALUE_LEN + 1).encode(), refused);
    let content = vec![b'a'; MAX_VALUE_LEN + MAX_HEADER_LEN + 1];
    assert_eq!(parse(&[(oid::ISSUER, content)]), Err(ExtensionsError::TooLong(oid::ISSUER)));
}
