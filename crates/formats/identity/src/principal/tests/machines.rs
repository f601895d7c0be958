//! A client's own token, and a person's who came through the client.

use serde_json::{Value, json};

use super::*;
use crate::{MachineClients, MachineProvider};

fn machines(provider: MachineProvider, clients: &[&str]) -> IssuerKind {
    IssuerKind::Machine(MachineClients {
        provider,
        base_url: ISSUER.to_owned(),
        clients: clients.iter().map(|&id| id.to_owned()).collect(),
    })
}

fn map_typed(typ: &str, kind: IssuerKind, claims: &Value) -> Result<Principal, PrincipalError> {
    let issuer = IssuerConfig::new(ISSUER, vec!["sigstore".to_owned()], kind).unwrap();
    let mut all = json!({"iss": ISSUER, "aud": "sigstore", "exp": NOW.0 + 60});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": "RS256", "typ": typ}).to_string();
    let token = format!("{}.{}.{}", encode(&header), encode(&all.to_string()), encode("s"));
    let token = UnverifiedClaims::parse(&token).unwrap();
    token.verify(&issuer, NOW, |_, _| true).unwrap().principal(&issuer)
}

/// Each provider, `typ` of the header, a machine's own token.
fn own_tokens() -> [(MachineProvider, &'static str, Value); 6] {
    [
        (
            MachineProvider::Keycloak,
            "JWT",
            json!({"typ": "Bearer", "azp": "builder", "client_id": "builder", "sub": "5e1f",
                "preferred_username": "service-account-builder", "clientHost": "10.0.0.1",
                "clientAddress": "10.0.0.1", "acr": "1", "email_verified": false}),
        ),
        (
            MachineProvider::Entra,
            "JWT",
            json!({"azp": "builder", "azpacr": "1", "idtyp": "app", "oid": "77aa", "sub": "77aa",
                "roles": ["Sign"], "tid": "t", "ver": "2.0"}),
        ),
        (
            MachineProvider::Entra,
            "JWT",
            json!({"appid": "builder", "appidacr": "2", "idtyp": "app", "oid": "77aa",
                "sub": "77aa", "tid": "t", "ver": "1.0"}),
        ),
        (
            MachineProvider::Auth0,
            "JWT",
            json!({"azp": "builder", "sub": "builder@clients", "gty": "client-credentials"}),
        ),
        (
            MachineProvider::Okta,
            "JWT",
            json!({"cid": "builder", "sub": "builder", "scp": ["sign"], "ver": 1}),
        ),
        (
            MachineProvider::Rfc9068,
            "at+JWT",
            json!({"client_id": "builder", "sub": "builder", "scope": "sign", "jti": "j"}),
        ),
    ]
}

#[test]
fn a_clients_own_token_names_the_client() {
    for (provider, typ, claims) in own_tokens() {
        let principal = map_typed(typ, machines(provider, &[]), &claims).unwrap();
        let name = SubjectAlternativeName::Uri(format!("{ISSUER}/clients/builder"));
        assert_eq!(principal.san, name, "{provider:?}");
        assert_eq!(principal.extensions.issuer.as_deref(), Some(ISSUER));
        assert_eq!(principal.extensions.token_subject.as_deref(), claims["sub"].as_str());
        assert_eq!(principal.challenges, [claims["sub"].as_str().unwrap()]);
        assert!(map_typed(typ, machines(provider, &["other", "builder"]), &claims).is_ok());
        let refused = map_typed(typ, machines(provider, &["other"]), &claims).unwrap_err();
        assert_eq!(refused, PrincipalError::Client, "{provider:?}");
    }
}

#[test]
fn a_persons_token_got_through_the_client_is_not_the_clients() {
    let persons = [
        (
            MachineProvider::Keycloak,
            "JWT",
            json!({"typ": "Bearer", "azp": "builder", "sub": "91c0", "sid": "s", "acr": "1",
                "preferred_username": "mallory", "email": "m@acme.example"}),
        ),
        // Who registered the name that the client's service account would have, and so has it.
        (
            MachineProvider::Keycloak,
            "JWT",
            json!({"typ": "Bearer", "azp": "builder", "sub": "91c0", "sid": "s",
                "preferred_username": "service-account-builder"}),
        ),
        (
            MachineProvider::Keycloak,
            "JWT",
            json!({"typ": "Bearer", "azp": "builder", "client_id": "builder", "sub": "91c0",
                "auth_time": NOW.0, "preferred_username": "service-account-builder"}),
        ),
        (
            MachineProvider::Keycloak,
            "JWT",
            json!({"typ": "ID", "azp": "builder", "client_id": "builder", "sub": "91c0",
                "preferred_username": "service-account-builder"}),
        ),
        (
            MachineProvider::Entra,
            "JWT",
            json!({"azp": "builder", "azpacr": "1", "idtyp": "user", "oid": "91", "sub": "xY",
                "scp": "sign", "preferred_username": "m@acme.example"}),
        ),
        (
            MachineProvider::Entra,
            "JWT",
            json!({"azp": "builder", "azpacr": "1", "oid": "91", "sub": "91", "scp": "sign"}),
        ),
        // A public client has no secret.
        (
            MachineProvider::Entra,
            "JWT",
            json!({"azp": "builder", "azpacr": "0", "idtyp": "app", "oid": "91", "sub": "91"}),
        ),
        (
            MachineProvider::Auth0,
            "JWT",
            json!({"azp": "builder", "sub": "auth0|builder@clients", "scope": "openid"}),
        ),
        (
            MachineProvider::Auth0,
            "JWT",
            json!({"azp": "builder", "sub": "auth0|1", "gty": "client-credentials"}),
        ),
        (
            MachineProvider::Auth0,
            "JWT",
            json!({"azp": "builder", "sub": "builder@clients", "gty": "password"}),
        ),
        (
            MachineProvider::Okta,
            "JWT",
            json!({"cid": "builder", "sub": "m@acme.example", "uid": "00u1", "scp": ["sign"]}),
        ),
        // A login name that is the client's id.
        (MachineProvider::Okta, "JWT", json!({"cid": "builder", "sub": "builder", "uid": "00u1"})),
        (MachineProvider::Rfc9068, "at+jwt", json!({"client_id": "builder", "sub": "mallory"})),
        (
            MachineProvider::Rfc9068,
            "at+jwt",
            json!({"client_id": "builder", "sub": "builder", "auth_time": NOW.0}),
        ),
        // An ID token, which says what the client wants.
        (MachineProvider::Rfc9068, "JWT", json!({"client_id": "builder", "sub": "builder"})),
    ];
    for (provider, typ, claims) in persons {
        let refused = map_typed(typ, machines(provider, &[]), &claims).unwrap_err();
        let not_a_machine = matches!(
            refused,
            PrincipalError::NotAMachine(_) | PrincipalError::Claim(ClaimError::Missing(_))
        );
        assert!(not_a_machine, "{provider:?} {claims}: {refused}");
    }
}

#[test]
fn a_token_of_a_session_or_a_profile_is_no_machines() {
    for (name, value) in [
        ("sid", json!("s")),
        ("session_state", json!("s")),
        ("preferred_username", json!("anna")),
        ("act", json!({"sub": "other"})),
    ] {
        let claims = with(json!({"client_id": "builder", "sub": "builder"}), name, value);
        let machines = machines(MachineProvider::Rfc9068, &[]);
        let refused = map_typed("at+jwt", machines, &claims).unwrap_err();
        assert_eq!(refused, PrincipalError::NotAMachine(name));
    }
}

#[test]
fn no_provider_takes_the_machines_of_another() {
    for (provider, typ, claims) in own_tokens() {
        for (other, ..) in own_tokens() {
            let taken = map_typed(typ, machines(other, &[]), &claims).is_ok();
            assert_eq!(taken, provider == other, "{provider:?} at {other:?}");
        }
    }
}

#[test]
fn an_id_is_one_segment_of_the_name() {
    let of = |id: &str| {
        let claims = json!({"cid": id, "sub": id});
        map(machines(MachineProvider::Okta, &[]), &claims)
    };
    for (id, segment) in [
        ("https://app.example/x", "https%3A%2F%2Fapp.example%2Fx"),
        ("b\u{fc}ild er", "b%C3%BCild%20er"),
        ("a%2Fb", "a%252Fb"),
    ] {
        let Ok(principal) = of(id) else { panic!("{id}: {:?}", of(id)) };
        assert_eq!(principal.san.as_str(), format!("{ISSUER}/clients/{segment}"));
    }
    for odd in [".", "..", "a/../b", "a\nb", "a\u{202e}b", &"x".repeat(256)] {
        assert!(of(odd).is_err(), "{odd:?}");
    }
}
