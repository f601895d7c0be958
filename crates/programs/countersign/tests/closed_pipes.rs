//! Readers that leave: no panic, and the exit code is the verdict's. Disks that are full: an error.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::OpenOptions,
    io,
    process::{Command, Stdio},
};

use crypto::{KeyType, LocalSigner, Signer};

/// The writing end of a pipe whose reader is gone.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// A file, its bundle by a key that needs no service, and another file.
fn signed() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    let key = LocalSigner::generate(KeyType::EcdsaP256, "k").unwrap();
    write("k.pem", &key.to_pkcs8_pem());
    write("k.pub", &key.public_key().to_pem());
    write("a", "artifact");
    write("b", "another");
    let sign = ["sign", "a", "--key", "k.pem", "--bundle", "a.sigstore.json"];
    let signed = program(&directory, &sign).output().unwrap();
    assert!(signed.status.success(), "{signed:?}");
    directory
}

fn program(directory: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).current_dir(directory.path()).env_clear().stdin(Stdio::null());
    command
}

#[test]
fn the_exit_code_is_the_verdict_whoever_reads() {
    let directory = signed();
    for (code, arguments) in [
        (0, vec!["verify", "a", "--key", "k.pub"]),
        (0, vec!["verify", "a", "--key", "k.pub", "--output", "json"]),
        (1, vec!["verify", "b", "--key", "k.pub", "--bundle", "a.sigstore.json"]),
        (
            1,
            vec![
                "verify",
                "b",
                "--key",
                "k.pub",
                "--bundle",
                "a.sigstore.json",
                "--output",
                "json",
            ],
        ),
        (2, vec!["verify", "--no-such-option"]),
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (0, vec!["attest", "verify", "--help"]),
    ] {
        let both = program(&directory, &arguments)
            .stdout(closed_pipe())
            .stderr(closed_pipe())
            .status()
            .unwrap();
        assert_eq!(both.code(), Some(code), "{arguments:?}");
        let output = program(&directory, &arguments).stdout(closed_pipe()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("fault of the program") && !said.contains("pipe"), "{said}");
    }
}

#[test]
fn an_answer_that_a_full_disk_loses_is_an_error() {
    let directory = signed();
    for (code, arguments) in [
        (2, vec!["verify", "a", "--key", "k.pub"]),
        (2, vec!["verify", "a", "--key", "k.pub", "--output", "json"]),
        (
            1,
            vec![
                "verify",
                "b",
                "--key",
                "k.pub",
                "--bundle",
                "a.sigstore.json",
                "--output",
                "json",
            ],
        ),
        (2, vec!["--help"]),
        (2, vec!["--version"]),
    ] {
        let output = program(&directory, &arguments).stdout(full_disk()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("No space left on device"), "{arguments:?}: {said}");
    }
}
