use crypto::{HashAlgorithm, LocalSigner, Signer, Unsigned, Unverified, sha256};
use der::{Encode, asn1::OctetString, oid::ObjectIdentifier};
use moment::UnixSeconds;
use proptest::prelude::*;
use tsp::{
    MessageImprint, Nonce, PolicyOid, SerialNumber, TimestampRequest, TokenError, TokenProfile,
    TsaChain, verify_response,
};
use x509_cert::ext::pkix::name::GeneralName;

use crate::{
    oracle::{Parts, SigningCertificateV2},
    support::{Authority, GEN_TIME, Plan, imprint},
};

#[test]
fn grants_exactly_the_safe_profile() {
    let authority = Authority::p256();
    let nonce = Nonce::from_unsigned(&[0x9B, 1, 2]).unwrap();
    let request = TimestampRequest::new(imprint()).with_nonce(nonce).with_certificates(true);
    let parts = Parts::of(&authority.answer(&request));

    let tst_info = &parts.tst_info;
    assert_eq!(tst_info.version, 1);
    assert_eq!(tst_info.policy.to_string(), "1.3.6.1.4.1.57264.2");
    assert_eq!(tst_info.gen_time.to_unix_duration(), GEN_TIME.since_epoch());
    assert_eq!(tst_info.serial_number.as_bytes().len(), 20);
    let accuracy = tst_info.accuracy.as_ref().unwrap();
    assert_eq!((accuracy.seconds, accuracy.millis, accuracy.micros), (Some(1), None, None));
    assert!(!tst_info.ordering);
    assert_eq!(tst_info.nonce.as_ref().unwrap().as_bytes(), [0, 0x9B, 1, 2]);
    assert_eq!(tst_info.message_imprint.hashed_message.as_bytes(), imprint().digest());
    assert_eq!(tst_info.message_imprint.hash_algorithm.parameters, None);
    let Some(GeneralName::DirectoryName(name)) = &tst_info.tsa else { panic!("no tsa name") };
    assert_eq!(name.to_string(), "CN=Test TSA,O=example");
    assert!(tst_info.extensions.is_none());

    let signed_data = &parts.signed_data;
    assert_eq!(signed_data.version, cms::content_info::CmsVersion::V3);
    assert_eq!(signed_data.digest_algorithms.len(), 1);
    assert!(signed_data.crls.is_none());
    assert_eq!(parts.certificates(), authority.chain[..1]);
    let signer = signed_data.signer_infos.0.get(0).unwrap();
    assert_eq!(signer.version, cms::content_info::CmsVersion::V1);
    assert!(signer.unsigned_attrs.is_none());
    assert_eq!(signer.signature_algorithm.oid.to_string(), "1.2.840.10045.4.3.2");
    assert_eq!(signer.signature_algorithm.parameters, None);
}

#[test]
fn signs_the_three_mandatory_attributes_and_no_other() {
    let authority = Authority::p256();
    let parts = Parts::of(&authority.answer(&TimestampRequest::new(imprint())));
    let signer = parts.signed_data.signer_infos.0.get(0).unwrap();
    assert_eq!(signer.signed_attrs.as_ref().unwrap().len(), 3);
    let content_type: ObjectIdentifier = parts.attribute("1.2.840.113549.1.9.3").unwrap();
    assert_eq!(content_type.to_string(), "1.2.840.113549.1.9.16.1.4");
    let message_digest: OctetString = parts.attribute("1.2.840.113549.1.9.4").unwrap();
    let tst_info = parts.tst_info.to_der().unwrap();
    assert_eq!(message_digest.as_bytes(), sha256(&tst_info));
    let certificate: SigningCertificateV2 = parts.attribute("1.2.840.113549.1.9.16.2.47").unwrap();
    assert_eq!(certificate.certs.len(), 1);
    assert_eq!(certificate.certs[0].cert_hash.as_bytes(), sha256(&authority.chain[0]));
    let signed = signer.signed_attrs.as_ref().unwrap().to_der().unwrap();
    authority.signer.public_key().verify(&signed, signer.signature.as_bytes()).unwrap();
}

#[test]
fn embeds_no_certificates_unless_asked() {
    let authority = Authority::p256();
    let response = authority.answer(&TimestampRequest::new(imprint()));
    assert!(Parts::of(&response).signed_data.certificates.is_none());
}

#[test]
fn is_the_same_encoding_as_the_cms_crate_gives() {
    for authority in [Authority::p256(), Authority::p384()] {
        for certificates in [false, true] {
            let request = TimestampRequest::new(imprint()).with_certificates(certificates);
            let response = authority.answer(&request);
            assert_eq!(Parts::of(&response).to_der(), response);
        }
    }
}

#[test]
fn repeats_the_imprint_byte_for_byte() {
    let authority = Authority::p256();
    let plain = TimestampRequest::new(imprint()).to_der();
    // The same with NULL parameters: two bytes more in three nested lengths.
    let mut with_null = plain.clone();
    for length in [1, 6, 8] {
        with_null[length] += 2;
    }
    with_null.splice(20..20, [5, 0]);
    for der in [plain, with_null] {
        let request = TimestampRequest::from_der(&der).unwrap();
        let response = authority.answer(&request);
        let imprint_der = &der[5..];
        assert!(response.windows(imprint_der.len()).any(|window| window == imprint_der));
    }
}

#[test]
fn uses_sha384_throughout_with_a_p384_key() {
    let authority = Authority::p384();
    let request = TimestampRequest::new(imprint()).with_certificates(true);
    let response = authority.answer(&request);
    let parts = Parts::of(&response);
    let signer = parts.signed_data.signer_infos.0.get(0).unwrap();
    assert_eq!(signer.signature_algorithm.oid.to_string(), "1.2.840.10045.4.3.3");
    assert_eq!(signer.digest_alg.oid.to_string(), "2.16.840.1.101.3.4.2.2");
    let digest: OctetString = parts.attribute("1.2.840.113549.1.9.4").unwrap();
    assert_eq!(digest.as_bytes().len(), 48);
    verify_response(&response, &imprint(), &authority.chain).unwrap();
}

#[test]
fn names_no_authority_when_the_leaf_has_no_subject() {
    let mut plan = Plan::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    plan.leaf.distinguished_name = rcgen::DistinguishedName::new();
    let authority = plan.build();
    let response = authority.answer(&TimestampRequest::new(imprint()));
    assert!(Parts::of(&response).tst_info.tsa.is_none());
    verify_response(&response, &imprint(), &authority.chain).unwrap();
}

#[test]
fn rejects_keys_that_some_client_cannot_verify() {
    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P521_SHA512] {
        let chain = TsaChain::from_ders(&Plan::new(algorithm).chain()).unwrap();
        assert_eq!(TokenProfile::new(&chain).unwrap_err(), TokenError::UnsupportedKey);
    }
}

#[test]
fn rejects_a_time_after_the_year_9999() {
    let authority = Authority::p256();
    let (request, serial) = (TimestampRequest::new(imprint()), SerialNumber::from_random([0; 20]));
    let prepared = authority.profile.prepare(
        &request,
        &PolicyOid::SIGSTORE,
        UnixSeconds(253_402_300_800),
        serial,
    );
    assert_eq!(prepared.unwrap_err(), TokenError::Time);
}

#[test]
fn rejects_a_signature_that_is_wrong_or_of_another_key() {
    let authority = Authority::p256();
    let other = LocalSigner::generate(crypto::KeyType::EcdsaP256, "other").unwrap();
    let unsigned = || {
        let request = TimestampRequest::new(imprint());
        let serial = SerialNumber::from_random([0; 20]);
        authority.profile.prepare(&request, &PolicyOid::SIGSTORE, GEN_TIME, serial).unwrap()
    };
    let own_key = authority.signer.public_key();
    let wrong = other.sign_now(unsigned().bytes_to_sign()).unwrap();
    assert!(matches!(unsigned().with_signature(&wrong, own_key), Err(TokenError::Signature(_))));
    assert_eq!(unsigned().with_signature(&wrong, other.public_key()), Err(TokenError::OtherKey));
    for len in [0, 129] {
        let signature = vec![0; len];
        assert_eq!(
            unsigned().unverified().with_signature(&signature, own_key),
            Err(TokenError::SignatureLength(len))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_token_parses_with_cms_and_verifies(
        digest in proptest::array::uniform32(any::<u8>()),
        nonce in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..63)),
        serial in proptest::array::uniform20(any::<u8>()),
        gen_time in crate::support::LEAF_NOT_BEFORE.0..=crate::support::LEAF_NOT_AFTER.0,
        certificates: bool,
    ) {
        thread_local! {
            static AUTHORITY: Authority = Authority::p256();
        }
        let imprint = MessageImprint::new(HashAlgorithm::Sha256, &digest).unwrap();
        let mut request = TimestampRequest::new(imprint).with_certificates(certificates);
        if let Some(nonce) = nonce {
            request = request.with_nonce(Nonce::from_unsigned(&nonce).unwrap());
        }
        let serial = SerialNumber::from_random(serial);
        let (response, chain) = AUTHORITY.with(|authority| {
            let policy = PolicyOid::SIGSTORE;
            let token = authority.profile.prepare(&request, &policy, UnixSeconds(gen_time), serial).unwrap();
            let signature = authority.signer.sign_now(token.bytes_to_sign()).unwrap();
            let key = authority.signer.public_key();
            (token.with_signature(&signature, key).unwrap(), authority.chain.clone())
        });
        prop_assert_eq!(Parts::of(response.as_der()).to_der(), response.as_der());
        let verified = verify_response(response.as_der(), request.imprint(), &chain).unwrap();
        prop_assert_eq!(verified.gen_time.0, gen_time);
        prop_assert_eq!(&verified.serial_number, serial.as_bytes());
        verified.answers(&request).unwrap();
    }
}
