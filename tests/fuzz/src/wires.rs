//! The JSON of every API and file: what reads is written so that it reads the same.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use wire::{
    Base64, Timestamp, bundle, bundle::Bundle, ct, fulcio, rekor1, rekor2, rpc, timestamp, trust,
};

use crate::{case::Case, vectors};

pub(crate) const CASES: &[Case] = &[
    Case { run: bundle, seeds: vectors::bundles },
    Case { run: same_again::<bundle::TransparencyLogEntry>, seeds: Vec::new },
    Case { run: same_again::<fulcio::SigningCertRequest>, seeds: signing_cert_requests },
    Case { run: same_again::<fulcio::SigningCertResponse>, seeds: signing_cert_responses },
    Case { run: same_again::<fulcio::TrustBundle>, seeds: Vec::new },
    Case { run: same_again::<fulcio::Configuration>, seeds: Vec::new },
    Case { run: same_again::<rekor1::EntryResponse>, seeds: rekor1_answers },
    Case { run: same_again::<rekor1::LogInfo>, seeds: log_infos },
    Case { run: same_again::<rekor1::ConsistencyProof>, seeds: Vec::new },
    Case { run: same_again::<rekor1::SearchIndex>, seeds: search_indexes },
    Case { run: same_again::<rekor1::Error>, seeds: Vec::new },
    Case { run: log_query, seeds: log_queries },
    Case { run: same_again::<rekor2::CreateEntryRequest>, seeds: create_entry_requests },
    Case { run: same_again::<trust::TrustedRoot>, seeds: || vectors::folder("trusted-roots") },
    Case { run: same_again::<trust::SigningConfig>, seeds: || vectors::folder("signing-config") },
    Case { run: same_again::<trust::ClientTrustConfig>, seeds: || vectors::folder("tsa") },
    Case { run: same_again::<ct::AddChainRequest>, seeds: || texts(&[r#"{"chain":["MAA="]}"#]) },
    Case { run: same_again::<ct::AddChainResponse>, seeds: add_chain_responses },
    Case { run: same_again::<ct::GetSthResponse>, seeds: Vec::new },
    Case { run: same_again::<ct::GetEntriesResponse>, seeds: Vec::new },
    Case { run: same_again::<timestamp::JsonRequest>, seeds: json_requests },
    Case { run: same_again::<rpc::Status>, seeds: statuses },
    Case { run: base64, seeds: || texts(&["AAEC", "AA==", "-_8", "+/8="]) },
    Case { run: time, seeds: || texts(&["2026-01-02T03:04:05.678Z", "1999-12-31T23:59:60+14:00"]) },
];

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The writer's spelling reads as the same value, and is the only one that it writes.
fn same_again<T: DeserializeOwned + Serialize + PartialEq + Debug>(json: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(json) else { return };
    let written = serde_json::to_string(&value).unwrap();
    let again: T = serde_json::from_str(&written).unwrap();
    assert_eq!(again, value);
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
}

fn bundle(json: &[u8]) {
    let Ok(bundle) = Bundle::from_json(json) else { return };
    assert_eq!(Bundle::from_json(bundle.to_json().as_bytes()).unwrap(), bundle);
    same_again::<Bundle>(json);
}

/// Proposed entries have no equality but that of their text.
fn log_query(json: &[u8]) {
    let Ok(query) = serde_json::from_slice::<rekor1::SearchLogQuery>(json) else { return };
    let written = serde_json::to_string(&query).unwrap();
    let again: rekor1::SearchLogQuery = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
}

fn base64(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(bytes) = Base64::decode(text) else { return };
    assert_eq!(Base64::decode(&bytes.encode()).unwrap(), bytes);
    // Alphabet, padding and line ends are free; nothing else is.
    let standard = text.replace(['\r', '\n'], "").replace('-', "+").replace('_', "/");
    let standard = standard.trim_end_matches('=');
    assert_eq!(bytes.encode().trim_end_matches('='), standard);
}

fn time(text: &[u8]) {
    if let Ok(text) = std::str::from_utf8(text)
        && let Some(time) = Timestamp::parse(text)
    {
        assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        if let Ok(seconds) = u64::try_from(time.unix_seconds()) {
            let whole = Timestamp::from_unix_seconds(seconds).unwrap();
            assert_eq!(whole.unix_seconds(), time.unix_seconds());
        }
    }
}

fn signing_cert_requests() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"credentials":{"oidcIdentityToken":"a.b.c"},"publicKeyRequest":{"publicKey":
            {"algorithm":"ECDSA","content":"PEM"},"proofOfPossession":"AAEC"}}"#,
        r#"{"credentials":{"oidc_identity_token":null},"certificate_signing_request":"AAEC"}"#,
    ])
}

fn signing_cert_responses() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":["PEM","PEM"]}}}"#,
        r#"{"signed_certificate_detached_sct":{"chain":null,"signed_certificate_timestamp":""}}"#,
    ])
}

fn rekor1_answers() -> Vec<Vec<u8>> {
    texts(&[r#"{"00":{"body":"e30=","integratedTime":1,"logID":"00","logIndex":1,"verification":
            {"inclusionProof":{"checkpoint":"c","hashes":["00"],"logIndex":1,"rootHash":"00",
            "treeSize":2},"signedEntryTimestamp":"AAEC"}}}"#])
}

fn log_infos() -> Vec<Vec<u8>> {
    texts(&[r#"{"rootHash":"00","treeSize":1,"signedTreeHead":"c","treeID":"1","inactiveShards":
            [{"rootHash":"00","treeSize":1,"signedTreeHead":"c","treeID":"2"}]}"#])
}

fn search_indexes() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"email":"a@b","subject":"s","publicKey":{"format":"x509","content":"AAEC","url":"u"},
            "hash":"00","operator":"or"}"#,
    ])
}

fn log_queries() -> Vec<Vec<u8>> {
    texts(&[r#"{"entryUUIDs":["00"],"logIndexes":[1],"entries":[{"kind":"dsse"}]}"#])
}

fn create_entry_requests() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"hashedRekordRequestV002":{"digest":"AAEC","signature":{"content":"AAEC","verifier":
            {"publicKey":{"rawBytes":"AAEC"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}"#,
        r#"{"dsse_request_v002":{"envelope":{"payload":"AAEC","payloadType":"t","signatures":
            [{"sig":"AAEC","keyid":""}]},"verifiers":[{"x509Certificate":{"rawBytes":"AAEC"},
            "keyDetails":5}]}}"#,
    ])
}

fn add_chain_responses() -> Vec<Vec<u8>> {
    texts(&[r#"{"sct_version":0,"id":"AAEC","timestamp":1,"extensions":"","signature":"BAMA"}"#])
}

fn json_requests() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"artifactHash":"AAEC","hashAlgorithm":"sha256","certificates":true,
            "nonce":340282366920938463463374607431768211456,"tsaPolicyOID":"1.2.3"}"#,
        r#"{"artifactHash":null,"nonce":0}"#,
    ])
}

fn statuses() -> Vec<Vec<u8>> {
    texts(&[r#"{"code":3,"message":"no","details":[]}"#])
}
