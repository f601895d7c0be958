//! The rules that hold for every message: how strict, how lenient, and no input makes a panic.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own sample has failed")]

use std::fmt::Debug;

use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use wire::{
    bundle::{Bundle, TransparencyLogEntry},
    fulcio, rekor2, rpc,
    timestamp::JsonRequest,
    trust::{ClientTrustConfig, SigningConfig, TrustedRoot},
};

fn bundle() -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": "MAA="},
            "tlogEntries": [{
                "logIndex": "7",
                "logId": {"keyId": "q6s="},
                "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
                "integratedTime": "1700000000",
                "inclusionPromise": {"signedEntryTimestamp": "zc0="},
                "inclusionProof": {
                    "logIndex": "7", "rootHash": "AAE=", "treeSize": "9", "hashes": ["Ag==", "Aw=="],
                    "checkpoint": {"envelope": "origin\n9\n"},
                },
                "canonicalizedBody": "e30=",
            }],
            "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "MAE="}]},
        },
        "dsseEnvelope": {
            "payload": "e30=", "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": "/+8=", "keyid": "k"}],
        },
    })
}

fn hashed_rekord() -> Value {
    json!({"hashedRekordRequestV002": {
        "digest": "AAEC",
        "signature": {
            "content": "MAA=",
            "verifier": {"x509Certificate": {"rawBytes": "MAA="}, "keyDetails": "PKIX_ED25519_PH"},
        },
    }})
}

fn dsse() -> Value {
    json!({"dsseRequestV002": {
        "envelope": {"payload": "e30=", "payloadType": "t", "signatures": [{"sig": "MAA="}]},
        "verifiers": [{"publicKey": {"rawBytes": "MAA="}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}],
    }})
}

fn signing_cert() -> Value {
    json!({
        "credentials": {"oidcIdentityToken": "a.b.c"},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": "PEM"}, "proofOfPossession": "MAA=",
        },
    })
}

fn trust_config() -> Value {
    let valid_for = json!({"start": "2024-01-01T00:00:00Z", "end": "2025-01-01T00:00:00.250Z"});
    let log = json!({
        "baseUrl": "http://localhost:3003", "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": "MAA=", "keyDetails": "PKIX_ED25519", "validFor": valid_for},
        "logId": {"keyId": "q6s="},
    });
    let authority = json!({
        "subject": {"organization": "o", "commonName": "c"}, "uri": "http://localhost:5555",
        "certChain": {"certificates": [{"rawBytes": "MAA="}]}, "validFor": valid_for,
    });
    let service = json!({
        "url": "http://localhost", "majorApiVersion": 1, "validFor": valid_for, "operator": "us",
    });
    json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log], "certificateAuthorities": [authority],
            "ctlogs": [log], "timestampAuthorities": [authority],
        },
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service], "oidcUrls": [service], "rekorTlogUrls": [service], "tsaUrls": [service],
            "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "EXACT", "count": 2},
        },
    })
}

#[test]
fn messages_are_written_as_they_were_read() {
    same_text::<Bundle>(&bundle());
    same_text::<rekor2::CreateEntryRequest>(&hashed_rekord());
    same_text::<rekor2::CreateEntryRequest>(&dsse());
    same_text::<fulcio::SigningCertRequest>(&signing_cert());
    same_text::<ClientTrustConfig>(&trust_config());
}

fn same_text<T: DeserializeOwned + Serialize>(sample: &Value) {
    let message: T = serde_json::from_value(sample.clone()).unwrap();
    assert_eq!(serde_json::to_value(&message).unwrap(), *sample);
}

#[test]
fn bundle_members_come_in_the_order_of_upstream() {
    let text = serde_json::from_value::<Bundle>(bundle()).unwrap().to_json();
    let places =
        ["mediaType", "certificate", "tlogEntries", "timestampVerification", "dsseEnvelope"]
            .map(|name| text.find(name).unwrap());
    assert!(places.is_sorted(), "{text}");
    assert!(text.find("logIndex") < text.find("canonicalizedBody"));
}

#[test]
fn snake_case_members_are_read_like_camel_case() {
    same_in_snake_case::<Bundle>(&bundle());
    same_in_snake_case::<rekor2::CreateEntryRequest>(&hashed_rekord());
    same_in_snake_case::<rekor2::CreateEntryRequest>(&dsse());
    same_in_snake_case::<fulcio::SigningCertRequest>(&signing_cert());
    same_in_snake_case::<ClientTrustConfig>(&trust_config());
}

fn same_in_snake_case<T: DeserializeOwned + PartialEq + Debug>(sample: &Value) {
    let snake: T = serde_json::from_value(renamed(sample)).unwrap();
    assert_eq!(snake, serde_json::from_value::<T>(sample.clone()).unwrap());
}

fn renamed(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, member)| (snake_case(name), renamed(member))).collect()
        }
        Value::Array(elements) => elements.iter().map(renamed).collect(),
        other => other.clone(),
    }
}

fn snake_case(name: &str) -> String {
    // protoc's spelling of the one name with a digit after a capital.
    let name = name.replace("V002", "_v002");
    name.chars().fold(String::new(), |mut all, c| {
        if c.is_ascii_uppercase() {
            all.push('_');
        }
        all.push(c.to_ascii_lowercase());
        all
    })
}

#[test]
fn bundle_and_rekor_request_refuse_an_unknown_member_at_any_depth() {
    every_object(&bundle(), |changed| {
        serde_json::from_value::<Bundle>(changed).unwrap_err();
    });
    for sample in [hashed_rekord(), dsse()] {
        every_object(&sample, |changed| {
            serde_json::from_value::<rekor2::CreateEntryRequest>(changed).unwrap_err();
        });
    }
}

#[test]
fn files_and_fulcio_requests_ignore_an_unknown_member_at_any_depth() {
    let config: ClientTrustConfig = serde_json::from_value(trust_config()).unwrap();
    every_object(&trust_config(), |changed| {
        assert_eq!(serde_json::from_value::<ClientTrustConfig>(changed).unwrap(), config);
    });
    let request: fulcio::SigningCertRequest = serde_json::from_value(signing_cert()).unwrap();
    every_object(&signing_cert(), |changed| {
        assert_eq!(serde_json::from_value::<fulcio::SigningCertRequest>(changed).unwrap(), request);
    });
}

/// Calls `check` with the sample once for each object in it, to which an unknown member is added.
fn every_object(sample: &Value, check: impl Fn(Value)) {
    let mut count = 0;
    every_place(sample, &mut |pointer, value| {
        if value.is_object() {
            let mut changed = sample.clone();
            let members = changed.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
            members.insert("somethingNew".to_owned(), json!({"deep": [1]}));
            check(changed);
            count += 1;
        }
    });
    assert!(count > 2);
}

/// Calls `visit` with the JSON pointer of every value.
fn every_place(sample: &Value, visit: &mut impl FnMut(&str, &Value)) {
    let mut open = vec![(String::new(), sample)];
    while let Some((pointer, value)) = open.pop() {
        visit(&pointer, value);
        match value {
            Value::Object(members) => {
                open.extend(members.iter().map(|(name, v)| (format!("{pointer}/{name}"), v)));
            }
            Value::Array(elements) => {
                open.extend(
                    elements.iter().enumerate().map(|(i, v)| (format!("{pointer}/{i}"), v)),
                );
            }
            _ => {}
        }
    }
}

#[test]
fn member_given_twice_is_refused_also_in_two_spellings() {
    let text = bundle().to_string();
    let twice = [
        text.replacen("\"treeSize\"", "\"treeSize\":\"8\",\"treeSize\"", 1),
        text.replacen("\"treeSize\"", "\"tree_size\":\"8\",\"treeSize\"", 1),
        text.replacen("\"payload\"", "\"payload\":\"\",\"payload\"", 1),
        text.replacen("\"dsseEnvelope\"", "\"dsse_envelope\":null,\"dsseEnvelope\"", 1),
    ];
    for text in twice {
        let error = Bundle::from_json(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("duplicate field"), "{error}");
    }
}

#[test]
fn member_given_twice_is_refused_also_where_it_is_unknown_or_ignored() {
    let media_type = r#""mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1""#;
    let read = |rest: &str| wire::json::from_str::<TrustedRoot>(&format!("{{{media_type}{rest}}}"));
    read(r#","newer":{"a":1}"#).unwrap();
    for twice in [
        r#","newer":1,"newer":2"#,
        r#","newer":{"a":1,"a":1}"#,
        r#","tlogs":[{"newer":[{"a":1,"a":1}]}]"#,
        // An enum of unknown names is read by way of a map, which would take the last.
        r#","tlogs":[{"hashAlgorithm":{"a":1,"a":1}}]"#,
    ] {
        let error = read(twice).unwrap_err();
        assert!(error.to_string().contains("duplicate field"), "{twice}: {error}");
    }
    let unknown = bundle().to_string().replacen('{', r#"{"x":1,"x":1,"#, 1);
    let error = Bundle::from_json(unknown.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("duplicate field `x`"), "{error}");
}

#[test]
fn text_that_may_pass_for_another_is_refused() {
    let read = |pointer: &str, value: &str| {
        let mut config = json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [{"baseUrl": "https://l.example", "operator": "o"}],
                "certificateAuthorities": [{"uri": "https://c.example", "operator": "o",
                    "subject": {"organization": "o", "commonName": "c"}}],
            },
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [{"url": "https://c.example", "operator": "o"}],
            },
        });
        *config.pointer_mut(pointer).unwrap() = json!(value);
        wire::json::from_str::<ClientTrustConfig>(&config.to_string()).map(|_| ())
    };
    for (pointer, is_uri) in [
        ("/trustedRoot/tlogs/0/baseUrl", true),
        ("/trustedRoot/tlogs/0/operator", false),
        ("/trustedRoot/certificateAuthorities/0/uri", true),
        ("/trustedRoot/certificateAuthorities/0/operator", false),
        ("/trustedRoot/certificateAuthorities/0/subject/organization", false),
        ("/trustedRoot/certificateAuthorities/0/subject/commonName", false),
        ("/signingConfig/caUrls/0/url", true),
        ("/signingConfig/caUrls/0/operator", false),
    ] {
        read(pointer, "https://x.example/a").unwrap();
        for c in [
            '\n', '\r', '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200b}',
            '\u{2028}',
        ] {
            read(pointer, &format!("https://x.example/{c}")).unwrap_err();
        }
        for uri in ["https://x.example/../a", "https://x.example@y.example", "https://x.example\\a"]
        {
            assert_eq!(read(pointer, uri).is_err(), is_uri, "{pointer} {uri}");
        }
    }
    for pointer in
        ["/dsseEnvelope/payloadType", "/verificationMaterial/tlogEntries/0/kindVersion/kind"]
    {
        let mut sample = bundle();
        *sample.pointer_mut(pointer).unwrap() = json!("a\u{202e}b");
        Bundle::from_json(sample.to_string().as_bytes()).unwrap_err();
    }
}

#[test]
fn two_members_of_a_oneof_are_refused_and_none_too() {
    let signature = json!({"signature": "MAA="});
    let mut both = bundle();
    both["messageSignature"] = signature;
    serde_json::from_value::<Bundle>(both).unwrap_err();

    let mut none = bundle();
    none["dsseEnvelope"] = Value::Null;
    serde_json::from_value::<Bundle>(none).unwrap_err();

    let mut two_keys = bundle();
    two_keys["verificationMaterial"]["publicKey"] = json!({"hint": "h"});
    serde_json::from_value::<Bundle>(two_keys).unwrap_err();

    let mut two_kinds = hashed_rekord();
    two_kinds["dsseRequestV002"] = dsse()["dsseRequestV002"].clone();
    serde_json::from_value::<rekor2::CreateEntryRequest>(two_kinds).unwrap_err();
    serde_json::from_value::<rekor2::CreateEntryRequest>(json!({})).unwrap_err();

    let mut key_and_csr = signing_cert();
    key_and_csr["certificateSigningRequest"] = json!("MAA=");
    serde_json::from_value::<fulcio::SigningCertRequest>(key_and_csr).unwrap_err();
}

#[test]
fn null_means_absent() {
    let mut sample = bundle();
    let entry = &mut sample["verificationMaterial"]["tlogEntries"][0];
    entry["inclusionPromise"] = Value::Null;
    entry["integratedTime"] = Value::Null;
    entry["inclusionProof"]["hashes"] = Value::Null;
    let bundle: Bundle = serde_json::from_value(sample).unwrap();
    let entry = &bundle.verification_material.tlog_entries[0];
    assert_eq!(entry.inclusion_promise, None);
    assert_eq!(entry.integrated_time.0, 0);
    assert_eq!(entry.inclusion_proof.as_ref().unwrap().hashes.len(), 0);
}

#[test]
fn null_in_a_list_is_refused() {
    let mut sample = bundle();
    sample["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"] = json!([null]);
    serde_json::from_value::<Bundle>(sample).unwrap_err();
}

#[test]
fn unknown_enum_names_are_refused_in_requests_and_unset_in_files() {
    let mut request = hashed_rekord();
    request["hashedRekordRequestV002"]["signature"]["verifier"]["keyDetails"] = json!("FALCON");
    serde_json::from_value::<rekor2::CreateEntryRequest>(request).unwrap_err();

    let mut config = trust_config();
    config["trustedRoot"]["tlogs"][0]["publicKey"]["keyDetails"] = json!("FALCON");
    let config: ClientTrustConfig = serde_json::from_value(config).unwrap();
    assert_eq!(config.trusted_root.tlogs[0].public_key.key_details.number(), 0);
}

#[test]
fn enums_are_read_by_number_too() {
    let mut request = hashed_rekord();
    request["hashedRekordRequestV002"]["signature"]["verifier"]["keyDetails"] = json!(8);
    let by_number: rekor2::CreateEntryRequest = serde_json::from_value(request).unwrap();
    assert_eq!(by_number, serde_json::from_value(hashed_rekord()).unwrap());
}

#[test]
fn entry_response_shows_unset_members_and_integers_as_strings() {
    let entry = TransparencyLogEntry::default();
    let shown = serde_json::to_value(rekor2::EntryResponse(&entry)).unwrap();
    assert_eq!(shown["logIndex"], "0");
    assert_eq!(shown["integratedTime"], "0");
    assert_eq!(shown.get("inclusionPromise"), Some(&Value::Null));
    let members = shown.as_object().map(Map::len);
    assert_eq!(members, Some(7));
    assert_eq!(serde_json::to_value(&entry).unwrap().get("integratedTime"), None);
    assert_eq!(serde_json::from_value::<TransparencyLogEntry>(shown).unwrap(), entry);
}

#[test]
fn fulcio_takes_any_algorithm_and_a_csr() {
    for algorithm in [json!(""), json!("ecdsa"), json!(2), Value::Null, json!({"a": []})] {
        let mut sample = signing_cert();
        sample["publicKeyRequest"]["publicKey"]["algorithm"] = algorithm;
        serde_json::from_value::<fulcio::SigningCertRequest>(sample).unwrap();
    }
    let csr: fulcio::SigningCertRequest =
        serde_json::from_value(json!({"certificateSigningRequest": "LS0tLS0_"})).unwrap();
    assert_eq!(csr.credentials, None);
    assert!(
        matches!(csr.key, fulcio::KeyRequest::CertificateSigningRequest(bytes) if bytes.0 == b"-----?")
    );
}

#[test]
fn fulcio_answer_has_exactly_one_member() {
    let chain = fulcio::CertificateChain { certificates: vec!["leaf".into(), "ca".into()] };
    let answer =
        fulcio::SigningCertResponse::SignedCertificateEmbeddedSct(fulcio::EmbeddedSct { chain });
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(
        text,
        r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":["leaf","ca"]}}}"#
    );
    assert_eq!(serde_json::from_str::<fulcio::SigningCertResponse>(&text).unwrap(), answer);
}

#[test]
fn token_is_not_shown_by_debug() {
    let request: fulcio::SigningCertRequest = serde_json::from_value(signing_cert()).unwrap();
    assert!(!format!("{request:?}").contains("a.b.c"));
}

#[test]
fn configuration_shows_every_member_and_one_url() {
    let issuer = fulcio::IssuerConfiguration {
        issuer_url: Some("http://localhost:3006".into()),
        ..Default::default()
    };
    let shown = serde_json::to_value(issuer).unwrap();
    assert_eq!(shown.as_object().map(Map::len), Some(7));
    assert_eq!(shown["skipEmailVerification"], false);
    assert_eq!(shown.get("wildcardIssuerUrl"), None);
}

#[test]
fn status_has_code_message_and_details() {
    let status = rpc::Status::new(rpc::Code::InvalidArgument, "no");
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(text, r#"{"code":3,"message":"no","details":[]}"#);
    assert_eq!(serde_json::from_str::<rpc::Status>(&text).unwrap(), status);
    let strange: rpc::Status = serde_json::from_str(r#"{"code":-7}"#).unwrap();
    assert_eq!(strange.code, rpc::Code::Unknown);
    assert_eq!((rpc::Code::Unauthenticated.number(), rpc::Code::Internal.number()), (16, 13));
}

#[test]
fn deep_nesting_is_refused_or_ignored_without_harm() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    Bundle::from_json(deep.as_bytes()).unwrap_err();
    let request = format!(r#"{{"certificateSigningRequest":"","x":{deep}}}"#);
    serde_json::from_str::<fulcio::SigningCertRequest>(&request).unwrap();
    let algorithm = format!(r#"{{"publicKeyRequest":{{"publicKey":{{"algorithm":{deep}}}}}}}"#);
    serde_json::from_str::<fulcio::SigningCertRequest>(&algorithm).unwrap_err();
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-zA-Z]{1,8}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_in_any_place_makes_a_panic(place in any::<prop::sample::Index>(), value in any_json()) {
        for sample in [bundle(), hashed_rekord(), dsse(), signing_cert(), trust_config()] {
            let mut places = Vec::new();
            every_place(&sample, &mut |pointer, _| places.push(pointer.to_owned()));
            let mut changed = sample.clone();
            *changed.pointer_mut(place.get(&places).as_str()).unwrap() = value.clone();
            let text = changed.to_string();
            let _ = Bundle::from_json(text.as_bytes());
            let _ = serde_json::from_str::<rekor2::CreateEntryRequest>(&text);
            let _ = serde_json::from_str::<fulcio::SigningCertRequest>(&text);
            let _ = serde_json::from_str::<ClientTrustConfig>(&text);
        }
    }

    #[test]
    fn arbitrary_text_makes_no_panic(text in ".{0,200}") {
        let _ = Bundle::from_json(text.as_bytes());
        let _ = serde_json::from_str::<TrustedRoot>(&text);
        let _ = serde_json::from_str::<SigningConfig>(&text);
        let _ = serde_json::from_str::<JsonRequest>(&text);
    }
}
