//! Timestamp requests at the authority, and its answers at a client.

use std::sync::{Arc, LazyLock};

use crypto::{HashAlgorithm, Signer, Unsigned};
use moment::UnixSeconds;
use tsp::{
    MessageImprint, Nonce, PolicyOid, SerialNumber, TimestampRequest, TokenProfile, TsaChain,
    VerifiedTimestamp, VerifyError, rejection, verify_response, verify_response_by,
};
use wire::bundle::Bundle;

use crate::{
    case::Case,
    certificates::{NOW, ROOT},
    der,
    input::{Input, joined},
    keys::{ED25519, P256},
    vectors,
};

pub(crate) const CASES: &[Case] = &[
    Case { run: request, seeds: || requests().iter().map(TimestampRequest::to_der).collect() },
    Case { run: response, seeds: responses },
    Case { run: changed_response, seeds: || vec![vec![0, 0, 3, 0], vec![1, 0, 60, 1, 0]] },
    Case { run: chain, seeds: || vec![joined(&*CHAIN)] },
    Case { run: policy, seeds: || vec![b"1.3.6.1.4.1.57264.2".to_vec()] },
    Case { run: nonce, seeds: || vec![vec![0, 0x80, 1]] },
];

const MESSAGE: &[u8] = b"message";

const SERIAL: SerialNumber = SerialNumber::from_random([7; 20]);

/// Leaf first; the same bytes in every run.
static CHAIN: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| [der::timestamping(&ED25519, P256.public_key()), ROOT.clone()]);

static PROFILE: LazyLock<Arc<TokenProfile>> = LazyLock::new(|| {
    let chain = TsaChain::from_ders(&*CHAIN).unwrap();
    Arc::new(TokenProfile::new(&chain).unwrap())
});

/// The answers to [`requests`], signed anew in every run.
static RESPONSES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| requests().iter().map(|request| answer(request, NOW)).collect());

fn requests() -> [TimestampRequest; 2] {
    let plain = TimestampRequest::new(MessageImprint::of_message(HashAlgorithm::Sha256, MESSAGE));
    let nonce = Nonce::from_unsigned(&[0x80; 16]).unwrap();
    let full = plain.clone().with_nonce(nonce).with_certificates(true);
    [plain, full.with_policy(PolicyOid::SIGSTORE)]
}

fn answer(request: &TimestampRequest, gen_time: UnixSeconds) -> Vec<u8> {
    let policy = request.policy().copied().unwrap_or(PolicyOid::SIGSTORE);
    let unsigned = PROFILE.prepare(request, &policy, gen_time, SERIAL).unwrap();
    let signature = P256.sign_now(unsigned.bytes_to_sign()).unwrap();
    unsigned.with_signature(&signature, P256.public_key()).unwrap().into_der()
}

/// A request that reads is written the same, and gets a token that its client accepts.
fn request(der: &[u8]) {
    match TimestampRequest::from_der(der) {
        Ok(request) => {
            assert_eq!(request.to_der(), der);
            // Another time than that of the responses, so that no token of this kind passes there.
            let response = answer(&request, UnixSeconds(NOW.0 - 1));
            let stamp = verify_response(&response, request.imprint(), &*CHAIN).unwrap();
            assert_eq!((stamp.answers(&request), stamp.gen_time), (Ok(()), UnixSeconds(NOW.0 - 1)));
        }
        Err(error) => {
            let refusal = rejection(error.fail_info(), &error.to_string());
            let imprint = MessageImprint::of_message(HashAlgorithm::Sha256, MESSAGE);
            let verified = verify_response(&refusal, &imprint, &*CHAIN);
            assert!(matches!(verified, Err(VerifyError::Refused(_))));
        }
    }
}

/// Nothing but what the authority has signed is a timestamp.
fn response(der: &[u8]) {
    let imprint = MessageImprint::of_message(HashAlgorithm::Sha256, MESSAGE);
    let verified = verify_response(der, &imprint, &*CHAIN);
    if let Ok(stamp) = &verified {
        check(stamp);
    }
    // Told the message it finds the same, except where another hash was stamped.
    let over = verified_over_message(der);
    assert!(over == verified || verified == Err(VerifyError::Imprint));
}

fn check(stamp: &VerifiedTimestamp) {
    assert_eq!((stamp.gen_time, stamp.policy), (NOW, PolicyOid::SIGSTORE));
    assert_eq!(stamp.serial_number, SERIAL.as_bytes());
    let nonces = requests().map(|request| request.nonce().map(|nonce| nonce.as_bytes().to_vec()));
    assert!(nonces.contains(&stamp.nonce));
}

/// No byte of a good answer can be changed, cut out or put in unseen.
fn changed_response(input: &[u8]) {
    let mut input = Input(input);
    let which = usize::from(input.byte()) % RESPONSES.len();
    let mut response = RESPONSES[which].clone();
    let start = usize::from(u16::from_be_bytes(input.array())).min(response.len());
    let end = (start + usize::from(input.byte())).min(response.len());
    response.splice(start..end, input.0.iter().copied());
    let verified = verified_over_message(&response);
    assert_eq!(verified.is_ok(), response == RESPONSES[which], "accepts {response:02x?}");
}

fn responses() -> Vec<Vec<u8>> {
    let bundles = vectors::bundles();
    let read = bundles.iter().filter_map(|json| Bundle::from_json(json).ok());
    let stamps = read.filter_map(|bundle| bundle.verification_material.timestamp_verification_data);
    let stamps = stamps.flat_map(|stamps| stamps.rfc3161_timestamps);
    RESPONSES.iter().cloned().chain(stamps.map(|stamp| stamp.signed_timestamp.0)).collect()
}

fn chain(input: &[u8]) {
    let mut input = Input(input);
    let mut certificates = Vec::new();
    while !input.is_empty() {
        certificates.push(input.bytes());
    }
    if let Ok(chain) = TsaChain::from_ders(&certificates) {
        assert!(chain.ders().eq(certificates.iter().copied()));
        let _ = (TokenProfile::new(&chain), chain.validity());
    }
}

fn policy(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(policy) = text.parse::<PolicyOid>()
    {
        assert_eq!(policy.to_string().parse(), Ok(policy));
        let [request, _] = requests();
        let request = request.with_policy(policy);
        assert_eq!(TimestampRequest::from_der(&request.to_der()), Ok(request));
    }
}

fn nonce(bytes: &[u8]) {
    if let Ok(nonce) = Nonce::from_unsigned(bytes) {
        let [request, _] = requests();
        let request = request.with_nonce(nonce);
        assert_eq!(TimestampRequest::from_der(&request.to_der()), Ok(request));
    }
}

fn verified_over_message(der: &[u8]) -> Result<VerifiedTimestamp, VerifyError> {
    let chain = TsaChain::from_ders(&*CHAIN).map_err(VerifyError::Chain)?;
    verify_response_by(der, MESSAGE, &chain)
}
