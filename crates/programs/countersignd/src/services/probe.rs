use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::Url;

/// Longest answer that is read; `/readyz` has a line per check.
const MAX_ANSWER_LEN: u64 = 16 * 1024;

/// Longest wait: a readiness check of its own takes at most 2 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks each port of this machine as anybody would, over the socket; by the name of whoever listens.
pub(crate) async fn all_answer(ports: &[(String, u16)]) -> anyhow::Result<()> {
    for (name, port) in ports {
        ask(&Ipv4Addr::LOCALHOST.to_string(), *port, "/healthz")
            .await
            .with_context(|| format!("no answer by {name}"))?;
    }
    Ok(())
}

/// `countersignd probe`: fails unless the `http` URL answers 200.
///
/// For images without a shell or curl.
pub(crate) async fn probe(url: &Url) -> anyhow::Result<()> {
    let (Some(host), Some(port), "http") =
        (url.host_str(), url.port_or_known_default(), url.scheme())
    else {
        bail!("`{url}` is not an http URL");
    };
    ask(host.trim_matches(['[', ']']), port, url.path()).await
}

async fn ask(host: &str, port: u16, path: &str) -> anyhow::Result<()> {
    tokio::time::timeout(PATIENCE, exchange(host, port, path)).await.context("no answer in time")?
}

async fn exchange(host: &str, port: u16, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((host, port)).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_LEN).read_to_end(&mut answer).await?;
    // A long answer may be cut within a character.
    let answer = String::from_utf8_lossy(&answer);
    if !answer.starts_with("HTTP/1.1 200 ") {
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        bail!("not ready: {body}");
    }
    Ok(())
}
