use super::*;
use crate::{KeyFamily, KeyType, LocalSigner, Signer};

const FAMILIES: [KeyFamily; 5] =
    [KeyFamily::P256, KeyFamily::P384, KeyFamily::P521, KeyFamily::Ed25519, KeyFamily::Rsa];

/// DER of an `AlgorithmIdentifier`, in hex: identifier, parameters.
fn identifier(oid: &str, parameters: &str) -> Vec<u8> {
    let content = format!("{oid}{parameters}");
    hex::decode(format!("30{:02x}{content}", content.len() / 2)).unwrap()
}

const ECDSA_SHA: [(&str, HashAlgorithm); 3] = [
    ("06082a8648ce3d040302", Sha256),
    ("06082a8648ce3d040303", Sha384),
    ("06082a8648ce3d040304", Sha512),
];

const RSA_SHA: [(&str, HashAlgorithm); 3] = [
    ("06092a864886f70d01010b", Sha256),
    ("06092a864886f70d01010c", Sha384),
    ("06092a864886f70d01010d", Sha512),
];

const ED25519: &str = "06032b6570";
const RSA: &str = "06092a864886f70d010101";
const NULL: &str = "0500";

#[test]
fn every_curve_signs_certificates_with_every_hash() {
    for family in [KeyFamily::P256, KeyFamily::P384, KeyFamily::P521] {
        for (oid, hash) in ECDSA_SHA {
            let algorithm = SignatureAlgorithm::of_certificate(&identifier(oid, ""), family);
            assert_eq!(algorithm.and_then(SignatureAlgorithm::hash), Some(hash), "{family:?}");
            assert_eq!(algorithm.map(SignatureAlgorithm::family), Some(family));
            let with_null = SignatureAlgorithm::of_certificate(&identifier(oid, NULL), family);
            assert_eq!(with_null, None, "RFC 5758 section 3.2");
        }
    }
}

#[test]
fn rsa_signs_certificates_with_every_hash_and_null_or_nothing_beside_it() {
    for (oid, hash) in RSA_SHA {
        for parameters in [NULL, ""] {
            let der = identifier(oid, parameters);
            let algorithm = SignatureAlgorithm::of_certificate(&der, KeyFamily::Rsa).unwrap();
            assert_eq!(algorithm.hash(), Some(hash));
        }
        for parameters in ["050100", "3000", "04020500"] {
            let der = identifier(oid, parameters);
            assert_eq!(SignatureAlgorithm::of_certificate(&der, KeyFamily::Rsa), None);
        }
    }
    let pss = SignatureAlgorithm::RsaPssSha512.identifiers_der();
    let [pss] = pss.as_slice() else { panic!("one spelling") };
    let read = SignatureAlgorithm::of_certificate(pss, KeyFamily::Rsa);
    assert_eq!(read, Some(SignatureAlgorithm::RsaPssSha512));
}

// As rustls-webpki, which path building used before, has them.
#[test]
fn pss_parameters_are_those_of_rfc_4055() {
    let expected = "3041 06092a864886f70d01010a 3034 a00f300d06096086480165030402010500 \
                    a11c301a06092a864886f70d010108300d06096086480165030402010500 a203020120";
    let der = hex::decode(expected.replace(' ', "")).unwrap();
    assert_eq!(SignatureAlgorithm::RsaPssSha256.identifiers_der(), [der]);
}

#[test]
fn an_algorithm_of_another_kind_of_key_is_none() {
    for family in FAMILIES {
        for algorithm in SignatureAlgorithm::OF_CERTIFICATES {
            for der in algorithm.identifiers_der() {
                let read = SignatureAlgorithm::of_certificate(&der, family);
                // The curve is not of the identifier but of the key.
                assert!(read.is_none_or(|read| read.family() == family), "{algorithm:?}");
                assert!(algorithm.family() != family || read == Some(algorithm), "{algorithm:?}");
            }
        }
    }
}

#[test]
fn weak_hashes_and_strange_bytes_name_nothing() {
    // SHA-1 and MD5 with RSA, SHA-1 with ECDSA, and the key's own identifier.
    for oid in ["06092a864886f70d010105", "06092a864886f70d010104", "06072a8648ce3d0401", RSA] {
        for (family, parameters) in FAMILIES.into_iter().flat_map(|f| [(f, ""), (f, NULL)]) {
            let der = identifier(oid, parameters);
            assert_eq!(SignatureAlgorithm::of_certificate(&der, family), None, "{oid}");
        }
    }
    let good = identifier(ECDSA_SHA[0].0, "");
    for der in [&[][..], &good[1..], &[good.as_slice(), &[0]].concat()] {
        assert_eq!(SignatureAlgorithm::of_certificate(der, KeyFamily::P256), None);
    }
}

// OpenSSL writes `rsaEncryption`, Go and Java the name with the hash.
#[test]
fn cms_takes_rsa_encryption_with_the_hash_of_the_digest_algorithm() {
    for (oid, hash) in RSA_SHA {
        let bare = SignatureAlgorithm::of_cms(&identifier(RSA, NULL), hash, KeyFamily::Rsa);
        assert_eq!(bare.and_then(SignatureAlgorithm::hash), Some(hash));
        let named = SignatureAlgorithm::of_cms(&identifier(oid, NULL), hash, KeyFamily::Rsa);
        assert_eq!(named, bare);
    }
    let curve = SignatureAlgorithm::of_cms(&identifier(RSA, NULL), Sha256, KeyFamily::P256);
    assert_eq!(curve, None);
    let odd = SignatureAlgorithm::of_cms(&identifier(RSA, "3000"), Sha256, KeyFamily::Rsa);
    assert_eq!(odd, None);
}

#[test]
fn cms_names_one_hash_and_no_pss() {
    for (digest, family) in
        [Sha256, Sha384, Sha512].into_iter().flat_map(|hash| FAMILIES.map(|family| (hash, family)))
    {
        for (oid, hash) in ECDSA_SHA.into_iter().chain(RSA_SHA) {
            let read = SignatureAlgorithm::of_cms(&identifier(oid, ""), digest, family);
            assert!(read.is_none_or(|_| hash == digest), "{digest:?}, {hash:?}");
        }
        let read = SignatureAlgorithm::of_cms(&identifier(ED25519, ""), digest, family);
        assert_eq!(read.is_some(), family == KeyFamily::Ed25519);
    }
    let pss = SignatureAlgorithm::RsaPssSha256.identifiers_der().concat();
    assert_eq!(SignatureAlgorithm::of_cms(&pss, Sha256, KeyFamily::Rsa), None);
}

#[test]
fn tls_names_ecdsa_or_rsa_with_sha_2() {
    use SignatureAlgorithm::{EcdsaP256Sha256, EcdsaP384Sha384, RsaPkcs1Sha256, RsaPkcs1Sha512};
    for (bytes, family, expected) in [
        ([4, 3], KeyFamily::P256, Some(EcdsaP256Sha256)),
        ([5, 3], KeyFamily::P384, Some(EcdsaP384Sha384)),
        ([4, 1], KeyFamily::Rsa, Some(RsaPkcs1Sha256)),
        ([6, 1], KeyFamily::Rsa, Some(RsaPkcs1Sha512)),
        ([4, 1], KeyFamily::P256, None),
        ([4, 3], KeyFamily::Rsa, None),
        ([2, 1], KeyFamily::Rsa, None),
        ([2, 3], KeyFamily::P256, None),
        ([8, 7], KeyFamily::Ed25519, None),
    ] {
        assert_eq!(SignatureAlgorithm::of_tls(bytes, family), expected, "{bytes:?}");
    }
}

#[test]
fn the_keys_own_algorithms_are_of_the_table() {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Ed25519] {
        let signer = LocalSigner::generate(key_type, "test").unwrap();
        assert!(SignatureAlgorithm::OF_CERTIFICATES.contains(&signer.algorithm()));
        assert_eq!(signer.algorithm().family(), key_type.family());
    }
}
