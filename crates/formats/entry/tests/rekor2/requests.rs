//! Requests of Rekor v2: which become entries, what the entries hold, and why the others do not.

use crypto::{KeyError, KeyType, SignatureError};
use entry::{
    Budget, EntryError, IndexKeyKind,
    rekor2::{self, Options, Verifier, canonical_body, verify_request_within},
};
use rcgen::SanType;
use serde_json::{Value, json};
use wire::rpc::Code;

use super::common::{
    Key, MESSAGE, base64, certificate, certificate_verifier, hashed_rekord, pae, verify,
};

const KEY_TYPES: [KeyType; 5] = [
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::EcdsaP521,
    KeyType::Ed25519,
    KeyType::Rsa2048,
];

/// `hashedRekordRequestV002.signature` of a request.
fn signature_of(request: &mut Value) -> &mut Value {
    &mut request["hashedRekordRequestV002"]["signature"]
}

#[test]
fn logs_a_signature_of_every_key_type() {
    for key_type in KEY_TYPES {
        let key = Key::generate(key_type);
        let entry = verify(&key.hashed_rekord()).unwrap();
        assert_eq!((entry.kind(), entry.version()), ("hashedrekord", "0.0.2"));
        assert_eq!(entry.leaf_hash(), tlog::leaf_hash(entry.body()));
        let body: Value = serde_json::from_slice(entry.body()).unwrap();
        let record = &body["spec"]["hashedRekordV002"];
        assert_eq!(record["data"]["digest"], base64(&key.digest(MESSAGE)));
        assert_eq!(record["signature"]["verifier"], key.verifier());
    }
}

#[test]
fn body_is_canonical_json() {
    for key_type in KEY_TYPES {
        let key = Key::generate(key_type);
        for entry in [verify(&key.hashed_rekord()).unwrap(), verify(&key.dsse()).unwrap()] {
            let body: Value = serde_json::from_slice(entry.body()).unwrap();
            assert_eq!(entry.body(), serde_json_canonicalizer::to_vec(&body).unwrap());
        }
    }
}

#[test]
fn spelling_of_the_request_does_not_change_the_body() {
    let key = Key::generate(KeyType::EcdsaP256);
    let request = key.hashed_rekord();
    let expected = verify(&request).unwrap();
    let other = request
        .to_string()
        .replace("hashedRekordRequestV002", "hashed_rekord_request_v002")
        .replace("publicKey", "public_key")
        .replace("\"PKIX_ECDSA_P256_SHA_256\"", "5")
        .replace('+', "-")
        .replace('/', "_")
        .replace('=', "");
    let entry = rekor2::verify_request(other.as_bytes(), &Options::default()).unwrap();
    assert_eq!(entry.body(), expected.body());
}

#[test]
fn verifier_rebuilds_the_body_from_its_parts() {
    let key = Key::generate(KeyType::Ed25519);
    let signature = key.sign(MESSAGE);
    let request = hashed_rekord(&key.digest(MESSAGE), &signature, &key.verifier());
    let verifier = Verifier::from_public_key(&key.public_key());
    let rebuilt = canonical_body(&key.digest(MESSAGE), &signature, &verifier);
    assert_eq!(verify(&request).unwrap().body(), rebuilt);
    let wire = serde_json::to_value(verifier.to_wire()).unwrap();
    assert_eq!(wire, key.verifier());
}

#[test]
fn index_has_the_digest_and_the_key() {
    let key = Key::generate(KeyType::EcdsaP256);
    let keys = verify(&key.hashed_rekord()).unwrap().index_keys();
    let digest = (IndexKeyKind::Hash, hex::encode(key.digest(MESSAGE)));
    let public_key = (IndexKeyKind::Key, hex::encode(key.public_key().spki_sha256()));
    assert_eq!(keys, [digest, public_key]);
}

#[test]
fn index_has_the_names_of_a_certificate_in_lower_case() {
    let ia5 = |name: &str| name.try_into().unwrap();
    let other = rcgen::string::Ia5String::try_from("x").unwrap();
    let (der, key) = certificate(vec![
        SanType::Rfc822Name(ia5("Jane@Example.com")),
        SanType::Rfc822Name(ia5("jane@example.com")),
        SanType::URI(ia5("https://ci.example/Workflow@refs/heads/main")),
        SanType::DnsName(ia5("host.example")),
        SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 57264, 1, 7], "User!Domain".into())),
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::URI(ia5(&"u".repeat(1025))),
        SanType::URI(ia5("")),
        SanType::DnsName(other),
    ]);
    let verifier = certificate_verifier(&der);
    let request = hashed_rekord(&key.digest(MESSAGE), &key.sign(MESSAGE), &verifier);
    let keys = verify(&request).unwrap().index_keys();
    let names: Vec<_> = keys.iter().skip(2).map(|(kind, name)| (*kind, name.as_str())).collect();
    assert_eq!(
        names,
        [
            (IndexKeyKind::Email, "jane@example.com"),
            (IndexKeyKind::Uri, "https://ci.example/workflow@refs/heads/main"),
            (IndexKeyKind::Subject, "host.example"),
            (IndexKeyKind::Subject, "user!domain"),
            (IndexKeyKind::Subject, "127.0.0.1"),
            (IndexKeyKind::Subject, "x"),
        ]
    );
}

#[test]
fn index_names_at_most_32_names_of_a_certificate() {
    let names = (0..100).map(|n| SanType::DnsName(format!("host{n}").try_into().unwrap()));
    let (der, key) = certificate(names.collect());
    let verifier = certificate_verifier(&der);
    let request = hashed_rekord(&key.digest(MESSAGE), &key.sign(MESSAGE), &verifier);
    assert_eq!(verify(&request).unwrap().index_keys().len(), 34);
}

#[test]
fn rejects_signature_of_another_key_or_digest() {
    let (key, stranger) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::EcdsaP256));
    let (digest, verifier) = (key.digest(MESSAGE), key.verifier());
    for request in [
        hashed_rekord(&digest, &stranger.sign(MESSAGE), &verifier),
        hashed_rekord(&digest, &key.sign(b"other"), &verifier),
        hashed_rekord(&key.digest(b"other"), &key.sign(MESSAGE), &verifier),
        hashed_rekord(&digest, b"no signature", &verifier),
    ] {
        let error = verify(&request).unwrap_err();
        assert!(matches!(error, EntryError::Signature(SignatureError::Mismatch)), "{error}");
    }
}

#[test]
fn rejects_digest_of_another_length_than_the_algorithm_makes() {
    let key = Key::generate(KeyType::EcdsaP384);
    for digest in [&[0; 32][..], &[0; 47], &[0; 49], &[0; 64]] {
        let error =
            verify(&hashed_rekord(digest, &key.sign(MESSAGE), &key.verifier())).unwrap_err();
        assert!(matches!(error, EntryError::Signature(SignatureError::DigestLength { .. })));
    }
}

// rekor-tiles #872 was a panic, #927 removed the algorithm.
#[test]
fn rejects_pure_ed25519() {
    let mut request = Key::generate(KeyType::Ed25519).hashed_rekord();
    signature_of(&mut request)["verifier"]["keyDetails"] = json!("PKIX_ED25519");
    let error = verify(&request).unwrap_err();
    assert!(matches!(error, EntryError::UnsupportedKeyDetails("PKIX_ED25519")), "{error}");
}

#[test]
fn rejects_pure_ed25519_signature_under_the_name_of_ed25519ph() {
    use ed25519_dalek::Signer;
    let key = Key::generate(KeyType::Ed25519);
    let Key::Ed25519ph(secret) = &key else { panic!("wrong type of key") };
    let digest = key.digest(MESSAGE);
    for signature in [secret.sign(MESSAGE), secret.sign(&digest)] {
        let request = hashed_rekord(&digest, &signature.to_bytes(), &key.verifier());
        assert!(matches!(verify(&request), Err(EntryError::Signature(SignatureError::Mismatch))));
    }
}

#[test]
fn rejects_key_details_that_do_not_fit_the_key() {
    for (key_type, details) in [
        (KeyType::EcdsaP256, "PKIX_ECDSA_P384_SHA_384"),
        (KeyType::EcdsaP256, "PKIX_ED25519_PH"),
        (KeyType::Rsa2048, "PKIX_RSA_PKCS1V15_3072_SHA256"),
        (KeyType::Ed25519, "PKIX_ECDSA_P256_SHA_256"),
    ] {
        let mut request = Key::generate(key_type).hashed_rekord();
        signature_of(&mut request)["verifier"]["keyDetails"] = json!(details);
        let error = verify(&request).unwrap_err();
        assert!(matches!(error, EntryError::KeyDetailsMismatch { .. }), "{error}");
    }
}

#[test]
fn rejects_deprecated_and_absent_key_details() {
    let key = Key::generate(KeyType::EcdsaP384);
    for details in [json!("PKIX_ECDSA_P384_SHA_256"), json!(0), Value::Null] {
        let mut request = key.hashed_rekord();
        signature_of(&mut request)["verifier"]["keyDetails"] = details;
        assert!(matches!(verify(&request), Err(EntryError::UnsupportedKeyDetails(_))));
    }
}

// CVE-2023-33199 and its like: absent members once were dereferenced.
#[test]
fn rejects_absent_null_and_empty_members() {
    let key = Key::generate(KeyType::EcdsaP256);
    let valid = key.hashed_rekord();
    let places = [
        "/hashedRekordRequestV002",
        "/hashedRekordRequestV002/digest",
        "/hashedRekordRequestV002/signature",
        "/hashedRekordRequestV002/signature/content",
        "/hashedRekordRequestV002/signature/verifier",
        "/hashedRekordRequestV002/signature/verifier/publicKey",
        "/hashedRekordRequestV002/signature/verifier/publicKey/rawBytes",
    ];
    for place in places {
        for nothing in [Value::Null, json!(""), json!({}), json!([])] {
            let mut request = valid.clone();
            *request.pointer_mut(place).unwrap() = nothing;
            verify(&request).expect_err(place);
        }
        let mut request = valid.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        verify(&request).expect_err(place);
    }
}

#[test]
fn says_which_member_is_missing() {
    let mut request = Key::generate(KeyType::EcdsaP256).hashed_rekord();
    signature_of(&mut request)["verifier"] = Value::Null;
    let error = verify(&request).unwrap_err();
    assert!(matches!(error, EntryError::Missing("signature.verifier")), "{error}");
    request["hashedRekordRequestV002"]["signature"] = Value::Null;
    assert!(matches!(verify(&request), Err(EntryError::Missing("signature"))));
}

#[test]
fn rejects_unknown_members() {
    let mut request = Key::generate(KeyType::EcdsaP256).hashed_rekord();
    signature_of(&mut request)["verifier"]["publicKey"]["url"] = json!("http://localhost");
    let error = verify(&request).unwrap_err();
    assert!(
        matches!(&error, EntryError::Malformed(why) if why.contains("unknown field")),
        "{error}"
    );
}

#[test]
fn echoes_little_of_a_malformed_request() {
    let request = format!(r#"{{"{}":1}}"#, "ä".repeat(100_000));
    let error = rekor2::verify_request(request.as_bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().len() < 400, "{} bytes", error.to_string().len());
}

#[test]
fn rejects_requests_over_the_limit_before_reading_them() {
    let request = vec![b'.'; rekor2::MAX_REQUEST_LEN + 1];
    let error = rekor2::verify_request(&request, &Options::default()).unwrap_err();
    assert!(matches!(error, EntryError::RequestTooLong { .. }));
    let error = rekor2::verify_request(&request[1..], &Options::default()).unwrap_err();
    assert!(matches!(error, EntryError::Malformed(_)));
}

#[test]
fn rejects_keys_and_certificates_that_are_none() {
    let key = Key::generate(KeyType::EcdsaP256);
    let (certificate, _) = certificate(Vec::new());
    let public_key = |der: &[u8]| json!({"publicKey": {"rawBytes": base64(der)}, "keyDetails": 5});
    let spki = key.public_key().spki_der().to_vec();
    let mut off_curve = spki.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    for der in [&spki[1..], &[&spki[..], &[0]].concat(), &off_curve, &certificate, &[0; 4096]] {
        let request = hashed_rekord(&key.digest(MESSAGE), &key.sign(MESSAGE), &public_key(der));
        assert!(matches!(verify(&request), Err(EntryError::Key(_))));
    }
    for der in [&certificate[1..], &[&certificate[..], &[0]].concat(), &spki, b"PEM"] {
        let verifier = certificate_verifier(der);
        let request = hashed_rekord(&key.digest(MESSAGE), &key.sign(MESSAGE), &verifier);
        assert!(matches!(verify(&request), Err(EntryError::Certificate)));
    }
}

#[test]
fn rejects_certificate_and_signature_over_their_limits() {
    let key = Key::generate(KeyType::EcdsaP256);
    let verifier = certificate_verifier(&vec![0x30; 16 * 1024 + 1]);
    let request = hashed_rekord(&key.digest(MESSAGE), &key.sign(MESSAGE), &verifier);
    assert!(matches!(verify(&request), Err(EntryError::TooLong { what: "certificate", .. })));
    let request = hashed_rekord(&key.digest(MESSAGE), &[0; 1025], &key.verifier());
    assert!(matches!(verify(&request), Err(EntryError::TooLong { what: "signature", .. })));
}

// Issue 8: refused where the key enters, also where Ed25519ph would not have verified.
#[test]
fn rejects_ed25519_keys_of_small_order() {
    let identity = [&[1][..], &[0; 31]].concat();
    let order_eight =
        hex::decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05").unwrap();
    let signature = [&identity[..], &[0; 32]].concat();
    for raw in [&identity, &order_eight] {
        let spki = [&hex::decode("302a300506032b6570032100").unwrap()[..], raw].concat();
        let verifier = json!({
            "publicKey": {"rawBytes": base64(&spki)}, "keyDetails": "PKIX_ED25519_PH"
        });
        let digest = crypto::digest(crypto::HashAlgorithm::Sha512, MESSAGE);
        let error = verify(&hashed_rekord(&digest, &signature, &verifier)).unwrap_err();
        assert!(matches!(error, EntryError::Key(KeyError::Ed25519Point)), "{raw:?}: {error}");
    }
}

#[test]
fn longest_possible_body_fits_a_tile_entry() {
    let names = (0..).map(|n| SanType::DnsName(format!("{n:0>200}").try_into().unwrap()));
    let (der, _) = certificate(names.take(78).collect());
    assert!((15 * 1024..16 * 1024).contains(&der.len()), "{}", der.len());
    let verifier = Verifier::from_certificate(&der).unwrap();
    assert!(canonical_body(&[0; 64], &[0; 1024], &verifier).len() < tlog::MAX_ENTRY_LEN / 2);
}

#[test]
fn every_error_answers_invalid_argument() {
    let error = verify(&json!({})).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.to_string().contains("exactly one of"), "{error}");
    let error = EntryError::Key(KeyError::Rejected);
    assert_eq!(error.to_string(), "invalid verifier: the key is invalid");
}

#[test]
fn envelope_becomes_the_hashedrekord_of_its_encoding() {
    for key_type in KEY_TYPES {
        let key = Key::generate(key_type);
        let signed = pae("text/plain", MESSAGE);
        let envelope = key.dsse();
        let signature = &envelope["dsseRequestV002"]["envelope"]["signatures"][0]["sig"];
        let mut request = hashed_rekord(&key.digest(&signed), &[], &key.verifier());
        signature_of(&mut request)["content"] = signature.clone();
        let (converted, direct) = (verify(&envelope).unwrap(), verify(&request).unwrap());
        assert_eq!(converted.body(), direct.body());
        assert_eq!(converted.kind(), "hashedrekord");
        assert_eq!(converted.index_keys(), direct.index_keys());
    }
}

#[test]
fn refuses_envelopes_when_told_to() {
    let request = Key::generate(KeyType::EcdsaP256).dsse().to_string();
    let options = Options { legacy_dsse: false };
    let error = rekor2::verify_request(request.as_bytes(), &options).unwrap_err();
    assert!(matches!(error, EntryError::DsseNotAccepted));
}

// rekor-tiles #709: the outcome depended on the order of a map.
#[test]
fn first_verifier_that_fits_is_logged() {
    let (key, stranger) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::EcdsaP384));
    let mut request = key.dsse();
    request["dsseRequestV002"]["verifiers"] = json!([stranger.verifier(), key.verifier()]);
    assert_eq!(
        verify(&request).unwrap().body(),
        verify(&{
            let mut alone = request.clone();
            alone["dsseRequestV002"]["verifiers"] = json!([key.verifier()]);
            alone
        })
        .unwrap()
        .body()
    );
}

#[test]
fn rejects_envelope_that_no_verifier_verifies() {
    let (key, stranger) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::EcdsaP256));
    let mut request = key.dsse();
    request["dsseRequestV002"]["verifiers"] = json!([stranger.verifier()]);
    assert!(matches!(verify(&request), Err(EntryError::NoVerifierFits(1))));
    let mut request = key.dsse();
    request["dsseRequestV002"]["envelope"]["payloadType"] = json!("text/html");
    assert!(matches!(verify(&request), Err(EntryError::NoVerifierFits(1))));
    let mut request = key.dsse();
    request["dsseRequestV002"]["envelope"]["payload"] = json!(base64(b"other"));
    assert!(matches!(verify(&request), Err(EntryError::NoVerifierFits(1))));
}

#[test]
fn rejects_envelope_with_none_or_several_signatures() {
    for count in [0, 2, 1000] {
        let mut request = Key::generate(KeyType::EcdsaP256).dsse();
        let signatures = &mut request["dsseRequestV002"]["envelope"]["signatures"];
        *signatures = vec![signatures[0].clone(); count].into();
        let error = verify(&request).unwrap_err();
        assert!(matches!(error, EntryError::SignatureCount(found) if found == count), "{error}");
    }
}

// rekor-tiles #684: caps on signatures and verifiers.
#[test]
fn rejects_envelope_with_no_or_more_than_ten_verifiers() {
    let key = Key::generate(KeyType::EcdsaP256);
    let request = |count| {
        let mut request = key.dsse();
        request["dsseRequestV002"]["verifiers"] = vec![key.verifier(); count].into();
        verify(&request)
    };
    assert!(matches!(request(0), Err(EntryError::Missing("verifiers"))));
    request(10).unwrap();
    assert!(matches!(request(11), Err(EntryError::TooLong { what: "verifiers", limit: 10 })));
}

#[test]
fn rejects_envelope_with_an_unreadable_verifier_beside_a_good_one() {
    let key = Key::generate(KeyType::EcdsaP256);
    let mut request = key.dsse();
    let bad = json!({"publicKey": {"rawBytes": "MAA="}, "keyDetails": 5});
    request["dsseRequestV002"]["verifiers"] = json!([key.verifier(), bad]);
    assert!(matches!(verify(&request), Err(EntryError::Key(_))));
}

#[test]
fn rejects_envelope_without_payload_or_type() {
    let key = Key::generate(KeyType::EcdsaP256);
    for member in ["payload", "payloadType", "signatures"] {
        for nothing in [Value::Null, json!(""), json!([])] {
            let mut request = key.dsse();
            request["dsseRequestV002"]["envelope"][member] = nothing;
            verify(&request).expect_err(member);
        }
    }
    let mut request = key.dsse();
    request["dsseRequestV002"]["envelope"] = Value::Null;
    assert!(matches!(verify(&request), Err(EntryError::Missing("envelope"))));
}

#[test]
fn a_signature_is_tried_once_with_each_key_that_can_have_made_it_and_with_no_other() {
    let of_others = [KeyType::Ed25519, KeyType::Rsa2048].map(Key::generate);
    let strangers: Vec<_> = (0..7).map(|_| Key::generate(KeyType::EcdsaP256)).collect();
    let key = Key::generate(KeyType::EcdsaP256);
    let mut request = key.dsse();
    let verifiers = of_others.iter().chain(&strangers).chain([&key]).map(Key::verifier);
    request["dsseRequestV002"]["verifiers"] = verifiers.collect::<Vec<_>>().into();
    let mut budget = Budget::whole();
    let json = request.to_string();
    verify_request_within(json.as_bytes(), &Options::default(), &mut budget).unwrap();
    assert_eq!(budget.verifications(), 8);
}

#[test]
fn ten_dear_keys_cost_no_more_than_the_budget() {
    let keys: Vec<_> = (0..10).map(|_| Key::generate(KeyType::EcdsaP521)).collect();
    let mut request = Key::generate(KeyType::EcdsaP521).dsse();
    request["dsseRequestV002"]["verifiers"] =
        keys.iter().map(Key::verifier).collect::<Vec<_>>().into();
    let mut budget = Budget::few();
    let refused =
        verify_request_within(request.to_string().as_bytes(), &Options::default(), &mut budget);
    assert!(matches!(refused, Err(EntryError::TooMuchWork { .. })), "{refused:?}");
    assert_eq!((budget.verifications(), budget.spent()), (3, 15));
}
