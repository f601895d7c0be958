//! `countersignd dev` as a process: start, answers, restart, end.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use crate::harness::{Dev, contents, program, wait_until};
use serde_json::Value;

async fn get(url: &str) -> (u16, String) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn get_json(url: &str) -> (u16, Value) {
    let (status, body) = get(url).await;
    (status, serde_json::from_str(&body).unwrap())
}

/// The base URLs of all listeners.
fn bases(dev: &Dev) -> Vec<String> {
    ["ca", "ct", "rekor1", "rekor2", "tsa", "trust", "oidc", "metrics"]
        .map(|name| {
            let url = dev.url(name);
            let url = url.strip_suffix("/api/v1/timestamp").unwrap_or(&url);
            url.strip_suffix("/metrics").unwrap_or(url).to_owned()
        })
        .to_vec()
}

#[test]
fn ready_json_has_exactly_the_members_of_the_design_in_its_order() {
    let dev = Dev::started();
    let text = dev.ready_text();
    let names: Vec<&str> = text.split('"').filter(|part| !part.contains([':', '/', ','])).collect();
    let expected = [
        "{",
        "ca",
        "ct",
        "rekor1",
        "rekor2",
        "tsa",
        "trust",
        "oidc",
        "metrics",
        "trust_dir",
        "pid",
    ];
    assert_eq!(names, expected);
    assert!(dev.url("tsa").ends_with("/api/v1/timestamp"));
    assert!(dev.url("metrics").ends_with("/metrics"));
    assert!(bases(&dev).iter().all(|url| url.starts_with("http://localhost:")));
    let trust_dir = fs::canonicalize(dev.path("trust")).unwrap();
    assert_eq!(dev.url("trust_dir"), trust_dir.to_str().unwrap());
}

#[tokio::test]
async fn every_listener_answers_health_and_readiness_on_both_families() {
    let dev = Dev::started();
    let has_v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for base in bases(&dev) {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            if host == "[::1]" && !has_v6 {
                continue;
            }
            let base = base.replace("localhost", host);
            let (status, body) = get_json(&format!("{base}/healthz")).await;
            assert_eq!((status, &body["status"]), (200, &"alive".into()), "{base}");
            let (status, body) = get_json(&format!("{base}/readyz")).await;
            assert_eq!((status, &body["ready"]), (200, &true.into()), "{base}");
        }
    }
}

#[tokio::test]
async fn every_service_answers_in_its_own_way() {
    let dev = Dev::started();
    let (status, body) = get_json(&format!("{}/api/v2/configuration", dev.url("ca"))).await;
    let issuers: Vec<_> = body["issuers"].as_array().unwrap().iter().collect();
    assert_eq!((status, issuers.len()), (200, 9));
    assert_eq!(issuers[0]["issuerUrl"], dev.url("oidc"));
    let (status, body) = get_json(&format!("{}/ct/v1/get-sth", dev.url("ct"))).await;
    assert_eq!((status, &body["tree_size"]), (200, &0.into()));
    let (status, body) = get_json(&format!("{}/ct/v1/get-roots", dev.url("ct"))).await;
    assert_eq!((status, body["certificates"].as_array().unwrap().len()), (200, 1));
    let (status, checkpoint) = get(&format!("{}/checkpoint", dev.url("rekor2"))).await;
    assert_eq!((status, checkpoint.lines().next()), (200, Some("localhost")));
    let (status, chain) = get(&format!("{}/certchain", dev.url("tsa"))).await;
    assert_eq!((status, chain.matches("BEGIN CERTIFICATE").count()), (200, 2));
    let (status, page) = get(&dev.url("trust")).await;
    assert!(status == 200 && page.contains("trusted_root.json"));
    let (status, metrics) = get(&dev.url("metrics")).await;
    assert!(status == 200 && metrics.contains("countersign_http_requests_total"));
    let (status, body) = get_json(&format!("{}/no/such/path", dev.url("rekor1"))).await;
    assert_eq!((status, &body["code"]), (404, &404.into()));
}

#[test]
fn the_served_trust_files_are_those_of_the_directory_and_the_data_is_private() {
    let dev = Dev::started();
    let files = contents(&dev.path("trust"));
    let names: Vec<_> = files.iter().map(|(path, _)| path.file_name().unwrap()).collect();
    for name in ["root.json", "trusted_root.json", "signing_config.v0.2.json", "rekor2.pub"] {
        assert!(names.iter().any(|found| *found == name), "{name}: {names:?}");
    }
    let instance = fs::read(dev.path("trust/countersign.json")).unwrap();
    let instance: Value = serde_json::from_slice(&instance).unwrap();
    assert_eq!(instance["forge"]["url"], "https://github.com");
    let root: Value =
        serde_json::from_slice(&fs::read(dev.path("trust/trusted_root.json")).unwrap()).unwrap();
    let logs: Vec<_> =
        root["tlogs"].as_array().unwrap().iter().map(|log| &log["baseUrl"]).collect();
    assert!(logs.contains(&&dev.url("rekor2").into()), "{logs:?}");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dev.data_dir()), 0o700);
    for (key, _) in contents(&dev.path("keys")) {
        assert_eq!(mode(key.clone()), 0o600, "{}", key.display());
    }
    for database in ["log.db", "log.db-wal", "log.db-shm"] {
        assert_eq!(mode(dev.path(database)), 0o600, "{database}");
    }
}

#[test]
fn sigterm_ends_it_with_0_and_takes_ready_json_away() {
    let mut dev = Dev::started();
    let (status, elapsed) = dev.terminate();
    assert_eq!(status.code(), Some(0), "{}", dev.log());
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    assert!(!dev.path("ready.json").exists());
}

#[test]
fn sigterm_ends_it_with_0_also_while_a_client_keeps_a_connection_open() {
    let mut dev = Dev::started();
    let address = dev.url("ca").replace("http://localhost", "127.0.0.1");
    let _idle = std::net::TcpStream::connect(address).unwrap();
    let (status, elapsed) = dev.terminate();
    assert_eq!(status.code(), Some(0), "{}", dev.log());
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

#[test]
fn a_second_start_keeps_keys_and_certificates() {
    let mut dev = Dev::started();
    let kept = |dev: &Dev| ["keys", "certificates"].map(|name| contents(&dev.path(name)));
    let before = kept(&dev);
    dev.terminate();
    dev.start(&[]);
    assert_eq!(kept(&dev), before);
}

#[test]
fn a_data_directory_of_the_version_before_rekor_v1_and_tuf_is_completed() {
    let mut dev = Dev::started();
    dev.terminate();
    let kept = contents(&dev.path("certificates"));
    for added in ["rekor1.pem", "rekor1-tiles.pem", "tuf-root.pem", "tuf-online.pem"] {
        fs::remove_file(dev.path("keys").join(added)).unwrap();
    }
    // That version had no log of this kind: the database of this one would not fit the new key.
    for file in ["log.db", "log.db-wal", "log.db-shm", "rekor1-tree-id"] {
        let _ = fs::remove_file(dev.path(file));
    }
    for directory in ["tuf", "trust", "checkpoints"] {
        let _ = fs::remove_dir_all(dev.path(directory));
    }
    dev.start(&[]);
    assert_eq!(contents(&dev.path("certificates")), kept);
    assert!(dev.path("keys/rekor1.pem").exists());
    dev.terminate();
    let fsck = dev.run("fsck", &[]);
    assert!(fsck.status.success(), "{fsck:?}");
}

#[test]
fn a_first_start_that_was_killed_anywhere_is_completed_by_the_next() {
    for reached in [
        "dev.lock",
        "keys/ca.pem",
        "keys/tsa-root.pem",
        "certificates/ca.pem",
        "log.db",
        "rekor1-tree-id",
        "last-start.json",
        "tuf",
        "trust/trusted_root.json",
        "checkpoints/rekor1",
        "checkpoints/rekor2",
    ] {
        let mut dev = Dev::new();
        let path = dev.path(reached);
        let ready = dev.path("ready.json");
        dev.spawn(&[]);
        // What is there for a moment only may be missed; then it is killed when ready.
        wait_until(reached, || path.exists() || ready.exists());
        dev.kill();
        dev.start(&[]);
        dev.terminate();
        let fsck = dev.run("fsck", &[]);
        assert!(fsck.status.success(), "killed at {reached}: {fsck:?}");
    }
}

/// There is no file that could say so: the database does.
#[tokio::test]
async fn a_log_that_was_frozen_is_served_and_nobody_is_sent_to_it() {
    let mut dev = Dev::started();
    let running = dev.run_words(&["log", "freeze", "rekor2"]);
    assert_eq!(running.status.code(), Some(3), "in use: {running:?}");
    dev.terminate();
    for _ in 0..2 {
        let frozen = dev.run_words(&["log", "freeze", "rekor2"]);
        let said = String::from_utf8(frozen.stdout).unwrap();
        assert!(
            frozen.status.success() && said.contains("`rekor2` is frozen: it ends with 1"),
            "{said}"
        );
    }
    dev.start(&[]);
    let config = fs::read(dev.path("trust/signing_config.v0.2.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let logs = config["rekorTlogUrls"].as_array().unwrap();
    assert!(logs.iter().all(|log| log["majorApiVersion"] == 1) && logs.len() == 1, "{config}");
    let root = fs::read_to_string(dev.path("trust/trusted_root.json")).unwrap();
    assert!(root.contains(&dev.url("rekor2")), "verifiers know it");
    let (status, checkpoint) = get(&format!("{}/checkpoint", dev.url("rekor2"))).await;
    assert_eq!((status, checkpoint.lines().nth(1)), (200, Some("1")));
    dev.terminate();
    let fsck = dev.run("fsck", &[]);
    assert!(fsck.status.success(), "{fsck:?}");
}

/// It was done without a word, and nothing started any more.
#[test]
fn the_last_log_of_a_kind_is_frozen_by_an_order_that_says_so_alone() {
    let mut dev = Dev::started();
    dev.terminate();
    let freeze = |words: &[&str]| {
        let frozen = dev.run_words(&[["log", "freeze"].as_slice(), words].concat());
        let all = [frozen.stdout, frozen.stderr].concat();
        (frozen.status.code(), String::from_utf8(all).unwrap())
    };
    let (code, said) = freeze(&["ct"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no active CT log") && said.contains("`default` gets no SCTs"), "{said}");
    assert!(said.contains("`--last`"), "{said}");
    assert_eq!(freeze(&["rekor2"]).0, Some(0), "there is the other one");
    assert_eq!(freeze(&["rekor2"]).0, Some(0), "again changes nothing");
    let (code, said) = freeze(&["rekor1"]);
    assert!(code == Some(1) && said.contains("has no active Rekor log"), "{said}");
    let (code, said) = freeze(&["rekor1", "--last"]);
    assert!(
        code == Some(0) && said.contains("no active Rekor log, and no service starts"),
        "{said}"
    );
    assert!(!said.contains("sends no client"), "{said}");
    let start = dev.run("dev", &["--port-base", "auto"]);
    let said = String::from_utf8(start.stderr).unwrap();
    assert_eq!(start.status.code(), Some(1), "{said}");
    assert!(
        said.contains("all Rekor logs are frozen for good") && said.contains("--data-dir"),
        "{said}"
    );
}

#[test]
fn a_data_directory_is_served_once() {
    let mut dev = Dev::started();
    let second = dev.run("dev", &["--port-base", "auto"]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("another countersignd runs"), "{said}");
    assert!(dev.path("ready.json").exists(), "the first one goes on");
    assert_eq!(dev.terminate().0.code(), Some(0));
}

#[test]
fn a_taken_port_is_named() {
    let dev = Dev::started();
    let port = dev.url("ca").rsplit(':').next().unwrap().to_owned();
    let other = Dev::new();
    let second = other.run("dev", &["--port-base", &port]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("port {port}")) && said.contains("--port-base auto"), "{said}");
}

#[test]
fn a_key_that_is_damaged_stops_the_start_and_stays() {
    let mut dev = Dev::started();
    dev.terminate();
    fs::write(dev.path("keys/rekor2.pem"), "damaged").unwrap();
    let start = dev.run("dev", &["--port-base", "auto"]);
    let said = String::from_utf8(start.stderr).unwrap();
    assert_eq!(start.status.code(), Some(1), "{said}");
    assert!(said.contains("rekor2.pem holds no private key"), "{said}");
    assert_eq!(fs::read_to_string(dev.path("keys/rekor2.pem")).unwrap(), "damaged");
}

const MONTH_S: u64 = 30 * 86_400;

#[tokio::test]
async fn the_clock_offset_file_moves_services_and_tokens() {
    let mut dev = Dev::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, MONTH_S.to_string()).unwrap();
    dev.start(&["--clock-offset-file", file.path().to_str().unwrap()]);
    let (_, head) = get_json(&format!("{}/ct/v1/get-sth", dev.url("ct"))).await;
    let moved = head["timestamp"].as_u64().unwrap() / 1000;
    let real = fs::metadata(dev.path("ready.json")).unwrap().modified().unwrap();
    let real = real.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(moved.abs_diff(real + MONTH_S) < 60, "{moved} {real}");
    assert!(token(&dev)["iat"].as_u64().unwrap().abs_diff(real + MONTH_S) < 60);
}

fn token(dev: &Dev) -> Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let token = String::from_utf8(dev.run("token", &[]).stdout).unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[test]
fn wrong_options_are_usage_errors() {
    for arguments in [
        &["dev", "--port-base", "65530"] as &[&str],
        &["dev", "--listen", "everywhere"],
        &["dev", "--unknown"],
        &["--log", "=nonsense=", "dev"],
        &["serve"],
        &[],
    ] {
        let output = program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}
