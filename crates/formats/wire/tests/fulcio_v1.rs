//! The request of Fulcio v1 by the rules of the protobuf JSON mapping.

use proptest::prelude::*;
use serde_json::{Value, from_str, from_value, json};
use wire::fulcio::SigningCertRequestV1;

fn sample() -> Value {
    json!({
        "publicKey": {"algorithm": "ecdsa", "content": "a2V5"},
        "signedEmailAddress": "c2ln",
        "certificateSigningRequest": "Y3Ny"
    })
}

#[test]
fn is_read_and_written_alike() {
    let request: SigningCertRequestV1 = from_value(sample()).unwrap();
    let key = request.public_key.as_ref().unwrap();
    assert_eq!((key.algorithm.as_str(), key.content.0.as_slice()), ("ecdsa", b"key".as_slice()));
    assert_eq!(request.signed_email_address.0, b"sig");
    assert_eq!(request.certificate_signing_request.0, b"csr");
    assert_eq!(serde_json::to_value(&request).unwrap(), sample());
}

#[test]
fn null_is_absent_and_unknown_members_are_ignored() {
    let empty = SigningCertRequestV1::default();
    for absent in [
        json!({}),
        json!({"publicKey": null, "signedEmailAddress": null, "certificateSigningRequest": null}),
        json!({"unknown": {"deep": []}, "public_key": {"content": "a2V5"}}),
    ] {
        assert_eq!(from_value::<SigningCertRequestV1>(absent).unwrap(), empty);
    }
    let mut key = sample();
    key["publicKey"] = json!({"algorithm": null, "content": null, "more": 1});
    let key = from_value::<SigningCertRequestV1>(key).unwrap().public_key.unwrap();
    assert_eq!((key.algorithm.as_str(), key.content.0.len()), ("", 0));
}

#[test]
fn takes_any_algorithm_and_either_base64() {
    for algorithm in [json!(""), json!("ECDSA"), json!(2), json!(["x"])] {
        let mut request = sample();
        request["publicKey"]["algorithm"] = algorithm;
        from_value::<SigningCertRequestV1>(request).unwrap();
    }
    for (text, bytes) in [("-_8=", [0xfb, 0xff]), ("+/8", [0xfb, 0xff])] {
        let mut request = sample();
        request["signedEmailAddress"] = json!(text);
        let request: SigningCertRequestV1 = from_value(request).unwrap();
        assert_eq!(request.signed_email_address.0, bytes);
    }
}

#[test]
fn refuses_a_member_given_twice() {
    for twice in [
        r#"{"publicKey":{},"publicKey":{}}"#,
        r#"{"publicKey":{"content":"","content":""}}"#,
        r#"{"signedEmailAddress":"","signedEmailAddress":""}"#,
        r#"{"certificateSigningRequest":"","certificateSigningRequest":""}"#,
    ] {
        from_str::<SigningCertRequestV1>(twice).unwrap_err();
    }
}

proptest! {
    #[test]
    fn any_text_is_a_request_or_none(text in r#"[{}\[\]":,a-zA-Z0-9]{0,60}"#) {
        let _ = from_str::<SigningCertRequestV1>(&text);
    }
}
