use super::*;

fn parse_text(text: &str) -> Result<TextTemplate, text::Fault> {
    let values = BTreeMap::from([("url".to_owned(), "https://git.example".to_owned())]);
    TextTemplate::parse(text, &values)
}

#[test]
fn constants_are_in_their_places_and_text_is_one_piece() {
    let template = parse_text("{$url}/a{{b}}").unwrap();
    assert_eq!(template.parts, [Part::Fixed("https://git.example/a{b}".to_owned())]);
    let template = parse_text(r#"x{ "kubernetes.io".pod?|lower | default "{" }"#).unwrap();
    let [Part::Fixed(_), Part::Claim(claim)] = template.parts.as_slice() else { panic!() };
    assert_eq!(
        (claim.path.as_slice(), claim.is_optional),
        (&["kubernetes.io".into(), "pod".into()][..], true)
    );
    let functions = [Function::Lower, Function::Default("{".to_owned())];
    assert_eq!(claim.functions, functions);
}

/// `https://a.example/{owner}{repo}` gave `ac`, `me` and `acm`, `e` one name.
#[test]
fn values_of_a_uri_meet_at_something_that_neither_may_hold() {
    for (text, sound) in [
        ("https://a.example/{owner}{repo}", false),
        ("https://a.example/{owner}-{run}", false),
        ("https://a.example/{owner}.{run}", false),
        ("https://a.example/{owner}%2F{run}", false),
        ("https://a.example/{owner} {run}", false),
        ("https://a.example/{owner}+{run}", false),
        ("https://a.example/{owner}{repo | path}", false),
        ("https://a.example/{repo | path}-{run}", false),
        ("https://a.example/{a}/{b}{c}", false),
        ("https://a.example/{a | path_escape}-{b | path_escape}", false),
        ("https://a.example/{a | path_escape}+{b}", false),
        ("https://a.example/{a | path_escape | default \"x+y\"}+{b | path_escape}", false),
        ("{server}{owner}", false),
        ("{server}x/{repo | path}", false),
        ("https://a.example/{owner}/{repo}", true),
        ("https://a.example/{owner}-x/y-{repo}", true),
        ("https://a.example/{owner}:{repo}", true),
        ("https://a.example/{owner}@{git_ref | path}", true),
        ("https://a.example/{repo | path}/actions/runs/{run}", true),
        ("https://a.example/{repo | path}@{a}?b={c}#{d}", true),
        ("https://a.example/{a | path_escape}+{b | path_escape}", true),
        ("{server}/{owner}", true),
        ("{server}/{repo | path}", true),
        ("https://a.example/{$url}{owner}", true),
    ] {
        assert_eq!(parse_text(text).unwrap().unparted().is_none(), sound, "{text}");
    }
}

#[test]
fn faults_have_their_place() {
    for (text, column) in [
        ("", 1),
        ("ü{", 3),
        ("a}b", 2),
        ("{a", 3),
        ("{a b}", 4),
        ("{$other}", 2),
        ("{$url | lower}", 7),
        ("{a | evaluate}", 6),
        ("{a | lower \"x\"}", 6),
        ("{a | segment \"/\" 0}", 6),
        ("{a | segment 1 \"/\"}", 6),
        ("{a | map \"x\"}", 6),
        ("{a | map else \"x\"}", 6),
        ("{a | map \"x\" \"y\" else \"z\" \"v\" \"w\"}", 6),
        ("{a | slice 99999}", 12),
        ("{a | default \"x}", 14),
        ("{}", 2),
        ("{a.}", 4),
        ("{.a}", 2),
        ("{oidc/x}", 6),
        ("a\nb", 2),
    ] {
        assert_eq!(parse_text(text).unwrap_err().column, column, "{text}");
    }
    assert_eq!(parse_text(&"a".repeat(2049)).unwrap_err().column, 1);
}

#[test]
fn functions_refuse_what_they_do_not_fit() {
    let run = |text: &str, value: Option<&str>| {
        let template = parse_text(&format!("{{c | {text}}}")).unwrap();
        let [Part::Claim(claim)] = template.parts.as_slice() else { panic!("{text}") };
        claim.functions.iter().try_fold(value.map(str::to_owned), |value, step| step.apply(value))
    };
    for (text, value, expected) in [
        (r#"segment "/" 2"#, "a/b/c", Some("b")),
        (r#"segment "/" 4"#, "a/b/c", None),
        (r#"segment "/" 2"#, "a//c", None),
        (r#"trim_prefix "p://""#, "p://x", Some("x")),
        (r#"trim_prefix "p://""#, "sc://x", None),
        (r#"trim_prefix "p://""#, "p://", None),
        ("trim_suffix '.git'", "a.git", Some("a")),
        ("trim_suffix '.git'", "a", None),
        ("lower", "ABC", Some("abc")),
        ("lower", "A\u{65e5}B", Some("a\u{65e5}b")),
        ("lower", "acme\u{212a}", None),
        ("lower", "\u{c4}", None),
        ("lower", "\u{e4}", None),
        ("lower", "\u{1c5}", None),
        ("lower", "\u{130}", None),
        ("path_escape", "a b/ü%", Some("a%20b%2F%C3%BC%25")),
        ("slice 4", "p://x", Some("x")),
        ("slice 0 2", "abc", Some("ab")),
        ("slice 9", "abc", None),
        ("slice 1 2", "ü", None),
        (r#"map "a" "x" "b" "y""#, "b", Some("y")),
        (r#"map "a" "x""#, "A", None),
        (r#"map "a" "x" else "z""#, "c", Some("z")),
        (r#"default "z""#, "c", Some("c")),
        ("path", "a/b", Some("a/b")),
        ("path", "a/../b", None),
        ("path", "/a", None),
    ] {
        assert_eq!(run(text, Some(value)).ok().flatten().as_deref(), expected, "{text} {value}");
    }
    assert_eq!(run(r#"lower | default "z""#, None), Ok(Some("z".to_owned())));
    assert_eq!(run("default $url", None), Ok(Some("https://git.example".to_owned())));
}

fn build(template: serde_json::Value) -> Result<CiTemplate, String> {
    let settings: TemplateSettings = serde_json::from_value(template).map_err(|e| e.to_string())?;
    CiTemplate::build(settings, None, Vec::new()).map_err(|error| error.to_string())
}

#[test]
fn a_template_is_refused_when_the_configuration_is_read() {
    let with = |key: &str, value: serde_json::Value| {
        let mut template = serde_json::json!({"subject_alternative_name": "https://a.example/{x}"});
        template[key] = value;
        build(template)
    };
    assert!(with("build_trigger", "{event_name}".into()).is_ok());
    for (key, value, said) in [
        ("build_trigger", "{event".into(), "template `build_trigger`, column 7"),
        ("build_triger", "{event}".into(), "template `build_triger`"),
        ("issuer", "{iss}".into(), "no extension has this name"),
        ("token_subject", "{sub}".into(), "no extension has this name"),
        ("build_signer_uri", "ftp://a/{x}".into(), "begins with `https://`"),
        ("build_signer_uri", "{a | path}/{b | path}".into(), "more than one value with `path`"),
        ("build_signer_uri", "https://a.example/{a}-{b}".into(), "nothing between `a` and `b`"),
        ("subject_alternative_name", "https://a.example/{a}{b}".into(), "nothing between"),
        ("unshaped", serde_json::json!(["build_trigger"]), "no ref and no digest"),
        ("hosted_runners", serde_json::json!(["mine"]), "needs no leave"),
    ] {
        let error = with(key, value).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    assert!(build(serde_json::json!({"build_trigger": "x"})).unwrap_err().contains("needs"));
    assert!(with("build_trigger", 7.into()).is_err());
}
