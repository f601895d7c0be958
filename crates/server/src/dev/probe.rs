use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest answer that is read; `/readyz` has a line per check.
const MAX_ANSWER_LEN: u64 = 16 * 1024;

/// Longest wait: a readiness check of its own takes at most 2 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks `/readyz` as anybody would, over the socket.
pub(super) async fn ready(port: u16) -> anyhow::Result<()> {
    tokio::time::timeout(PATIENCE, ask(port)).await.context("no answer in time")?
}

async fn ask(port: u16) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let request =
        format!("GET /readyz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_LEN).read_to_string(&mut answer).await?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        bail!("not ready: {body}");
    }
    Ok(())
}
