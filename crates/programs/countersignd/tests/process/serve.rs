//! `serve all` on a fresh deployment.

use std::{fs, net::TcpListener, process::Stdio};

use crate::harness::{program, wait_until};

/// Ports that were free a moment ago, for those of the sample.
fn on_free_ports(mut text: String) -> (String, u16) {
    let held: Vec<_> = (0..7).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut ports = held.iter().map(|socket| socket.local_addr().unwrap().port());
    for known in ["5555", "6962", "3000", "3003", "3004", "3005"] {
        let port = ports.next().unwrap();
        text = text.replace(
            &format!("url = \"http://localhost:{known}\""),
            &format!("url = \"http://localhost:{port}\"\nport = {port}"),
        );
    }
    let metrics = ports.next().unwrap();
    let listen = format!("[listen]\nmetrics_port = {metrics}\n\n[listen.metrics_ports]");
    (text.replace("[listen.metrics_ports]", &listen), metrics)
}

#[tokio::test]
async fn what_metrics_show_of_a_state_is_there_from_the_start_on() {
    let directory = tempfile::tempdir().unwrap();
    let sample = include_str!("../../../../../docs/samples/trial.toml");
    let data = directory.path().join("data").display().to_string();
    let (text, metrics) = on_free_ports(sample.replace("/var/tmp/countersign", &data));
    let config = directory.path().join("countersign.toml");
    fs::write(&config, text).unwrap();
    let said = program().arg("init").arg("--config").arg(&config).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let mut serve = program();
    serve.args(["serve", "all", "--config"]).arg(&config);
    let mut server =
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the metrics", || std::net::TcpStream::connect(("127.0.0.1", metrics)).is_ok());
    let shown = reqwest::get(format!("http://127.0.0.1:{metrics}/metrics")).await;
    let shown = shown.unwrap().text().await.unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let gauge = "countersign_tuf_expiry_timestamp_seconds{role=";
        assert!(shown.contains(&format!("{gauge}\"{role}\",trust=\"default\"}}")), "{shown}");
    }
    for authority in ["ca", "tsa"] {
        let gauge = "countersign_chain_expiry_timestamp_seconds{authority=";
        assert!(shown.contains(&format!("{gauge}\"{authority}.default\"}}")), "{shown}");
    }
    let of_ca = shown.lines().filter(|line| line.starts_with("countersign_ca_issuer_keys{issuer="));
    assert!(
        of_ca.clone().count() == 9 && of_ca.clone().all(|line| line.contains("ca=\"default\"}"))
    );
    for log in ["ct", "rekor1", "rekor2"] {
        let gauge = format!("countersign_log_size{{log=\"{log}\"}}");
        assert!(shown.contains(&gauge), "{shown}");
    }
}
