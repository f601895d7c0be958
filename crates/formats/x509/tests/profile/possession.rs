//! Proof of possession: signed challenges and certificate requests.

use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use der::{
    Any, Decode, Encode,
    asn1::{BitString, ObjectIdentifier, SetOfVec},
};
use proptest::prelude::*;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509::proof::{CsrError, ProofError, parse_csr, verify_challenge};
use x509_cert::{
    attr::Attribute,
    name::Name,
    request::{CertReq, CertReqInfo, Version},
};

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const ED25519: &str = "1.3.101.112";

fn signer(key_type: KeyType) -> LocalSigner {
    LocalSigner::generate(key_type, "client").unwrap()
}

fn info(key: &PublicKey) -> CertReqInfo {
    CertReqInfo {
        version: Version::V1,
        subject: Name::default(),
        public_key: SubjectPublicKeyInfoOwned::from_der(key.spki_der()).unwrap(),
        attributes: SetOfVec::new(),
    }
}

fn pem_of(label: &str, der: Vec<u8>) -> Vec<u8> {
    pem::encode(&pem::Pem::new(label, der)).into_bytes()
}

fn request(info: CertReqInfo, oid: &str, parameters: Option<Any>, signer: &LocalSigner) -> Vec<u8> {
    let signature = signer.sign_now(&info.to_der().unwrap()).unwrap();
    let request = CertReq {
        info,
        algorithm: AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap(oid), parameters },
        signature: BitString::from_bytes(&signature).unwrap(),
    };
    pem_of("CERTIFICATE REQUEST", request.to_der().unwrap())
}

fn p256_request(change: impl FnOnce(&mut CertReqInfo)) -> Vec<u8> {
    let signer = signer(KeyType::EcdsaP256);
    let mut info = info(signer.public_key());
    change(&mut info);
    request(info, ECDSA_SHA256, None, &signer)
}

/// A distinguished name with one e-mail address in an `IA5String` of these bytes.
fn email_subject(address: &[u8]) -> Name {
    subject(0x16, address)
}

/// A distinguished name with one e-mail address in a string of type `tag`.
fn subject(tag: u8, address: &[u8]) -> Name {
    let tlv =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let oid = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1").to_der().unwrap();
    let attribute = tlv(0x30, &[oid, tlv(tag, address)].concat());
    Name::from_der(&tlv(0x30, &tlv(0x31, &attribute))).unwrap()
}

/// An extension request with one subject alternative name of these bytes as e-mail address.
fn requested_name(address: &[u8]) -> Attribute {
    let tlv =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let oid = ObjectIdentifier::new_unwrap("2.5.29.17").to_der().unwrap();
    let names = tlv(0x04, &tlv(0x30, &tlv(0x81, address)));
    let extensions = tlv(0x30, &tlv(0x30, &[oid, names].concat()));
    Attribute {
        oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14"),
        values: SetOfVec::try_from(vec![Any::from_der(&extensions).unwrap()]).unwrap(),
    }
}

#[test]
fn challenge_proves_possession_of_every_kind_of_key() {
    for key_type in [
        KeyType::EcdsaP256,
        KeyType::EcdsaP384,
        KeyType::EcdsaP521,
        KeyType::Ed25519,
        KeyType::Rsa2048,
    ] {
        let signer = signer(key_type);
        let signature = signer.sign_now(b"someone@example.com").unwrap();
        let key = signer.public_key();
        assert_eq!(verify_challenge(key, "someone@example.com", &signature), Ok(()));
        let error = verify_challenge(key, "someone.else@example.com", &signature);
        assert_eq!(error, Err(ProofError::SignatureMismatch));
    }
}

#[test]
fn refuses_empty_and_overlong_challenges() {
    let signer = signer(KeyType::EcdsaP256);
    for challenge in [String::new(), "a".repeat(4097)] {
        let signature = signer.sign_now(challenge.as_bytes()).unwrap();
        let result = verify_challenge(signer.public_key(), &challenge, &signature);
        assert_eq!(result, Err(ProofError::Challenge));
    }
}

#[test]
fn reads_requests_of_every_kind_of_key() {
    let algorithms: [(&'static rcgen::SignatureAlgorithm, KeyType); 5] = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyType::EcdsaP256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyType::EcdsaP384),
        (&rcgen::PKCS_ECDSA_P521_SHA512, KeyType::EcdsaP521),
        (&rcgen::PKCS_ED25519, KeyType::Ed25519),
        (&rcgen::PKCS_RSA_SHA256, KeyType::Rsa2048),
    ];
    for (algorithm, key_type) in algorithms {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let names = ["example.com".to_owned()];
        let params = rcgen::CertificateParams::new(names).unwrap();
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        let parsed = parse_csr(pem.as_bytes()).unwrap();
        assert_eq!(parsed.key_type(), key_type);
        assert_eq!(parsed.raw(), key.public_key_raw());
    }
}

#[test]
fn takes_the_old_label_and_no_other() {
    let pem = String::from_utf8(p256_request(|_| ())).unwrap();
    assert!(parse_csr(pem.as_bytes()).is_ok());
    let old = pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    assert!(parse_csr(old.as_bytes()).is_ok());
    let wrong = pem.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let error = parse_csr(wrong.as_bytes()).unwrap_err();
    assert_eq!(error, CsrError::UnexpectedPemLabel("CERTIFICATE".to_owned()));
}

#[test]
fn takes_ascii_names_in_the_request() {
    let pem = p256_request(|info| {
        info.subject = email_subject(b"a@b.c");
        info.attributes = SetOfVec::try_from(vec![requested_name(b"a@b.c")]).unwrap();
    });
    assert!(parse_csr(&pem).is_ok());
}

#[test]
fn refuses_non_ascii_in_ia5_strings() {
    let name = "j\u{f6}rg@b.c".as_bytes();
    let pem = p256_request(|info| info.subject = email_subject(name));
    assert!(matches!(parse_csr(&pem), Err(CsrError::Asn1(_))));
    let pem = p256_request(|info| {
        info.attributes = SetOfVec::try_from(vec![requested_name(name)]).unwrap();
    });
    assert!(matches!(parse_csr(&pem), Err(CsrError::Asn1(_))));
}

#[test]
fn refuses_printable_and_utf8_strings_that_are_none() {
    for (tag, text) in [(0x13, b"a@b".as_slice()), (0x0c, &[0xff])] {
        let pem = p256_request(|info| info.subject = subject(tag, text));
        assert!(matches!(parse_csr(&pem), Err(CsrError::Asn1(_))), "{tag}");
    }
    let pem = p256_request(|info| info.subject = subject(0x0c, "j\u{f6}rg".as_bytes()));
    assert!(parse_csr(&pem).is_ok());
}

#[test]
fn refuses_hashes_that_are_not_the_keys_own() {
    let p384 = signer(KeyType::EcdsaP384);
    let pem = request(info(p384.public_key()), ECDSA_SHA256, None, &p384);
    let oid = ObjectIdentifier::new_unwrap(ECDSA_SHA256);
    assert_eq!(parse_csr(&pem), Err(CsrError::SignatureAlgorithm(oid)));

    let p256 = signer(KeyType::EcdsaP256);
    let pem = request(info(p256.public_key()), ECDSA_SHA384, None, &p256);
    let oid = ObjectIdentifier::new_unwrap(ECDSA_SHA384);
    assert_eq!(parse_csr(&pem), Err(CsrError::SignatureAlgorithm(oid)));
}

#[test]
fn refuses_pss_and_algorithms_of_other_keys() {
    let rsa = signer(KeyType::Rsa2048);
    for (oid, parameters) in [
        (RSA_PSS, None),
        (ECDSA_SHA256, None),
        (ED25519, None),
        // RFC 4055 §5: the parameters must be NULL.
        (RSA_SHA256, None),
    ] {
        let pem = request(info(rsa.public_key()), oid, parameters, &rsa);
        let oid = ObjectIdentifier::new_unwrap(oid);
        assert_eq!(parse_csr(&pem), Err(CsrError::SignatureAlgorithm(oid)));
    }
    let pem = request(info(rsa.public_key()), RSA_SHA256, Some(Any::null()), &rsa);
    assert!(parse_csr(&pem).is_ok());
}

#[test]
fn refuses_requests_signed_by_another_key() {
    let claimed = signer(KeyType::EcdsaP256);
    let actual = signer(KeyType::EcdsaP256);
    let pem = request(info(claimed.public_key()), ECDSA_SHA256, None, &actual);
    assert_eq!(parse_csr(&pem), Err(CsrError::SignatureMismatch));
}

#[test]
fn refuses_bytes_after_the_request() {
    let pem = p256_request(|_| ());
    let mut der = pem::parse(&pem).unwrap().into_contents();
    der.push(0);
    let result = parse_csr(&pem_of("CERTIFICATE REQUEST", der));
    assert!(matches!(result, Err(CsrError::Asn1(_))));
}

#[test]
fn refuses_overlong_and_unarmoured_requests() {
    assert_eq!(parse_csr(&vec![b' '; 16 * 1024 + 1]), Err(CsrError::TooLong));
    assert_eq!(parse_csr(b"no request"), Err(CsrError::Pem));
    assert_eq!(parse_csr(&[0xff, 0xfe]), Err(CsrError::Pem));
}

#[test]
fn refuses_keys_that_no_client_uses() {
    let p256 = signer(KeyType::EcdsaP256);
    let mut changed = info(p256.public_key());
    changed.public_key.algorithm.oid = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
    let pem = request(changed, ECDSA_SHA256, None, &p256);
    assert!(matches!(parse_csr(&pem), Err(CsrError::PublicKey(_))));
}

proptest! {
    #[test]
    fn mutated_requests_never_panic_nor_pass(position in any::<usize>(), flip in 1u8..) {
        let pem = p256_request(|info| info.subject = email_subject(b"a@b.c"));
        let mut der = pem::parse(&pem).unwrap().into_contents();
        let position = position % der.len();
        der[position] ^= flip;
        prop_assert!(parse_csr(&pem_of("CERTIFICATE REQUEST", der)).is_err());
    }
}
