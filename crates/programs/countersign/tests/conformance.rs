//! The protocol of the public conformance suite, as the suite speaks it: its options in its order,
//! a digest in place of a file, exit codes. What it signs is tried against services in `tests/e2e`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;

use std::net::TcpListener;

use base64::{Engine, engine::general_purpose::STANDARD};
use bench::{Bench, Ran};
use crypto::KeyType;
use serde_json::{Value, json};

const ISSUER: &str = "https://github.com/login/oauth";

/// A token's shape, with `sub` alone.
const TOKEN: &str = "e30.eyJzdWIiOiJ4In0.c2ln";

fn verify_by(bench: &Bench, options: &str, (identity, issuer): (&str, &str), what: &str) -> Ran {
    bench.run(&format!(
        "conformance verify-bundle {options} --certificate-identity {identity} \
         --certificate-oidc-issuer {issuer} {what}"
    ))
}

/// Copies a vector.
fn vector(bench: &Bench, path: &str, name: &str) {
    bench.write(name, vectors::read(path));
}

/// The artifact of a messageSignature on staging, and its bundle.
fn staging_vector(bench: &Bench) {
    vector(bench, "bundles/python/staging-rekor-v2.txt", "a");
    vector(bench, "bundles/python/staging-rekor-v2.txt.sigstore.json", "b");
    vector(bench, "trusted-roots/staging.json", "root");
    vector(bench, "trusted-roots/public-good.json", "other-root");
}

#[test]
fn verifies_a_file_or_its_digest_on_the_instance_that_is_meant() {
    let bench = Bench::new();
    staging_vector(&bench);
    let digest = hex::encode(crypto::sha256(&std::fs::read(bench.path("a")).unwrap()));
    let digest = format!("sha256:{digest}");
    let jku = ("jku@goto.fi", ISSUER);
    for what in ["a", &digest] {
        verify_by(&bench, "--staging --bundle b", jku, what).exits(0).says("jku@goto.fi");
        let custom = |root: &str| {
            bench.run(&format!(
                "conformance verify-bundle --bundle b --certificate-identity jku@goto.fi \
             --certificate-oidc-issuer {ISSUER} --trusted-root {root} {what}"
            ))
        };
        custom("root").exits(0);
        custom("other-root").exits(1);
        // Without an option the public-good instance is meant.
        verify_by(&bench, "--bundle b", jku, what).exits(1);
        for wrong in [("jku@goto", ISSUER), ("jku@goto.fi", "https://github.com/login")] {
            verify_by(&bench, "--staging --bundle b", wrong, what).exits(1).says("`identity`");
        }
    }
    bench.write("other", "other");
    verify_by(&bench, "--staging --bundle b", jku, "other").exits(1).says("`digest`");
    let other = format!("sha256:{}", "0".repeat(64));
    verify_by(&bench, "--staging --bundle b", jku, &other).exits(1).says("`digest`");
}

#[test]
fn takes_a_path_that_looks_like_a_digest_for_a_path() {
    let bench = Bench::new();
    bench.key("k", KeyType::Rsa2048).write("a", "artifact");
    bench.run("sign a --key k.pem").exits(0);
    let verify = |what: &str| {
        bench.run(&format!("conformance verify-bundle --bundle a.sigstore.json --key k.pub {what}"))
    };
    let digest = format!("sha256:{}", hex::encode(crypto::sha256(b"artifact")));
    verify(&digest).exits(0);
    // A file of that name is meant, whatever it holds.
    bench.write(&digest, "other");
    verify(&digest).exits(1).says("`digest`");
    bench.write(&digest, "artifact");
    verify(&digest).exits(0);
    let misnamed = format!("sha256:{}", "0".repeat(64));
    bench.write(&misnamed, "artifact");
    verify(&misnamed).exits(0);
    // Neither a file nor a digest of the right length and algorithm.
    for what in ["sha256:00", "missing", &digest[7..], &digest.replace("sha256", "sha512")] {
        verify(what).exits(2).says("cannot be read");
    }
}

#[test]
fn verifies_by_a_key_with_and_without_a_trusted_root() {
    let bench = Bench::new();
    bench.key("k", KeyType::Rsa2048).key("other", KeyType::Rsa2048).write("a", "artifact");
    bench.run("sign a --key k.pem").exits(0);
    let verify = "conformance verify-bundle --bundle a.sigstore.json";
    bench.run(&format!("{verify} --key k.pub a")).exits(0);
    bench.run(&format!("{verify} --key other.pub a")).exits(1).says("`public-key`");
    bench.run(&format!("{verify} --key missing.pub a")).exits(2);
    verify_by(&bench, "--bundle a.sigstore.json", ("x", "https://x"), "a").exits(1);
    vector(&bench, "bundles/go/public-key-validity.sigstore.json", "b");
    vector(&bench, "bundles/go/public-key-validity.pem", "key");
    vector(&bench, "trusted-roots/go-public-key-validity.json", "root");
    let declared = bench.json("b")["messageSignature"]["messageDigest"]["digest"].clone();
    let digest = hex::encode(STANDARD.decode(declared.as_str().unwrap()).unwrap());
    let verify = "conformance verify-bundle --bundle b --key key";
    bench.run(&format!("{verify} --trusted-root root sha256:{digest}")).exits(0);
    // Its timestamp is of no public instance.
    bench.run(&format!("{verify} sha256:{digest}")).exits(1);
    bench.run(&format!("{verify} --staging sha256:{digest}")).exits(1);
}

#[test]
fn applies_no_policy_over_what_a_statement_says() {
    let bench = Bench::new();
    vector(&bench, "bundles/cosign/oci-attestation.sigstore.json", "b");
    vector(&bench, "bundles/python/a.dsse.staging-rekor-v2.txt.sigstore.json", "c");
    let digest_of = |bundle: &str| {
        let payload = bench.json(bundle)["dsseEnvelope"]["payload"].clone();
        let payload = STANDARD.decode(payload.as_str().unwrap()).unwrap();
        let statement: Value = serde_json::from_slice(&payload).unwrap();
        let digest = &statement["subject"][0]["digest"];
        let sha256 = digest["sha256"].as_str().unwrap().to_owned();
        (sha256, statement["predicateType"].as_str().unwrap().to_owned())
    };
    let beacon = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/\
                  .github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
    let actions = "https://token.actions.githubusercontent.com";
    for (bundle, options, by) in [
        ("b", "--bundle b", ("cody@soyland.com", ISSUER)),
        ("c", "--staging --bundle c", (beacon, actions)),
    ] {
        let (sha256, predicate_type) = digest_of(bundle);
        let digest = format!("sha256:{sha256}");
        verify_by(&bench, options, by, &digest).exits(0).says(&predicate_type);
        let other = format!("sha256:{}", "0".repeat(64));
        verify_by(&bench, options, by, &other).exits(1).says("`digest`");
    }
}

#[test]
fn exits_with_1_for_a_bad_bundle_and_with_2_for_a_bad_command() {
    let bench = Bench::new();
    bench.key("k", KeyType::Rsa2048).write("a", "1").write("bad", "{").write("empty", "");
    for bundle in ["bad", "empty", "a"] {
        let verify = format!("conformance verify-bundle --bundle {bundle} --key k.pub a");
        bench.run(&verify).exits(1).says("`format`");
    }
    for arguments in [
        "conformance",
        "conformance verify-bundle",
        "conformance verify-bundle --bundle missing --key k.pub a",
        "conformance verify-bundle --bundle bad --key k.pub --trusted-root missing a",
        "conformance verify-bundle --bundle bad --key k.pub --trusted-root bad a",
        "conformance verify-bundle --bundle bad a",
        "conformance sign-bundle a",
        "conformance sign-bundle --identity-token x --bundle out",
        "conformance sign-bundle --identity-token no-token --bundle out a",
        "conformance sign-bundle --identity-token e30.eyJzdWIiOiJ4In0.c2ln --bundle out missing",
        "conformance sign-bundle --identity-token e30.eyJzdWIiOiJ4In0.c2ln --bundle out \
         --trusted-root missing a",
        "conformance sign-bundle --identity-token e30.eyJzdWIiOiJ4In0.c2ln --bundle out \
         --signing-config bad a",
    ] {
        bench.run(arguments).exits(2);
    }
    let none = ["conformance", "verify-bundle", "--bundle", "bad", "--certificate-identity", ""];
    let more = ["--certificate-oidc-issuer", "https://x", "a"];
    bench.run_each(&[&none[..], &more].concat()).exits(2);
    assert!(!bench.path("out").exists());
}

/// A signing config of services on a port where nobody listens.
fn dead_services(bench: &Bench) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let services = |path: &str, version: u32| json!([{"url": format!("http://127.0.0.1:{port}{path}"), "majorApiVersion": version}]);
    let config = json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": services("", 1), "rekorTlogUrls": services("", 2),
        "tsaUrls": services("/api/v1/timestamp", 1),
        "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {"selector": "ANY"}
    });
    bench.write("config", config.to_string());
}

#[test]
fn signs_nothing_that_is_not_what_it_is_said_to_be() {
    let bench = Bench::new();
    dead_services(&bench);
    let good = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/p",
        "subject": [{"name": "a", "digest": {"sha256": "00".repeat(32)}}], "predicate": {}
    })
    .to_string();
    let sign = |options: &str, file: &str| {
        bench.run(&format!(
            "conformance sign-bundle {options} --identity-token {TOKEN} --bundle out \
             --signing-config config {file}"
        ))
    };
    bench.write("good", &good).write("pae", "DSSEv1 28 x");
    // These are fit to be signed, and the services are not there.
    sign("", "good").exits(3);
    sign("--staging", "good").exits(3);
    sign("--in-toto", "good").exits(3);
    sign("", "pae").exits(2).says("DSSE pre-authentication encoding");
    for (what, statement) in [
        ("a member twice", good.replace("\"predicate\":{}", "\"predicate\":{\"a\":1,\"a\":2}")),
        ("no subject", good.replace("[{", "[],\"x\":[{")),
        ("no digest to verify by", good.replace("sha256", "gitCommit")),
        ("another type", good.replace("Statement/v1", "Statement/v9")),
        ("no JSON", format!("{good}x")),
        ("an encoding of itself", format!("DSSEv1 {good}")),
    ] {
        bench.write("bad", statement);
        let said = sign("--in-toto", "bad").exits(2).said();
        assert!(said.contains("statement"), "{what}: {said}");
    }
    assert!(!bench.path("out").exists());
}

#[test]
fn attests_by_a_ready_statement_byte_for_byte() {
    let bench = Bench::new();
    let sha256 = hex::encode(crypto::sha256(b"artifact"));
    // Nobody writes JSON like this, and a line end comes after it.
    let statement = format!(
        "{{\"predicate\" : {{\"b\":1.50,\"a\":\"\\u0041\"}},\n \"subject\":[{{\"digest\":{{\"sha256\":\
         \"{sha256}\"}},\"name\":\"app\"}}], \"predicateType\":\"https://spdx.dev/Document\",\
         \"_type\":\"https://in-toto.io/Statement/v1\"}}\n"
    );
    bench.key("k", KeyType::Rsa2048).write("s.json", &statement).write("app", "artifact");
    bench.run("attest sign --statement s.json --key k.pem").exits(0).says("s.json.sigstore.json");
    let payload = |bundle: &str| {
        let payload = bench.json(bundle)["dsseEnvelope"]["payload"].clone();
        String::from_utf8(STANDARD.decode(payload.as_str().unwrap()).unwrap()).unwrap()
    };
    assert_eq!(payload("s.json.sigstore.json"), statement);
    let verify = "attest verify --subjects app --key k.pub --type spdxjson --bundle";
    bench.run(&format!("{verify} s.json.sigstore.json")).exits(0);
    bench
        .run("attest sign --statement s.json --key k.pem --bundle b --output-signed-prov e")
        .exits(0);
    assert_eq!(payload("b"), statement);
    assert_eq!(bench.json("e"), bench.json("b")["dsseEnvelope"]);
    bench.run("conformance verify-bundle --bundle b --key k.pub app").exits(0);
    bench.write("twice", statement.replace("\"b\":1.50", "\"a\":1"));
    bench.run("attest sign --statement twice --key k.pem").exits(2).says("cannot be signed");
    bench.run("attest sign --statement s.json --subjects app --key k.pem").exits(2);
    assert!(!bench.path("twice.sigstore.json").exists());
}

#[test]
fn puts_no_bundle_in_the_place_of_what_it_signs() {
    let bench = Bench::new();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/p",
        "subject": [{"name": "a", "digest": {"sha256": "00".repeat(32)}}], "predicate": {}
    });
    bench.key("k", KeyType::EcdsaP256).write("a", "artifact").write("s", statement.to_string());
    bench.write("p", "{}");
    let here = bench.path("a").display().to_string();
    for arguments in [
        "sign a --key k.pem --bundle a".to_owned(),
        format!("sign a --key k.pem --bundle {here}"),
        "sign a --key k.pem --bundle ./a".to_owned(),
        "attest sign --subjects a --predicate p --key k.pem --bundle a".to_owned(),
        "attest generate-and-sign --subjects a --key k.pem --bundle a".to_owned(),
        "attest sign --statement s --key k.pem --bundle s".to_owned(),
        format!("conformance sign-bundle --identity-token {TOKEN} --bundle a a"),
        format!("conformance sign-bundle --in-toto --identity-token {TOKEN} --bundle s s"),
    ] {
        bench.run(&arguments).exits(2).says("is what is to be signed");
    }
    assert_eq!(std::fs::read(bench.path("a")).unwrap(), b"artifact");
    assert_eq!(bench.json("s"), statement);
}
