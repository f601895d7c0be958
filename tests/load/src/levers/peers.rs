//! Levers that take places and time: connections that say nothing, heads that never end, searches, verifications.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::{Held, Target, honest::ask};

/// More than anybody's answer to a search.
const MOST_OF_ANSWER: u64 = 4 << 20;

/// Before a connection that was refused is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Opens `count` connections to the CA and says nothing.
pub(super) async fn silent(at: Target, count: usize) -> Result<Held> {
    again_and_again(&at.ca, count, Bytes::new()).await
}

/// The same with most of a request's head.
pub(super) async fn half_heads(at: Target, count: usize) -> Result<Held> {
    let mut head = b"GET / HTTP/1.1\r\nhost: localhost\r\nx-long: ".to_vec();
    head.resize(30 << 10, b'x');
    again_and_again(&at.ca, count, head.into()).await
}

/// Sends `bytes` on `count` connections and waits; whichever is closed is opened again.
pub(super) async fn again_and_again(authority: &str, count: usize, bytes: Bytes) -> Result<Held> {
    let mut held = Held::new();
    for _ in 0..count {
        // One after the other: they are all there when the honest ones come.
        let mut stream = TcpStream::connect(authority).await.ok();
        let (authority, bytes) = (authority.to_owned(), bytes.clone());
        held.spawn(async move {
            loop {
                if let Some(stream) = &mut stream
                    && stream.write_all(&bytes).await.is_ok()
                {
                    let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
                }
                tokio::time::sleep(AGAIN).await;
                stream = TcpStream::connect(&authority).await.ok();
            }
        });
    }
    Ok(held)
}

/// Begins a body on each of `count` connections to the CA, each from an address of its own: nobody has more than another.
pub(super) async fn peers_of_one(at: Target, count: u16) -> Result<Held> {
    let head = format!(
        "POST /api/v2/signingCert HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: 1000\r\n\r\n{{",
        at.ca
    );
    let to = tokio::net::lookup_host(&at.ca).await?.find(SocketAddr::is_ipv4);
    let to = to.context("the CA has no address of IPv4")?;
    let mut held = Held::new();
    for number in 0..count {
        let [high, low] = number.to_be_bytes();
        let from = SocketAddr::from(([127, 1 + high, low, 7], 0));
        let mut stream = connect_from(from, to).await.ok();
        let head = head.clone();
        held.spawn(async move {
            loop {
                if let Some(stream) = &mut stream
                    && stream.write_all(head.as_bytes()).await.is_ok()
                {
                    let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
                }
                tokio::time::sleep(AGAIN).await;
                stream = connect_from(from, to).await.ok();
            }
        });
    }
    Ok(held)
}

async fn connect_from(from: SocketAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(from)?;
    Ok(socket.connect(to).await?)
}

/// Searches on `count` connections for the address that every entry has.
pub(super) async fn common_word(at: Target, count: usize) -> Result<Held> {
    let mut held = Held::new();
    let question = r#"{"email":"load@acme.internal"}"#;
    let request = format!(
        "POST /api/v1/index/retrieve HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{question}",
        at.rekor1,
        question.len()
    );
    search(&at.rekor1, request.as_bytes()).await?;
    for _ in 0..count {
        let (authority, request) = (at.rekor1.clone(), request.clone());
        held.spawn(async move {
            loop {
                if search(&authority, request.as_bytes()).await.is_err() {
                    tokio::time::sleep(AGAIN).await;
                }
            }
        });
    }
    Ok(held)
}

async fn search(authority: &str, request: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(authority).await?;
    stream.write_all(request).await?;
    tokio::io::copy(&mut stream.take(MOST_OF_ANSWER), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Sends envelopes of which each costs as much as a request may, `count` at once.
pub(super) async fn dear(at: Target, count: usize) -> Result<Held> {
    ask(&at.dear, 0).await?;
    let mut held = Held::new();
    for _ in 0..count {
        let job = at.dear.clone();
        held.spawn(async move {
            loop {
                if ask(&job, 0).await.is_err() {
                    tokio::time::sleep(AGAIN).await;
                }
            }
        });
    }
    Ok(held)
}
