//! One signature, two meanings: the attacks end to end, with the program as the one that is fooled.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use bench::Bench;
use crypto::{KeyType, LocalSigner};
use serde_json::{Value, json};

const KEY_TYPES: [KeyType; 5] = [
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::EcdsaP521,
    KeyType::Ed25519,
    KeyType::Rsa2048,
];

/// A statement that malware was built from the right source.
fn statement_about(artifact: &[u8]) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "app", "digest": {"sha256": hex::encode(crypto::sha256(artifact))}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"buildType": "https://b.example", "externalParameters": {}},
            "runDetails": {"builder": {"id": "https://builder.example"}}
        }
    })
    .to_string()
}

fn pae_of(statement: &str) -> Vec<u8> {
    wire::dsse::pae(wire::dsse::IN_TOTO_PAYLOAD_TYPE, statement.as_bytes())
}

/// The signature of a `messageSignature` bundle in an envelope of its own.
fn transplanted(signed: &Value, statement: &str) -> Value {
    let mut forged = signed.clone();
    let message = forged.as_object_mut().unwrap().remove("messageSignature").unwrap();
    forged["dsseEnvelope"] = json!({
        "payload": STANDARD.encode(statement),
        "payloadType": wire::dsse::IN_TOTO_PAYLOAD_TYPE,
        "signatures": [{"sig": message["signature"]}],
    });
    forged
}

/// What a signer that refuses nothing would write: the bundle of `content`'s signature by `name`.
fn signed_without_asking(bench: &Bench, name: &str, content: &[u8]) -> Value {
    // The program's own bundle of a harmless file gives the shape.
    bench.write("harmless", "harmless");
    bench.run(&format!("sign harmless --key {name}.pem --bundle harmless.json")).exits(0);
    let mut bundle = bench.json("harmless.json");
    let pem = fs::read_to_string(bench.path(&format!("{name}.pem"))).unwrap();
    let key = LocalSigner::from_pkcs8_pem(&pem, name).unwrap();
    let hash = match bundle["messageSignature"]["messageDigest"]["algorithm"].as_str().unwrap() {
        "SHA2_384" => crypto::HashAlgorithm::Sha384,
        "SHA2_512" => crypto::HashAlgorithm::Sha512,
        _ => crypto::HashAlgorithm::Sha256,
    };
    let digest = STANDARD.encode(crypto::digest(hash, content));
    bundle["messageSignature"]["messageDigest"]["digest"] = digest.into();
    bundle["messageSignature"]["signature"] =
        STANDARD.encode(key.sign_now(content).unwrap()).into();
    bundle
}

#[test]
fn signs_no_file_whose_signature_would_be_an_attestation_of_another() {
    for key_type in KEY_TYPES {
        let bench = Bench::new();
        let statement = statement_about(b"malware");
        bench.key("k", key_type).write("malware", "malware").write("notes", pae_of(&statement));
        // Were it signed, this is how it would pass as provenance of the other file.
        let signed = signed_without_asking(&bench, "k", &pae_of(&statement));
        bench.write("malware.sigstore.json", transplanted(&signed, &statement).to_string());
        bench.run("attest verify --subjects malware --key k.pub").exits(0).says("SLSA build");
        bench
            .run("sign notes --key k.pem --bundle out.json")
            .exits(2)
            .says("notes cannot be signed")
            .says("begins like a DSSE pre-authentication encoding")
            .says("sign an archive");
        assert!(!bench.path("out.json").exists());
    }
}

#[test]
fn refuses_such_a_file_before_a_key_or_a_token_is_looked_at() {
    let bench = Bench::new();
    bench.write("good", "good").write("notes", "DSSEv1 ");
    for how in ["--key missing.pem", "--keyless", "--keyless --identity-token @missing"] {
        bench.run(&format!("sign good notes {how}")).exits(2).says("notes cannot be signed");
        assert!(!bench.path("good.sigstore.json").exists());
    }
    bench.key("k", KeyType::EcdsaP256);
    bench.run("attest generate-and-sign --subjects notes --key k.pem").exits(0);
    bench.run("attest verify --subjects notes --key k.pub").exits(0);
}

#[test]
fn verifies_no_attestation_as_a_signature_over_a_file() {
    for key_type in KEY_TYPES {
        let bench = Bench::new();
        let statement = statement_about(b"app");
        bench.key("k", key_type).write("notes", pae_of(&statement));
        let signed = signed_without_asking(&bench, "k", &pae_of(&statement));
        bench.write("notes.sigstore.json", signed.to_string());
        bench
            .run("verify notes --key k.pub")
            .exits(1)
            .says("`signature`")
            .says("begins like a DSSE pre-authentication encoding")
            .says("only an archive");
    }
}

#[test]
fn does_not_call_a_file_good_because_a_statement_names_it() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("app", "app");
    bench.write("vuln.json", r#"{"result": "FAIL", "malware": true}"#);
    bench
        .run("attest sign --subjects app --predicate vuln.json --type https://x.example/scan --key k.pem")
        .exits(0);
    bench
        .run("verify app --key k.pub")
        .exits(1)
        .says("`statement`")
        .says("attestation of predicate type `https://x.example/scan`")
        .says("countersign attest verify");
    let digest = hex::encode(crypto::sha256(b"app"));
    let by_digest = format!("verify sha256:{digest} --key k.pub --bundle app.sigstore.json");
    bench.run(&by_digest).exits(1).says("`statement`");
    // Who asks for it is told what it is.
    bench.run("verify app --key k.pub --attestation").exits(0).says("https://x.example/scan");
    bench.run(&format!("{by_digest} --attestation")).exits(0).says("https://x.example/scan");
    bench
        .run("verify app --key k.pub --attestation --output json")
        .exits(0)
        .says(r#""predicateType":"https://x.example/scan""#);
}

#[test]
fn says_what_was_signed_where_it_verifies_an_attestation() {
    let bench = Bench::new();
    bench.key("k", KeyType::EcdsaP256).write("app", "app").write("p.json", "{}");
    bench.run("attest sign --subjects app --predicate p.json --type spdxjson --key k.pem").exits(0);
    bench
        .run("attest verify --subjects app --key k.pub --type spdxjson")
        .exits(0)
        .says("https://spdx.dev/Document");
    // A file's own signature is accepted with or without the option.
    bench.run("sign app --key k.pem").exits(0);
    bench.run("verify app --key k.pub").exits(0);
    bench.run("verify app --key k.pub --attestation").exits(0);
}
