use crypto::{HashAlgorithm, LocalSigner, Signer, Unsigned};
use der::{
    Any, Encode,
    asn1::{Int, Null, OctetString},
    oid::ObjectIdentifier,
};
use moment::UnixSeconds;
use proptest::prelude::*;
use tsp::{
    ChainError, FailInfo, MalformedResponse, MessageImprint, Nonce, Rejection, SerialNumber,
    TimestampRequest, VerifyError, rejection, verify_response,
};
use x509_cert::ext::Extension;

use crate::{
    oracle::Parts,
    support::{
        Authority, GEN_TIME, LEAF_NOT_AFTER, LEAF_NOT_BEFORE, Plan, imprint, verify_response_over,
    },
};

const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";

fn request() -> TimestampRequest {
    TimestampRequest::new(imprint()).with_certificates(true)
}

#[track_caller]
fn refused(authority: &Authority, response: &[u8], expected: &VerifyError) {
    let error = verify_response(response, &imprint(), &authority.chain).unwrap_err();
    assert_eq!(&error, expected);
}

/// A token with a changed content, properly signed.
#[track_caller]
fn refused_signed(change: impl FnOnce(&mut Parts), expected: &VerifyError) {
    let authority = Authority::p256();
    let mut parts = Parts::of(&authority.answer(&request()));
    change(&mut parts);
    refused(&authority, &parts.sign(&authority.signer), expected);
}

/// A token with changed signed attributes, properly signed.
#[track_caller]
fn refused_attributes(change: impl FnOnce(&mut Parts), expected: &VerifyError) {
    let authority = Authority::p256();
    let mut parts = Parts::of(&authority.answer(&request()));
    change(&mut parts);
    refused(&authority, &parts.sign_attributes(&authority.signer), expected);
}

/// A token with changed bytes outside the signature.
#[track_caller]
fn refused_unsigned(change: impl FnOnce(&mut Parts), expected: &VerifyError) {
    let authority = Authority::p256();
    let mut parts = Parts::of(&authority.answer(&request()));
    change(&mut parts);
    refused(&authority, &parts.to_der(), expected);
}

#[test]
fn tells_what_was_stamped_and_when() {
    let authority = Authority::p256();
    let nonce = Nonce::from_unsigned(&[1, 2, 3]).unwrap();
    let request = request().with_nonce(nonce);
    let response = authority.answer(&request);
    let verified = verify_response(&response, &imprint(), &authority.chain).unwrap();
    assert_eq!(verified.gen_time, GEN_TIME);
    assert_eq!(verified.serial_number, SerialNumber::from_random([7; 20]).as_bytes());
    assert_eq!(verified.policy.to_string(), "1.3.6.1.4.1.57264.2");
    assert_eq!(verified.nonce.as_deref(), Some(&[1, 2, 3][..]));
    verified.answers(&request).unwrap();
    assert_eq!(verify_response_over(&response, b"message", &authority.chain).unwrap(), verified);
}

#[test]
fn accepts_the_leaf_alone_as_trusted() {
    let authority = Authority::p256();
    let response = authority.answer(&request());
    verify_response(&response, &imprint(), &authority.chain[..1]).unwrap();
}

#[test]
fn rejects_a_timestamp_of_something_else() {
    let authority = Authority::p256();
    let response = authority.answer(&request());
    let other = MessageImprint::of_message(HashAlgorithm::Sha256, b"other");
    let same_digest_other_hash = MessageImprint::of_message(HashAlgorithm::Sha384, b"message");
    for imprint in [other, same_digest_other_hash] {
        let error = verify_response(&response, &imprint, &authority.chain).unwrap_err();
        assert_eq!(error, VerifyError::Imprint);
    }
    let error = verify_response_over(&response, b"other", &authority.chain).unwrap_err();
    assert_eq!(error, VerifyError::Imprint);
}

#[test]
fn rejects_another_nonce_and_another_policy_than_asked_for() {
    let authority = Authority::p256();
    let response = authority.answer(&request());
    let verified = verify_response(&response, &imprint(), &authority.chain).unwrap();
    let nonce = Nonce::from_unsigned(&[1]).unwrap();
    assert_eq!(verified.answers(&request().with_nonce(nonce)), Err(VerifyError::Nonce));
    let policy = "1.2.3.4".parse().unwrap();
    assert_eq!(verified.answers(&request().with_policy(policy)), Err(VerifyError::Policy));
    let other = MessageImprint::of_message(HashAlgorithm::Sha256, b"other");
    assert_eq!(verified.answers(&TimestampRequest::new(other)), Err(VerifyError::Imprint));
}

#[test]
fn tells_a_refusal_in_the_authoritys_words() {
    let authority = Authority::p256();
    for fail_info in FailInfo::ALL {
        let expected = VerifyError::Refused(Rejection {
            status: 2,
            fail_info: Some(fail_info),
            text: Some("because".to_owned()),
        });
        refused(&authority, &rejection(fail_info, "because"), &expected);
    }
    let bare = VerifyError::Refused(Rejection { status: 1, fail_info: None, text: None });
    refused(&authority, &[0x30, 5, 0x30, 3, 2, 1, 1], &bare);
    assert_eq!(
        VerifyError::Refused(Rejection {
            status: 2,
            fail_info: Some(FailInfo::BadAlg),
            text: Some("weak".to_owned())
        })
        .to_string(),
        "the timestamp authority refused: status 2, badAlg: \"weak\""
    );
}

#[test]
fn rejects_another_authority_of_the_same_name() {
    let response = Authority::p256().answer(&request());
    // rcgen chooses serial numbers by key, so that issuer and serial differ here.
    refused(&Authority::p256(), &response, &VerifyError::UntrustedSigner);
}

#[test]
fn rejects_another_certificate_of_the_same_issuer_name_and_serial_number() {
    let authority = || {
        let mut plan = Plan::new(&rcgen::PKCS_ECDSA_P256_SHA256);
        plan.leaf.serial_number = Some(vec![1].into());
        plan.build()
    };
    let response = authority().answer(&TimestampRequest::new(imprint()));
    refused(&authority(), &response, &VerifyError::CertificateId);
}

#[test]
fn rejects_a_chain_that_is_none() {
    let authority = Authority::p256();
    let response = authority.answer(&request());
    let error = verify_response(&response, &imprint(), &authority.chain[1..]).unwrap_err();
    assert_eq!(error, VerifyError::Chain(ChainError::LeafIsCa));
    let none: [&[u8]; 0] = [];
    let error = verify_response(&response, &imprint(), &none).unwrap_err();
    assert_eq!(error, VerifyError::Chain(ChainError::Empty));
}

#[test]
fn accepts_the_first_and_last_second_of_the_chain_and_no_other() {
    let authority = Authority::p256();
    let at = |gen_time| {
        let (request, serial) = (request(), SerialNumber::from_random([0; 20]));
        let policy = tsp::PolicyOid::SIGSTORE;
        let token = authority.profile.prepare(&request, &policy, gen_time, serial).unwrap();
        let signature = authority.signer.sign_now(token.bytes_to_sign()).unwrap();
        let response = token.with_signature(&signature, authority.signer.public_key()).unwrap();
        verify_response(response.as_der(), &imprint(), &authority.chain)
    };
    at(LEAF_NOT_BEFORE).unwrap();
    at(LEAF_NOT_AFTER).unwrap();
    for outside in [LEAF_NOT_BEFORE.0 - 1, LEAF_NOT_AFTER.0 + 1].map(UnixSeconds) {
        assert_eq!(at(outside).unwrap_err(), VerifyError::OutsideValidity);
    }
}

#[test]
fn rejects_missing_signed_attributes() {
    let missing = VerifyError::Malformed(MalformedResponse::SignedAttributes);
    for oid in [CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2] {
        refused_attributes(|parts| parts.set_attribute(oid, None), &missing);
    }
}

#[test]
fn rejects_a_signed_attribute_that_is_there_twice() {
    refused_attributes(
        |parts| {
            parts.change_signer(|signer| {
                let mut attributes = signer.signed_attrs.take().unwrap().into_vec();
                let mut second = attributes[1].clone();
                let zeros = Any::encode_from(&OctetString::new([0; 32]).unwrap()).unwrap();
                second.values = vec![zeros].try_into().unwrap();
                assert_eq!(second.oid.to_string(), MESSAGE_DIGEST);
                attributes.push(second);
                signer.signed_attrs = Some(attributes.try_into().unwrap());
            });
        },
        &VerifyError::Malformed(MalformedResponse::SignedAttributes),
    );
}

#[test]
fn rejects_wrong_values_of_signed_attributes() {
    let wrong = VerifyError::Malformed(MalformedResponse::SignedAttributes);
    let id_data = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
    let id_data = Any::encode_from(&id_data).unwrap();
    refused_attributes(|parts| parts.set_attribute(CONTENT_TYPE, Some(id_data)), &wrong);
    let zeros = Any::encode_from(&OctetString::new([0; 32]).unwrap()).unwrap();
    refused_attributes(
        |parts| parts.set_attribute(MESSAGE_DIGEST, Some(zeros)),
        &VerifyError::MessageDigest,
    );
    let null = Any::encode_from(&Null).unwrap();
    refused_attributes(|parts| parts.set_attribute(MESSAGE_DIGEST, Some(null)), &wrong);
}

#[test]
fn rejects_a_signing_certificate_attribute_of_another_certificate() {
    let other = crypto::sha256(b"another certificate");
    let hash = OctetString::new(other).unwrap().to_der().unwrap();
    let id = [&[0x30, 38, 0x30, 36, 0x30, 34][..], &hash].concat();
    let value = <Any as der::Decode>::from_der(&id).unwrap();
    refused_attributes(
        |parts| parts.set_attribute(SIGNING_CERTIFICATE_V2, Some(value)),
        &VerifyError::CertificateId,
    );
}

#[test]
fn rejects_content_that_the_signature_does_not_cover() {
    let unsigned = VerifyError::Malformed(MalformedResponse::Unsigned);
    refused_unsigned(
        |parts| {
            parts.change_signer(|signer| {
                signer.unsigned_attrs.clone_from(&signer.signed_attrs);
            });
        },
        &unsigned,
    );
    refused_unsigned(
        |parts| {
            parts.signed_data.crls =
                Some(cms::revocation::RevocationInfoChoices(der::asn1::SetOfVec::new()));
        },
        &unsigned,
    );
}

#[test]
fn rejects_an_embedded_certificate_that_is_not_of_the_chain() {
    let other = Parts::of(&Authority::p256().answer(&request())).signed_data.certificates;
    refused_unsigned(
        |parts| parts.signed_data.certificates.clone_from(&other),
        &VerifyError::EmbeddedCertificate,
    );
}

#[test]
fn accepts_several_embedded_certificates_of_the_chain_in_any_order() {
    let authority = Authority::p256();
    let plain = authority.answer(&TimestampRequest::new(imprint()));
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let bag: Vec<u8> = order.iter().flat_map(|&i| authority.chain[i].clone()).collect();
        let response = with_certificates(&plain, &bag);
        verify_response(&response, &imprint(), &authority.chain).unwrap();
    }
}

/// Inserts an unsorted certificate bag, which the `cms` types cannot write, by hand.
fn with_certificates(response: &[u8], bag: &[u8]) -> Vec<u8> {
    let parts = Parts::of(response);
    let signed_data = &parts.signed_data;
    let long = |tag: u8, content: &[u8]| {
        let len = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &len[..], content].concat()
    };
    let content = [
        &[2, 1, 3][..],
        &signed_data.digest_algorithms.to_der().unwrap(),
        &signed_data.encap_content_info.to_der().unwrap(),
        &long(0xA0, bag),
        &signed_data.signer_infos.to_der().unwrap(),
    ]
    .concat();
    let oid = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2").to_der().unwrap();
    let content_info = [&oid[..], &long(0xA0, &long(0x30, &content))].concat();
    long(0x30, &[&[0x30, 3, 2, 1, 0][..], &long(0x30, &content_info)].concat())
}

#[test]
fn rejects_another_digest_algorithm_beside_the_signers() {
    refused_unsigned(
        |parts| {
            let mut sha512 = parts.signed_data.digest_algorithms.get(0).unwrap().clone();
            sha512.oid = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
            parts.signed_data.digest_algorithms.insert(sha512).unwrap();
        },
        &VerifyError::Malformed(MalformedResponse::DigestAlgorithms),
    );
}

#[test]
fn rejects_a_signature_algorithm_of_another_kind_of_key() {
    for oid in ["1.2.840.10045.4.3.3", "1.2.840.113549.1.1.11", "1.2.840.10045.2.1"] {
        refused_unsigned(
            |parts| {
                parts.change_signer(|signer| {
                    signer.signature_algorithm.oid = ObjectIdentifier::new_unwrap(oid);
                });
            },
            &VerifyError::Algorithm,
        );
    }
    refused_unsigned(
        |parts| {
            parts.change_signer(|signer| {
                signer.signature_algorithm.parameters = Some(Any::null());
            });
        },
        &VerifyError::Algorithm,
    );
}

#[test]
fn rejects_a_signature_of_another_key() {
    let authority = Authority::p256();
    let other = LocalSigner::generate(crypto::KeyType::EcdsaP256, "other").unwrap();
    let response = Parts::of(&authority.answer(&request())).sign(&other);
    refused(&authority, &response, &VerifyError::Signature(crypto::SignatureError::Mismatch));
}

#[test]
fn rejects_a_critical_extension_and_accepts_another() {
    let extension = |critical| Extension {
        extn_id: ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.3"),
        critical,
        extn_value: OctetString::new([0x30, 0]).unwrap(),
    };
    refused_signed(
        |parts| parts.tst_info.extensions = Some(vec![extension(true)]),
        &VerifyError::Malformed(MalformedResponse::CriticalExtension),
    );
    let authority = Authority::p256();
    let mut parts = Parts::of(&authority.answer(&request()));
    parts.tst_info.extensions = Some(vec![extension(false)]);
    parts.tst_info.ordering = true;
    parts.tst_info.accuracy.as_mut().unwrap().millis = Some(500);
    let response = parts.sign(&authority.signer);
    verify_response(&response, &imprint(), &authority.chain).unwrap();
}

#[test]
fn rejects_a_token_that_names_another_authority() {
    let mut plan = Plan::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    plan.leaf.distinguished_name.push(rcgen::DnType::CommonName, "Another");
    let other = Parts::of(&plan.build().answer(&request())).tst_info.tsa;
    refused_signed(|parts| parts.tst_info.tsa = other, &VerifyError::TsaName);
}

#[test]
fn rejects_another_version_of_the_token_and_of_its_wrapping() {
    let version = VerifyError::Malformed(MalformedResponse::ContentType);
    refused_signed(|parts| parts.tst_info.version = 2, &version);
    refused_unsigned(
        |parts| parts.signed_data.version = cms::content_info::CmsVersion::V1,
        &version,
    );
    refused_unsigned(
        |parts| parts.change_signer(|signer| signer.version = cms::content_info::CmsVersion::V3),
        &VerifyError::Malformed(MalformedResponse::Signer),
    );
}

#[test]
fn rejects_a_weak_imprint_algorithm() {
    refused_signed(
        |parts| {
            let imprint = &mut parts.tst_info.message_imprint;
            imprint.hash_algorithm.oid = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
            imprint.hashed_message = OctetString::new([0; 20]).unwrap();
        },
        &VerifyError::Malformed(MalformedResponse::HashAlgorithm),
    );
}

#[test]
fn rejects_a_negative_nonce_never_and_a_status_with_text_always() {
    let authority = Authority::p256();
    let mut parts = Parts::of(&authority.answer(&request()));
    parts.tst_info.nonce = Some(Int::new(&[0x80]).unwrap());
    let response = parts.sign(&authority.signer);
    let verified = verify_response(&response, &imprint(), &authority.chain).unwrap();
    assert_eq!(verified.nonce, Some(vec![0x80]));

    let status = &[0x30, 8, 2, 1, 0, 0x30, 3, 0x0C, 1, b'x'][..];
    let token = &response[4 + 5..];
    let content = [status, token].concat();
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    let with_text = [&[0x30, 0x82], &len[..], &content].concat();
    refused(&authority, &with_text, &VerifyError::Malformed(MalformedResponse::Status));
}

#[test]
fn rejects_unsorted_signed_attributes() {
    let authority = Authority::p256();
    let response = authority.answer(&TimestampRequest::new(imprint()));
    // contentType, 28 bytes, and messageDigest, 49 bytes, change places.
    let at = find(&response, &[0x30, 0x1A, 0x06, 0x09]);
    let mut unsorted = response.clone();
    unsorted[at..at + 77].rotate_left(28);
    refused(&authority, &unsorted, &VerifyError::Malformed(MalformedResponse::UnsortedAttributes));
}

fn find(haystack: &[u8], needle: &[u8]) -> usize {
    haystack.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn rejects_every_change_of_one_byte() {
    let authority = Authority::p256();
    let response = authority.answer(&request());
    for position in 0..response.len() {
        for change in [0x01, 0x80, 0xFF] {
            let mut changed = response.clone();
            changed[position] ^= change;
            let result = verify_response(&changed, &imprint(), &authority.chain);
            assert!(result.is_err(), "byte {position} ^ {change:02x} went unseen");
        }
    }
}

#[test]
fn rejects_truncated_and_extended_responses() {
    let authority = Authority::p256();
    let mut response = authority.answer(&request());
    for len in 0..response.len() {
        assert!(verify_response(&response[..len], &imprint(), &authority.chain).is_err());
    }
    response.push(0);
    refused(&authority, &response, &VerifyError::Malformed(MalformedResponse::Der));
    let long = vec![0x30; 64 * 1024 + 1];
    refused(&authority, &long, &VerifyError::Malformed(MalformedResponse::TooLong));
}

proptest! {
    #[test]
    fn never_panics_on_arbitrary_bytes(der in proptest::collection::vec(any::<u8>(), 0..400)) {
        let none: [&[u8]; 0] = [];
        prop_assert!(verify_response(&der, &imprint(), &none).is_err());
    }

    #[test]
    fn never_panics_on_arbitrary_certificates(der in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(tsp::TsaChain::from_ders(&[der]).is_err());
    }
}

// OpenSSL and Go believe the digest algorithm, Java the signature's own name: no token may mean both.
#[test]
fn rejects_a_signature_algorithm_with_another_hash_than_the_digest() {
    for oid in ["1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"] {
        let authority = Authority::p256();
        let mut parts = Parts::of(&authority.answer(&request()));
        parts.change_signer(|signer| {
            signer.signature_algorithm.oid = ObjectIdentifier::new_unwrap(oid);
        });
        refused(&authority, &parts.to_der(), &VerifyError::Algorithm);
    }
}
