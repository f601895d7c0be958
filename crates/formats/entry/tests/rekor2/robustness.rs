//! No request makes a panic, and none but the signed one is logged.

use std::sync::LazyLock;

use crypto::KeyType;
use entry::rekor2::{Options, Verifier, verify_request};
use proptest::prelude::*;
use serde_json::Value;

use super::common::{Key, MESSAGE, certificate, certificate_verifier, hashed_rekord};

/// A valid request of each sort; keys are made once.
static VALID: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let (der, holder) = certificate(vec![rcgen::SanType::DnsName("host".try_into().unwrap())]);
    let verifier = certificate_verifier(&der);
    let p256 = Key::generate(KeyType::EcdsaP256);
    let ed25519 = Key::generate(KeyType::Ed25519);
    vec![
        hashed_rekord(&holder.digest(MESSAGE), &holder.sign(MESSAGE), &verifier),
        p256.hashed_rekord(),
        ed25519.hashed_rekord(),
        p256.dsse(),
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
        proptest::collection::vec(any::<u8>(), 0..80)
            .prop_map(|b| super::common::base64(&b).into()),
        "(PKIX_(ED25519|ECDSA_P256_SHA_256|ECDSA_P521_SHA_512|RSA_PKCS1V15_2048_SHA256))"
            .prop_map(Value::from),
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
        verify_request(request.to_string().as_bytes(), &Options::default()).unwrap();
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
        let _ = verify_request(request.to_string().as_bytes(), &Options::default());
    }

    #[test]
    fn changed_byte_changes_the_entry_or_is_refused(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let original = which.get(&VALID).to_string().into_bytes();
        let mut changed = original.clone();
        changed[at.index(original.len())] = byte;
        let before = verify_request(&original, &Options::default()).unwrap();
        if let Ok(after) = verify_request(&changed, &Options::default()) {
            // White space, a URL-safe letter, an unused `keyid`: the same entry. A certificate's own
            // signature is not judged, so another certificate for the same key is another entry.
            let same_signer = after.index_keys()[..2] == before.index_keys()[..2];
            prop_assert!(same_signer);
        }
    }

    #[test]
    fn truncated_requests_are_refused(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let original = which.get(&VALID).to_string().into_bytes();
        let cut = &original[..at.index(original.len())];
        prop_assert!(verify_request(cut, &Options::default()).is_err());
    }

    #[test]
    fn arbitrary_bytes_make_no_panic(bytes: Vec<u8>) {
        let _ = verify_request(&bytes, &Options::default());
        let _ = Verifier::from_certificate(&bytes);
    }
}
