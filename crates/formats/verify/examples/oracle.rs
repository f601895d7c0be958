//! The oracle as a program, for `cargo xtask interop`:
//! `oracle TRUSTED_ROOT BUNDLE ARTIFACT (IDENTITY ISSUER | KEY.pem)`; exit code 0 when it accepts.

use std::{fs, process::ExitCode};

use crypto::PublicKey;
use sigstore_verify::types::Artifact;

#[path = "../tests/suite/oracle/judge.rs"]
mod judge;

use judge::{Signer, judge};

fn main() -> ExitCode {
    match verdict() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn verdict() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [root, bundle, artifact, signer @ ..] = arguments.as_slice() else {
        return Err("too few arguments".to_owned());
    };
    let root = text(root)?;
    let bundle = text(bundle)?;
    let artifact = fs::read(artifact).map_err(|error| format!("{artifact}: {error}"))?;
    let artifact = Artifact::from_blob(artifact.as_slice());
    match signer {
        [identity, issuer] => {
            judge(&bundle, artifact, Signer::Certified(Some((identity, issuer))), &root)
        }
        [pem] => {
            let key = PublicKey::from_pem(&text(pem)?).map_err(|error| error.to_string())?;
            let logged = bundle.contains("\"tlogEntries\"");
            judge(&bundle, artifact, Signer::Key(key.spki_der(), logged), &root)
        }
        _ => Err("an identity and its issuer, or a key, must be named".to_owned()),
    }
}

fn text(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}
