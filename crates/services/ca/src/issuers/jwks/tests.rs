use crypto::KeyType;
use serde_json::{Value, json};

use super::*;

#[path = "../../../tests/service/jwk.rs"]
#[expect(dead_code, reason = "shared with the tests of the service, which use all of it")]
mod jwk;

use jwk::TokenKey;

const MESSAGE: &[u8] = b"header.payload";

fn set(keys: &[Value]) -> Option<KeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).ok()
}

fn single(key: Value, algorithm: JwsAlgorithm) -> Option<VerifyingKey> {
    set(&[key])?.candidates(Some("k"), algorithm).pop()
}

#[test]
fn verifies_with_keys_of_each_kind() {
    for (key_type, algorithm) in [
        (KeyType::Rsa2048, JwsAlgorithm::Rs256),
        (KeyType::EcdsaP256, JwsAlgorithm::Es256),
        (KeyType::EcdsaP384, JwsAlgorithm::Es384),
        (KeyType::Ed25519, JwsAlgorithm::EdDsa),
    ] {
        let pair = TokenKey::generate(key_type);
        let key = single(pair.jwk("k"), algorithm).unwrap();
        let signature = pair.sign(MESSAGE);
        assert!(key.verifies(algorithm, MESSAGE, &signature), "{algorithm}");
        assert!(!key.verifies(algorithm, b"header.other", &signature), "{algorithm}");
        assert!(!key.verifies(algorithm, MESSAGE, &[]), "{algorithm}");
    }
}

#[test]
fn a_set_with_a_member_twice_is_none() {
    let key = TokenKey::generate(KeyType::EcdsaP256).jwk("k").to_string();
    let parse = |text: String| KeySet::parse(text.as_bytes()).ok();
    assert!(parse(format!(r#"{{"keys":[{key}]}}"#)).is_some());
    for members in [r#""kid":"other","#, r#""use":"sig","use":"enc","#, r#""x":"AA","#] {
        let twice = key.replacen('{', &format!("{{{members}"), 1);
        assert!(parse(format!(r#"{{"keys":[{twice}]}}"#)).is_none(), "{twice}");
    }
    assert!(parse(format!(r#"{{"keys":[{key}],"x":1,"x":2}}"#)).is_none());
}

#[test]
fn the_type_of_the_key_decides_what_it_verifies() {
    let pair = TokenKey::generate(KeyType::EcdsaP256);
    let keys = set(&[pair.jwk("k")]).unwrap();
    for algorithm in JwsAlgorithm::ALL {
        let candidates = keys.candidates(Some("k"), algorithm);
        assert_eq!(candidates.len(), usize::from(algorithm == JwsAlgorithm::Es256), "{algorithm}");
    }
}

#[test]
fn a_published_algorithm_is_the_only_one() {
    let mut jwk = TokenKey::generate(KeyType::Rsa2048).jwk("k");
    jwk["alg"] = json!("RS512");
    assert!(single(jwk.clone(), JwsAlgorithm::Rs256).is_none());
    assert!(single(jwk, JwsAlgorithm::Rs512).is_some());
}

#[test]
fn a_leading_zero_of_the_modulus_is_dropped() {
    let pair = TokenKey::generate(KeyType::Rsa2048);
    let mut jwk = pair.jwk("k");
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    jwk["n"] = json!(URL_SAFE_NO_PAD.encode([&[0], n.as_slice()].concat()));
    let key = single(jwk, JwsAlgorithm::Rs256).unwrap();
    assert!(key.verifies(JwsAlgorithm::Rs256, MESSAGE, &pair.sign(MESSAGE)));
}

/// The identity: R = identity and S = 0 is then a signature of every token.
#[test]
fn passes_over_ed25519_keys_of_small_order() {
    let identity = [&[1][..], &[0; 31]].concat();
    let order_eight = hex_of("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
    let not_canonical = [&[0xee][..], &[0xff; 30], &[0x7f]].concat();
    for raw in [identity, order_eight, not_canonical] {
        let x = URL_SAFE_NO_PAD.encode(&raw);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x});
        assert!(set(&[jwk]).is_none(), "{raw:?}");
    }
}

#[test]
fn passes_over_rsa_keys_under_which_anybody_signs() {
    let jwk = TokenKey::generate(KeyType::Rsa2048).jwk("k");
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    // With e = 1 the padded message is its own signature; so that it would verify, it is below n.
    for exponent in [&[1][..], &[0], &[2], &[1, 0, 0], &[0x80, 0, 0, 1]] {
        let mut weak = jwk.clone();
        weak["e"] = json!(URL_SAFE_NO_PAD.encode(exponent));
        assert!(set(&[weak]).is_none(), "{exponent:?}");
    }
    for bits in [512, 1024, 2040] {
        let mut small = jwk.clone();
        small["n"] = json!(URL_SAFE_NO_PAD.encode(&n[n.len() - bits / 8..]));
        assert!(set(&[small]).is_none(), "{bits}");
    }
    let mut even = jwk.clone();
    even["n"] = json!(URL_SAFE_NO_PAD.encode([&n[..n.len() - 1], &[2]].concat()));
    assert!(set(&[even]).is_none());
}

#[test]
fn passes_over_points_off_their_curve() {
    let mut jwk = TokenKey::generate(KeyType::EcdsaP256).jwk("k");
    jwk["y"] = jwk["x"].clone();
    assert!(set(&[jwk]).is_none());
}

fn hex_of(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn passes_over_keys_that_verify_nothing() {
    let ec = TokenKey::generate(KeyType::EcdsaP256).jwk("k");
    let with = |name: &str, value: Value| {
        let mut key = ec.clone();
        key[name] = value;
        key
    };
    for unusable in [
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"}),
        json!("a text"),
        json!({}),
        json!({"kty": "RSA", "kid": "k", "n": URL_SAFE_NO_PAD.encode([255; 128]), "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "k", "n": URL_SAFE_NO_PAD.encode([255; 1024]), "e": "AQAB"}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AA"}),
        with("use", json!("enc")),
        with("alg", json!("HS256")),
        with("alg", json!("none")),
        with("crv", json!("secp256k1")),
        with("x", json!("AA")),
        with("y", json!(null)),
        with("kid", json!(5)),
    ] {
        assert!(set(std::slice::from_ref(&unusable)).is_none(), "{unusable}");
        assert!(set(&[unusable, ec.clone()]).is_some());
    }
}

#[test]
fn finds_by_key_id_or_tries_all_without_one() {
    let (a, b) = (TokenKey::generate(KeyType::EcdsaP256), TokenKey::generate(KeyType::EcdsaP256));
    let keys = set(&[a.jwk("a"), b.jwk("b"), a.jwk("b")]).unwrap();
    let count = |key_id| keys.candidates(key_id, JwsAlgorithm::Es256).len();
    assert_eq!((count(Some("a")), count(Some("b"))), (1, 2), "a repeated id means either key");
    assert_eq!((count(Some("")), count(Some("c"))), (0, 0));
    assert_eq!(count(None), 3);
}

#[test]
fn bounds_keys_and_candidates() {
    let jwk = TokenKey::generate(KeyType::EcdsaP256).jwk("k");
    let keys = set(&vec![jwk.clone(); MAX_KEYS]).unwrap();
    assert_eq!(keys.candidates(None, JwsAlgorithm::Es256).len(), MAX_CANDIDATES);
    assert!(set(&vec![jwk; MAX_KEYS + 1]).is_none());
}

#[test]
fn refuses_what_is_no_key_set() {
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[{}]}"#, r#"{"keys":null}"#, "<html>"]
    {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    let deep = format!("{{\"keys\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(KeySet::parse(deep.as_bytes()).is_err());
}

/// P-521 by the backend that signs chains; the signature as JWS has it (RFC 7518 §3.4).
#[test]
fn verifies_es512() {
    use rcgen::{PKCS_ECDSA_P521_SHA512, PublicKeyData as _, SigningKey as _};

    let pair = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let point = pair.der_bytes();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({
        "kty": "EC", "crv": "P-521", "kid": "k", "alg": "ES512",
        "x": encode(&point[1..67]), "y": encode(&point[67..])
    });
    let key = single(jwk, JwsAlgorithm::Es512).unwrap();
    for round in 0..20_u8 {
        let message = [MESSAGE, &[round]].concat();
        let signature = jwk::fixed::<66>(&pair.sign(&message).unwrap());
        assert!(key.verifies(JwsAlgorithm::Es512, &message, &signature));
        assert!(!key.verifies(JwsAlgorithm::Es512, MESSAGE, &signature));
        assert!(!key.verifies(JwsAlgorithm::Es512, &message, &signature[1..]));
        assert!(!key.verifies(JwsAlgorithm::Es384, &message, &signature));
    }
    assert!(!key.verifies(JwsAlgorithm::Es512, MESSAGE, &[0; 132]), "r and s of zero");
}

#[test]
fn ed25519_keys_may_say_either_name() {
    let pair = TokenKey::generate(KeyType::Ed25519);
    for name in ["EdDSA", "Ed25519"] {
        let mut jwk = pair.jwk("k");
        jwk["alg"] = json!(name);
        let key = single(jwk, JwsAlgorithm::EdDsa).unwrap();
        assert!(key.verifies(JwsAlgorithm::EdDsa, MESSAGE, &pair.sign(MESSAGE)));
    }
}

/// RFC 7517 §4.5: `kid` is optional.
#[test]
fn a_key_without_id_serves_tokens_with_any() {
    let (nameless, named) =
        (TokenKey::generate(KeyType::EcdsaP256), TokenKey::generate(KeyType::EcdsaP256));
    let mut jwk = nameless.jwk("k");
    jwk.as_object_mut().unwrap().remove("kid");
    let keys = set(&[jwk, named.jwk("a")]).unwrap();
    let verified = |key_id| {
        let found = keys.candidates(key_id, JwsAlgorithm::Es256);
        let by = |pair: &TokenKey| {
            let signature = pair.sign(MESSAGE);
            found.iter().any(|key| key.verifies(JwsAlgorithm::Es256, MESSAGE, &signature))
        };
        (by(&nameless), by(&named))
    };
    assert_eq!(verified(Some("anything")), (true, false));
    assert_eq!(verified(Some("a")), (true, true));
    assert_eq!(verified(None), (true, true));
}

#[test]
fn files_hold_a_set_or_pem_public_keys() {
    use crypto::{LocalSigner, Signer as _};

    let pem = |key_type| LocalSigner::generate(key_type, "k").unwrap().public_key().to_pem();
    let (ec, rsa) = (pem(KeyType::EcdsaP256), pem(KeyType::Rsa2048));
    let both = format!("made by hand\n{ec}\r\n{rsa}");
    let keys = KeySet::parse_file(both.as_bytes()).unwrap();
    assert_eq!(keys.names().len(), 2);
    assert_eq!(keys.candidates(Some("x"), JwsAlgorithm::Rs256).len(), 1);
    let jwks = json!({"keys": [TokenKey::generate(KeyType::EcdsaP256).jwk("k")]}).to_string();
    assert_eq!(KeySet::parse_file(jwks.as_bytes()).unwrap().names()[0].id.as_deref(), Some("k"));
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for odd in [
        format!("{ec}{private}"),
        ec.replace("-----END PUBLIC KEY-----", ""),
        ec.replace("MF", "M!"),
        ec.repeat(9),
        String::new(),
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----".to_owned(),
    ] {
        assert!(KeySet::parse_file(odd.as_bytes()).is_none(), "{odd}");
    }
}

/// A sound set without keys is a statement; anything else that gives none is a fault, each its own.
#[test]
fn an_empty_set_is_told_from_one_that_cannot_be_used() {
    let fault = |text: &str| KeySet::parse(text.as_bytes()).err();
    assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
    let good = TokenKey::generate(KeyType::EcdsaP256).jwk("k");
    let many = json!({ "keys": vec![good.clone(); MAX_KEYS + 1] }).to_string();
    for (text, expected) in [
        ("{}", KeySetFault::NotASet),
        (r#"{"keys":["#, KeySetFault::NotASet),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, KeySetFault::NoneUsable),
        (many.as_str(), KeySetFault::TooMany),
        (&format!("\u{feff}{}", json!({ "keys": [good] })), KeySetFault::Mark),
    ] {
        assert_eq!(fault(text), Some(expected), "{text:.60}");
    }
}

/// RFC 7517 §4.3.
#[test]
fn a_key_for_other_operations_is_passed_over() {
    let with = |operations: Value| {
        let mut jwk = TokenKey::generate(KeyType::EcdsaP256).jwk("k");
        jwk["key_ops"] = operations;
        set(&[jwk]).is_some()
    };
    assert!(with(json!(["verify"])) && with(json!(["sign", "verify"])));
    for operations in [json!([]), json!(["encrypt"]), json!(["sign"]), json!("verify")] {
        assert!(!with(operations.clone()), "{operations}");
    }
}

#[test]
fn a_key_with_its_private_half_is_not_used_and_nothing_of_it_kept() {
    let (good, told) =
        (TokenKey::generate(KeyType::EcdsaP256), TokenKey::generate(KeyType::Rsa2048));
    for member in PRIVATE_MEMBERS {
        let mut private = told.jwk("told");
        private[member] = json!("SECRET");
        let fault = KeySet::parse(json!({ "keys": [private] }).to_string().as_bytes()).err();
        assert_eq!(fault, Some(KeySetFault::Private), "{member}");
        let secret = json!({"kty": "oct", "k": "SECRET"});
        let keys = set(&[private, good.jwk("k"), secret]).unwrap();
        assert!(keys.has_private() && keys.names().len() == 1, "{member}");
        let kept = std::str::from_utf8(keys.document()).unwrap();
        assert!(!kept.contains("SECRET") && KeySet::parse(kept.as_bytes()).is_ok(), "{kept}");
    }
}
