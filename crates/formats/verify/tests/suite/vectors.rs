//! Bundles that other implementations made, good and broken, against the roots that they are of.

use crypto::PublicKey;
use moment::UnixSeconds;
use proptest::prelude::*;
use serde_json::Value;
use verify::{
    Artifact, Check, Conditions, ExpectedSigner, IdentityPolicy, Matcher, Trust, UnverifiedBundle,
    Verified, VerifyError, verify,
};
use wire::bundle::BundleContent;

/// After all of the vectors were made.
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// A trusted root by the name of its file, or `tsa`: staging with the authority of some vectors.
pub(crate) fn trusted_root(name: &str) -> Vec<u8> {
    if name == "tsa" {
        let config = vectors::read("tsa/trust_config.json");
        let config: Value = serde_json::from_slice(&config).unwrap();
        return config["trustedRoot"].to_string().into_bytes();
    }
    vectors::read(format!("trusted-roots/{name}.json"))
}

fn trust(name: &str) -> Trust {
    Trust::from_json(&trusted_root(name)).unwrap()
}

/// What a bundle is about, by its own word: enough where the artifact itself is not at hand.
pub(crate) fn claimed_artifact(bundle: &UnverifiedBundle) -> Artifact<'static> {
    match &bundle.as_wire().content {
        BundleContent::MessageSignature(message) => {
            let digest = message.message_digest.as_ref().unwrap();
            Artifact::from_sha256(digest.digest.as_slice().try_into().unwrap())
        }
        BundleContent::DsseEnvelope(envelope) => {
            let statement = provenance::Statement::parse(envelope.payload.as_slice()).unwrap();
            let digests = &statement.subject()[0].digest;
            let bytes = |name: &str| hex::decode(digests.get(name)?).ok();
            match (bytes("sha256"), bytes("sha512")) {
                (Some(digest), _) => Artifact::from_sha256(digest.try_into().unwrap()),
                (None, digest) => Artifact::from_sha512(digest.unwrap().try_into().unwrap()),
            }
        }
    }
}

fn verify_keyless(json: &[u8], trust: &Trust) -> Result<Verified, VerifyError> {
    let bundle = UnverifiedBundle::parse(json)?;
    let identity = IdentityPolicy::default();
    let expected = ExpectedSigner::Keyless { trust, identity: &identity };
    verify(&bundle, &claimed_artifact(&bundle), &expected, &Conditions::at(NOW))
}

#[test]
fn accepts_the_good_bundles_of_every_client() {
    let good = [
        ("python/bundle_v3.txt.sigstore", "staging", "william@yossarian.net"),
        ("python/bundle_v3_alt.txt.sigstore", "staging", "william@yossarian.net"),
        ("python/staging-rekor-v2.txt.sigstore.json", "staging", "jku@goto.fi"),
        (
            "python/a.dsse.staging-rekor-v2.txt.sigstore.json",
            "staging",
            "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main",
        ),
        (
            "python/bundle_v3_github.whl.sigstore",
            "public-good",
            "https://github.com/trailofbits/rfc8785.py/.github/workflows/release.yml@refs/tags/v0.1.2",
        ),
        ("js/bundleV01-dsse-no-proof.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV01-dsse-with-proof.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV01-full-cert-chain.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV01-intoto-no-proof.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV01-intoto-with-proof.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV02-dsse.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV02-intoto.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV03-dsse.sigstore", "public-good", "brian@dehamer.com"),
        ("js/bundleV03-intoto.sigstore", "public-good", "brian@dehamer.com"),
        ("go/dsse.sigstore.json", "public-good", "brian@dehamer.com"),
        (
            "go/bundle-provenance.json",
            "public-good",
            "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
        ),
        (
            "go/sigstore.js@2.0.0-provenance.sigstore.json",
            "public-good",
            "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
        ),
        ("go/othername.sigstore.json", "go-scaffolding", "foo!oidc.local"),
        // A SET, and a proof without a checkpoint.
        ("python/Python-3.12.5.tgz.sigstore", "public-good", "thomas@python.org"),
        ("cosign/oci-attestation.sigstore.json", "public-good", "cody@soyland.com"),
    ];
    for (name, root, subject) in good {
        let trust = trust(root);
        let json = vectors::read(format!("bundles/{name}"));
        let verified = verify_keyless(&json, &trust).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(verified.identity.unwrap().subject, subject, "{name}");
    }
}

#[test]
fn names_the_check_that_a_broken_bundle_fails() {
    let broken = [
        ("python/bundle_invalid_version.txt.sigstore", "staging", Check::Format),
        ("python/bundle_no_cert_v1.txt.sigstore", "staging", Check::Format),
        ("python/bundle_no_checkpoint.txt.sigstore", "staging", Check::LogEntry),
        ("python/bundle_no_log_entry.txt.sigstore", "public-good", Check::LogEntry),
        ("python/bundle_v3_no_signed_time.txt.sigstore.json", "staging", Check::LogEntry),
        ("python/bundle_cve_2022_36056.txt.sigstore", "staging", Check::LogEntry),
        ("python/bundle.duplicate.sigstore", "staging", Check::Format),
        ("python/bundle.many_timestamp.sigstore", "staging", Check::Format),
        ("python/bundle.txt.late_timestamp.sigstore", "tsa", Check::Certificate),
        // Of two timestamps one is of something else.
        ("python/bundle.txt.sigstore", "tsa", Check::Timestamp),
        ("go/dsse-2sigs.sigstore.json", "public-good", Check::Format),
        ("go/bundle-publish.json", "public-good", Check::Certificate),
        // Of another instance than the root's.
        ("python/bundle_v3.txt.sigstore", "public-good", Check::Certificate),
        ("js/bundleV03-dsse.sigstore", "staging", Check::Certificate),
    ];
    for (name, root, check) in broken {
        let trust = trust(root);
        let json = vectors::read(format!("bundles/{name}"));
        let error = verify_keyless(&json, &trust).expect_err(name);
        assert_eq!(error.check, check, "{name}: {error}");
    }
}

#[test]
fn rejects_a_trusted_root_of_unknown_type() {
    let json = vectors::read("trusted-roots/python-trustedroot.badtype.json");
    Trust::from_json(&json).unwrap_err();
}

#[test]
fn verifies_the_artifact_itself_and_no_other() {
    let json = vectors::read("bundles/python/staging-rekor-v2.txt.sigstore.json");
    let artifact = vectors::read("bundles/python/staging-rekor-v2.txt");
    let trust = trust("staging");
    let bundle = UnverifiedBundle::parse(&json).unwrap();
    let identity = IdentityPolicy::default();
    let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
    let verified =
        verify(&bundle, &Artifact::from_bytes(&artifact), &expected, &Conditions::at(NOW)).unwrap();
    assert_eq!(verified.logged[0].index, tlog::LeafIndex(645));
    let other = [artifact.as_slice(), b"x"].concat();
    let error = verify(&bundle, &Artifact::from_bytes(&other), &expected, &Conditions::at(NOW))
        .unwrap_err();
    assert_eq!(error.check, Check::Digest);
}

#[test]
fn rejects_a_bundle_from_the_future() {
    let json = vectors::read("bundles/python/staging-rekor-v2.txt.sigstore.json");
    let trust = trust("staging");
    let bundle = UnverifiedBundle::parse(&json).unwrap();
    let identity = IdentityPolicy::default();
    let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
    let at = |now| {
        verify(&bundle, &claimed_artifact(&bundle), &expected, &Conditions::at(UnixSeconds(now)))
    };
    // Its timestamp is 2025-06-09T11:57:38Z; clocks may differ by a minute.
    at(1_749_470_258 - 60).unwrap();
    assert_eq!(at(1_749_470_258 - 61).unwrap_err().check, Check::Timestamp);
}

#[test]
fn checks_the_identity_last() {
    let json = vectors::read("bundles/python/staging-rekor-v2.txt.sigstore.json");
    let trust = trust("staging");
    let bundle = UnverifiedBundle::parse(&json).unwrap();
    let by = |subject: &str, issuer: &str| {
        let identity = IdentityPolicy {
            subject: Some(Matcher::Exact(subject.to_owned())),
            issuer: Some(Matcher::Exact(issuer.to_owned())),
        };
        let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
        verify(&bundle, &claimed_artifact(&bundle), &expected, &Conditions::at(NOW))
    };
    by("jku@goto.fi", "https://github.com/login/oauth").unwrap();
    for (subject, issuer) in
        [("jku@goto.f", "https://github.com/login/oauth"), ("jku@goto.fi", "https://github.com")]
    {
        assert_eq!(by(subject, issuer).unwrap_err().check, Check::Identity);
    }
}

#[test]
fn verifies_a_key_bundle_with_its_key_and_timestamp_alone() {
    let json = vectors::read("bundles/go/public-key-validity.sigstore.json");
    let pem = vectors::read("bundles/go/public-key-validity.pem");
    let trust = trust("go-public-key-validity");
    let key = PublicKey::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
    let bundle = UnverifiedBundle::parse(&json).unwrap();
    let artifact = claimed_artifact(&bundle);
    let by = |key: &PublicKey, trust| {
        verify(&bundle, &artifact, &ExpectedSigner::Key { key, trust }, &Conditions::at(NOW))
    };
    assert_eq!(by(&key, Some(&trust)).unwrap().times.len(), 1);
    assert_eq!(by(&key, None).unwrap_err().check, Check::Timestamp);
    let other = crypto::LocalSigner::generate(crypto::KeyType::EcdsaP256, "other").unwrap();
    let other = crypto::Signer::public_key(&other);
    assert_eq!(by(other, Some(&trust)).unwrap_err().check, Check::PublicKey);
    let identity = IdentityPolicy::default();
    let keyless = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
    assert_eq!(
        verify(&bundle, &artifact, &keyless, &Conditions::at(NOW)).unwrap_err().check,
        Check::Certificate
    );
}

#[test]
fn accepts_the_publish_attestation_of_npm_whose_key_has_a_name_of_its_own() {
    let trust = trust("public-good");
    let pem = vectors::read("bundles/go/publish_key.pub");
    let key = PublicKey::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
    let json = vectors::read("bundles/go/bundle-publish.json");
    let bundle = UnverifiedBundle::parse(&json).unwrap();
    let artifact = claimed_artifact(&bundle);
    let expected = ExpectedSigner::Key { key: &key, trust: Some(&trust) };
    let verified = verify(&bundle, &artifact, &expected, &Conditions::at(NOW)).unwrap();
    assert_eq!(verified.logged[0].index, tlog::LeafIndex(18_300_940));
}

/// Every place in a JSON value, as a list of steps.
fn places(value: &Value, here: &[String], found: &mut Vec<Vec<String>>) {
    found.push(here.to_vec());
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(values) => {
            values.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect()
        }
        _ => return,
    };
    for (step, child) in children {
        places(child, &[here, &[step]].concat(), found);
    }
}

fn at<'a>(value: &'a mut Value, place: &[String]) -> &'a mut Value {
    place.iter().fold(value, |value, step| match value {
        Value::Array(values) => &mut values[step.parse::<usize>().unwrap()],
        other => &mut other[step.as_str()],
    })
}

/// Every change of one field: dropped, emptied, and its text changed at several places.
fn altered(bundle: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    places(bundle, &[], &mut all);
    let mut results = Vec::new();
    for place in all.iter().filter(|place| !place.is_empty()) {
        let name = place.join(".");
        let (last, parent) = place.split_last().unwrap();
        let mut change = |kind: &str, change: &dyn Fn(&mut Value)| {
            let mut changed = bundle.clone();
            change(&mut changed);
            results.push((format!("{name} {kind}"), changed));
        };
        change("dropped", &|root| match at(root, parent) {
            Value::Object(members) => drop(members.remove(last)),
            Value::Array(values) => drop(values.remove(last.parse().unwrap())),
            _ => unreachable!(),
        });
        change("nulled", &|root| *at(root, place) = Value::Null);
        change("of another type", &|root| *at(root, place) = Value::Bool(true));
        let mut original = bundle.clone();
        match at(&mut original, place).clone() {
            Value::Object(_) => change("extended", &|root| at(root, place)["extra"] = 1.into()),
            Value::Array(values) => change("doubled", &|root| {
                *at(root, place) = [values.clone(), values.clone()].concat().into();
            }),
            Value::String(text) => {
                // Witnesses' lines of a checkpoint: nobody here knows their keys.
                let own = if name.ends_with("checkpoint.envelope") {
                    own_length(&text)
                } else {
                    text.len()
                };
                for position in (0..own).step_by((own / 16).max(1)) {
                    change(&format!("changed at {position}"), &|root| {
                        let mut bytes = text.clone().into_bytes();
                        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
                        *at(root, place) = String::from_utf8_lossy(&bytes).into_owned().into();
                    });
                }
                if own == text.len() {
                    change("longer", &|root| *at(root, place) = format!("{text}A").into());
                }
            }
            _ => {}
        }
    }
    results
}

/// Length of a note up to the end of its first signature line.
fn own_length(note: &str) -> usize {
    let lines = note.find("\n\n").unwrap() + 2;
    lines + note[lines..].find('\n').unwrap() + 1
}

/// Whether a change left no trace: a member that was unset before is not there after.
fn same_meaning(name: &str, before: &Value) -> bool {
    let gone =
        name.ends_with(" dropped") || name.ends_with(" nulled") || name.ends_with(" doubled");
    let place: Vec<String> =
        name.split(' ').next().unwrap().split('.').map(str::to_owned).collect();
    let mut before = before.clone();
    let value = at(&mut before, &place);
    gone && (*value == "" || *value == "0" || *value == Value::Array(vec![]) || value.is_null())
}

#[test]
fn rejects_every_changed_or_dropped_field() {
    for (name, root) in [
        ("python/staging-rekor-v2.txt.sigstore.json", "staging"),
        ("python/a.dsse.staging-rekor-v2.txt.sigstore.json", "staging"),
        ("python/bundle_v3.txt.sigstore", "staging"),
        ("js/bundleV02-intoto.sigstore", "public-good"),
    ] {
        let (json, trust) = (vectors::read(format!("bundles/{name}")), trust(root));
        let good = UnverifiedBundle::parse(&json).unwrap();
        let artifact = claimed_artifact(&good);
        let original: Value = serde_json::from_slice(&json).unwrap();
        for (change, changed) in altered(&original) {
            if same_meaning(&change, &original) {
                continue;
            }
            let identity = IdentityPolicy::default();
            let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
            let found = UnverifiedBundle::parse(changed.to_string().as_bytes())
                .and_then(|bundle| verify(&bundle, &artifact, &expected, &Conditions::at(NOW)));
            assert!(found.is_err(), "{name}: {change} was accepted");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rejects_a_bundle_with_any_byte_changed(place in any::<prop::sample::Index>(), byte: u8) {
        let mut json = vectors::read("bundles/python/staging-rekor-v2.txt.sigstore.json");
        let trust = trust("staging");
        let artifact = claimed_artifact(&UnverifiedBundle::parse(&json).unwrap());
        let original: Value = serde_json::from_slice(&json).unwrap();
        let place = place.index(json.len());
        json[place] = byte;
        // White space between members may change: that is no part of the bundle.
        if serde_json::from_slice::<Value>(&json).is_ok_and(|value| value == original) {
            return Ok(());
        }
        let identity = IdentityPolicy::default();
        let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
        let found = UnverifiedBundle::parse(&json)
            .and_then(|bundle| verify(&bundle, &artifact, &expected, &Conditions::at(NOW)));
        prop_assert!(found.is_err(), "byte {place} as {byte:#x} was accepted");
    }
}
