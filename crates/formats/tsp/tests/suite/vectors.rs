//! Timestamps in real bundles, from authorities of others.

use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use crypto::HashAlgorithm;
use serde_json::Value;
use tsp::VerifyError;

use crate::support::verify_response_over;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn chain_of(authority: &Value) -> Vec<Vec<u8>> {
    let certificates = authority["certChain"]["certificates"].as_array().unwrap();
    certificates.iter().map(|certificate| bytes(&certificate["rawBytes"])).collect()
}

fn chains(path: &Path) -> Vec<Vec<Vec<u8>>> {
    let file = json(path);
    if file.get("certChain").is_some() {
        return vec![chain_of(&file)];
    }
    let root = file.get("trustedRoot").unwrap_or(&file);
    root["timestampAuthorities"].as_array().unwrap().iter().map(chain_of).collect()
}

struct Stamped {
    signature: Vec<u8>,
    timestamps: Vec<Vec<u8>>,
}

fn stamped(path: &Path) -> Stamped {
    let bundle = json(path);
    let signature = bundle["messageSignature"].get("signature");
    let signature = signature.unwrap_or(&bundle["dsseEnvelope"]["signatures"][0]["sig"]);
    let material = &bundle["verificationMaterial"]["timestampVerificationData"];
    let timestamps = material["rfc3161Timestamps"].as_array().unwrap();
    Stamped {
        signature: bytes(signature),
        timestamps: timestamps.iter().map(|stamp| bytes(&stamp["signedTimestamp"])).collect(),
    }
}

/// Bundle, trust file, and Unix time of its first timestamp as `openssl ts -reply -text` shows it.
const ACCEPTED: [(&str, &str, u64); 5] = [
    ("bundles/python/bundle.txt.sigstore", "tsa/ca.json", 1_730_370_219),
    (
        "bundles/python/staging-rekor-v2.txt.sigstore.json",
        "trusted-roots/staging.json",
        1_749_470_258,
    ),
    (
        "bundles/python/a.dsse.staging-rekor-v2.txt.sigstore.json",
        "trusted-roots/staging.json",
        1_778_700_213,
    ),
    (
        "bundles/python/bundle.txt.late_timestamp.sigstore",
        "trusted-roots/staging.json",
        1_747_076_427,
    ),
    (
        "bundles/go/public-key-validity.sigstore.json",
        "trusted-roots/go-public-key-validity.json",
        1_780_595_009,
    ),
];

#[test]
fn verifies_tokens_of_other_authorities() {
    for (bundle, trust, gen_time) in ACCEPTED {
        let stamped = stamped(&vectors::path(bundle));
        let chain = &chains(&vectors::path(trust))[0];
        let verified = verify_response_over(&stamped.timestamps[0], &stamped.signature, chain);
        assert_eq!(verified.unwrap().gen_time.0, gen_time, "{bundle}");
    }
}

#[test]
fn verifies_tokens_with_sha512_in_imprint_and_certificate_id() {
    let stamped = stamped(&vectors::path("bundles/python/bundle.duplicate.sigstore"));
    let chain = &chains(&vectors::path("tsa/ca.json"))[0];
    assert_eq!(stamped.timestamps.len(), 3);
    for timestamp in &stamped.timestamps {
        // The bundle is broken on purpose: its timestamps are of this word, not of its signature.
        let verified = verify_response_over(timestamp, b"hello", chain).unwrap();
        assert_eq!(verified.gen_time.0, 1_730_381_504);
        assert_eq!(verified.imprint.algorithm(), HashAlgorithm::Sha512);
        assert_eq!(
            verify_response_over(timestamp, &stamped.signature, chain),
            Err(VerifyError::Imprint)
        );
    }
}

#[test]
fn rejects_them_under_every_other_authority() {
    for (bundle, trust, _) in ACCEPTED {
        let stamped = stamped(&vectors::path(bundle));
        for (_, other, _) in ACCEPTED.iter().filter(|(_, other, _)| *other != trust) {
            let chain = &chains(&vectors::path(other))[0];
            assert_eq!(
                verify_response_over(&stamped.timestamps[0], &stamped.signature, chain),
                Err(VerifyError::UntrustedSigner),
                "{bundle} under {other}"
            );
        }
    }
}

#[test]
fn rejects_every_change_of_one_byte_in_them() {
    for (bundle, trust, _) in ACCEPTED {
        let stamped = stamped(&vectors::path(bundle));
        let chain = &chains(&vectors::path(trust))[0];
        for position in 0..stamped.timestamps[0].len() {
            let mut changed = stamped.timestamps[0].clone();
            changed[position] ^= 0x01;
            let result = verify_response_over(&changed, &stamped.signature, chain);
            assert!(result.is_err(), "{bundle}: byte {position} went unseen");
        }
    }
}

#[test]
fn reads_the_chains_of_all_trusted_roots() {
    for name in [
        "tsa/ca.json",
        "tsa/trust_config.json",
        "trusted-roots/public-good.json",
        "trusted-roots/staging.json",
        "trusted-roots/python-trustedroot.v1.json",
        "trusted-roots/go-public-key-validity.json",
    ] {
        for chain in chains(&vectors::path(name)) {
            tsp::TsaChain::from_ders(&chain).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
