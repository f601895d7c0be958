//! Identity tokens before and after their signature is checked.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::{Claims, IssuerConfig, UnverifiedClaims};
use moment::UnixSeconds;
use serde_json::{Value, json};

use crate::{
    case::Case,
    input::Input,
    issuers::{AUDIENCE, ISSUER, kinds},
};

pub(crate) const CASES: &[Case] = &[
    Case {
        run: token,
        seeds: || claim_sets().iter().map(|claims| compact(HEADER, claims)).collect(),
    },
    Case { run: claims, seeds: claim_sets },
    Case { run: header, seeds: || vec![HEADER.to_vec()] },
    Case { run: principal, seeds: principals },
];

const HEADER: &[u8] = br#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

/// One issuer of each kind, in the order of [`kinds`].
static ISSUERS: LazyLock<Vec<IssuerConfig>> = LazyLock::new(|| {
    let issuer = |kind: Value| {
        let mut settings = json!({"url": ISSUER, "audiences": [AUDIENCE]});
        settings.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    };
    kinds().into_iter().map(|(settings, _)| issuer(settings)).collect()
});

fn compact(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let parts = [header, payload, b"signature"].map(|part| URL_SAFE_NO_PAD.encode(part));
    parts.join(".").into_bytes()
}

/// The text of the `Authorization` header.
fn token(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(token) = UnverifiedClaims::parse(text) else { return };
    assert!(!token.issuer().is_empty());
    assert!(!format!("{token:?}").contains(text), "a token must not be shown");
    // The signature covers the text as it was sent, also where base64 has a second spelling.
    let parts: Vec<&str> = text.split('.').collect();
    assert_eq!(parts.len(), 3);
    for issuer in &*ISSUERS {
        let Ok(token) = UnverifiedClaims::parse(text) else { return };
        let _ = token.verify(issuer, NOW, |signed, signature| {
            assert_eq!(signed, format!("{}.{}", parts[0], parts[1]).as_bytes());
            assert_eq!(URL_SAFE_NO_PAD.encode(signature), parts[2]);
            false
        });
    }
}

/// The payload alone, each kind of claim read as every type.
fn claims(json: &[u8]) {
    let Ok(claims) = Claims::parse(json) else { return };
    for name in ["iss", "sub", "aud", "exp", "email", "email_verified"] {
        let _ = (claims.string(name), claims.strings(name), claims.is_true(name));
        if let Ok(Some(time)) = claims.time(name) {
            let text = claims.text(name).ok().flatten().unwrap_or_default();
            assert!(text.is_empty() || text == time.0.to_string());
        }
        if let Ok(text) = claims.required_text(name) {
            assert!(!text.is_empty());
        }
    }
}

fn header(json: &[u8]) {
    if let Ok(text) = String::from_utf8(compact(json, br#"{"iss":"i"}"#))
        && let Ok(token) = UnverifiedClaims::parse(&text)
    {
        assert!(!["none", "HS256"].contains(&token.algorithm().name()));
    }
}

/// Claims that an issuer has signed: hostile in what they say, not in their form.
fn principal(input: &[u8]) {
    let mut input = Input(input);
    let Some(issuer) = ISSUERS.get(usize::from(input.byte())) else { return };
    let token = String::from_utf8(compact(HEADER, input.0)).unwrap();
    let Ok(token) = UnverifiedClaims::parse(&token) else { return };
    let Ok(verified) = token.verify(issuer, NOW, |_, _| true) else { return };
    let Ok(principal) = verified.principal(issuer) else { return };
    assert!(!principal.challenges.is_empty());
    assert!(principal.challenges.iter().all(|challenge| !challenge.is_empty()));
    assert_eq!(principal.extensions.issuer.as_deref(), Some(issuer.url()));
    // Names of other shapes could be read as another identity by some verifier.
    let name = principal.san.as_str();
    assert!(!name.is_empty() && !name.contains(char::is_control), "{name:?}");
    if let Ok(encoded) = principal.extensions.encode() {
        let pairs = encoded.iter().map(|(oid, content)| (*oid, content.as_slice()));
        let again = x509::FulcioExtensions::parse(pairs).unwrap();
        assert_eq!(again.encode().unwrap(), encoded);
    }
}

fn claim_sets() -> Vec<Vec<u8>> {
    let registered = json!({
        "iss": ISSUER, "aud": [AUDIENCE], "sub": "https://issuer.example/me",
        "iat": NOW.0 - 1, "nbf": NOW.0 - 1, "exp": NOW.0 + 300
    });
    let set = |kind: &Value| {
        let mut claims = registered.clone();
        claims.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        claims.to_string().into_bytes()
    };
    kinds().iter().map(|(_, claims)| set(claims)).collect()
}

/// Claims behind the number of the issuer that they are of. Each is accepted: a seed that is not leads nowhere.
fn principals() -> Vec<Vec<u8>> {
    let seed = |(number, claims): (u8, Vec<u8>)| {
        let issuer = &ISSUERS[usize::from(number)];
        let token = String::from_utf8(compact(HEADER, &claims)).unwrap();
        let verified =
            UnverifiedClaims::parse(&token).unwrap().verify(issuer, NOW, |_, _| true).unwrap();
        verified.principal(issuer).unwrap();
        [&[number], claims.as_slice()].concat()
    };
    (0u8..).zip(claim_sets()).map(seed).collect()
}
