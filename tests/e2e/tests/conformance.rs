//! `conformance sign-bundle` against a stack, as the public suite would call it.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::{Database, Said, Stack, hex, said};
use serde_json::Value;

const IDENTITY: &str = "alice@acme.internal";

/// Spaced as nothing here writes it, of no known predicate type, with a final line end.
const STATEMENT: &str = "{ \"predicateType\":\"https://example.com/p\",\n \"predicate\":{\"b\":1.50, \
    \"a\":\"\\u0041\"}, \"subject\":[{\"name\":\"artifact\",\"digest\":{\"sha256\":\"SHA256\"}}],\
    \"_type\":\"https://in-toto.io/Statement/v1\" }\n";

struct Suite {
    stack: Stack,
    token: String,
    artifact: PathBuf,
    bundle: PathBuf,
}

impl Suite {
    fn new() -> Self {
        let stack = Stack::start(Database::Sqlite).unwrap();
        let token = stack.token_file("token", &["--email", IDENTITY]).unwrap();
        let token = fs::read_to_string(token.trim_start_matches('@')).unwrap().trim().to_owned();
        let (artifact, bundle) = (stack.work().join("artifact"), stack.work().join("bundle"));
        fs::write(&artifact, "contents").unwrap();
        Self { stack, token, artifact, bundle }
    }

    /// `sign-bundle`, its options in the suite's order.
    fn sign(&self, options: &[&str], config: &str, file: &PathBuf) -> Said {
        let mut command = self.stack.countersign_alone();
        command.args(["conformance", "sign-bundle"]).args(options);
        command.args(["--identity-token", &self.token, "--bundle"]).arg(&self.bundle);
        command.arg("--trusted-root").arg(self.stack.trust_file("trusted_root.json"));
        command.arg("--signing-config").arg(self.stack.trust_file(config));
        said(command.arg(file)).unwrap()
    }

    fn verify(&self, identity: &str, what: &str) -> Said {
        let mut command = self.stack.countersign_alone();
        command.args(["conformance", "verify-bundle", "--bundle"]).arg(&self.bundle);
        command.args(["--certificate-identity", identity]);
        command.args(["--certificate-oidc-issuer", self.stack.ready("oidc")]);
        command.arg("--trusted-root").arg(self.stack.trust_file("trusted_root.json"));
        said(command.arg(what)).unwrap()
    }

    fn signed(&self) -> Value {
        serde_json::from_slice(&fs::read(&self.bundle).unwrap()).unwrap()
    }
}

#[test]
fn signs_files_and_statements_into_both_logs() {
    let suite = Suite::new();
    let digest = hex(&crypto::sha256(b"contents"));
    let statement = suite.stack.work().join("statement.json");
    let text = STATEMENT.replace("SHA256", &digest);
    fs::write(&statement, &text).unwrap();
    for (config, version) in
        [("signing_config.v0.2.json", "0.0.2"), ("signing_config.rekor1.v0.2.json", "0.0.1")]
    {
        for (options, file) in [(&[][..], &suite.artifact), (&["--in-toto"], &statement)] {
            let signed = suite.sign(options, config, file);
            assert_eq!(signed.code, Some(0), "{signed:?}");
            let bundle = suite.signed();
            let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
            assert_eq!(entry["kindVersion"]["version"], version);
            assert!(bundle["verificationMaterial"]["certificate"]["rawBytes"].is_string());
            if options.is_empty() {
                assert!(bundle["messageSignature"].is_object());
            } else {
                let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
                assert_eq!(STANDARD.decode(payload).unwrap(), text.as_bytes(), "byte for byte");
            }
            let path = suite.artifact.display().to_string();
            for (identity, what, code) in [
                (IDENTITY, path.clone(), 0),
                (IDENTITY, format!("sha256:{digest}"), 0),
                ("bob@acme.internal", path, 1),
                (IDENTITY, format!("sha256:{}", "0".repeat(64)), 1),
            ] {
                let verified = suite.verify(identity, &what);
                assert_eq!(verified.code, Some(code), "{what}: {verified:?}");
            }
        }
    }
}

#[test]
fn leaves_nothing_behind_when_it_signs_nothing() {
    let suite = Suite::new();
    let odd = suite.stack.work().join("odd");
    for (options, content, code) in [
        (&[][..], "DSSEv1 28 application/vnd.in-toto+json 2 {}", 2),
        (&["--in-toto"], "contents", 2),
    ] {
        fs::write(&odd, content).unwrap();
        let signed = suite.sign(options, "signing_config.v0.2.json", &odd);
        assert_eq!(signed.code, Some(code), "{signed:?}");
    }
    let mut stranger = suite.stack.countersign_alone();
    stranger.args(["conformance", "sign-bundle", "--identity-token", "e30.eyJzdWIiOiJ4In0.c2ln"]);
    stranger.arg("--bundle").arg(&suite.bundle);
    stranger.arg("--trusted-root").arg(suite.stack.trust_file("trusted_root.json"));
    let config = suite.stack.trust_file("signing_config.v0.2.json");
    stranger.arg("--signing-config").arg(config).arg(&suite.artifact);
    let refused = said(&mut stranger).unwrap();
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(!suite.bundle.exists());
}
