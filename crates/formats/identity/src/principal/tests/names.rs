//! SPIFFE IDs and user names, beside what fulcio's tests say of them.

use serde_json::json;

use super::*;
use crate::TrustDomain;

fn spiffe() -> IssuerKind {
    let trust_domains = ["example.com", "prod.example.com"];
    IssuerKind::Spiffe {
        trust_domains: trust_domains.map(|text| TrustDomain::parse(text).unwrap()).to_vec(),
    }
}

fn username() -> IssuerKind {
    IssuerKind::Username { subject_domain: "issuer.example".to_owned() }
}

#[test]
fn a_spiffe_id_is_the_name_as_it_is() {
    for id in ["spiffe://example.com/foo/bar", "spiffe://prod.example.com/ns/a/sa/b"] {
        let principal = map(spiffe(), &json!({ "sub": id })).unwrap();
        assert_eq!(principal.san, SubjectAlternativeName::Uri(id.to_owned()));
        assert_eq!(principal.extensions.token_subject.as_deref(), Some(id));
        assert_eq!(principal.challenges, [id]);
    }
}

/// fulcio#588: the trust domain was looked for anywhere in the subject.
#[test]
fn a_trust_domain_is_no_substring() {
    for id in [
        "spiffe://evil-example.com/foo",
        "spiffe://example.com.evil.org/foo",
        "spiffe://foo.example.com/foo/bar",
        "spiffe://evil.org/example.com",
        "https://example.com/foo",
        "example.com",
    ] {
        let refused = map(spiffe(), &json!({ "sub": id })).unwrap_err();
        assert_eq!(refused, PrincipalError::TrustDomain, "{id}");
    }
}

#[test]
fn a_user_is_named_with_the_domain_and_proves_the_name_alone() {
    let principal = map(username(), &json!({"sub": "alice"})).unwrap();
    let name = SubjectAlternativeName::OtherName("alice!issuer.example".to_owned());
    assert_eq!((principal.san, principal.challenges), (name, vec!["alice".to_owned()]));
}

/// fulcio#716: verifiers compare the text of a name, whatever kind it is of.
#[test]
fn a_user_name_passes_for_no_uri_and_has_one_spelling() {
    for name in [
        "https://apps.partner.example/x",
        "https://github.com/acme/app/.github/workflows/release.yml",
        "spiffe://acme.example/ns/ci",
        "x://",
        "e\u{301}",
        "\u{212b}ngstr\u{f6}m",
    ] {
        let refused = map(username(), &json!({ "sub": name })).unwrap_err();
        assert_eq!(refused, PrincipalError::Username, "{name}");
    }
    for name in ["\u{e9}", "a:b", "a/b", "urn:x", "\u{65e5}\u{672c}"] {
        let name_of =
            |name: &str| SubjectAlternativeName::OtherName(format!("{name}!issuer.example"));
        assert_eq!(map(username(), &json!({ "sub": name })).unwrap().san, name_of(name), "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_of_a_name_is_of_two_kinds(text in "(https://issuer[.]example|spiffe://example[.]com)?[ -~]{0,12}") {
        for kind in [email(), uri(), email_or_uri(), spiffe(), username()] {
            let claims = json!({"sub": text, "email": text, "email_verified": true});
            let Ok(principal) = map(kind, &claims) else { continue };
            let name = principal.san.as_str();
            let (is_uri, is_address) = (name.contains("://"), name.contains('@'));
            match principal.san {
                SubjectAlternativeName::Uri(_) => prop_assert!(is_uri),
                SubjectAlternativeName::Email(_) => prop_assert!(is_address && !is_uri),
                SubjectAlternativeName::OtherName(_) => prop_assert!(!is_address && !is_uri),
            }
        }
    }
}

#[test]
fn a_claim_that_the_operator_chose_names_the_user() {
    let issuer: IssuerConfig = serde_json::from_value(json!({
        "type": "username", "url": ISSUER, "audiences": ["sigstore"],
        "subject_domain": "issuer.example", "name_claim": "oid"
    }))
    .unwrap();
    let oid = "3b8e1f70-5a0f-4c2e-9d3b-7f1f2b6f9a11";
    let map = |claims: &Value| {
        let mut all = json!({"iss": ISSUER, "aud": "sigstore", "exp": NOW.0 + 60});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        verified(&all, &issuer).principal(&issuer)
    };
    let principal = map(&json!({"sub": "pairwise", "oid": oid})).unwrap();
    let name = SubjectAlternativeName::OtherName(format!("{oid}!issuer.example"));
    assert_eq!((principal.san, principal.challenges), (name, vec!["pairwise".to_owned()]));
    for claims in [json!({"sub": "x"}), json!({"sub": "x", "oid": null}), json!({"oid": {}})] {
        let refused = map(&claims).unwrap_err();
        assert_eq!(refused, PrincipalError::NameClaim("oid".to_owned()), "{claims}");
    }
    let address = map(&json!({"sub": "x", "oid": "alice@issuer.example"}));
    assert_eq!(address.unwrap_err(), PrincipalError::Username);
}

#[test]
fn a_user_has_one_reading() {
    for name in ["alice!", "a!b", "!", "alice@example.com", "a@b", " alice", "alice "] {
        let refused = map(username(), &json!({ "sub": name })).unwrap_err();
        assert_eq!(refused, PrincipalError::Username, "{name:?}");
    }
    for name in ["ali\u{202e}ce", "a\nb", "a/../b", "a\\b"] {
        assert!(map(username(), &json!({ "sub": name })).is_err(), "{name:?}");
    }
    assert!(map(username(), &json!({"sub": ""})).is_err());
}

#[test]
fn users_are_of_the_issuers_own_domain() {
    let of = |domain: &str, url: &str| {
        let kind = IssuerKind::Username { subject_domain: domain.to_owned() };
        IssuerConfig::new(url, vec!["sigstore".to_owned()], kind).is_ok()
    };
    assert!(of("example.com", "https://accounts.example.com"));
    assert!(!of("evil.co.uk", "https://login.acme.co.uk"));
    assert!(!of("example.com", "https://example.com.evil.org"));
    assert!(!of("", "https://example.com") && !of("example.com/x", "https://example.com"));
}
