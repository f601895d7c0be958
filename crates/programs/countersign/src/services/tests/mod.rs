//! The clients against a loopback server that answers whatever a test wants, also nothing.

mod answers;
mod http;
mod timestamps;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{HttpClient, HttpLimits, ServiceUrl};

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// What a server does with its nth request (from 0): raw bytes to answer; `None` is silence.
type Answers = dyn Fn(usize, &Seen) -> Option<Vec<u8>> + Send + Sync;

/// A server on loopback; gone with this value.
pub(crate) struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(
        answers: impl Fn(usize, &Seen) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::clone(&seen), Arc::new(answers)));
        Self { address, seen, task }
    }

    /// Gives the same answer to everybody.
    pub(crate) async fn always(answer: Vec<u8>) -> Self {
        Self::start(move |_, _| Some(answer.clone())).await
    }

    /// A base URL with credentials in it, which no message may show.
    pub(crate) fn url(&self) -> ServiceUrl {
        ServiceUrl::parse(&format!("http://user:hidden@{}/", self.address)).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, answers: Arc<Answers>) {
    // Held open: a connection that is dropped unanswered would be an answer too.
    let mut silent = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let count = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len()
        };
        match answers(count - 1, &request) {
            Some(answer) => {
                stream.write_all(&answer).await.unwrap();
                stream.shutdown().await.unwrap();
            }
            None => silent.push(stream),
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Seen {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        let body = bytes[end + 4..].to_vec();
        if body.len() == length {
            return Seen { head, body };
        }
    }
}

/// A response; `status` with its reason, `headers` each ended by CR LF.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Patient enough for a busy machine, without waits between attempts.
pub(crate) fn quick_http() -> HttpClient {
    let limits = HttpLimits { back_off: Duration::ZERO, ..HttpLimits::default() };
    HttpClient::with_limits(limits).unwrap()
}
