use p384::ecdsa::signature::hazmat::PrehashSigner;
use proptest::prelude::*;

use super::*;
use crate::{LocalSigner, Signer, digest};

const EC_KEYS: [KeyType; 3] = [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521];

fn signer(key_type: KeyType) -> LocalSigner {
    LocalSigner::generate(key_type, "test").unwrap()
}

/// RFC 8032 §7.3: key and signature of `abc`.
fn ed25519ph() -> (PublicKey, Vec<u8>) {
    let key = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf";
    let signature = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
                     31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";
    let key = PublicKey::from_raw(KeyType::Ed25519, &hex::decode(key).unwrap()).unwrap();
    (key, hex::decode(signature).unwrap())
}

#[test]
fn ed25519ph_verifies_the_vector_of_rfc_8032() {
    let (key, signature) = ed25519ph();
    let hash = digest(HashAlgorithm::Sha512, b"abc");
    key.verify_digest(SignatureAlgorithm::Ed25519ph, &hash, &signature).unwrap();
    key.verify_with(SignatureAlgorithm::Ed25519ph, b"abc", &signature).unwrap();
}

#[test]
fn ed25519ph_and_pure_ed25519_are_not_confused() {
    let (key, prehashed) = ed25519ph();
    assert_eq!(key.verify(b"abc", &prehashed), Err(SignatureError::Mismatch));
    let hash = digest(HashAlgorithm::Sha512, b"abc");
    assert_eq!(key.verify(&hash, &prehashed), Err(SignatureError::Mismatch));

    let signer = signer(KeyType::Ed25519);
    let pure = signer.sign_now(b"abc").unwrap();
    let verified = signer.public_key().verify_digest(SignatureAlgorithm::Ed25519ph, &hash, &pure);
    assert_eq!(verified, Err(SignatureError::Mismatch));
}

#[test]
fn ed25519ph_rejects_every_changed_bit() {
    let (key, signature) = ed25519ph();
    let hash = digest(HashAlgorithm::Sha512, b"abc");
    for bit in 0..signature.len() * 8 {
        let mut changed = signature.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let verified = key.verify_digest(SignatureAlgorithm::Ed25519ph, &hash, &changed);
        assert_eq!(verified, Err(SignatureError::Mismatch), "bit {bit}");
    }
}

// The identity point as key and as R, with S = 0, satisfies the bare equation for every message.
#[test]
fn ed25519ph_rejects_a_key_of_small_order() {
    let identity = [&[1][..], &[0; 31]].concat();
    let Ok(key) = PublicKey::from_raw(KeyType::Ed25519, &identity) else { return };
    let signature = [&identity[..], &[0; 32]].concat();
    let verified = key.verify_digest(SignatureAlgorithm::Ed25519ph, &[7; 64], &signature);
    assert_eq!(verified, Err(SignatureError::Mismatch));
}

#[test]
fn pure_ed25519_is_not_verified_from_a_digest() {
    let (key, signature) = ed25519ph();
    let verified = key.verify_digest(SignatureAlgorithm::Ed25519, &[0; 64], &signature);
    assert_eq!(verified, Err(SignatureError::NoPrehash));
}

#[test]
fn digest_stands_for_the_message_with_every_curve_and_rsa() {
    for key_type in EC_KEYS.into_iter().chain([KeyType::Rsa2048]) {
        let signer = signer(key_type);
        let (key, algorithm) = (signer.public_key(), signer.algorithm());
        let signature = signer.sign_now(b"message").unwrap();
        let hash = digest(algorithm.hash().unwrap(), b"message");
        key.verify_digest(algorithm, &hash, &signature).unwrap();
        let other = digest(algorithm.hash().unwrap(), b"massage");
        let verified = key.verify_digest(algorithm, &other, &signature);
        assert_eq!(verified, Err(SignatureError::Mismatch), "{key_type:?}");
    }
}

#[test]
fn p384_verifies_sha256_signatures_of_another_implementation() {
    let secret = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
    let point = secret.verifying_key().to_sec1_point(false);
    let key = PublicKey::from_raw(KeyType::EcdsaP384, point.as_bytes()).unwrap();
    let hash = digest(HashAlgorithm::Sha256, b"message");
    let signature: p384::ecdsa::Signature = secret.sign_prehash(&hash).unwrap();
    let der = signature.to_der();
    key.verify_digest(SignatureAlgorithm::EcdsaP384Sha256, &hash, der.as_bytes()).unwrap();
    key.verify_with(SignatureAlgorithm::EcdsaP384Sha256, b"message", der.as_bytes()).unwrap();
    assert_eq!(key.verify(b"message", der.as_bytes()), Err(SignatureError::Mismatch));
}

#[test]
fn ecdsa_signature_must_be_exactly_one_der_value() {
    for key_type in EC_KEYS {
        let signer = signer(key_type);
        let signature = signer.sign_now(b"message").unwrap();
        let trailing = [&signature[..], &[0]].concat();
        // r and s side by side (IEEE P1363), here of the right length and both 1.
        let half = [&vec![0; signer.public_key().raw().len() / 2 - 1][..], &[1]].concat();
        let plain = [&half[..], &half[..]].concat();
        for wrong in [&signature[1..], &signature[..signature.len() - 1], &trailing, &plain, &[]] {
            let verified = signer.public_key().verify(b"message", wrong);
            assert_eq!(verified, Err(SignatureError::Mismatch));
        }
    }
}

#[test]
fn digest_must_have_the_length_of_the_hash() {
    let (key, signature) = ed25519ph();
    for length in [0, 32, 63, 65] {
        let digest = vec![0; length];
        let verified = key.verify_digest(SignatureAlgorithm::Ed25519ph, &digest, &signature);
        assert_eq!(verified, Err(SignatureError::DigestLength { expected: 64, found: length }));
    }
    let signer = signer(KeyType::EcdsaP384);
    let verified = signer.public_key().verify_digest(signer.algorithm(), &[0; 32], &[]);
    assert_eq!(verified, Err(SignatureError::DigestLength { expected: 48, found: 32 }));
}

#[test]
fn algorithm_of_another_key_type_is_refused() {
    let signer = signer(KeyType::EcdsaP256);
    let signature = signer.sign_now(b"message").unwrap();
    for algorithm in [
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP384Sha256,
        SignatureAlgorithm::EcdsaP521Sha256,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::Ed25519ph,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let verified = signer.public_key().verify_with(algorithm, b"message", &signature);
        assert_eq!(verified, Err(SignatureError::WrongAlgorithm), "{algorithm:?}");
    }
}

#[test]
fn reads_pem_of_64_columns_of_one_line_and_with_carriage_returns() {
    let key = signer(KeyType::EcdsaP256).public_key().clone();
    let pem = key.to_pem();
    let lines: Vec<&str> = pem.lines().collect();
    let [begin, body @ .., end] = lines.as_slice() else { panic!("no PEM") };
    assert!(body.iter().all(|line| line.len() <= 64) && pem.ends_with("-----\n"));
    let one_line = format!("{begin}\n{}\n{end}", body.concat());
    for text in [pem.clone(), one_line, pem.replace('\n', "\r\n"), format!("\n{pem}\n")] {
        assert_eq!(PublicKey::from_pem(&text).unwrap(), key, "{text}");
    }
}

#[test]
fn reads_pkcs1_pem_as_the_same_key() {
    let key = signer(KeyType::Rsa2048).public_key().clone();
    let pem = pem::encode(&pem::Pem::new("RSA PUBLIC KEY", key.raw()));
    let again = PublicKey::from_pem(&pem).unwrap();
    assert_eq!(again, key);
    assert_eq!(again.key_type(), KeyType::Rsa2048);
}

#[test]
fn rejects_pem_that_is_no_public_key() {
    let signer = signer(KeyType::EcdsaP256);
    let private = signer.to_pkcs8_pem();
    assert_eq!(
        PublicKey::from_pem(&private),
        Err(KeyError::UnexpectedPemLabel("PRIVATE KEY".to_owned()))
    );
    let public = signer.public_key().to_pem();
    for text in ["", "PEM", &public[1..], &public[..public.len() / 2]] {
        assert_eq!(PublicKey::from_pem(text), Err(KeyError::Pem));
    }
    let pkcs1_label = public.replace("PUBLIC KEY", "RSA PUBLIC KEY");
    assert_eq!(PublicKey::from_pem(&pkcs1_label), Err(KeyError::Spki));
    assert_eq!(PublicKey::from_pem(&".".repeat(MAX_PEM_LEN + 1)), Err(KeyError::TooLong));
}

#[test]
fn rejects_curves_that_no_client_uses() {
    // P-224 and secp256k1, each a good key made by OpenSSL.
    for (spki, curve) in [
        (
            "304e301006072a8648ce3d020106052b81040021033a00049a7cbec126d1cf25afd240fba11a40840f6e\
             21868cac191fd78581454aa22e44e90f503534dc8e534944029ae42880ecdba6a006fed43d5c",
            "1.3.132.0.33",
        ),
        (
            "3056301006072a8648ce3d020106052b8104000a0342000410a5a60d935e8bf9cd1f929f0b825db54f7c\
             a831dca6527efe22ab98f1762ddfe3c7ecc00e4ab4d8a16d60d5b4001de0bf1c5a5c08a7d2f2c09b6b36\
             342dd454",
            "1.3.132.0.10",
        ),
    ] {
        assert_eq!(
            PublicKey::from_spki_der(&hex::decode(spki).unwrap()),
            Err(KeyError::UnsupportedAlgorithm(curve.to_owned()))
        );
    }
}

#[test]
fn rejects_points_off_their_curve() {
    for key_type in EC_KEYS {
        let key = signer(key_type).public_key().clone();
        let mut off_curve = key.spki_der().to_vec();
        *off_curve.last_mut().unwrap() ^= 1;
        assert_eq!(PublicKey::from_spki_der(&off_curve), Err(KeyError::Rejected));
        let mut raw = key.raw().to_vec();
        raw[1..].fill(0);
        assert_eq!(PublicKey::from_raw(key_type, &raw), Err(KeyError::Rejected));
        assert_eq!(PublicKey::from_raw(key_type, &[0]), Err(KeyError::Rejected), "infinity");
    }
}

#[test]
fn rejects_rsa_of_1024_bits() {
    let pem = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDIf9/kg4/TFm60l1AUO3c24ISR
xNdT6B4VVSrmU5COlVWhcsCA4GXCzV9+h/1RCjzEQWyCpJreiQzEVsG6lOMnxsWc
bJhdgutwtvEsfvGqIXrpfHuLSC2jphmo6oukojXj7iQDu921LZf/0QOrpQCQEYT3
+XvGmkT1myICKoowmQIDAQAB
-----END PUBLIC KEY-----";
    assert_eq!(PublicKey::from_pem(pem), Err(KeyError::RsaSize(1024)));
}

// Found by fuzzing: the named size was believed, and the key's own DER could not be read back.
#[test]
fn rejects_raw_rsa_of_another_size_than_named() {
    let key = signer(KeyType::Rsa2048).public_key().clone();
    assert_eq!(PublicKey::from_raw(KeyType::Rsa2048, key.raw()).unwrap(), key);
    assert_eq!(PublicKey::from_raw(KeyType::Rsa3072, key.raw()), Err(KeyError::Rejected));
    // One more leading byte in the modulus: 2056 bits.
    let (header, rest) = key.raw().split_at(8);
    assert_eq!(header[..2], [0x30, 0x82]);
    let length = u16::from_be_bytes([header[2], header[3]]) + 1;
    let modulus = u16::from_be_bytes([header[6], header[7]]) + 1;
    let odd = [
        &header[..2],
        &length.to_be_bytes(),
        &header[4..6],
        &modulus.to_be_bytes(),
        &[rest[0], 0xff],
        &rest[1..],
    ];
    let odd = PublicKey::from_raw(KeyType::Rsa2048, &odd.concat());
    assert_eq!(odd, Err(KeyError::RsaSize(2056)));
}

#[test]
fn rejects_der_with_more_or_less_than_a_key() {
    let key = signer(KeyType::EcdsaP256).public_key().clone();
    let der = key.spki_der();
    for wrong in [&der[1..], &der[..der.len() - 1], &[der, &[0]].concat(), &[]] {
        assert_eq!(PublicKey::from_spki_der(wrong), Err(KeyError::Spki));
    }
    assert_eq!(PublicKey::from_spki_der(&[0x30; MAX_SPKI_LEN + 1]), Err(KeyError::TooLong));
}

#[test]
fn verifies_the_client_algorithms_of_rekor() {
    let read = |name: &str| vectors::read(format!("rekor1/client-algorithms/{name}"));
    for (key, message, signature, algorithm) in [
        ("ec", "file1", "file1.ec.sig", SignatureAlgorithm::EcdsaP256Sha256),
        ("ec", "file2", "file2.ec.sig", SignatureAlgorithm::EcdsaP256Sha256),
        ("rsa", "file1", "file1.rsa.sig", SignatureAlgorithm::RsaPkcs1Sha256),
        ("rsa", "file2", "file2.rsa.sig", SignatureAlgorithm::RsaPkcs1Sha256),
        ("ed25519", "file1", "file1.ed25519.sig", SignatureAlgorithm::Ed25519),
        ("ed25519", "file1", "file1.ed25519ph.sig", SignatureAlgorithm::Ed25519ph),
    ] {
        let pem = String::from_utf8(read(&format!("{key}_public.pem"))).unwrap();
        let key = PublicKey::from_pem(&pem).unwrap();
        let (message, signature) = (read(message), read(signature));
        key.verify_with(algorithm, &message, &signature).unwrap();
        if let Some(hash) = algorithm.hash() {
            key.verify_digest(algorithm, &digest(hash, &message), &signature).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_key_and_make_no_panic(bytes: Vec<u8>, text in ".{0,200}") {
        prop_assert!(PublicKey::from_spki_der(&bytes).is_err());
        prop_assert!(PublicKey::from_pem(&text).is_err());
    }

    #[test]
    fn changed_key_is_refused_or_another_key(at in any::<prop::sample::Index>(), byte: u8) {
        let (key, _) = ed25519ph();
        let mut der = key.spki_der().to_vec();
        let at = at.index(der.len());
        der[at] = byte;
        if let Ok(changed) = PublicKey::from_spki_der(&der) {
            prop_assert_eq!(changed == key, der == key.spki_der());
        }
    }

    #[test]
    fn arbitrary_signatures_are_refused(signature: Vec<u8>, digest: [u8; 64]) {
        let (key, _) = ed25519ph();
        let verified = key.verify_digest(SignatureAlgorithm::Ed25519ph, &digest, &signature);
        prop_assert_eq!(verified, Err(SignatureError::Mismatch));
    }
}

proptest! {
    #[test]
    fn agrees_with_p256_on_keys_and_signatures(message: Vec<u8>) {
        use p256::{
            ecdsa::{Signature, SigningKey, signature::{Signer as _, Verifier as _}},
            pkcs8::{DecodePrivateKey, EncodePublicKey},
        };
        let ours = signer(KeyType::EcdsaP256);
        let theirs = SigningKey::from_pkcs8_pem(&ours.to_pkcs8_pem()).unwrap();
        let spki = theirs.verifying_key().to_public_key_der().unwrap();
        prop_assert_eq!(spki.as_bytes(), ours.public_key().spki_der());
        let signature: Signature = theirs.sign(&message);
        prop_assert!(ours.public_key().verify(&message, signature.to_der().as_bytes()).is_ok());
        let signature = Signature::from_der(&ours.sign_now(&message).unwrap()).unwrap();
        prop_assert!(theirs.verifying_key().verify(&message, &signature).is_ok());
    }
}
