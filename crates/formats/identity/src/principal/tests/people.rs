//! Whose addresses count, and what names people.

use serde_json::{Value, json};

use super::*;
use crate::{ClaimPath, People};

/// The principal for `claims` of an e-mail issuer for `people`.
fn map_people(
    skip_verification: bool,
    people: People,
    claims: &Value,
) -> Result<Principal, PrincipalError> {
    let kind = IssuerKind::Email { skip_verification };
    let issuer = IssuerConfig::new(ISSUER, vec!["sigstore".to_owned()], kind).unwrap();
    let issuer = issuer.for_people(people);
    let mut all = json!({"iss": ISSUER, "aud": "sigstore", "exp": NOW.0 + 60, "sub": "17"});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    verified(&all, &issuer).principal(&issuer)
}

fn acme() -> People {
    People::of_domains(&["acme.example".to_owned(), "b\u{fc}cher.example".to_owned()]).unwrap()
}

fn address(text: &str) -> Value {
    json!({"email": text, "email_verified": true})
}

#[test]
fn addresses_of_other_domains_are_refused_without_telling_which() {
    for text in ["A.B@acme.example", "a.b@ACME.Example"] {
        let principal = map_people(false, acme(), &address(text)).unwrap();
        assert_eq!(principal.san.as_str(), text);
    }
    for text in ["a@evil.example", "a@x.acme.example", "a@acme.example.evil", "a@xacme.example"] {
        let refused = map_people(false, acme(), &address(text)).unwrap_err();
        assert_eq!(refused, PrincipalError::EmailDomain);
        assert!(!refused.to_string().contains("evil"));
    }
}

#[test]
fn domains_of_other_scripts_are_certified_in_a_labels_and_proven_as_they_came() {
    for text in ["a@b\u{fc}cher.example", "a@B\u{dc}CHER.example"] {
        let principal = map_people(false, acme(), &address(text)).unwrap();
        let name = SubjectAlternativeName::Email("a@xn--bcher-kva.example".to_owned());
        assert_eq!(principal.san, name);
        assert_eq!(principal.challenges, [text, "17"]);
    }
    let refused = map_people(false, acme(), &address("j\u{f6}rg@acme.example")).unwrap_err();
    assert_eq!(refused, PrincipalError::LocalPart);
    assert!(refused.to_string().contains("RFC 9598"), "{refused}");
}

#[test]
fn a_chosen_claim_names_people() {
    let upn = || acme().named_by(Some(ClaimPath::top("upn").unwrap()));
    let claims = json!({"upn": "ann@acme.example", "email": "other@evil.example"});
    let principal = map_people(true, upn(), &claims).unwrap();
    assert_eq!(principal.san, SubjectAlternativeName::Email("ann@acme.example".to_owned()));
    assert_eq!(principal.challenges, ["ann@acme.example", "17"]);

    let nested = vec!["identity".to_owned(), "mail".to_owned()];
    let nested = acme().named_by(Some(ClaimPath::new(nested).unwrap()));
    let claims = json!({"identity": {"mail": "ann@acme.example"}});
    assert_eq!(map_people(true, nested.clone(), &claims).unwrap().san.as_str(), "ann@acme.example");

    for odd in [
        json!({"email": "ann@acme.example"}),
        json!({"upn": null, "email": "ann@acme.example"}),
        json!({"upn": ["ann@acme.example"]}),
        json!({"upn": "ann"}),
        json!({"upn": ""}),
    ] {
        let refused = map_people(true, upn(), &odd).unwrap_err();
        assert_eq!(refused, PrincipalError::NameClaim("upn".to_owned()), "{odd}");
    }
    for odd in [json!({"identity": "x"}), json!({"identity": [{"mail": "ann@acme.example"}]})] {
        let refused = map_people(true, nested.clone(), &odd).unwrap_err();
        assert_eq!(refused, PrincipalError::NameClaim("identity.mail".to_owned()), "{odd}");
    }
}

#[test]
fn clients_that_sign_the_verified_address_are_believed_beside_the_chosen_name() {
    let upn = acme().named_by(Some(ClaimPath::top("upn").unwrap()));
    let claims = json!({"upn": "ann@acme.example", "email": "a@x.example", "email_verified": true});
    let principal = map_people(true, upn, &claims).unwrap();
    assert_eq!(principal.challenges, ["ann@acme.example", "a@x.example", "17"]);
}

#[test]
fn dex_names_the_connector_as_the_issuer_when_it_is_a_listed_one() {
    let path = vec!["federated_claims".to_owned(), "connector_id".to_owned()];
    let people = || {
        let values = vec!["github".to_owned(), "ldap".to_owned()];
        acme().of_issuers(ClaimPath::new(path.clone()).unwrap(), values).unwrap()
    };
    let claims = |connector: Value| {
        with(address("a@acme.example"), "federated_claims", json!({ "connector_id": connector }))
    };
    let principal = map_people(false, people(), &claims(json!("github"))).unwrap();
    assert_eq!(principal.extensions.issuer.as_deref(), Some("github"));
    assert_eq!(principal.extensions.token_subject.as_deref(), Some("17"));
    for odd in [json!("google"), json!(null), json!(["github"]), json!("")] {
        let refused = map_people(false, people(), &claims(odd)).unwrap_err();
        let path = "federated_claims.connector_id".to_owned();
        assert_eq!(refused, PrincipalError::Required(path));
    }
    assert!(map_people(false, people(), &address("a@acme.example")).is_err());
}
