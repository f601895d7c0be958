//! hashedrekord 0.0.1: what is logged and why the rest is not; keys and certificates of all kinds.

use crypto::{KeyError, KeyType, SignatureError};
use entry::{EntryError, IndexKeyKind};
use p384::ecdsa::signature::hazmat::PrehashSigner;
use rcgen::SanType;
use serde_json::{Value, json};

use super::common::{
    KEY_TYPES, Key, MESSAGE, base64, certificate, chain, hashedrekord, pem_of, pem_of_certificate,
    verify,
};

fn sha256_hex() -> String {
    hex::encode(crypto::sha256(MESSAGE))
}

/// The PEM that the entry was logged with.
fn logged_pem(proposed: &Value) -> String {
    let body: Value = serde_json::from_slice(verify(proposed).unwrap().body()).unwrap();
    let content = &body["spec"]["signature"]["publicKey"]["content"];
    String::from_utf8(wire::Base64::decode(content.as_str().unwrap()).unwrap().0).unwrap()
}

/// A hashedrekord of a P-256 key whose PEM is written as `respell` writes it.
fn respelled(key: &Key, respell: impl Fn(String) -> String) -> Value {
    hashedrekord("sha256", &sha256_hex(), &key.sign(MESSAGE), respell(key.pem()).as_bytes())
}

#[test]
fn logs_a_signature_of_every_key_type_canonically() {
    for key_type in KEY_TYPES {
        let proposed = Key::generate(key_type).hashedrekord();
        let entry = verify(&proposed).unwrap();
        let body: Value = serde_json::from_slice(entry.body()).unwrap();
        assert_eq!(body, proposed);
        assert_eq!(entry.body(), serde_json_canonicalizer::to_vec(&proposed).unwrap());
        assert_eq!(entry.leaf_hash(), tlog::leaf_hash(entry.body()));
        assert_eq!((entry.kind(), entry.version()), ("hashedrekord", "0.0.1"));
    }
}

#[test]
fn takes_the_signature_of_p384_over_sha256() {
    let secret = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let digest = crypto::sha256(MESSAGE);
    let signature: p384::ecdsa::Signature = secret.sign_prehash(&digest).unwrap();
    let point = secret.verifying_key().to_sec1_point(false);
    let key = crypto::PublicKey::from_raw(KeyType::EcdsaP384, point.as_bytes()).unwrap();
    let proposed = |signature: &[u8]| {
        hashedrekord("sha256", &hex::encode(digest), signature, key.to_pem().as_bytes())
    };
    verify(&proposed(signature.to_der().as_bytes())).unwrap();
    verify(&proposed(&signature.to_bytes())).unwrap();
}

#[test]
fn takes_ieee_p1363_and_logs_it_as_it_came() {
    let key = Key::generate(KeyType::EcdsaP256);
    let signature = p256::ecdsa::Signature::from_der(&key.sign(MESSAGE)).unwrap().to_bytes();
    let proposed = hashedrekord("sha256", &sha256_hex(), &signature, key.pem().as_bytes());
    let body: Value = serde_json::from_slice(verify(&proposed).unwrap().body()).unwrap();
    assert_eq!(body["spec"]["signature"]["content"], base64(&signature));
    for wrong in [&signature[1..], &[&signature[..], &[0, 0]].concat(), &[0; 64], &[0xff; 64]] {
        let proposed = hashedrekord("sha256", &sha256_hex(), wrong, key.pem().as_bytes());
        let error = verify(&proposed).unwrap_err();
        assert!(matches!(error, EntryError::Signature(SignatureError::Mismatch)), "{error}");
    }
}

#[test]
fn pem_is_logged_canonically_however_it_came() {
    let key = Key::generate(KeyType::EcdsaP256);
    let one_line = |pem: String| {
        let lines: Vec<_> = pem.lines().collect();
        [lines[0], "\n", &lines[1..lines.len() - 1].concat(), "\n", lines[lines.len() - 1]].concat()
    };
    for proposed in [
        respelled(&key, |pem| pem.trim_end().to_owned()),
        respelled(&key, |pem| pem.replace('\n', "\r\n")),
        respelled(&key, one_line),
        respelled(&key, |pem| format!("\n\n subject: x\n{pem}\n\n")),
    ] {
        assert_eq!(logged_pem(&proposed), key.pem(), "{proposed}");
    }
}

#[test]
fn base64_may_be_url_safe_unpadded_or_broken_into_lines() {
    let key = Key::generate(KeyType::EcdsaP256);
    let proposed = key.hashedrekord();
    let expected = verify(&proposed).unwrap();
    let content = proposed["spec"]["signature"]["content"].as_str().unwrap();
    let (head, tail) = content.split_at(40);
    for text in [
        content.replace('+', "-").replace('/', "_"),
        content.trim_end_matches('=').to_owned(),
        format!("{head}\r\n{tail}\n"),
    ] {
        let mut other = proposed.clone();
        other["spec"]["signature"]["content"] = text.into();
        assert_eq!(verify(&other).unwrap().body(), expected.body());
    }
}

#[test]
fn hash_value_keeps_its_case_and_is_found_in_lower_case() {
    let key = Key::generate(KeyType::EcdsaP256);
    let value = sha256_hex().to_uppercase();
    let proposed = hashedrekord("sha256", &value, &key.sign(MESSAGE), key.pem().as_bytes());
    let entry = verify(&proposed).unwrap();
    assert!(String::from_utf8_lossy(entry.body()).contains(&value));
    assert_eq!(entry.index_keys()[0], (IndexKeyKind::Hash, sha256_hex()));
}

#[test]
fn unknown_members_are_ignored_and_not_logged() {
    let mut proposed = Key::generate(KeyType::EcdsaP256).hashedrekord();
    let expected = verify(&proposed).unwrap();
    proposed["status"] = json!({"a": [1]});
    proposed["spec"]["data"]["url"] = json!("http://localhost/");
    proposed["spec"]["signature"]["publicKey"]["url"] = json!("http://localhost/");
    proposed["spec"]["signature"]["format"] = Value::Null;
    assert_eq!(verify(&proposed).unwrap().body(), expected.body());
}

#[test]
fn index_has_digest_both_key_hashes_and_every_name() {
    let ia5 = |name: &str| name.try_into().unwrap();
    let (der, key) = certificate(vec![
        SanType::Rfc822Name(ia5("Jane@Example.com")),
        SanType::URI(ia5("https://ci.example/Workflow")),
        SanType::IpAddress([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into()),
    ]);
    let pem = pem_of_certificate(&der);
    let proposed = hashedrekord("sha256", &sha256_hex(), &key.sign(MESSAGE), pem.as_bytes());
    let keys = verify(&proposed).unwrap().index_keys();
    let expected = [
        (IndexKeyKind::Hash, sha256_hex()),
        (IndexKeyKind::Key, hex::encode(crypto::sha256(pem.as_bytes()))),
        (IndexKeyKind::Key, hex::encode(key.public_key().spki_sha256())),
        (IndexKeyKind::Email, "jane@example.com".to_owned()),
        (IndexKeyKind::Subject, "jane@example.com".to_owned()),
        (IndexKeyKind::Uri, "https://ci.example/workflow".to_owned()),
        (IndexKeyKind::Subject, "https://ci.example/workflow".to_owned()),
        (IndexKeyKind::Subject, "fd00::1".to_owned()),
    ];
    assert_eq!(keys, expected);
}

// rekor #823: chains of any length were parsed.
#[test]
fn chain_of_up_to_ten_certificates_is_logged_whole() {
    for length in [2, 10] {
        let (ders, key) = chain(length);
        let pem: String = ders.iter().map(|der| pem_of_certificate(der)).collect();
        let sent = pem.replace('\n', "\r\n");
        let proposed = hashedrekord("sha256", &sha256_hex(), &key.sign(MESSAGE), sent.as_bytes());
        assert_eq!(logged_pem(&proposed), pem);
    }
    let (ders, key) = chain(11);
    let pem: String = ders.iter().map(|der| pem_of_certificate(der)).collect();
    let proposed = hashedrekord("sha256", &sha256_hex(), &key.sign(MESSAGE), pem.as_bytes());
    let error = verify(&proposed).unwrap_err();
    assert!(
        matches!(error, EntryError::TooLong { what: "certificate chain", limit: 10 }),
        "{error}"
    );
}

#[test]
fn rejects_certificates_that_are_no_chain() {
    let ((one, key), (other, _)) = (chain(3), chain(3));
    let refused = |ders: [&Vec<u8>; 3]| {
        let pem: String = ders.iter().map(|der| pem_of_certificate(der)).collect();
        let proposed = hashedrekord("sha256", &sha256_hex(), &key.sign(MESSAGE), pem.as_bytes());
        matches!(verify(&proposed), Err(EntryError::CertificateChain))
    };
    assert!(!refused([&one[0], &one[1], &one[2]]));
    assert!(refused([&one[0], &one[2], &one[1]]), "another order");
    assert!(refused([&one[0], &one[1], &other[2]]), "same name, another key");
    assert!(refused([&one[0], &one[0], &one[0]]), "the same again");
}

#[test]
fn rejects_text_that_is_not_one_pem_key_or_certificates() {
    let key = Key::generate(KeyType::EcdsaP256);
    let (certificate, _) = certificate(Vec::new());
    let certificate = pem_of_certificate(&certificate);
    for proposed in [
        respelled(&key, |_| "PEM".to_owned()),
        respelled(&key, |pem| pem.replace("PUBLIC KEY", "PRIVATE KEY")),
        respelled(&key, |pem| pem.replace("PUBLIC KEY", "RSA PUBLIC KEY")),
        respelled(&key, |pem| pem.replace("END", "FIN")),
        respelled(&key, |pem| format!("{pem}{pem}")),
        respelled(&key, |pem| format!("{pem}{certificate}")),
        respelled(&key, |pem| format!("{certificate}{pem}")),
        respelled(&key, |pem| format!("{certificate}{}", &pem[..60])),
    ] {
        let error = verify(&proposed).unwrap_err();
        assert!(matches!(error, EntryError::Pem), "{error}: {proposed}");
    }
    for proposed in [
        respelled(&key, |_| pem_of("CERTIFICATE", b"no DER")),
        respelled(&key, |pem| pem.replace("PUBLIC KEY", "CERTIFICATE")),
        respelled(&key, |_| format!("{certificate}{}", pem_of("CERTIFICATE", b"no DER"))),
    ] {
        assert!(matches!(verify(&proposed), Err(EntryError::Certificate)), "{proposed}");
    }
    let long = respelled(&key, |pem| "\n".repeat(70_000) + &pem);
    assert!(matches!(verify(&long), Err(EntryError::TooLong { what: "public key", .. })));
}

#[test]
fn rejects_keys_of_types_that_no_client_has() {
    let dsa = "3011300906072a8648ce38040103040002010f".to_owned();
    let x25519 = "302a300506032b656e032100".to_owned() + &"a5".repeat(32);
    let p224 = "304e301006072a8648ce3d020106052b81040021033a0004".to_owned() + &"a5".repeat(56);
    let secp256k1 =
        "3056301006072a8648ce3d020106052b8104000a03420004".to_owned() + &"a5".repeat(64);
    for hex in [dsa, x25519, p224, secp256k1] {
        let pem = pem_of("PUBLIC KEY", &hex::decode(&hex).unwrap());
        let proposed = hashedrekord("sha256", &sha256_hex(), &[1; 64], pem.as_bytes());
        let error = verify(&proposed).unwrap_err();
        let named = matches!(error, EntryError::Key(KeyError::UnsupportedAlgorithm(_)));
        assert!(named, "{hex}: {error:?}");
    }
}

#[test]
fn rejects_rsa_of_1024_bits() {
    // SEQUENCE { rsaEncryption NULL, BIT STRING { SEQUENCE { modulus of 128 bytes, 65537 } } }
    let head = "30819f300d06092a864886f70d010101050003818d0030818902818100";
    let der = [hex::decode(head).unwrap(), vec![0xc1; 128], vec![2, 3, 1, 0, 1]].concat();
    let pem = pem_of("PUBLIC KEY", &der);
    let proposed = hashedrekord("sha256", &sha256_hex(), &[1; 128], pem.as_bytes());
    assert!(matches!(verify(&proposed), Err(EntryError::Key(KeyError::RsaSize(1024)))));
}

#[test]
fn rejects_compressed_points_and_points_off_the_curve() {
    let key = Key::generate(KeyType::EcdsaP256);
    let mut off_curve = key.public_key().spki_der().to_vec();
    *off_curve.last_mut().unwrap() ^= 1;
    let x = &key.public_key().raw()[1..33];
    let head = "3039301306072a8648ce3d020106082a8648ce3d030107032200";
    let compressed = [hex::decode(head).unwrap(), vec![2], x.to_vec()].concat();
    for der in [off_curve, compressed] {
        let proposed = respelled(&key, |_| pem_of("PUBLIC KEY", &der));
        assert!(matches!(verify(&proposed), Err(EntryError::Key(_))), "{}", der.len());
    }
}

// Parameters that nobody reads made a second spelling, which was logged as the first.
#[test]
fn rejects_other_parameters_than_the_standards() {
    let key = Key::generate(KeyType::Ed25519);
    let head = hex::decode("302c300706032b65700500032100").unwrap();
    let der = [&head, key.public_key().raw()].concat();
    let proposed = respelled(&key, |_| pem_of("PUBLIC KEY", &der));
    let error = verify(&proposed).unwrap_err();
    assert!(matches!(error, EntryError::Key(KeyError::Parameters)), "{error}");
}

#[test]
fn rejects_signature_of_another_key_or_over_another_digest() {
    let (key, stranger) = (Key::generate(KeyType::EcdsaP256), Key::generate(KeyType::EcdsaP256));
    let other = hex::encode(crypto::sha256(b"other"));
    let pem = key.pem();
    for proposed in [
        hashedrekord("sha256", &sha256_hex(), &stranger.sign(MESSAGE), pem.as_bytes()),
        hashedrekord("sha256", &sha256_hex(), &key.sign(b"other"), pem.as_bytes()),
        hashedrekord("sha256", &other, &key.sign(MESSAGE), pem.as_bytes()),
        hashedrekord("sha256", &sha256_hex(), b"no signature", pem.as_bytes()),
    ] {
        let error = verify(&proposed).unwrap_err();
        assert!(matches!(error, EntryError::Signature(SignatureError::Mismatch)), "{error}");
    }
}

#[test]
fn rejects_pure_ed25519() {
    let key = Key::generate(KeyType::Ed25519);
    let digest = crypto::digest(crypto::HashAlgorithm::Sha512, MESSAGE);
    for signature in [key.sign(MESSAGE), key.sign(&digest)] {
        let value = hex::encode(&digest);
        let proposed = hashedrekord("sha512", &value, &signature, key.pem().as_bytes());
        let error = verify(&proposed).unwrap_err();
        assert!(matches!(error, EntryError::Signature(SignatureError::Mismatch)), "{error}");
    }
}

#[test]
fn rejects_hashes_that_are_unknown_or_of_the_wrong_form() {
    let key = Key::generate(KeyType::EcdsaP256);
    let refused = |algorithm: &str, value: &str| {
        verify(&hashedrekord(algorithm, value, &key.sign(MESSAGE), key.pem().as_bytes()))
            .unwrap_err()
    };
    for name in ["md5", "sha1", "SHA256", "sha2-256", "SHA2_256"] {
        let error = refused(name, &sha256_hex());
        assert!(matches!(&error, EntryError::UnsupportedHash(echo) if echo == name), "{error}");
    }
    for value in
        [&sha256_hex()[1..], &format!("{}0", sha256_hex()), &"g".repeat(64), &"00".repeat(48)]
    {
        let error = refused("sha256", value);
        assert!(matches!(error, EntryError::HashValue { digits: 64 }), "{error}");
    }
    assert!(matches!(refused("sha384", &sha256_hex()), EntryError::HashValue { digits: 96 }));
    let error = refused("sha512", &"00".repeat(64));
    assert!(matches!(error, EntryError::HashDoesNotFit { .. }), "{error}");
}

// CVE-2023-33199, CVE-2026-23831 and their like: absent members once were dereferenced.
#[test]
fn rejects_absent_null_empty_and_mistyped_members() {
    let valid = Key::generate(KeyType::EcdsaP256).hashedrekord();
    for place in [
        "/apiVersion",
        "/kind",
        "/spec",
        "/spec/data",
        "/spec/data/hash",
        "/spec/data/hash/algorithm",
        "/spec/data/hash/value",
        "/spec/signature",
        "/spec/signature/content",
        "/spec/signature/publicKey",
        "/spec/signature/publicKey/content",
    ] {
        for nothing in [Value::Null, json!(""), json!({}), json!([]), json!([null]), json!(7)] {
            let mut proposed = valid.clone();
            *proposed.pointer_mut(place).unwrap() = nothing;
            verify(&proposed).expect_err(place);
        }
        let mut proposed = valid.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        proposed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        let error = verify(&proposed).expect_err(place);
        assert!(matches!(error, EntryError::Missing(_)), "{place}: {error}");
    }
}

#[test]
fn rejects_signature_over_its_limit() {
    let key = Key::generate(KeyType::EcdsaP256);
    let proposed = hashedrekord("sha256", &sha256_hex(), &[0; 1025], key.pem().as_bytes());
    assert!(matches!(
        verify(&proposed),
        Err(EntryError::TooLong { what: "signature", limit: 1024 })
    ));
}

// A tile's entry has two bytes for its length.
#[test]
fn rejects_bodies_over_65535_bytes_with_the_limit_named() {
    let longest = |names: usize| {
        let names = (0..names).map(|n| SanType::DnsName(format!("{n:0>200}").try_into().unwrap()));
        let (der, key) = certificate(names.collect());
        let pem = pem_of_certificate(&der);
        verify(&hashedrekord("sha256", &sha256_hex(), &key.sign(MESSAGE), pem.as_bytes()))
    };
    let fits = longest(174).unwrap().body().len();
    assert!((64_000..=65_535).contains(&fits), "{fits}");
    let error = longest(182).unwrap_err();
    let EntryError::BodyTooLong { length, limit: 65_535 } = error else { panic!("{error}") };
    assert!(error.to_string().contains(&length.to_string()));
    assert!(error.to_string().contains("65535"), "{error}");
}
