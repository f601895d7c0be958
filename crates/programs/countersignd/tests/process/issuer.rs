//! `countersignd issuer refresh`, against a running process.

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::Output,
    time::{Duration, Instant},
};

use crate::harness::{Dev, program};

fn refresh(dev: &Dev, arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(["issuer", "refresh", "--data-dir"]).arg(dev.data_dir()).args(arguments);
    command.output().unwrap()
}

#[test]
fn a_running_process_fetches_on_order_and_leaves_a_trail() {
    let dev = Dev::started();
    let url = dev.url("oidc");
    let output = refresh(&dev, &["--url", &url, "--forget"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains(&url) && !said.contains("FAILED"), "{said}");
    let all = refresh(&dev, &[]);
    assert!(String::from_utf8_lossy(&all.stdout).contains("stayed: "), "{all:?}");
    let nobody = refresh(&dev, &["--url", "https://nobody.example"]);
    assert!(!nobody.status.success());
    assert!(dev.log().contains("issuer refresh"), "{}", dev.log());

    let socket = dev.path("admin.sock");
    let mode = socket.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for odd in ["\n", "{}\n", "[]\n", &"x".repeat(5000)] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let _ = stream.write_all(odd.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(!answer.contains("sources"), "{answer}");
    }
    assert!(refresh(&dev, &[]).status.success(), "it goes on taking orders");
}

/// They say nothing: a key must be forgotten all the same, and soon.
#[test]
fn mute_connections_do_not_keep_orders_out() {
    let dev = Dev::started();
    let connect = |_| UnixStream::connect(dev.path("admin.sock"));
    let mute: Vec<UnixStream> = (0..300).map_while(|number| connect(number).ok()).collect();
    assert!(mute.len() >= 128, "{} connected", mute.len());
    let begin = Instant::now();
    let output = refresh(&dev, &["--forget"]);
    assert!(output.status.success(), "{output:?}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn without_a_running_process_it_says_so() {
    let output = refresh(&Dev::new(), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("no CA takes orders at"), "{said}");
}
