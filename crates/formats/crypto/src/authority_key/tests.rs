use super::*;
use crate::{KeyType, LocalSigner, PublicKey, Signer};

/// The points whose order divides 8, in every encoding that decodes: the eight canonical ones, then
/// those with y not below the prime or the sign of x = 0 set.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

fn raw(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// What every door says to an Ed25519 key.
fn ed25519_at_every_door(raw: &[u8]) -> [Option<KeyError>; 5] {
    let spki = spki_der_of(KeyFamily::Ed25519, raw).unwrap();
    let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", spki.as_slice()));
    [
        PublicKey::from_spki_der(&spki).err(),
        PublicKey::from_raw(KeyType::Ed25519, raw).err(),
        PublicKey::from_pem(&pem).err(),
        AuthorityKey::from_spki_der(&spki).err(),
        AuthorityKey::from_raw(KeyFamily::Ed25519, raw).err(),
    ]
}

// Before, each was taken, and the signature below verified under the identity for every message.
#[test]
fn ed25519_keys_of_small_order_are_refused_in_every_encoding() {
    for text in SMALL_ORDER {
        let answers = ed25519_at_every_door(&raw(text));
        assert_eq!(answers, [const { Some(KeyError::Ed25519Point) }; 5], "{text}");
    }
}

#[test]
fn ed25519_keys_that_are_no_canonical_point_are_refused() {
    // y = 2 is on no curve point; the rest of y from the prime to 2^255 - 1 is a second spelling.
    let mut encodings = vec![[&[2][..], &[0; 31]].concat()];
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            encodings.push([&[low][..], &[0xff; 30], &[high]].concat());
        }
    }
    for encoding in encodings {
        let answers = ed25519_at_every_door(&encoding);
        assert_eq!(answers, [const { Some(KeyError::Ed25519Point) }; 5], "{encoding:?}");
    }
    for length in [0, 31, 33] {
        let answers = ed25519_at_every_door(&vec![9; length]);
        assert_eq!(answers, [const { Some(KeyError::Rejected) }; 5], "{length}");
    }
}

#[test]
fn the_base_point_and_generated_ed25519_keys_are_taken() {
    let base = raw("5866666666666666666666666666666666666666666666666666666666666666");
    assert_eq!(ed25519_at_every_door(&base), [const { None }; 5]);
    for _ in 0..64 {
        let signer = LocalSigner::generate(KeyType::Ed25519, "test").unwrap();
        assert_eq!(ed25519_at_every_door(signer.public_key().raw()), [const { None }; 5]);
    }
}

/// P-256's base point, and its compressed and hybrid forms.
const P256_X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const P256_Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

#[test]
fn curve_points_have_one_spelling() {
    let point = |form: &str, y: &str| raw(&format!("{form}{P256_X}{y}"));
    let read = |raw: &[u8]| AuthorityKey::from_raw(KeyFamily::P256, raw).err();
    assert_eq!(read(&point("04", P256_Y)), None);
    for other in [point("03", ""), point("02", ""), point("07", P256_Y), point("06", P256_Y)] {
        assert_eq!(read(&other), Some(KeyError::PointEncoding));
        let public = PublicKey::from_raw(KeyType::EcdsaP256, &other);
        assert_eq!(public.err(), Some(KeyError::PointEncoding));
    }
    for nothing in [&[][..], &[0], &[5; 65], &point("04", P256_X), &point("04", "")] {
        assert_eq!(read(nothing), Some(KeyError::Rejected), "{nothing:?}");
    }
}

/// DER of an SPKI in hex: algorithm, then the bit string's content after its count of unused bits.
fn spki(algorithm: &str, unused: u8, raw: &[u8]) -> Vec<u8> {
    let bits = [&[unused], raw].concat();
    let bits = der::asn1::OctetString::new(bits).unwrap().to_der().unwrap();
    // A BIT STRING has the form of an OCTET STRING.
    let content = [hex::decode(algorithm).unwrap(), vec![3], bits[1..].to_vec()].concat();
    der::Any::new(der::Tag::Sequence, content).unwrap().to_der().unwrap()
}

#[test]
fn algorithm_parameters_have_one_spelling() {
    let key = |key_type| LocalSigner::generate(key_type, "test").unwrap().public_key().clone();
    let (ed25519, rsa, p256) =
        (key(KeyType::Ed25519), key(KeyType::Rsa2048), key(KeyType::EcdsaP256));
    for (key, good, others) in [
        (&ed25519, "300506032b6570", vec!["300706032b65700500"]),
        (
            &rsa,
            "300d06092a864886f70d0101010500",
            vec!["300b06092a864886f70d010101", "300d06092a864886f70d0101013000"],
        ),
        (
            &p256,
            "301306072a8648ce3d020106082a8648ce3d030107",
            // Absent, implicitCurve, and the start of explicit parameters.
            vec![
                "300906072a8648ce3d0201",
                "300b06072a8648ce3d02010500",
                "300e06072a8648ce3d02013003020101",
            ],
        ),
    ] {
        assert_eq!(PublicKey::from_spki_der(&spki(good, 0, key.raw())).as_ref(), Ok(key));
        for other in others {
            let der = spki(other, 0, key.raw());
            assert_eq!(PublicKey::from_spki_der(&der), Err(KeyError::Parameters), "{other}");
            assert_eq!(AuthorityKey::from_spki_der(&der), Err(KeyError::Parameters), "{other}");
        }
        assert!(PublicKey::from_spki_der(&spki(good, 1, key.raw())).is_err(), "unused bits");
        let longer = [key.raw(), &[0]].concat();
        assert!(PublicKey::from_spki_der(&spki(good, 0, &longer)).is_err(), "a byte more");
    }
}

fn modulus(signer: &LocalSigner) -> Vec<u8> {
    let der = signer.public_key().raw();
    let sequence = der::Any::from_der(der).unwrap();
    let mut reader = der::SliceReader::new(sequence.value()).unwrap();
    der::asn1::Uint::decode(&mut reader).unwrap().as_bytes().to_vec()
}

// With an exponent of 1, a message in its padding is its own signature.
#[test]
fn rsa_exponents_are_odd_and_at_least_three() {
    let modulus = modulus(&LocalSigner::generate(KeyType::Rsa2048, "test").unwrap());
    let read = |exponent: &[u8]| AuthorityKey::from_rsa_components(&modulus, exponent).err();
    for good in [&[3][..], &[1, 0, 1], &[0x7f, 0xff, 0xff, 0xff]] {
        assert_eq!(read(good), None, "{good:?}");
    }
    for bad in [&[0][..], &[1], &[2], &[4], &[1, 0, 0], &[0x80, 0, 0, 1], &modulus] {
        assert_eq!(read(bad), Some(KeyError::RsaExponent), "{bad:?}");
        let raw = soundness::rsa_public_key_der(&modulus, bad).unwrap();
        let public = PublicKey::from_raw(KeyType::Rsa2048, &raw);
        assert_eq!(public.err(), Some(KeyError::RsaExponent));
        let pem = pem::encode(&pem::Pem::new("RSA PUBLIC KEY", raw));
        assert_eq!(PublicKey::from_pem(&pem).err(), Some(KeyError::RsaExponent));
    }
    let mut even = modulus.clone();
    *even.last_mut().unwrap() ^= 1;
    let read = AuthorityKey::from_rsa_components(&even, &[1, 0, 1]);
    assert_eq!(read.err(), Some(KeyError::RsaModulus));
}

#[test]
fn authorities_have_rsa_of_2048_to_8192_bits_and_signers_three_sizes() {
    for (bits, authority, signer) in [
        (1024, false, false),
        (2047, false, false),
        (2048, true, true),
        (2049, true, false),
        (3072, true, true),
        (4096, true, true),
        (6144, true, false),
        (8192, true, false),
        (8193, false, false),
    ] {
        let mut modulus = vec![0xff; usize::div_ceil(bits, 8)];
        modulus[0] = match bits % 8 {
            0 => 0xff,
            rest => (1 << rest) - 1,
        };
        let raw = soundness::rsa_public_key_der(&modulus, &[1, 0, 1]).unwrap();
        let der = spki_der_of(KeyFamily::Rsa, &raw).unwrap();
        assert_eq!(AuthorityKey::from_spki_der(&der).is_ok(), authority, "{bits}");
        assert_eq!(PublicKey::from_spki_der(&der).is_ok(), signer, "{bits}");
    }
}

#[test]
fn verifies_only_with_algorithms_of_its_family() {
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let key = signer.public_key().as_authority_key();
    let signature = signer.sign_now(b"message").unwrap();
    key.verify_with(SignatureAlgorithm::EcdsaP256Sha256, b"message", &signature).unwrap();
    for (algorithm, error) in [
        (SignatureAlgorithm::EcdsaP256Sha384, SignatureError::Mismatch),
        (SignatureAlgorithm::EcdsaP384Sha256, SignatureError::WrongAlgorithm),
        (SignatureAlgorithm::RsaPkcs1Sha256, SignatureError::WrongAlgorithm),
        (SignatureAlgorithm::Ed25519ph, SignatureError::WrongAlgorithm),
    ] {
        assert_eq!(key.verify_with(algorithm, b"message", &signature), Err(error), "{algorithm:?}");
    }
}
