//! dsse 0.0.1, intoto 0.0.1 and 0.0.2: what is logged of an envelope, and why others are not.

use crypto::{KeyError, KeyType};
use entry::{
    EntryError, IndexKeyKind,
    rekor1::{Options, verify_proposed},
};
use serde_json::{Value, json};

use super::common::{
    IN_TOTO, KEY_TYPES, Key, MESSAGE, STATEMENT, base64, dsse, envelope, intoto_1, pae, pem_of,
    verify,
};

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(crypto::sha256(bytes))
}

fn body_of(proposed: &Value) -> Value {
    serde_json::from_slice(verify(proposed).unwrap().body()).unwrap()
}

/// The three forms in which one key's envelope can be proposed.
fn forms(key: &Key) -> [Value; 3] {
    [key.dsse(), key.intoto_1(), key.intoto_2()]
}

#[test]
fn logs_an_envelope_of_every_key_type_in_every_form_canonically() {
    for key_type in KEY_TYPES {
        for proposed in forms(&Key::generate(key_type)) {
            let entry = verify(&proposed).unwrap();
            let body: Value = serde_json::from_slice(entry.body()).unwrap();
            assert_eq!(entry.body(), serde_json_canonicalizer::to_vec(&body).unwrap());
            assert_eq!(
                (&body["kind"], &body["apiVersion"]),
                (&proposed["kind"], &proposed["apiVersion"])
            );
            assert_eq!(
                (entry.kind(), entry.version()),
                (body["kind"].as_str().unwrap(), body["apiVersion"].as_str().unwrap())
            );
            assert_eq!(entry.leaf_hash(), tlog::leaf_hash(entry.body()));
        }
    }
}

#[test]
fn dsse_holds_hashes_signature_and_key_but_no_payload() {
    let key = Key::generate(KeyType::EcdsaP256);
    let text = key.envelope(IN_TOTO, STATEMENT);
    let sig = text["signatures"][0]["sig"].clone();
    let body = body_of(&dsse(&text.to_string(), &[key.pem()]));
    let expected = json!({
        "envelopeHash": {"algorithm": "sha256", "value": sha256_hex(text.to_string().as_bytes())},
        "payloadHash": {"algorithm": "sha256", "value": sha256_hex(STATEMENT)},
        "signatures": [{"signature": sig, "verifier": base64(key.pem().as_bytes())}],
    });
    assert_eq!(body["spec"], expected);
}

#[test]
fn intoto_1_holds_hashes_and_key() {
    let key = Key::generate(KeyType::EcdsaP256);
    let text = key.envelope(IN_TOTO, STATEMENT).to_string();
    let mut proposed = intoto_1(&text, key.pem().trim_end());
    // The client's hashes are not what counts.
    proposed["spec"]["content"]["hash"] = json!({"algorithm": "sha256", "value": "00"});
    let expected = json!({
        "content": {
            "hash": {"algorithm": "sha256", "value": sha256_hex(text.as_bytes())},
            "payloadHash": {"algorithm": "sha256", "value": sha256_hex(STATEMENT)},
        },
        "publicKey": base64(key.pem().as_bytes()),
    });
    assert_eq!(body_of(&proposed)["spec"], expected);
}

#[test]
fn intoto_2_holds_the_envelope_without_payload_and_the_client_s_hash() {
    let key = Key::generate(KeyType::EcdsaP256);
    let proposed = key.intoto_2();
    let mut expected = proposed["spec"].clone();
    let content = &mut expected["content"];
    content["envelope"].as_object_mut().unwrap().remove("payload");
    content["envelope"]["signatures"][0].as_object_mut().unwrap().remove("keyid");
    content["payloadHash"] = json!({"algorithm": "sha256", "value": sha256_hex(STATEMENT)});
    assert_eq!(body_of(&proposed)["spec"], expected);
}

#[test]
fn intoto_2_keeps_key_id_and_pem_as_they_came() {
    let key = Key::generate(KeyType::EcdsaP256);
    let mut proposed = key.intoto_2();
    let signature = &mut proposed["spec"]["content"]["envelope"]["signatures"][0];
    signature["keyid"] = json!("SHA256:\u{e9}\"\u{1f}\u{7f}</>\u{2028}");
    signature["publicKey"] = json!(base64(key.pem().replace('\n', "\r\n").as_bytes()));
    let signature = signature.clone();
    let entry = verify(&proposed).unwrap();
    let body: Value = serde_json::from_slice(entry.body()).unwrap();
    assert_eq!(body["spec"]["content"]["envelope"]["signatures"][0], signature);
    assert_eq!(entry.body(), serde_json_canonicalizer::to_vec(&body).unwrap());
}

#[test]
fn payload_type_of_intoto_2_is_escaped_as_canonical_json_does() {
    let key = Key::generate(KeyType::EcdsaP256);
    let payload_type = "text/\u{8}\u{c}\t\u{1}\\\"<&>\u{20ac}\u{1f600}";
    let mut proposed = key.intoto_2();
    let envelope = &mut proposed["spec"]["content"]["envelope"];
    envelope["payloadType"] = json!(payload_type);
    envelope["payload"] = json!(base64(base64(MESSAGE).as_bytes()));
    envelope["signatures"][0]["sig"] = json!(base64(key.sig(payload_type, MESSAGE).as_bytes()));
    let entry = verify(&proposed).unwrap();
    let body: Value = serde_json::from_slice(entry.body()).unwrap();
    assert_eq!(body["spec"]["content"]["envelope"]["payloadType"], payload_type);
    assert_eq!(entry.body(), serde_json_canonicalizer::to_vec(&body).unwrap());
}

#[test]
fn envelope_may_be_spelled_in_any_way_and_is_hashed_as_it_came() {
    let key = Key::generate(KeyType::EcdsaP256);
    let sig = key.sig(IN_TOTO, STATEMENT);
    let text = format!(
        "\n {{\"signatures\" : [ {{\"sig\":\"{sig}\",\"cert\":null}} ],\"payloadType\":\"{IN_TOTO}\", \"x\":[], \"payload\":\"{}\"}}",
        base64(STATEMENT)
    );
    let body = body_of(&dsse(&text, &[key.pem()]));
    assert_eq!(body["spec"]["envelopeHash"]["value"], sha256_hex(text.as_bytes()));
    assert_eq!(body["spec"]["signatures"][0]["signature"], sig);
}

#[test]
fn url_safe_signature_stays_as_it_came() {
    let key = Key::generate(KeyType::EcdsaP256);
    let sig = key.sig(IN_TOTO, STATEMENT).replace('+', "-").replace('/', "_");
    let text = envelope(IN_TOTO, STATEMENT, std::slice::from_ref(&sig)).to_string();
    let body = body_of(&dsse(&text, &[key.pem()]));
    assert_eq!(body["spec"]["signatures"][0]["signature"], sig);
}

#[test]
fn signatures_are_sorted_and_each_has_its_own_verifier() {
    let keys: Vec<_> = (0..10).map(|_| Key::generate(KeyType::EcdsaP256)).collect();
    let sigs: Vec<_> = keys.iter().map(|key| key.sig(IN_TOTO, STATEMENT)).collect();
    let pems: Vec<_> = keys.iter().map(Key::pem).collect();
    let text = envelope(IN_TOTO, STATEMENT, &sigs).to_string();
    let body = body_of(&dsse(&text, &pems));
    let mut expected: Vec<_> = sigs
        .iter()
        .zip(&pems)
        .map(|(sig, pem)| json!({"signature": sig, "verifier": base64(pem.as_bytes())}))
        .collect();
    expected.sort_by_key(|signature| signature["signature"].to_string());
    assert_eq!(body["spec"]["signatures"], Value::from(expected));

    // rekor-tiles #709: the outcome depended on the order of a map.
    let reversed: Vec<_> = pems.iter().rev().cloned().collect();
    assert_eq!(body_of(&dsse(&text, &reversed)), body);
}

#[test]
fn signature_that_is_there_twice_is_logged_once() {
    let key = Key::generate(KeyType::EcdsaP256);
    let sig = key.sig(IN_TOTO, STATEMENT);
    let text = envelope(IN_TOTO, STATEMENT, &[sig.clone(), sig]).to_string();
    assert_eq!(
        body_of(&dsse(&text, &[key.pem()]))["spec"]["signatures"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn index_has_hashes_keys_subjects_and_materials() {
    let key = Key::generate(KeyType::EcdsaP256);
    let hash = |hex: &str| (IndexKeyKind::Hash, hex.to_owned());
    let pem_hash = (IndexKeyKind::Key, sha256_hex(key.pem().as_bytes()));
    let spki_hash = (IndexKeyKind::Key, hex::encode(key.public_key().spki_sha256()));
    for proposed in forms(&key) {
        let keys = verify(&proposed).unwrap().index_keys();
        let envelope = proposed["spec"]["proposedContent"]["envelope"]
            .as_str()
            .or(proposed["spec"]["content"]["envelope"].as_str())
            .map(|text| hash(&sha256_hex(text.as_bytes())));
        let mut expected = vec![hash(&sha256_hex(STATEMENT))];
        // The hash of intoto 0.0.2 is nobody's but the client's.
        expected.extend(envelope);
        expected.extend([pem_hash.clone(), spki_hash.clone()]);
        expected.extend(["aa11", "bb22", "cc33"].map(hash));
        assert_eq!(keys, expected);
    }
}

/// Index keys of a statement beyond those that every envelope has.
fn named(payload_type: &str, statement: &[u8]) -> Vec<String> {
    let key = Key::generate(KeyType::EcdsaP256);
    let text = key.envelope(payload_type, statement).to_string();
    let keys = verify(&dsse(&text, &[key.pem()])).unwrap().index_keys();
    keys.into_iter().skip(4).map(|(_, key)| key).collect()
}

#[test]
fn index_has_resolved_dependencies_of_newer_provenance() {
    let statement = br#"{"predicate":{"buildDefinition":{"resolvedDependencies":
        [{"uri":"x"},{"digest":{"gitCommit":"0123"}}]}}}"#;
    assert_eq!(named(IN_TOTO, statement), ["0123"]);
}

#[test]
fn payload_that_is_no_statement_is_logged_without_names() {
    assert!(named("text/plain", STATEMENT).is_empty());
    for payload in [
        &b"not JSON"[..],
        b"[]",
        br#"{"subject":{}}"#,
        br#"{"subject":[{"digest":{"sha256":7}}]}"#,
        br#"{"subject":[{"digest":{"dirHash":"h1:abc"}},{"digest":{"a":""}},{"digest":{"b":"abc"}}]}"#,
        br#"{"subject":null,"predicate":null}"#,
        b"[[[[[[[[[[[[[[[[[[[[[[",
    ] {
        assert!(named(IN_TOTO, payload).is_empty(), "{}", String::from_utf8_lossy(payload));
    }
    let subject = br#"{"subject":[{"digest":{"a":"12"}}],"predicate":{"materials":"none"}}"#;
    assert_eq!(named(IN_TOTO, subject), ["12"]);
}

#[test]
fn index_has_at_most_64_keys_without_repetition() {
    let subjects: Vec<_> =
        (0..500).map(|n| json!({"digest": {"sha1": format!("{:04x}", n / 2)}})).collect();
    let statement = json!({"subject": subjects}).to_string();
    let named = named(IN_TOTO, statement.as_bytes());
    assert_eq!(named.len(), 60);
    let distinct: std::collections::BTreeSet<_> = named.iter().collect();
    assert_eq!(distinct.len(), 60);
}

#[test]
fn kinds_that_are_switched_off_are_refused_with_the_others_named() {
    let key = Key::generate(KeyType::EcdsaP256);
    let options = Options { dsse: false, intoto: false };
    for proposed in forms(&key) {
        let error = verify_proposed(proposed.to_string().as_bytes(), &options).unwrap_err();
        let EntryError::UnsupportedKind { supported, .. } = &error else { panic!("{error}") };
        assert_eq!(supported, "hashedrekord 0.0.1");
    }
    verify_proposed(key.hashedrekord().to_string().as_bytes(), &options).unwrap();
}

#[test]
fn unknown_kinds_and_versions_are_refused_with_the_supported_ones_named() {
    let key = Key::generate(KeyType::EcdsaP256);
    for (kind, version) in [
        ("rekord", "0.0.1"),
        ("jar", "0.0.1"),
        ("ProposedEntry", "0.0.1"),
        ("hashedrekord", "0.0.2"),
        ("dsse", "0.0.2"),
        ("intoto", "0.0.3"),
        ("Dsse", "0.0.1"),
        ("dsse", " 0.0.1"),
    ] {
        let mut proposed = key.dsse();
        (proposed["kind"], proposed["apiVersion"]) = (kind.into(), version.into());
        let error = verify(&proposed).unwrap_err();
        assert!(matches!(error, EntryError::UnsupportedKind { .. }), "{error}");
        let supported = "hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1, intoto 0.0.2";
        assert!(error.to_string().contains(supported), "{error}");
    }
    let mut proposed = key.dsse();
    proposed["kind"] = json!("\n".repeat(100_000));
    assert!(verify(&proposed).unwrap_err().to_string().len() < 400);
}

#[test]
fn rejects_signature_that_no_verifier_verifies() {
    let (key, stranger) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::EcdsaP256));
    let text = key.envelope(IN_TOTO, STATEMENT).to_string();
    let refused = |proposed: Value| matches!(verify(&proposed), Err(EntryError::NoVerifierFits(1)));
    assert!(refused(dsse(&text, &[stranger.pem()])));
    assert!(refused(intoto_1(&text, &stranger.pem())));
    assert!(refused(dsse(&text.replace("in-toto", "in-otot"), &[key.pem()])));
    assert!(refused(dsse(&text.replace(&base64(STATEMENT), &base64(b"other")), &[key.pem()])));
    let mut proposed = key.intoto_2();
    proposed["spec"]["content"]["envelope"]["signatures"][0]["publicKey"] =
        json!(base64(stranger.pem().as_bytes()));
    assert!(refused(proposed));

    // The payload itself is not what is signed.
    let bare = envelope(IN_TOTO, STATEMENT, &[base64(&key.sign(STATEMENT))]).to_string();
    assert!(refused(dsse(&bare, &[key.pem()])));
}

// Upstream takes intoto 0.0.1 when one signature verifies, and logs the hash of all.
#[test]
fn rejects_an_unverified_signature_beside_a_good_one() {
    let (key, stranger) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::EcdsaP256));
    let sigs = [key.sig(IN_TOTO, STATEMENT), stranger.sig(IN_TOTO, STATEMENT)];
    let text = envelope(IN_TOTO, STATEMENT, &sigs).to_string();
    for proposed in [dsse(&text, &[key.pem()]), intoto_1(&text, &key.pem())] {
        assert!(matches!(verify(&proposed), Err(EntryError::NoVerifierFits(1))));
    }
    verify(&dsse(&text, &[key.pem(), stranger.pem()])).unwrap();
}

#[test]
fn rejects_a_verifier_of_no_signature() {
    let (key, stranger) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::EcdsaP256));
    let text = key.envelope(IN_TOTO, STATEMENT).to_string();
    for pems in [[key.pem(), stranger.pem()], [stranger.pem(), key.pem()], [key.pem(), key.pem()]] {
        let error = verify(&dsse(&text, &pems)).unwrap_err();
        assert!(matches!(error, EntryError::UnusedVerifier), "{error}");
    }
}

#[test]
fn rejects_no_or_more_than_ten_signatures_and_verifiers() {
    let key = Key::generate(KeyType::EcdsaP256);
    let sigs: Vec<_> = (0..11).map(|_| key.sig(IN_TOTO, STATEMENT)).collect();
    let text = |count| envelope(IN_TOTO, STATEMENT, &sigs[..count]).to_string();
    verify(&dsse(&text(10), &[key.pem()])).unwrap();
    for proposed in [dsse(&text(0), &[key.pem()]), intoto_1(&text(0), &key.pem())] {
        assert!(matches!(verify(&proposed), Err(EntryError::Missing("envelope.signatures"))));
    }
    for proposed in [dsse(&text(11), &[key.pem()]), intoto_1(&text(11), &key.pem())] {
        let error = verify(&proposed).unwrap_err();
        assert!(matches!(error, EntryError::TooLong { what: "envelope.signatures", limit: 10 }));
    }
    let what = "spec.proposedContent.verifiers";
    assert!(
        matches!(verify(&dsse(&text(1), &[])), Err(EntryError::Missing(found)) if found == what)
    );
    let error = verify(&dsse(&text(1), &vec![key.pem(); 11])).unwrap_err();
    assert!(matches!(error, EntryError::TooLong { what: found, limit: 10 } if found == what));

    let mut proposed = key.intoto_2();
    let signatures = &mut proposed["spec"]["content"]["envelope"]["signatures"];
    *signatures = vec![signatures[0].clone(); 11].into();
    assert!(matches!(verify(&proposed), Err(EntryError::TooLong { limit: 10, .. })));
    // Only counted, whatever they are: a million of them would be thirty times their text in memory.
    proposed["spec"]["content"]["envelope"]["signatures"] =
        [vec![json!({}); 11], vec![json!(0); 500_000]].concat().into();
    assert!(matches!(verify(&proposed), Err(EntryError::TooLong { limit: 10, .. })));
}

#[test]
fn rejects_hashes_that_only_the_log_may_set() {
    let key = Key::generate(KeyType::EcdsaP256);
    let logged = body_of(&key.dsse());
    for member in ["envelopeHash", "payloadHash", "signatures"] {
        let mut proposed = key.dsse();
        proposed["spec"][member] = logged["spec"][member].clone();
        assert!(matches!(verify(&proposed), Err(EntryError::Unexpected(_))), "{member}");
        proposed["spec"][member] = Value::Null;
        verify(&proposed).unwrap();
    }
}

#[test]
fn rejects_intoto_2_whose_hash_is_none() {
    let valid = Key::generate(KeyType::EcdsaP256).intoto_2();
    let refused = |hash: Value| {
        let mut proposed = valid.clone();
        proposed["spec"]["content"]["hash"] = hash;
        verify(&proposed).unwrap_err()
    };
    let of = |algorithm: &str, value: &str| json!({"algorithm": algorithm, "value": value});
    assert!(matches!(refused(Value::Null), EntryError::Missing("spec.content.hash")));
    assert!(matches!(refused(of("sha512", &"0".repeat(64))), EntryError::UnsupportedHash(_)));
    for value in ["0".repeat(63), "0".repeat(65), "g".repeat(64), format!("{}\"x", "0".repeat(62))]
    {
        assert!(matches!(refused(of("sha256", &value)), EntryError::HashValue { digits: 64 }));
    }
}

#[test]
fn rejects_base64_inside_an_envelope_that_is_not_padded_on_one_line() {
    let key = Key::generate(KeyType::EcdsaP256);
    let sig = key.sig("t", b"payload");
    let text = |payload: &str, sig: &str| {
        let envelope =
            json!({"payload": payload, "payloadType": "t", "signatures": [{"sig": sig}]});
        dsse(&envelope.to_string(), &[key.pem()])
    };
    let payload = base64(b"payload");
    verify(&text(&payload, &sig)).unwrap();
    for payload in [payload.trim_end_matches('='), "====", "pay\nload", "p%yl", "A-+A"] {
        let error = verify(&text(payload, &sig)).unwrap_err();
        assert!(matches!(error, EntryError::NotBase64("envelope.payload")), "{error}");
    }
    for sig in [format!("{sig}\n"), sig[1..].to_owned(), format!(" {sig}"), "\"\"\"\"".to_owned()] {
        let error = verify(&text(&payload, &sig)).unwrap_err();
        assert!(matches!(error, EntryError::NotBase64("envelope.signatures.sig")), "{error}");
    }
    let long = base64(&[0; 1026]);
    assert!(matches!(
        verify(&text(&payload, &long)),
        Err(EntryError::TooLong { what: "signature", .. })
    ));
}

// CVE-2023-33199: an intoto 0.0.2 entry with absent members stopped the server.
#[test]
fn rejects_absent_null_empty_and_mistyped_members() {
    let key = Key::generate(KeyType::EcdsaP256);
    for valid in forms(&key) {
        let mut places = Vec::new();
        every_member(&valid, "", &mut places);
        for place in places.iter().filter(|place| !place.ends_with("/keyid")) {
            for nothing in
                [Value::Null, json!(""), json!({}), json!([]), json!([null]), json!(true)]
            {
                let mut proposed = valid.clone();
                *proposed.pointer_mut(place).unwrap() = nothing;
                verify(&proposed).expect_err(place);
            }
            let mut proposed = valid.clone();
            let (parent, name) = place.rsplit_once('/').unwrap();
            proposed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            verify(&proposed).expect_err(place);
        }
    }
}

fn every_member(value: &Value, pointer: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("{pointer}/{name}");
                every_member(member, &place, places);
                places.push(place);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                every_member(element, &format!("{pointer}/{index}"), places);
            }
        }
        _ => {}
    }
}

#[test]
fn rejects_the_same_of_an_envelope_in_a_string() {
    let key = Key::generate(KeyType::EcdsaP256);
    let valid = key.envelope(IN_TOTO, STATEMENT);
    for member in ["payload", "payloadType", "signatures"] {
        for nothing in
            [Value::Null, json!(""), json!({}), json!([]), json!([{}]), json!([{"sig": null}])]
        {
            let mut envelope = valid.clone();
            envelope[member] = nothing;
            verify(&dsse(&envelope.to_string(), &[key.pem()])).expect_err(member);
        }
    }
    for text in ["", "{}", "[]", "null", "x", &"[".repeat(1000)] {
        verify(&dsse(text, &[key.pem()])).expect_err(text);
    }
}

#[test]
fn signs_what_the_specification_says() {
    let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), expected);
}

// Issue 8: one signature, R = identity and S = 0, logged every payload in any of the three forms.
#[test]
fn rejects_ed25519_keys_of_small_order() {
    let identity = [&[1][..], &[0; 31]].concat();
    let order_eight =
        hex::decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05").unwrap();
    let not_canonical = [&[0xee][..], &[0xff; 30], &[0x7f]].concat();
    let signature = base64(&[&identity[..], &[0; 32]].concat());
    for raw in [&identity, &order_eight, &not_canonical] {
        let spki = [&hex::decode("302a300506032b6570032100").unwrap()[..], raw].concat();
        let pem = pem_of("PUBLIC KEY", &spki);
        for payload in [STATEMENT, b"{}"] {
            let envelope = envelope(IN_TOTO, payload, std::slice::from_ref(&signature)).to_string();
            for proposed in [dsse(&envelope, std::slice::from_ref(&pem)), intoto_1(&envelope, &pem)]
            {
                let error = verify(&proposed).unwrap_err();
                let named = matches!(error, EntryError::Key(KeyError::Ed25519Point));
                assert!(named, "{raw:?}: {error}");
            }
        }
    }
}
