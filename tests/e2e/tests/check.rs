//! What `check` says of issuers, as they answer.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
};

use e2e::{Services, free_port};

/// The sample for trying out, with an issuer of somebody else's at `port` in place of its own.
fn made(port: u16) -> Services {
    let services = Services::new().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/samples/trial.toml");
    let text = fs::read_to_string(sample).unwrap();
    let anchors = services.path().join("anchors").display().to_string();
    let text = text.replace("/var/tmp/countersign-anchors", &anchors);
    let text = text.replace("/var/tmp/countersign", &services.data("").display().to_string());
    let (text, _) = text.split_once("\n[oidc-dev]").unwrap();
    let text = text.replace("http://localhost:3006", &format!("http://localhost:{port}"));
    let login = format!("forge = \"https://github.com\"\noidc_url = \"http://localhost:{port}\"");
    fs::write(services.config(), text.replace("forge = \"https://github.com\"", &login)).unwrap();
    let made = services.countersignd(&["init"]).unwrap();
    assert_eq!(made.code, Some(0), "{made:?}");
    services
}

/// It said ok to an issuer that it had not asked.
#[test]
fn an_issuer_that_is_away_is_told_from_one_that_is_wrong_and_is_no_success() {
    let port = free_port();
    let services = made(port);
    let away = services.countersignd(&["check"]).unwrap();
    let line =
        |said: &str| said.lines().find(|line| line.starts_with("issuers: BAD")).unwrap().to_owned();
    assert_eq!(away.code, Some(1), "{away:?}");
    assert!(line(&away.stdout).contains("(away, which may pass"), "{away:?}");

    let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"issuer": "http://localhost:1", "jwks_uri": "http://localhost:1/keys"}"#;
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    let wrong = services.countersignd(&["check", "--issuers"]).unwrap();
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let said = line(&wrong.stdout);
    assert!(said.contains("another issuer") && !said.contains("away"), "{said}");

    let offline = services.countersignd(&["check", "--offline"]).unwrap();
    assert_eq!(offline.code, Some(0), "{offline:?}");
    let both = services.countersignd(&["check", "--offline", "--online"]).unwrap();
    assert_eq!(both.code, Some(2), "{both:?}");
}
