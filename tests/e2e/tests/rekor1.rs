//! Rekor v1 end to end: our client signs and verifies over it, in every way in which it may be told to.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{fs, path::PathBuf};

use crypto::{KeyType, LocalSigner, Signer};
use e2e::{Database, Said, Stack, said};
use serde_json::Value;

const IDENTITY: &str = "alice@acme.internal";

struct Signing {
    stack: Stack,
    token: String,
    artifact: PathBuf,
}

impl Signing {
    fn new(database: Database) -> Self {
        let stack = Stack::start(database).unwrap();
        let token = stack.token_file("token", &["--email", IDENTITY]).unwrap();
        let artifact = stack.work().join("artifact");
        fs::write(&artifact, "contents").unwrap();
        Self { stack, token, artifact }
    }

    /// What says that v1 is to be used: by signing config, and by URL, with trusted root alone.
    fn ways(&self) -> [Vec<String>; 3] {
        let file = |name: &str| self.stack.trust_file(name).display().to_string();
        [
            words(&["--signing-config", &file("signing_config.rekor1.v0.2.json")]),
            words(&["--rekor-server-url", self.stack.ready("rekor1")]),
            // No timestamp authority: v1 signs the time.
            words(&[
                "--trusted-root",
                &file("trusted_root.json"),
                "--fulcio-server-url",
                self.stack.ready("ca"),
                "--rekor-server-url",
                self.stack.ready("rekor1"),
            ]),
        ]
    }

    /// Runs the program: its command, options, and the artifact after `last`.
    fn run(&self, command: &str, options: &[String], last: &[&str]) -> Said {
        let mut program = self.stack.countersign();
        program.args(command.split(' ')).args(options).args(last).arg(&self.artifact);
        said(&mut program).unwrap()
    }

    fn bundle(&self) -> Value {
        let name = format!("{}.sigstore.json", self.artifact.display());
        serde_json::from_slice(&fs::read(name).unwrap()).unwrap()
    }

    /// Of a bundle over Rekor v1: its kind.
    fn kind(&self, bundle: &Value) -> String {
        let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
        assert!(entry["inclusionPromise"]["signedEntryTimestamp"].is_string(), "{entry}");
        assert!(entry["integratedTime"].is_string(), "{entry}");
        let checkpoint = entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap();
        let origin = checkpoint.lines().next().unwrap();
        let tree = origin.strip_prefix("localhost - ").unwrap();
        tree.parse::<u64>().unwrap();
        assert_eq!(entry["kindVersion"]["version"], "0.0.1", "{}", self.stack.log());
        entry["kindVersion"]["kind"].as_str().unwrap().to_owned()
    }
}

fn good(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn signs_and_verifies(database: Database) {
    let mut signing = Signing::new(database);
    let issuer = signing.stack.ready("oidc").to_owned();
    let by = words(&["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", &issuer]);
    let token = words(&["--identity-token", &signing.token]);
    for (number, way) in signing.ways().iter().enumerate() {
        let way = [&token[..], way].concat();
        good(&signing.run("sign", &way, &[]));
        let bundle = signing.bundle();
        assert_eq!(signing.kind(&bundle), "hashedrekord");
        let stamps = &bundle["verificationMaterial"]["timestampVerificationData"];
        assert_eq!(stamps.is_null(), number == 2, "{stamps}");
        good(&signing.run("verify", &by, &[]));
        good(&signing.run("attest generate-and-sign --keyless", &way, &["--subjects"]));
        assert_eq!(signing.kind(&signing.bundle()), "dsse");
        good(&signing.run("attest verify --keyless", &by, &["--subjects"]));
        // The log that was named is the only one accepted.
        for (log, code) in [("rekor1", 0), ("rekor2", 1)] {
            let only = words(&["--rekor-server-url", signing.stack.ready(log)]);
            let said = signing.run("attest verify --keyless", &only, &["--subjects"]);
            assert_eq!(said.code, Some(code), "{said:?}");
        }
    }
    signing.stack.kill().unwrap();
    good(&signing.stack.fsck().unwrap());
}

#[test]
fn signs_by_keys_of_every_kind_that_a_log_can_verify() {
    let signing = Signing::new(Database::Sqlite);
    let [by_config, ..] = signing.ways();
    for (name, key_type, code) in [
        ("p256", KeyType::EcdsaP256, 0),
        ("p384", KeyType::EcdsaP384, 0),
        ("p521", KeyType::EcdsaP521, 0),
        ("rsa", KeyType::Rsa2048, 0),
        ("ed25519", KeyType::Ed25519, 2),
    ] {
        let key = LocalSigner::generate(key_type, name).unwrap();
        let file = |kind: &str| signing.stack.work().join(format!("{name}.{kind}"));
        let (private, public) = (file("pem"), file("pub"));
        fs::write(&private, key.to_pkcs8_pem().as_bytes()).unwrap();
        fs::write(&public, key.public_key().to_pem()).unwrap();
        let sign = [&by_config[..], &words(&["--key", private.to_str().unwrap()])].concat();
        let verify = words(&["--key", public.to_str().unwrap()]);
        for (kind, make, check, last) in [
            ("hashedrekord", "sign", "verify", &[][..]),
            ("dsse", "attest generate-and-sign", "attest verify", &["--subjects"]),
        ] {
            let said = signing.run(make, &sign, last);
            assert_eq!(said.code, Some(code), "{name}: {said:?}");
            if code == 0 {
                assert_eq!(signing.kind(&signing.bundle()), kind);
                good(&signing.run(check, &verify, last));
            }
        }
    }
}

#[test]
fn signs_and_verifies_on_sqlite() {
    signs_and_verifies(Database::Sqlite);
}

#[test]
fn signs_and_verifies_on_postgres() {
    signs_and_verifies(Database::postgres("countersign_e2e_rekor1").unwrap());
}
