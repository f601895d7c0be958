//! Public keys as callers and files bring them, and the keys that never change.

use std::sync::LazyLock;

use crypto::{KeyType, LocalSigner, PublicKey, Signer};

use crate::{case::Case, der, input::Input};

pub(crate) const CASES: &[Case] = &[
    Case { run: spki, seeds: || public_keys().iter().map(|key| key.spki_der().to_vec()).collect() },
    Case {
        run: public_pem,
        seeds: || public_keys().iter().map(|key| key.to_pem().into()).collect(),
    },
    Case { run: raw, seeds: raw_seeds },
    Case { run: private, seeds: || vec![der::ed25519_pkcs8(&[7; 32]), der::p256_pkcs8(&[7; 32])] },
    Case {
        run: signature,
        seeds: || vec![vec![0; 64], der::element(0x30, &[&[2, 1, 1, 2, 1, 1]])],
    },
];

/// Signs the same bytes the same way in every run.
pub(crate) static ED25519: LazyLock<LocalSigner> =
    LazyLock::new(|| LocalSigner::from_pkcs8_der(&der::ed25519_pkcs8(&[7; 32]), "fuzz").unwrap());

/// The same key in every run; its signatures are not.
pub(crate) static P256: LazyLock<LocalSigner> =
    LazyLock::new(|| LocalSigner::from_pkcs8_der(&der::p256_pkcs8(&[7; 32]), "fuzz").unwrap());

const KEY_TYPES: [KeyType; 7] = [
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::EcdsaP521,
    KeyType::Ed25519,
    KeyType::Rsa2048,
    KeyType::Rsa3072,
    KeyType::Rsa4096,
];

fn public_keys() -> Vec<PublicKey> {
    // The larger RSA keys differ in length alone, and take seconds to make.
    let made = KEY_TYPES.iter().take(5).map(|key_type| LocalSigner::generate(*key_type, "seed"));
    made.map(|signer| signer.unwrap().public_key().clone()).collect()
}

fn spki(der: &[u8]) {
    if let Ok(key) = PublicKey::from_spki_der(der) {
        assert_eq!(key.spki_der(), der);
        check(&key);
    }
}

fn public_pem(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(key) = PublicKey::from_pem(text)
    {
        check(&key);
    }
}

fn raw(input: &[u8]) {
    let mut input = Input(input);
    let Some(key_type) = KEY_TYPES.get(usize::from(input.byte())) else { return };
    if let Ok(key) = PublicKey::from_raw(*key_type, input.0) {
        assert_eq!((key.raw(), key.key_type()), (input.0, *key_type));
        check(&key);
    }
}

fn raw_seeds() -> Vec<Vec<u8>> {
    let numbered = (0u8..).zip(public_keys());
    numbered.map(|(number, key)| [&[number], key.raw()].concat()).collect()
}

/// A key that was read is written so that it reads the same, and signs nothing by itself.
fn check(key: &PublicKey) {
    let again = PublicKey::from_spki_der(key.spki_der()).unwrap();
    assert_eq!((&again, again.raw(), again.key_type()), (key, key.raw(), key.key_type()));
    assert_eq!(&PublicKey::from_pem(&key.to_pem()).unwrap(), key);
    assert!(key.default_algorithm().hash().is_some() || key.key_type() == KeyType::Ed25519);
    let _ = x509::lint::client_key(key);
}

/// Private keys come from the operator; a damaged file must still be an error.
fn private(der: &[u8]) {
    if let Ok(signer) = LocalSigner::from_pkcs8_der(der, "fuzz") {
        let pem = signer.to_pkcs8_pem();
        let again = LocalSigner::from_pkcs8_pem(&pem, "fuzz").unwrap();
        assert_eq!(again.public_key(), signer.public_key());
        let signature = again.sign_now(b"message").unwrap();
        signer.public_key().verify(b"message", &signature).unwrap();
    }
}

/// Nobody signed this message.
fn signature(signature: &[u8]) {
    for signer in [&*ED25519, &*P256] {
        assert!(signer.public_key().verify(b"what nobody ever signed", signature).is_err());
    }
}
