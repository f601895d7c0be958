//! No request makes a panic, and none but the signed one is logged.

use std::sync::LazyLock;

use crypto::KeyType;
use entry::{
    EntryError,
    rekor1::{MAX_REQUEST_LEN, Options, set_payload, verify_proposed},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::common::{Key, STATEMENT, base64, verify};

/// A valid request of each sort; keys are made once.
static VALID: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let (p256, ed25519) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::Ed25519));
    vec![
        p256.hashedrekord(),
        p256.dsse(),
        p256.intoto_1(),
        p256.intoto_2(),
        ed25519.hashedrekord(),
        ed25519.dsse(),
    ]
});

fn every_place(value: &Value, pointer: &str, places: &mut Vec<String>) {
    places.push(pointer.to_owned());
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                every_place(member, &format!("{pointer}/{name}"), places);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                every_place(element, &format!("{pointer}/{index}"), places);
            }
        }
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(sha256|sha512|0\\.0\\.[12]|dsse|intoto|hashedrekord)".prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..80).prop_map(|b| base64(&b).into()),
        proptest::collection::vec(any::<u8>(), 0..80)
            .prop_map(|b| base64(super::common::pem_of_certificate(&b).as_bytes()).into()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-zA-Z]{1,8}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn the_valid_requests_are_valid() {
    for request in VALID.iter() {
        verify(request).unwrap();
    }
}

#[test]
fn rejects_requests_over_the_limit_before_reading_them() {
    let request = vec![b'.'; MAX_REQUEST_LEN + 1];
    let error = verify_proposed(&request, &Options::default()).unwrap_err();
    assert!(matches!(error, EntryError::RequestTooLong { limit: MAX_REQUEST_LEN }));
    let error = verify_proposed(&request[1..], &Options::default()).unwrap_err();
    assert!(matches!(error, EntryError::Malformed(_)));
}

#[test]
fn largest_payload_is_logged_and_huge_base64_is_refused() {
    let key = Key::generate(KeyType::EcdsaP256);
    let payload = vec![b' '; MAX_REQUEST_LEN / 4 * 3 - 4096];
    let text = key.envelope("t", &payload).to_string();
    verify(&super::common::dsse(&text, &[key.pem()])).unwrap();
    let mut proposed = key.hashedrekord();
    proposed["spec"]["signature"]["content"] = "A".repeat(MAX_REQUEST_LEN - 4096).into();
    assert!(matches!(verify(&proposed), Err(EntryError::TooLong { what: "signature", .. })));
    proposed["spec"]["signature"]["content"] = "\n".repeat(MAX_REQUEST_LEN / 2 - 4096).into();
    assert!(matches!(verify(&proposed), Err(EntryError::Missing(_))));
}

#[test]
fn rejects_deep_json_and_members_given_twice() {
    let key = Key::generate(KeyType::EcdsaP256);
    let deep = "[".repeat(200_000);
    for text in [
        deep.clone(),
        format!(r#"{{"kind":"dsse","apiVersion":"0.0.1","spec":{deep}}}"#),
        format!(
            r#"{{"kind":"dsse","apiVersion":"0.0.1","spec":{{"x":{deep}{}}}}}"#,
            "]".repeat(100_000)
        ),
    ] {
        let error = verify_proposed(text.as_bytes(), &Options::default()).unwrap_err();
        assert!(matches!(error, EntryError::Malformed(_)), "{error}");
    }
    let valid = key.hashedrekord().to_string();
    for (once, twice) in [
        (r#""kind":"hashedrekord""#, r#""kind":"hashedrekord","kind":"hashedrekord""#),
        (r#""algorithm":"sha256""#, r#""algorithm":"sha256","algorithm":"sha512""#),
        (r#""algorithm":"sha256""#, r#""algorithm":"sha256","x":{"y":1,"y":2}"#),
        (r#""kind":"hashedrekord""#, r#""kind":"hashedrekord","x":1,"x":2"#),
    ] {
        let text = valid.replace(once, twice);
        assert_ne!(text, valid);
        let error = verify_proposed(text.as_bytes(), &Options::default()).unwrap_err();
        assert!(
            matches!(&error, EntryError::Malformed(why) if why.contains("duplicate")),
            "{error}"
        );
    }
}

#[test]
fn depth_of_what_is_ignored_is_no_matter() {
    let mut request = VALID[0].clone();
    request["other"] = (0..100).fold(json!(1), |inner, _| json!([inner]));
    verify(&request).unwrap();
}

#[test]
fn text_after_the_request_is_refused() {
    let text = VALID[0].to_string() + "{}";
    assert!(matches!(
        verify_proposed(text.as_bytes(), &Options::default()),
        Err(EntryError::Malformed(_))
    ));
}

#[test]
fn errors_are_short_whatever_came() {
    let long = "ä".repeat(100_000);
    for text in [
        format!(r#"{{"kind":"{long}","apiVersion":"{long}","spec":{{}}}}"#),
        format!(r#"{{"kind":"dsse","apiVersion":"0.0.1","spec":"{long}"}}"#),
        VALID[0].to_string().replace("sha256", &long),
    ] {
        let error = verify_proposed(text.as_bytes(), &Options::default()).unwrap_err();
        assert!(error.to_string().len() < 500, "{} bytes", error.to_string().len());
    }
}

proptest! {
    #[test]
    fn any_value_in_any_place_makes_no_panic(
        which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), value in any_json(),
    ) {
        let mut request = which.get(&VALID).clone();
        let mut places = Vec::new();
        every_place(&request, "", &mut places);
        *request.pointer_mut(place.get(&places).as_str()).unwrap() = value;
        let _ = verify(&request);
    }

    #[test]
    fn changed_byte_changes_neither_signer_nor_what_is_signed(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let original = which.get(&VALID).to_string().into_bytes();
        let mut changed = original.clone();
        changed[at.index(original.len())] = byte;
        let before = verify_proposed(&original, &Options::default()).unwrap();
        if let Ok(after) = verify_proposed(&changed, &Options::default()) {
            // What the client claims (a hash of intoto 0.0.2, a key id, white space) may change.
            let first = |entry: &entry::VerifiedEntry| entry.index_keys().swap_remove(0);
            prop_assert_eq!(first(&after), first(&before));
        }
    }

    #[test]
    fn truncated_requests_are_refused(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let original = which.get(&VALID).to_string().into_bytes();
        let cut = &original[..at.index(original.len())];
        prop_assert!(verify_proposed(cut, &Options::default()).is_err());
    }

    #[test]
    fn arbitrary_bytes_make_no_panic(bytes: Vec<u8>) {
        let _ = verify_proposed(&bytes, &Options::default());
    }

    #[test]
    fn any_payload_and_type_is_logged_canonically(payload_type in ".{1,20}", payload: Vec<u8>) {
        prop_assume!(!payload.is_empty());
        let key = &*KEY;
        let mut proposed = key.intoto_2();
        let envelope = &mut proposed["spec"]["content"]["envelope"];
        envelope["payload"] = json!(base64(base64(&payload).as_bytes()));
        envelope["signatures"][0]["keyid"] = json!(payload_type);
        envelope["signatures"][0]["sig"] = json!(base64(key.sig(&payload_type, &payload).as_bytes()));
        envelope["payloadType"] = json!(payload_type);
        let entry = verify(&proposed).unwrap();
        let body: Value = serde_json::from_slice(entry.body()).unwrap();
        prop_assert_eq!(entry.body(), serde_json_canonicalizer::to_vec(&body).unwrap());
        prop_assert_eq!(&body["spec"]["content"]["envelope"]["payloadType"], &json!(payload_type));
    }

    #[test]
    fn set_payload_is_canonical_json(body: Vec<u8>, time: u32, log_id: [u8; 32], index: u32) {
        let payload = set_payload(&body, moment::UnixSeconds(time.into()), &log_id, tlog::LeafIndex(index.into()));
        let value = json!({
            "body": base64(&body), "integratedTime": time, "logID": hex::encode(log_id), "logIndex": index,
        });
        prop_assert_eq!(payload, serde_json_canonicalizer::to_vec(&value).unwrap());
    }
}

static KEY: LazyLock<Key> = LazyLock::new(|| Key::generate(KeyType::EcdsaP256));

#[test]
fn statement_of_the_tests_is_a_statement() {
    serde_json::from_slice::<Value>(STATEMENT).unwrap();
}
