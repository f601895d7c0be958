//! No field of a bundle may be changed, dropped or added unseen.
//!
//! Every byte of every encoded field is flipped in process; one change a field also goes through
//! the program, whose exit code and message people script against.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::{Database, Stack, said};
use moment::UnixSeconds;
use serde_json::{Value, json};
use verify::{
    Artifact, Conditions, ExpectedSigner, IdentityPolicy, Trust, UnverifiedBundle, Verified,
    VerifyError,
};

const CONTENT: &[u8] = b"the artifact that must not be confused";

struct Signed {
    stack: Stack,
    artifact: PathBuf,
    bundle: Value,
    trust: Trust,
    now: UnixSeconds,
}

/// Which log signs the entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rekor {
    /// Which signs the time.
    V1,
    /// With a timestamp besides.
    V1Stamped,
    V2,
}

impl Signed {
    fn new(arguments: &[&str], rekor: Rekor) -> Self {
        let stack = Stack::start(Database::Sqlite).unwrap();
        let token = stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
        let artifact = stack.work().join("artifact");
        fs::write(&artifact, CONTENT).unwrap();
        let mut sign = stack.countersign();
        sign.args(arguments).arg(&artifact).args(["--identity-token", &token]);
        if rekor != Rekor::V2 {
            sign.args(["--rekor-server-url", stack.ready("rekor1")]);
        }
        if rekor == Rekor::V1 {
            // By a trusted root alone no timestamp authority is known.
            sign.args(["--fulcio-server-url", stack.ready("ca"), "--trusted-root"]);
            sign.arg(stack.trust_file("trusted_root.json"));
        }
        let signed = said(&mut sign).unwrap();
        assert_eq!(signed.code, Some(0), "{signed:?}");
        let file = stack.work().join("artifact.sigstore.json");
        let bundle = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let root = fs::read(stack.trust_file("trusted_root.json")).unwrap();
        let trust = Trust::from_json(&root).unwrap();
        let modified = fs::metadata(&artifact).unwrap().modified().unwrap();
        // The verifier only needs a time that is not before the signature.
        let now = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60;
        Self { stack, artifact, bundle, trust, now: UnixSeconds(now) }
    }

    fn verify(&self, bundle: &Value) -> Result<Verified, VerifyError> {
        let bundle = UnverifiedBundle::parse(&serde_json::to_vec(bundle).unwrap())?;
        let identity = IdentityPolicy::default();
        let expected = ExpectedSigner::Keyless { trust: &self.trust, identity: &identity };
        verify::verify(
            &bundle,
            &Artifact::from_bytes(CONTENT),
            &expected,
            &Conditions::at(self.now),
        )
    }

    /// Runs the program on a changed bundle: exit code 1 and a sentence that names the check.
    fn program_refuses(&self, what: &str, bundle: &Value) {
        let file = self.stack.work().join("changed.sigstore.json");
        fs::write(&file, serde_json::to_vec(bundle).unwrap()).unwrap();
        let mut verify = self.stack.countersign();
        if self.bundle.get("dsseEnvelope").is_some() {
            verify.args(["attest", "verify", "--keyless", "--subjects"]);
        } else {
            verify.arg("verify");
        }
        verify.arg(&self.artifact).arg("--bundle").arg(&file);
        verify.args(["--certificate-identity", "alice@acme.internal"]);
        verify.args(["--certificate-oidc-issuer", self.stack.ready("oidc")]);
        let said = said(&mut verify).unwrap();
        assert_eq!(said.code, Some(1), "{what}: {said:?}");
        assert!(said.stderr.contains("check `"), "{what}: {said:?}");
    }
}

/// Paths (JSON pointers) of all members and elements.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let pointer = format!("{at}/{name}");
                found.push(pointer.clone());
                pointers(member, &pointer, found);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let pointer = format!("{at}/{index}");
                found.push(pointer.clone());
                pointers(element, &pointer, found);
            }
        }
        _ => {}
    }
}

fn without(bundle: &Value, pointer: &str) -> Value {
    let mut changed = bundle.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name)),
        Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
        _ => unreachable!("a parent holds members"),
    }
    changed
}

fn with(bundle: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = bundle.clone();
    *changed.pointer_mut(pointer).unwrap() = value;
    changed
}

/// Other values for a field: each byte flipped, and other texts.
fn others(text: &str) -> Vec<String> {
    let mut others = vec![String::new(), format!("{text}A"), format!(" {text}")];
    if let Ok(number) = text.parse::<u64>() {
        others.extend([(number + 1).to_string(), format!("0{number}"), "-1".to_owned()]);
    }
    if let Some(bytes) = STANDARD.decode(text).ok().filter(|_| text.len().is_multiple_of(4)) {
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << (position % 8);
            others.push(STANDARD.encode(flipped));
        }
    } else {
        for (position, character) in text.char_indices().filter(|(_, c)| c.is_ascii()) {
            let other = if character == 'x' { "y" } else { "x" };
            others.push(format!("{}{other}{}", &text[..position], &text[position + 1..]));
        }
    }
    others.retain(|other| other != text);
    others
}

fn every_change_is_refused(arguments: &[&str], rekor: Rekor) {
    let signed = Signed::new(arguments, rekor);
    signed.verify(&signed.bundle).unwrap();
    let mut fields = Vec::new();
    pointers(&signed.bundle, "", &mut fields);
    let mut changes = 0;
    for field in &fields {
        let dropped = without(&signed.bundle, field);
        assert!(signed.verify(&dropped).is_err(), "{field} was dropped unseen");
        signed.program_refuses(&format!("without {field}"), &dropped);
        match signed.bundle.pointer(field).unwrap() {
            Value::String(text) => {
                let others = others(text);
                signed.program_refuses(field, &with(&signed.bundle, field, json!(others[1])));
                for other in others {
                    let changed = with(&signed.bundle, field, json!(other));
                    assert!(signed.verify(&changed).is_err(), "{field} was changed to {other}");
                    changes += 1;
                }
            }
            Value::Object(_) => {
                let mut changed = signed.bundle.clone();
                changed.pointer_mut(field).unwrap()["unknown"] = json!("x");
                assert!(signed.verify(&changed).is_err(), "a member was added to {field}");
            }
            Value::Array(elements) => {
                let mut more = elements.clone();
                more.extend(elements.last().cloned());
                let changed = with(&signed.bundle, field, json!(more));
                assert!(signed.verify(&changed).is_err(), "{field} was lengthened");
            }
            _ => {}
        }
    }
    assert!(changes > 2000, "only {changes} changes were tried");
}

const SIGN: &[&str] = &["sign"];

const ATTEST: &[&str] = &["attest", "generate-and-sign", "--keyless", "--subjects"];

#[test]
fn refuses_every_change_of_a_signed_file() {
    every_change_is_refused(SIGN, Rekor::V2);
}

#[test]
fn refuses_every_change_of_an_attestation() {
    every_change_is_refused(ATTEST, Rekor::V2);
}

#[test]
fn refuses_every_change_of_a_file_signed_over_rekor_v1() {
    every_change_is_refused(SIGN, Rekor::V1);
}

#[test]
fn refuses_every_change_of_an_attestation_over_rekor_v1() {
    every_change_is_refused(ATTEST, Rekor::V1);
}

#[test]
fn tells_a_timestamp_beside_an_integrated_time_from_none() {
    let signed = Signed::new(SIGN, Rekor::V1Stamped);
    let times = |bundle: &Value| signed.verify(bundle).map(|verified| verified.times.len());
    assert_eq!(times(&signed.bundle).unwrap(), 2);
    let stamps = "/verificationMaterial/timestampVerificationData";
    let stamp = format!("{stamps}/rfc3161Timestamps/0/signedTimestamp");
    for other in others(signed.bundle.pointer(&stamp).unwrap().as_str().unwrap()) {
        let changed = with(&signed.bundle, &stamp, json!(other));
        let failed = times(&changed).unwrap_err().check.name();
        // Format: of a stamp that is empty.
        assert!(["timestamp", "format"].contains(&failed), "{other}: {failed}");
    }
    // Nothing in a bundle can say that there was more evidence; the report says how many there are.
    assert_eq!(times(&without(&signed.bundle, stamps)).unwrap(), 1);
}

#[test]
fn names_the_check_that_a_change_fails() {
    let signed = Signed::new(SIGN, Rekor::V2);
    names_checks(
        &signed,
        &[
            ("/messageSignature/signature", &["signature"]),
            ("/messageSignature/messageDigest/digest", &["digest"]),
            ("/verificationMaterial/certificate/rawBytes", &["certificate", "sct", "signature"]),
            (&format!("{ENTRY}/inclusionProof/rootHash"), &["inclusion-proof", "checkpoint"]),
            (&format!("{ENTRY}/inclusionProof/checkpoint/envelope"), &["checkpoint"]),
            (&format!("{ENTRY}/canonicalizedBody"), &["log-entry"]),
            (
                "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
                &["timestamp"],
            ),
        ],
    );
}

#[test]
fn names_the_check_that_a_change_fails_over_rekor_v1() {
    let signed = Signed::new(SIGN, Rekor::V1);
    names_checks(
        &signed,
        &[
            (&format!("{ENTRY}/inclusionProof/rootHash"), &["inclusion-proof"]),
            (&format!("{ENTRY}/inclusionProof/checkpoint/envelope"), &["checkpoint"]),
            (&format!("{ENTRY}/canonicalizedBody"), &["log-entry"]),
            (&format!("{ENTRY}/inclusionPromise/signedEntryTimestamp"), &["inclusion-promise"]),
            (&format!("{ENTRY}/logId/keyId"), &["log-entry"]),
        ],
    );
}

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

fn names_checks(signed: &Signed, expected: &[(&str, &[&str])]) {
    for (field, checks) in expected {
        let text = signed.bundle.pointer(field).unwrap().as_str().unwrap();
        let all = others(text);
        // Somewhere in the middle, where no framing is hit.
        let changed = with(&signed.bundle, field, json!(all[all.len() / 2]));
        let error = signed.verify(&changed).unwrap_err();
        assert!(checks.contains(&error.check.name()), "{field}: {error}");
    }
}
