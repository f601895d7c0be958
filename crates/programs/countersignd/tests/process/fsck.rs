//! `countersignd fsck`: what it finds, and its exit codes.

use std::fs;

use crate::harness::Dev;

fn stopped() -> Dev {
    let mut dev = Dev::started();
    dev.terminate();
    dev
}

/// Exit code and standard output.
fn fsck(dev: &Dev, target: &str) -> (Option<i32>, String) {
    let output = dev.run("fsck", &[target]);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn finds_nothing_in_a_fresh_stack() {
    let (code, said) = fsck(&stopped(), "all");
    assert_eq!(code, Some(0), "{said}");
    for part in [
        "log ct: ok, 0 entries",
        "log rekor1: ok",
        "log rekor2: ok",
        "ca: ok",
        "tsa: ok",
        "trust: ok, ",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn refuses_a_log_that_is_in_use_and_says_so() {
    let dev = Dev::started();
    let output = dev.run("fsck", &["log"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("in use by a running countersignd"), "{said}");
    assert_eq!(fsck(&dev, "ca").0, Some(0), "what is only files can be verified");
}

#[test]
fn finds_a_changed_checkpoint() {
    let dev = stopped();
    let note = fs::read_to_string(dev.path("checkpoints/rekor2")).unwrap();
    // The origin, as if another log had signed.
    let changed = note.replacen("localhost", "localhast", 1);
    fs::write(dev.path("checkpoints/rekor2"), changed).unwrap();
    let (code, said) = fsck(&dev, "log");
    assert_eq!(code, Some(1));
    assert!(said.contains("log ct: ok") && said.contains("log rekor2: BAD"), "{said}");
}

#[test]
fn finds_changed_trust_files_and_foreign_keys() {
    let dev = stopped();
    fs::write(dev.path("trust/ctlog.pub"), "").unwrap();
    let (code, said) = fsck(&dev, "trust");
    assert_eq!(code, Some(1));
    assert!(said.contains("trust: BAD") && said.contains("ctlog.pub"), "{said}");

    fs::copy(dev.path("keys/tsa.pem"), dev.path("keys/ca.pem")).unwrap();
    let (code, said) = fsck(&dev, "ca");
    assert_eq!(code, Some(1));
    assert!(said.contains("ca: BAD"), "{said}");
}

#[test]
fn says_when_there_is_no_log() {
    let dev = Dev::new();
    fs::create_dir_all(dev.data_dir()).unwrap();
    let output = dev.run("fsck", &["log"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no log in"));
    assert!(!dev.path("log.db").exists(), "nothing is made");
}
