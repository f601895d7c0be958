use crypto::HashAlgorithm;
use proptest::prelude::*;
use tsp::{
    FailInfo, ImprintError, MessageImprint, Nonce, NonceError, PolicyError, PolicyOid,
    RequestError, TimestampRequest,
};

use crate::support::imprint;

/// DER of one element, however long, for requests that our own writer cannot make.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut der = vec![tag];
    match content.len() {
        len @ 0..=0x7F => der.push(u8::try_from(len).unwrap()),
        len => {
            der.push(0x82);
            der.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    der.extend(content);
    der
}

const VERSION: &[u8] = &[2, 1, 1];
const SHA256: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA1: &[u8] = &[0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A];
const NULL: &[u8] = &[5, 0];

fn imprint_of(algorithm: &[u8], digest_len: usize) -> Vec<u8> {
    let digest = vec![0xAB; digest_len];
    element(0x30, &[&element(0x30, &[algorithm]), &element(0x04, &[&digest])])
}

fn good_imprint() -> Vec<u8> {
    imprint_of(SHA256, 32)
}

#[track_caller]
fn refused(parts: &[&[u8]], expected: &RequestError, fail_info: FailInfo) {
    let error = TimestampRequest::from_der(&element(0x30, parts)).unwrap_err();
    assert_eq!(&error, expected);
    assert_eq!(error.fail_info(), fail_info);
}

#[track_caller]
fn malformed(der: &[u8]) {
    let error = TimestampRequest::from_der(der).unwrap_err();
    assert_eq!(error, RequestError::Malformed, "{der:02x?}");
    assert_eq!(error.fail_info(), FailInfo::BadDataFormat);
}

#[test]
fn reads_a_request_with_nothing_optional() {
    let der = element(0x30, &[VERSION, &good_imprint()]);
    let request = TimestampRequest::from_der(&der).unwrap();
    assert_eq!(request.imprint().algorithm(), HashAlgorithm::Sha256);
    assert_eq!(request.imprint().digest(), [0xAB; 32]);
    assert_eq!((request.policy(), request.nonce(), request.certificates()), (None, None, false));
    assert_eq!(request.to_der(), der);
}

#[test]
fn reads_a_request_with_everything_optional() {
    let nonce = Nonce::from_unsigned(&[0xFF; 20]).unwrap();
    let request = TimestampRequest::new(imprint())
        .with_policy(PolicyOid::SIGSTORE)
        .with_nonce(nonce)
        .with_certificates(true);
    assert_eq!(TimestampRequest::from_der(&request.to_der()).unwrap(), request);
}

#[test]
fn keeps_the_null_parameters_of_the_imprint() {
    let with_null = imprint_of(&[SHA256, NULL].concat(), 32);
    let der = element(0x30, &[VERSION, &with_null]);
    let request = TimestampRequest::from_der(&der).unwrap();
    assert_eq!(request.to_der(), der);
    let without = TimestampRequest::from_der(&element(0x30, &[VERSION, &good_imprint()])).unwrap();
    assert_eq!(request.imprint(), without.imprint());
}

#[test]
fn keeps_a_negative_nonce() {
    let der = element(0x30, &[VERSION, &good_imprint(), &[2, 1, 0x80]]);
    let request = TimestampRequest::from_der(&der).unwrap();
    assert_eq!(request.nonce().unwrap().as_bytes(), [0x80]);
}

#[test]
fn rejects_every_version_but_1() {
    for version in [&[2, 1, 0][..], &[2, 1, 2], &[2, 2, 1, 0], &[2, 1, 0xFF]] {
        refused(&[version, &good_imprint()], &RequestError::Version, FailInfo::BadRequest);
    }
}

#[test]
fn rejects_weak_and_unknown_hash_algorithms() {
    let md5 = &[0x06, 0x08, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x05][..];
    let sha3_256 = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x08][..];
    for (algorithm, len) in [(SHA1, 20), (md5, 16), (sha3_256, 32)] {
        let error = RequestError::Imprint(ImprintError::Algorithm);
        refused(&[VERSION, &imprint_of(algorithm, len)], &error, FailInfo::BadAlg);
    }
}

#[test]
fn rejects_a_digest_of_another_length_than_its_algorithm() {
    for found in [0, 31, 33, 48, 64] {
        let error = ImprintError::DigestLength { expected: 32, found };
        let imprint = imprint_of(SHA256, found);
        refused(&[VERSION, &imprint], &error.into(), FailInfo::BadDataFormat);
    }
}

#[test]
fn rejects_hash_parameters_other_than_null() {
    let malformed = RequestError::Imprint(ImprintError::Malformed);
    for parameters in [&[5, 1, 0][..], &[2, 1, 0], &[5, 0, 5, 0]] {
        let imprint = imprint_of(&[SHA256, parameters].concat(), 32);
        refused(&[VERSION, &imprint], &malformed, FailInfo::BadDataFormat);
    }
}

#[test]
fn rejects_a_nonce_that_is_too_long_or_not_minimal() {
    let long = element(2, &[&[1; 65]]);
    let error = RequestError::Nonce(NonceError::TooLong);
    refused(&[VERSION, &good_imprint(), &long], &error, FailInfo::BadRequest);
    let error = RequestError::Nonce(NonceError::NotMinimal);
    refused(&[VERSION, &good_imprint(), &[2, 2, 0, 1]], &error, FailInfo::BadDataFormat);
    refused(&[VERSION, &good_imprint(), &[2, 0]], &error, FailInfo::BadDataFormat);
}

#[test]
fn rejects_a_policy_that_is_too_long_or_no_identifier() {
    let long = element(6, &[&[0x2A; 4000]]);
    let error = RequestError::Policy(PolicyError::TooLong);
    refused(&[VERSION, &good_imprint(), &long], &error, FailInfo::UnacceptedPolicy);
    let error = RequestError::Policy(PolicyError::Malformed);
    refused(&[VERSION, &good_imprint(), &[6, 2, 0x2A, 0x80]], &error, FailInfo::BadDataFormat);
    refused(&[VERSION, &good_imprint(), &[6, 0]], &error, FailInfo::BadDataFormat);
}

#[test]
fn rejects_extensions_critical_or_not() {
    let oid = &[0x06, 0x03, 0x2A, 0x03, 0x04][..];
    let value = &[0x04, 0x02, 0x05, 0x00][..];
    for critical in [&[][..], &[1, 1, 0xFF]] {
        let extensions = element(0xA0, &[&element(0x30, &[oid, critical, value])]);
        let parts = [VERSION, &good_imprint(), &extensions];
        refused(&parts, &RequestError::Extensions, FailInfo::UnacceptedExtension);
    }
}

#[test]
fn rejects_ber_trailing_bytes_and_wrong_order() {
    let imprint = good_imprint();
    let good = element(0x30, &[VERSION, &imprint]);
    malformed(&[]);
    malformed(&good[..good.len() - 1]);
    malformed(&[&good[..], &[0]].concat());
    malformed(&element(0x30, &[VERSION, &imprint, &[4, 0]]));
    malformed(&element(0x31, &[VERSION, &imprint]));
    malformed(&element(0x30, &[&imprint, VERSION]));
    malformed(&element(0x30, &[VERSION]));
    // An explicit FALSE, other values of TRUE, certReq before nonce, version with a long form.
    malformed(&element(0x30, &[VERSION, &imprint, &[1, 1, 0]]));
    malformed(&element(0x30, &[VERSION, &imprint, &[1, 1, 1]]));
    malformed(&element(0x30, &[VERSION, &imprint, &[1, 0]]));
    malformed(&element(0x30, &[VERSION, &imprint, &[1, 1, 0xFF], &[2, 1, 5]]));
    malformed(&element(0x30, &[&[2, 2, 0, 1], &imprint]));
    malformed(&element(0x30, &[&[2, 0x81, 1, 1], &imprint]));
    // Indefinite length.
    malformed(&[&[0x30, 0x80], VERSION, &imprint, &[0, 0]].concat());
    // A length of more octets than needed.
    malformed(&[&[0x30, 0x81, u8::try_from(good.len() - 2).unwrap()], &good[2..]].concat());
}

proptest! {
    #[test]
    fn never_panics_on_arbitrary_bytes(der in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = TimestampRequest::from_der(&der);
    }

    #[test]
    fn never_panics_on_a_damaged_request(position: prop::sample::Index, byte: u8, cut: bool) {
        let mut der = TimestampRequest::new(imprint())
            .with_policy(PolicyOid::SIGSTORE)
            .with_nonce(Nonce::from_unsigned(&[9; 8]).unwrap())
            .with_certificates(true)
            .to_der();
        let position = position.index(der.len());
        if cut { der.truncate(position) } else { der[position] = byte }
        if let Ok(request) = TimestampRequest::from_der(&der) {
            prop_assert_eq!(request.to_der(), der);
        }
    }

    #[test]
    fn reads_back_what_it_wrote(
        message: Vec<u8>,
        nonce in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..63)),
        with_policy: bool,
        certificates: bool,
        algorithm in prop::sample::select(vec![
            HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512,
        ]),
    ) {
        let imprint = MessageImprint::of_message(algorithm, &message);
        let mut request = TimestampRequest::new(imprint).with_certificates(certificates);
        if let Some(nonce) = nonce {
            request = request.with_nonce(Nonce::from_unsigned(&nonce).unwrap());
        }
        if with_policy {
            request = request.with_policy("1.2.3.4".parse().unwrap());
        }
        prop_assert_eq!(TimestampRequest::from_der(&request.to_der()).unwrap(), request);
    }
}
