//! Readers that leave: no panic, no other exit code. Disks that are full: an error.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    process::{ExitStatus, Stdio},
};

use crate::harness::{Dev, program, wait_until};

/// The writing end of a pipe whose reader is gone.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// What became of the program, and what it said on standard error.
fn run(arguments: &[&str], stdout: Stdio) -> (ExitStatus, String) {
    let mut command = program();
    command.args(arguments).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let output = command.output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn commands_end_as_ever_when_nobody_reads_them() {
    let mut dev = Dev::started();
    dev.terminate();
    let data_dir = dev.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    for (code, arguments) in [
        (0, vec!["token", "--data-dir", data_dir]),
        (0, vec!["fsck", "--data-dir", data_dir]),
        (1, vec!["fsck", "ca", "--data-dir", "/nowhere"]),
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (0, vec!["help", "serve"]),
    ] {
        let (status, said) = run(&arguments, closed_pipe());
        assert_eq!(status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains("panic") && !said.contains("pipe"), "{arguments:?}: {said}");
        // Standard error too: nothing can be said, and nothing else changes.
        let mut command = program();
        command.args(&arguments).stdout(closed_pipe()).stderr(closed_pipe());
        assert_eq!(command.status().unwrap().code(), Some(code), "{arguments:?}");
    }
    let mut mistake = program();
    mistake.arg("--no-such-option").stderr(closed_pipe());
    assert_eq!(mistake.status().unwrap().code(), Some(2));
}

#[test]
fn an_answer_that_a_full_disk_loses_is_an_error() {
    let mut dev = Dev::started();
    dev.terminate();
    let data_dir = dev.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    for arguments in [
        vec!["token", "--data-dir", data_dir],
        vec!["fsck", "--data-dir", data_dir],
        vec!["--help"],
        vec!["--version"],
    ] {
        let (status, said) = run(&arguments, full_disk());
        assert_eq!(status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("No space left on device"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_stack_whose_log_and_terminal_are_gone_goes_on_serving() {
    let dev = Dev::new();
    let mut command = program();
    command.args(["--log", "debug", "dev", "--port-base", "auto", "--data-dir"]);
    command.arg(dev.data_dir()).stdin(Stdio::null()).stdout(closed_pipe()).stderr(closed_pipe());
    let mut server = command.spawn().unwrap();
    let ready = dev.path("ready.json");
    wait_until("the stack, or its end", || ready.exists() || server.try_wait().unwrap().is_some());
    assert!(server.try_wait().unwrap().is_none(), "it died of a log line");
    let url = dev.url("oidc").replace("http://localhost", "127.0.0.1");
    let mut answer = String::new();
    let mut stream = std::net::TcpStream::connect(&url).unwrap();
    io::Write::write_all(
        &mut stream,
        b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .unwrap();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_closed_standard_output_is_none_at_all() {
    let script = format!("{} --help >&- 2>&-", env!("CARGO_BIN_EXE_countersignd"));
    let status = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success(), "{status}");
}
