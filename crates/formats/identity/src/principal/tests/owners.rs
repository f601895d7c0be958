//! What holds for every CI alike.

use serde_json::json;

use super::{azure, bitbucket, buildkite, circleci, gitlab, jenkins, *};

fn presets() -> [(&'static str, IssuerKind, Value); 7] {
    [
        ("github", github(), github_claims()),
        ("gitlab", gitlab::public(), gitlab::claims()),
        ("azure", azure::kind(), azure::claims()),
        ("jenkins", jenkins::kind(), jenkins::claims()),
        ("buildkite", buildkite::kind(), buildkite::claims()),
        ("circleci", circleci::kind(), circleci::claims()),
        ("bitbucket", bitbucket::kind(), bitbucket::claims()),
    ]
}

#[test]
fn no_preset_takes_the_claims_of_another_ci() {
    for (name, kind, _) in presets() {
        for (other, _, claims) in presets() {
            assert_eq!(map(kind.clone(), &claims).is_ok(), name == other, "{other} at {name}");
        }
    }
}

#[test]
fn no_claim_of_any_preset_brings_what_is_not_seen_into_a_certificate() {
    for (name, kind, claims) in presets() {
        for claim in claims.as_object().unwrap().keys() {
            let Some(text) = claims[claim].as_str() else { continue };
            for mark in [
                "\n",
                "\t",
                "\u{1b}",
                "\u{7f}",
                "\u{9b}",
                "\u{ad}",
                "\u{61c}",
                "\u{200b}",
                "\u{200f}",
                "\u{2028}",
                "\u{202e}",
                "\u{2060}",
                "\u{2066}",
                "\u{3164}",
                "\u{feff}",
                "\u{e0041}",
            ] {
                let odd = with(claims.clone(), claim, json!(format!("{text}{mark}")));
                let Ok(principal) = map(kind.clone(), &odd) else { continue };
                // A claim that nobody reads.
                assert_eq!(
                    principal,
                    map(kind.clone(), &claims).unwrap(),
                    "{name} {claim} {mark:?}"
                );
            }
        }
    }
}

#[test]
fn no_claim_of_any_preset_leads_up_and_back_to_another_name() {
    for (name, kind, claims) in presets() {
        for claim in claims.as_object().unwrap().keys() {
            let Some(text) = claims[claim].as_str() else { continue };
            for detour in
                ["/../x", "/./x", "/%2e%2e/x", "/%2E./x", "%2f..%2fx", "\\..\\x", "/%252e%252e/x"]
            {
                let odd = with(claims.clone(), claim, json!(format!("{text}{detour}")));
                let Ok(principal) = map(kind.clone(), &odd) else { continue };
                let extensions = &principal.extensions;
                for uri in [
                    Some(principal.san.to_string()),
                    extensions.source_repository_uri.clone(),
                    extensions.source_repository_ref.clone(),
                    extensions.build_signer_uri.clone(),
                    extensions.build_config_uri.clone(),
                    extensions.run_invocation_uri.clone(),
                ] {
                    let shown = uri.unwrap_or_default();
                    assert!(!shown.contains(detour), "{name} {claim}: {shown}");
                }
            }
        }
    }
}

#[test]
fn every_preset_needs_a_subject_and_shows_no_control_character() {
    for (name, kind, claims) in presets() {
        assert!(map(kind.clone(), &with(claims.clone(), "sub", json!(null))).is_err(), "{name}");
        for mark in ["\n", "\0", "\u{85}", "\u{202e}", "\u{2028}", "\u{2066}"] {
            let subject = format!("{}{mark}", claims["sub"].as_str().unwrap());
            let odd = with(claims.clone(), "sub", json!(subject));
            assert!(map(kind.clone(), &odd).is_err(), "{name} {mark:?}");
        }
    }
}

#[test]
fn a_claim_of_another_type_is_no_claim() {
    for (name, kind, claims) in presets() {
        let principal = map(kind.clone(), &claims).unwrap();
        for claim in claims.as_object().unwrap().keys() {
            for value in [json!({}), json!([1]), json!(1.5)] {
                // Claims that are not mapped may be anything; those that are may not.
                if let Ok(other) = map(kind.clone(), &with(claims.clone(), claim, value)) {
                    assert_eq!(other, principal, "{name} {claim}");
                }
            }
        }
    }
}

#[test]
fn an_address_in_a_subject_makes_no_address_of_the_name() {
    for (name, kind, claims) in presets() {
        let claims = with(claims, "email", json!("ceo@acme.example"));
        let claims = with(claims, "email_verified", json!(true));
        let principal = map(kind, &claims).unwrap();
        assert!(matches!(principal.san, SubjectAlternativeName::Uri(_)), "{name}");
        assert!(principal.san.check().is_ok() && principal.extensions.encode().is_ok(), "{name}");
    }
}

#[test]
fn a_required_claim_keeps_the_rest_of_the_world_out() {
    let issuer: IssuerConfig = serde_json::from_value(json!({
        "url": "https://token.actions.githubusercontent.com", "audiences": ["sigstore"],
        "type": "github-workflow", "required_claims": {"repository_owner_id": ["65", "66"]}
    }))
    .unwrap();
    let of = |claims: &Value| {
        let base = json!({"iss": issuer.url(), "aud": "sigstore", "exp": NOW.0 + 60});
        let claims = claims.as_object().unwrap().iter();
        let all = claims.fold(base, |all, (name, value)| with(all, name, value.clone()));
        verified(&all, &issuer).principal(&issuer)
    };
    assert!(of(&github_claims()).is_ok());
    assert!(of(&with(github_claims(), "repository_owner_id", json!(66))).is_ok());
    for other in [json!("67"), json!("650"), json!(null), json!(["67"]), json!("")] {
        let refused = of(&with(github_claims(), "repository_owner_id", other)).unwrap_err();
        assert_eq!(refused, PrincipalError::Required("repository_owner_id".to_owned()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// One changed claim may make a token worthless or change what it says, but never its owner,
    /// as long as the claims that name the owner stay.
    #[test]
    fn no_claim_moves_a_name_to_another_host_or_owner(
        preset in 0usize..7, claim in 0usize..32, value in "[a-z@:/.%?#{}\\\\ ]{0,24}"
    ) {
        let (name, kind, claims) = presets().into_iter().nth(preset).unwrap();
        let keys: Vec<String> = claims.as_object().unwrap().keys().cloned().collect();
        let key = &keys[claim % keys.len()];
        if let Ok(principal) = map(kind, &with(claims, key, json!(value))) {
            let owner = match name {
                // A workflow may be another repository's; its host may not be another.
                "github" => "https://github.com/",
                "gitlab" => "https://gitlab.com/my-group/sub/my-project",
                // The names are Microsoft's, for the organisation that `org_id` says.
                "azure" => "https://dev.azure.com/",
                "jenkins" => "https://ci.corp/jenkins/job/",
                "buildkite" => "https://buildkite.com/acme-inc/",
                "circleci" => "https://circleci.com/api/v2/projects/5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22/",
                _ => "https://bitbucket.org/acme/%7B4f506172-8394-4a5b-8c6d-7e8f90a1b2c3%7D",
            };
            prop_assert!(principal.san.as_str().starts_with(owner), "{}", principal.san);
            prop_assert!(principal.san.check().is_ok());
            prop_assert!(principal.extensions.encode().is_ok());
        }
    }
}
