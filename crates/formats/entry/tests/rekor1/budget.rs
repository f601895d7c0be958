//! What an entry may cost: verifications are counted, and no shape of a request has more than its budget.

use crypto::{HashAlgorithm, KeyType, PublicKey};
use entry::{
    Budget, EntryError, VerifiedEntry,
    rekor1::{Options, search_keys, verify_proposed_within},
};
use p384::ecdsa::signature::hazmat::PrehashSigner;
use serde_json::{Value, json};

use super::common::{
    IN_TOTO, KEY_TYPES, Key, MESSAGE, STATEMENT, base64, chain, dsse, envelope, hashedrekord,
    intoto_1, pae, pem_of_certificate,
};

/// What every request is bounded by, in verifications by P-256.
const WHOLE: usize = 64;

/// What became of it, and how many signatures were verified for it.
fn verify(proposed: &Value) -> (Result<VerifiedEntry, EntryError>, usize) {
    let mut budget = Budget::whole();
    let json = proposed.to_string();
    let entry = verify_proposed_within(json.as_bytes(), &Options::default(), &mut budget);
    assert!(budget.verifications() <= budget.spent() && budget.spent() <= WHOLE, "{budget:?}");
    (entry, budget.verifications())
}

/// An envelope with a signature of each of `signers`, and the keys of `verifiers`.
fn signed_by<'k>(
    payload: &[u8],
    signers: impl IntoIterator<Item = &'k Key>,
    verifiers: impl IntoIterator<Item = &'k Key>,
) -> Value {
    let sigs: Vec<_> = signers.into_iter().map(|key| key.sig(IN_TOTO, payload)).collect();
    let pems: Vec<_> = verifiers.into_iter().map(Key::pem).collect();
    dsse(&envelope(IN_TOTO, payload, &sigs).to_string(), &pems)
}

fn keys(key_type: KeyType, count: usize) -> Vec<Key> {
    (0..count).map(|_| Key::generate(key_type)).collect()
}

#[test]
fn ten_signers_in_the_order_of_the_envelope_cost_ten_verifications() {
    for key_type in [KeyType::EcdsaP256, KeyType::Ed25519] {
        let keys = keys(key_type, 10);
        let (entry, verifications) = verify(&signed_by(STATEMENT, &keys, &keys));
        entry.unwrap();
        assert_eq!(verifications, 10, "{key_type:?}");
    }
}

#[test]
fn ten_signers_in_any_order_are_taken_without_a_verification_of_every_pair() {
    let keys = keys(KeyType::EcdsaP256, 10);
    let mut turned: Vec<_> = keys.iter().collect();
    turned.rotate_left(1);
    for verifiers in [keys.iter().rev().collect(), turned] {
        let (entry, verifications) = verify(&signed_by(STATEMENT, &keys, verifiers));
        entry.unwrap();
        assert!(verifications <= 55, "{verifications}");
    }
}

#[test]
fn keys_and_signatures_that_do_not_fit_each_other_cost_no_more_than_the_budget() {
    for key_type in KEY_TYPES {
        let (signers, strangers) = (keys(key_type, 10), keys(key_type, 10));
        for proposed in [
            signed_by(STATEMENT, &signers, &strangers),
            signed_by(STATEMENT, signers.iter().take(9).chain(&strangers[..1]), &signers),
        ] {
            let (entry, _) = verify(&proposed);
            assert!(
                matches!(
                    entry,
                    Err(EntryError::NoVerifierFits(10) | EntryError::TooMuchWork { limit: WHOLE })
                ),
                "{key_type:?}: {entry:?}"
            );
        }
    }
}

#[test]
fn a_signature_is_not_tried_with_keys_that_cannot_have_made_it() {
    let [one, other] = [KeyType::Ed25519, KeyType::Rsa2048].map(Key::generate);
    let (entry, verifications) = verify(&signed_by(STATEMENT, [&one, &other], [&other, &one]));
    entry.unwrap();
    assert_eq!(verifications, 2);
}

#[test]
fn a_signature_is_verified_in_the_one_form_that_it_has() {
    let key = Key::generate(KeyType::EcdsaP256);
    let other = hex::encode(crypto::sha256(b"something else"));
    let proposed = hashedrekord("sha256", &other, &key.sign(MESSAGE), key.pem().as_bytes());
    let (entry, verifications) = verify(&proposed);
    entry.unwrap_err();
    assert_eq!(verifications, 1);
    for bad in [vec![0; 63], vec![7; 65], b"\x30\x06\x02\x01\x01".to_vec()] {
        let proposed = hashedrekord("sha256", &other, &bad, key.pem().as_bytes());
        assert_eq!(verify(&proposed).1, 0, "no signature at all");
    }
}

/// One client signs by SHA-256, as upstream, the other by the hash of the curve.
#[test]
fn signers_of_one_curve_by_two_hashes_are_taken_in_any_order() {
    let older = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let digest = crypto::sha256(&pae(IN_TOTO, STATEMENT));
    let signature: p384::ecdsa::Signature = older.sign_prehash(&digest).unwrap();
    let point = older.verifying_key().to_sec1_point(false);
    let key = PublicKey::from_raw(KeyType::EcdsaP384, point.as_bytes()).unwrap();
    let by_older = (base64(signature.to_der().as_bytes()), key.to_pem());
    // Which of the two signatures is verified first depends on their bytes.
    for newer in keys(KeyType::EcdsaP384, 8) {
        let by_newer = (newer.sig(IN_TOTO, STATEMENT), newer.pem());
        for [one, other] in [[&by_newer, &by_older], [&by_older, &by_newer]] {
            let text = envelope(IN_TOTO, STATEMENT, &[one.0.clone(), other.0.clone()]).to_string();
            let (entry, verifications) = verify(&dsse(&text, &[one.1.clone(), other.1.clone()]));
            entry.unwrap();
            assert!((4..=5).contains(&verifications), "the likely hash with both keys first");
        }
    }
}

#[test]
fn the_first_signature_shows_by_which_hash_the_others_are_verified_first() {
    for key_type in [KeyType::EcdsaP384, KeyType::EcdsaP521] {
        let keys = keys(key_type, 10);
        let (entry, verifications) = verify(&signed_by(STATEMENT, &keys, &keys));
        entry.unwrap();
        assert_eq!(verifications, 11, "one for SHA-256, by which other clients sign");
    }
}

#[test]
fn a_key_that_is_there_twice_and_keys_without_a_signature_are_refused_unverified() {
    let (key, other) = (Key::generate(KeyType::EcdsaP521), Key::generate(KeyType::EcdsaP521));
    for (signers, verifiers) in [
        (vec![&key, &other], vec![&key, &key]),
        (vec![&key], vec![&key, &other]),
        (vec![&key], vec![&other, &key]),
    ] {
        let (entry, verifications) = verify(&signed_by(STATEMENT, signers, verifiers));
        assert!(matches!(entry, Err(EntryError::UnusedVerifier)), "{entry:?}");
        assert_eq!(verifications, 0);
    }
}

#[test]
fn certificates_are_counted_before_one_of_them_is_verified() {
    let chains: Vec<_> = (0..8).map(|_| chain(10)).collect();
    let pem = |ders: &[Vec<u8>]| ders.iter().map(|der| pem_of_certificate(der)).collect::<String>();
    let pems: Vec<_> = chains.iter().map(|(ders, _)| pem(ders)).collect();
    let sigs: Vec<_> = chains.iter().map(|(_, key)| key.sig(IN_TOTO, STATEMENT)).collect();
    let text = envelope(IN_TOTO, STATEMENT, &sigs).to_string();
    let (entry, verifications) = verify(&dsse(&text, &pems));
    assert!(matches!(entry, Err(EntryError::TooMuchWork { .. })), "{entry:?}");
    assert_eq!(verifications, 0);

    // As upstream: one signer with as long a chain as there may be.
    let text = envelope(IN_TOTO, STATEMENT, &sigs[..1]).to_string();
    for proposed in [dsse(&text, &pems[..1]), intoto_1(&text, &pems[0])] {
        let (entry, verifications) = verify(&proposed);
        entry.unwrap();
        assert_eq!(verifications, 10);
    }
}

#[test]
fn every_key_of_an_intoto_envelope_is_counted_before_one_is_verified() {
    let (ders, key) = chain(10);
    let pem: String = ders.iter().map(|der| pem_of_certificate(der)).collect();
    let mut proposed = key.intoto_2();
    let signatures = &mut proposed["spec"]["content"]["envelope"]["signatures"];
    signatures[0]["publicKey"] = json!(base64(pem.as_bytes()));
    *signatures = vec![signatures[0].clone(); 8].into();
    let (entry, verifications) = verify(&proposed);
    assert!(matches!(entry, Err(EntryError::TooMuchWork { .. })), "{entry:?}");
    assert_eq!(verifications, 0);
}

#[test]
fn a_long_payload_counts_for_each_key_that_reads_all_of_it() {
    let keys = keys(KeyType::Ed25519, 10);
    let largest = vec![b'x'; 3 * 1024 * 1024 - 16 * 1024];
    let (entry, verifications) = verify(&signed_by(&largest, &keys[..1], &keys[..1]));
    entry.unwrap();
    assert_eq!(verifications, 1);
    let (entry, verifications) = verify(&signed_by(&largest, &keys, &keys));
    assert!(matches!(entry, Err(EntryError::TooMuchWork { .. })), "{entry:?}");
    assert_eq!(verifications, 1);
}

#[test]
fn a_budget_is_shared_by_the_entries_that_one_question_proposes() {
    let json = Key::generate(KeyType::EcdsaP256).hashedrekord().to_string();
    let mut budget = Budget::few();
    let mut taken = 0;
    while verify_proposed_within(json.as_bytes(), &Options::default(), &mut budget).is_ok() {
        taken += 1;
    }
    assert_eq!((taken, budget.verifications()), (16, 16));
}

#[test]
fn a_search_verifies_no_signature_of_a_chain() {
    let (one, other) = (chain(3).0, chain(3).0);
    let pem: String = [&one[0], &other[1]].iter().map(|der| pem_of_certificate(der)).collect();
    let query = json!({"publicKey": {"format": "x509", "content": base64(pem.as_bytes())}});
    let search = search_keys(&serde_json::from_value(query).unwrap()).unwrap();
    let hash = crypto::digest(HashAlgorithm::Sha256, pem.as_bytes());
    assert_eq!(search.keys[0].1, hex::encode(hash));
}
