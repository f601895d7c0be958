//! Searches: what they ask for is what entries are indexed under.

use crypto::KeyType;
use entry::{
    EntryError, IndexKeyKind,
    rekor1::{Search, search_keys},
};
use serde_json::{Value, json};

use super::common::{IN_TOTO, Key, MESSAGE, STATEMENT, base64, certificate, hashedrekord, verify};
use super::common::{dsse, pem_of_certificate};

fn search(query: Value) -> Result<Search, EntryError> {
    search_keys(&serde_json::from_value(query).unwrap())
}

#[test]
fn every_search_finds_the_entry_that_it_asks_for() {
    let san = rcgen::SanType::Rfc822Name("Jane@Example.com".try_into().unwrap());
    let (der, key) = certificate(vec![san]);
    let pem = pem_of_certificate(&der);
    let digest = hex::encode(crypto::sha256(MESSAGE));
    let entry =
        verify(&hashedrekord("sha256", &digest, &key.sign(MESSAGE), pem.as_bytes())).unwrap();
    for query in [
        json!({"hash": digest}),
        json!({"hash": format!("sha256:{}", digest.to_uppercase())}),
        json!({"email": "JANE@example.com"}),
        json!({"subject": "jane@Example.COM"}),
        json!({"publicKey": {"format": "x509", "content": base64(pem.trim_end().as_bytes())}}),
    ] {
        let found = search(query.clone()).unwrap();
        let [wanted] = found.keys.as_slice() else { panic!("{query}") };
        assert!(entry.index_keys().contains(wanted), "{query}");
    }
}

// Upstream never finds an envelope by its key: it indexes another form than it searches.
#[test]
fn envelope_is_found_by_its_key() {
    let key = Key::generate(KeyType::EcdsaP256);
    let entry = verify(&dsse(&key.envelope(IN_TOTO, STATEMENT).to_string(), &[key.pem()])).unwrap();
    let query = json!({"publicKey": {"format": "x509", "content": base64(key.pem().as_bytes())}});
    assert!(entry.index_keys().contains(&search(query).unwrap().keys[0]));
}

#[test]
fn operator_says_whether_all_must_match() {
    let both = |operator: Value| {
        search(json!({"email": "a@b", "hash": "0".repeat(40), "operator": operator})).unwrap()
    };
    assert_eq!(both(json!("and")).keys.len(), 2);
    assert!(both(json!("and")).match_all);
    assert!(!both(json!("or")).match_all);
    assert!(!both(Value::Null).match_all);
}

#[test]
fn hash_may_have_any_length_of_its_algorithm() {
    for (hash, digits) in [
        ("a".repeat(40), 40),
        ("a".repeat(64), 64),
        ("A".repeat(128), 128),
        (format!("sha1:{}", "a".repeat(40)), 40),
        (format!("sha384:{}", "a".repeat(96)), 96),
        (format!("sha512:{}", "a".repeat(128)), 128),
    ] {
        let keys = search(json!({"hash": hash})).unwrap().keys;
        assert_eq!(keys, [(IndexKeyKind::Hash, "a".repeat(digits))]);
    }
    for hash in ["a", &"g".repeat(64), &format!("sha1:{}", "a".repeat(64)), "sha256:"] {
        let error = search(json!({"hash": hash})).unwrap_err();
        assert!(matches!(error, EntryError::HashValue { .. }), "{error}");
    }
    let error = search(json!({"hash": format!("md5:{}", "a".repeat(32))})).unwrap_err();
    assert!(matches!(error, EntryError::UnsupportedHash(_)));
}

#[test]
fn rejects_search_for_nothing() {
    for query in [json!({}), json!({"email": "", "hash": null}), json!({"operator": "and"})] {
        assert!(matches!(search(query), Err(EntryError::Missing("a key to search by"))));
    }
}

// CVE-2026-24117: upstream fetched the URL.
#[test]
fn rejects_key_by_url_and_other_formats() {
    let key = |key: Value| search(json!({"publicKey": key}));
    let url = key(json!({"format": "x509", "url": "http://169.254.169.254/"}));
    assert!(matches!(url, Err(EntryError::Unexpected("publicKey.url"))));
    assert!(matches!(key(json!({"format": "pgp", "content": "AAAA"})), Err(EntryError::KeyFormat)));
    for content in [Value::Null, json!("")] {
        let error = key(json!({"format": "x509", "content": content})).unwrap_err();
        assert!(matches!(error, EntryError::Missing("publicKey.content")), "{error}");
    }
    assert!(matches!(key(json!({"format": "x509", "content": "AAAA"})), Err(EntryError::Pem)));
}

#[test]
fn rejects_names_over_512_characters() {
    let subject = |length: usize| search(json!({"subject": "ü".repeat(length)}));
    assert_eq!(subject(512).unwrap().keys[0].0, IndexKeyKind::Subject);
    assert!(matches!(subject(513), Err(EntryError::TooLong { what: "name", limit: 512 })));
}
