//! A plain round-robin proxy before replicas, as operators have one.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use reqwest::{Method, StatusCode, header};
use tokio::net::TcpListener;

/// How long a replica has for one answer: one that stands still gives none.
const PATIENCE: Duration = Duration::from_secs(3);

/// Longest body of a request.
const BODY: usize = 1 << 20;

/// One port before the same service of all replicas.
pub(crate) struct Proxy {
    ports: Vec<u16>,
    next: AtomicUsize,
    /// How many of the replicas it knows.
    known: AtomicUsize,
    http: reqwest::Client,
    /// How often another replica was asked in place of one that did not answer.
    pub(crate) passed_on: AtomicU64,
}

impl Proxy {
    /// Listens until the runtime ends.
    pub(crate) fn start(listener: TcpListener, ports: Vec<u16>) -> Arc<Self> {
        let known = AtomicUsize::new(ports.len());
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let (next, passed_on) = (AtomicUsize::new(0), AtomicU64::new(0));
        let proxy = Arc::new(Self { ports, next, known, http, passed_on });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&proxy));
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    /// Asks the first `known` replicas from now on.
    pub(crate) fn know(&self, known: usize) {
        self.known.store(known, Ordering::SeqCst);
    }

    fn next(&self) -> u16 {
        let next = self.next.fetch_add(1, Ordering::SeqCst);
        self.ports[next % self.known.load(Ordering::SeqCst)]
    }
}

/// A read that is not answered goes to the next replica; a write is for its caller to repeat.
async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY).await.unwrap();
    let is_read = parts.method == Method::GET;
    let attempts = if is_read { 2 * proxy.ports.len() } else { 1 };
    for _ in 0..attempts {
        let url = format!("http://{}:{}{}", Ipv4Addr::LOCALHOST, proxy.next(), parts.uri);
        let asked = proxy.http.request(parts.method.clone(), url).body(body.clone());
        match answer(asked).await {
            Ok((status, body)) => return (status, body).into_response(),
            Err(_) => proxy.passed_on.fetch_add(u64::from(is_read), Ordering::SeqCst),
        };
    }
    StatusCode::GATEWAY_TIMEOUT.into_response()
}

async fn answer(asked: reqwest::RequestBuilder) -> Result<(StatusCode, Bytes), reqwest::Error> {
    let answer = asked.header(header::CONTENT_TYPE, "application/json").send().await?;
    let status = answer.status();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        assert!(
            answer.headers().contains_key(header::RETRY_AFTER),
            "when to come again is not said"
        );
    }
    Ok((status, answer.bytes().await?))
}
