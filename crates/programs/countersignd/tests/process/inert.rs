//! What others wrote is inert in all that a command says.

use std::process::Output;

use crate::harness::{Dev, program};

/// Each kind of character that is not seen as what it is, and orders to the runners of CIs.
const HOSTILE: &str = "x\nca: ok, forged\r\n::set-output name=a::b\n##[add-mask]y\t\u{1b}[2J\u{9b}1A\u{7f}\
                       \u{200b}\u{200f}\u{2028}\u{202e}\u{2066}\u{feff}\u{e0041}";

fn assert_inert(output: &Output) -> String {
    let said = String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap();
    let active = |c: char| c != '\n' && HOSTILE.contains(c) && !(' '..='~').contains(&c);
    for line in said.split('\n') {
        assert!(!line.contains(active) && !line.contains("##["), "{line:?}");
        assert!(!line.trim_start().starts_with("::") && !line.starts_with("ca: ok, f"), "{line:?}");
    }
    said
}

#[test]
fn a_mistake_on_the_command_line_is_quoted_as_inert_text() {
    for arguments in [
        vec![HOSTILE],
        vec!["token", "--ci", HOSTILE],
        vec!["dev", "--port-base", HOSTILE],
        vec!["fsck", HOSTILE],
    ] {
        let output = program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(assert_inert(&output).contains(r"x\nca: ok, forged\r\n::set-output"));
    }
}

#[test]
fn a_configuration_is_quoted_as_inert_text_and_has_a_line_for_each_problem() {
    let directory = tempfile::tempdir().unwrap();
    let value = serde_json::to_string(HOSTILE).unwrap().replace('\u{7f}', "\\u007f");
    let check = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        let output = program().args(["check", "--config"]).arg(path).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_inert(&output)
    };
    let said =
        check("c.toml", &format!("data_dir = 1\n[ca.default]\nurl = {value}\n{value} = 1\n"));
    assert!(said.contains("problems") && said.contains("\n  data_dir: "), "{said}");
    assert!(said.contains(r"::set-output name=a::b"), "the problem is named: {said}");
    let name = HOSTILE.replace('/', "");
    assert!(check(&name, "data_dir = 1").contains(r"x\nca: ok, forged"));
    let broken = check("broken.toml", &format!("a = 1\nb = {HOSTILE}"));
    assert_eq!(broken.lines().count(), 1, "{broken}");
    assert!(broken.contains("is not TOML: line "), "{broken}");
    let missing = program().args(["check", "--config", HOSTILE]).output().unwrap();
    assert_inert(&missing);
}

#[test]
fn what_is_stored_is_quoted_as_inert_text() {
    let dev = Dev::new();
    std::fs::create_dir_all(dev.path("")).unwrap();
    let output = dev.run("token", &[]);
    assert_inert(&output);
    for name in ["last-start.json", "last_start.json"] {
        std::fs::write(dev.path(name), format!("{{\"ports\":\"{HOSTILE}\"}}")).unwrap();
    }
    assert_inert(&dev.run("token", &[]));
    assert_inert(&dev.run("fsck", &["--database-url", HOSTILE]));
    let elsewhere = program().args(["fsck", "--data-dir", HOSTILE]).output().unwrap();
    assert_ne!(elsewhere.status.code(), Some(0));
    assert!(assert_inert(&elsewhere).contains(r"x\nca: ok, forged"));
}
