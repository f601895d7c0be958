//! `serve` on real sockets: protocols, slow and silent peers, caps, shutdown.
#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, Version};
use server::{
    CallerAddress, Failure, Protocol, Readiness, ServeLimits, TrustedProxies, harden,
    health_routes, read_body, serve_behind,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const LIMIT: usize = 1024;

/// Far above what a test should take, so that only a hang runs into it.
const PATIENCE: Duration = Duration::from_secs(20);

fn limits() -> ServeLimits {
    ServeLimits {
        first_request: Duration::from_millis(300),
        header_read: Duration::from_millis(300),
        linger: Duration::from_millis(300),
        max_connections: 64,
        drain: Duration::from_millis(300),
    }
}

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    async fn start(router: Router, limits: ServeLimits) -> Self {
        Self::start_behind(router, limits, TrustedProxies::default()).await
    }

    async fn start_behind(router: Router, limits: ServeLimits, proxies: TrustedProxies) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = serve_behind(vec![listener], router, shutdown.clone(), limits, proxies);
        let server = tokio::spawn(serving);
        Self { address, shutdown, server }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.server).await.unwrap().unwrap().unwrap();
    }
}

fn render(failure: &Failure) -> Response {
    (failure.status(), Json(serde_json::json!({"error": failure.to_string()}))).into_response()
}

fn router() -> Router {
    let echo = |request: Request| async move {
        read_body(request, LIMIT).await.map_err(|failure| render(&failure))
    };
    let version = |request: Request| async move { format!("{:?}", request.version()) };
    let router = Router::new().route("/echo", post(echo)).route("/version", get(version));
    let timeout = Duration::from_secs(5);
    harden(router, Protocol { name: "test", body_limit: LIMIT, timeout, render })
}

/// What the peer sees until the server closes.
async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    // A reset is a close too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut seen)).await.unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn speaks_http1_and_http2_without_tls() {
    let running = Running::start(router(), limits()).await;
    let http1 = reqwest::Client::new();
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for (client, version, name) in
        [(http1, Version::HTTP_11, "HTTP/1.1"), (http2, Version::HTTP_2, "HTTP/2.0")]
    {
        let response = client.get(running.url("//version/")).send().await.unwrap();
        assert_eq!(response.version(), version);
        assert_eq!(response.text().await.unwrap(), name);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_four_mebibytes_still_reads_the_413() {
    let running = Running::start(router(), limits()).await;
    let dots = vec![b'.'; 4 * 1024 * 1024];
    for declared in [true, false] {
        let body = if declared {
            reqwest::Body::from(dots.clone())
        } else {
            let chunks: Vec<_> =
                dots.chunks(64 * 1024).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect();
            reqwest::Body::wrap_stream(futures::stream::iter(chunks))
        };
        let response =
            reqwest::Client::new().post(running.url("/echo")).body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(response.text().await.unwrap().contains("longer than 1024 bytes"));
    }
    running.stop().await;
}

#[tokio::test]
async fn closes_connections_that_send_no_whole_request_head() {
    let running = Running::start(router(), limits()).await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: "]
    {
        let mut stream = running.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let seen = read_to_close(&mut stream).await;
        assert!(!seen.contains("200 OK"), "{beginning:?} got {seen:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn closes_kept_alive_connections_that_stay_idle() {
    let running = Running::start(router(), limits()).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(read_to_close(&mut stream).await.contains("HTTP/1.1 200 OK"));
    running.stop().await;
}

#[tokio::test]
async fn admits_no_more_connections_than_its_cap_while_they_are_served() {
    let (held, mut entries, release) = held();
    let one = ServeLimits { max_connections: 1, ..limits() };
    let running = Running::start(router().merge(held), one).await;
    let first = tokio::spawn(reqwest::get(running.url("/held")));
    entries.recv().await.unwrap();
    let waiting = tokio::spawn({
        let url = running.url("/version");
        async move { reqwest::get(url).await.unwrap().status() }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    release.cancel();
    assert_eq!(first.await.unwrap().unwrap().text().await.unwrap(), "finished");
    assert_eq!(tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap(), StatusCode::OK);
    running.stop().await;
}

#[tokio::test]
async fn connections_that_say_nothing_give_way_to_one_that_asks() {
    let limits = ServeLimits {
        max_connections: 8,
        first_request: 10 * PATIENCE,
        header_read: 10 * PATIENCE,
        ..limits()
    };
    let running = Running::start(router(), limits).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(running.connect().await);
    }
    serves_another(&running).await;
    // The first one went; all others may stay.
    assert_eq!(read_to_close(&mut silent[0]).await, "");
    running.stop().await;
}

#[tokio::test]
async fn a_long_answer_is_made_no_faster_than_it_is_read_and_ends_with_a_peer_that_does_not() {
    let made = Arc::new(AtomicUsize::new(0));
    let endless = {
        let made = Arc::clone(&made);
        move || {
            let page = bytes::Bytes::from(vec![0u8; server::PAGE_LEN]);
            let pages = futures::stream::repeat_with(move || {
                made.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(page.clone())
            });
            async { server::in_pages(pages).await.unwrap() }
        }
    };
    let router = Router::new().route("/endless", get(endless));
    let protocol = Protocol { name: "test", body_limit: LIMIT, timeout: PATIENCE, render };
    let running = Running::start(harden(router, protocol), limits()).await;
    let mut deaf = running.connect().await;
    deaf.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // It ends by itself, though nothing was read; what had been sent by then is still there.
    tokio::time::sleep(limits().header_read * 4).await;
    assert!(read_to_close(&mut deaf).await.len() > server::PAGE_LEN);
    // What the system's buffers take, and no more.
    assert!(made.load(Ordering::SeqCst) < 1024, "{made:?}");
    running.stop().await;
}

/// Over HTTP/1.0, which proxies still speak, a body without a length ends where its connection does.
#[tokio::test]
async fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let pages = |whole: bool| async move {
        let page = || Ok(bytes::Bytes::from(vec![b'x'; server::PAGE_LEN]));
        let end = if whole { page() } else { Err(std::io::Error::other("gone")) };
        let length = [("content-length", (3 * server::PAGE_LEN).to_string())];
        (length, server::in_pages(futures::stream::iter([page(), page(), end])).await.unwrap())
    };
    let router = Router::new()
        .route("/whole", get(move || pages(true)))
        .route("/broken", get(move || pages(false)));
    let protocol = Protocol { name: "test", body_limit: LIMIT, timeout: PATIENCE, render };
    let running = Running::start(harden(router, protocol), limits()).await;
    let ask = async |path: &str| {
        let mut stream = running.connect().await;
        let head = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_to_close(&mut stream).await
    };
    let whole = ask("/whole").await;
    assert!(whole.starts_with("HTTP/1.0 200 OK"), "{whole:.99}");
    assert!(whole.contains("content-length: 196608\r\n"), "{whole:.200}");
    let broken = ask("/broken").await;
    assert!(
        broken.contains("content-length: 196608\r\n") && broken.len() < 196_608,
        "{broken:.200}"
    );
    reqwest::get(running.url("/broken")).await.unwrap().bytes().await.unwrap_err();
    running.stop().await;
}

#[tokio::test]
async fn a_deaf_stream_ends_its_connection_only_after_the_other_requests() {
    let (held, mut entries, release) = held();
    let endless = || async {
        let page = bytes::Bytes::from(vec![0u8; server::PAGE_LEN]);
        let pages = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(page.clone()));
        server::in_pages(pages).await.unwrap()
    };
    let router = router().merge(held).route("/endless", get(endless));
    let running = Running::start(router, ServeLimits { linger: PATIENCE, ..limits() }).await;
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(100_000)
        .http2_initial_connection_window_size(1_000_000);
    let http2 = http2.build().unwrap();
    let unread = http2.get(running.url("/endless")).send().await.unwrap();
    let held = tokio::spawn(http2.get(running.url("/held")).send());
    entries.recv().await.unwrap();
    tokio::time::sleep(limits().header_read * 4).await;
    release.cancel();
    let answer = tokio::time::timeout(PATIENCE, held).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "finished");
    drop(unread);
    running.stop().await;
}

/// Waits until somebody else is served by a server that has one slot.
async fn serves_another(running: &Running) {
    let answer = tokio::time::timeout(PATIENCE, reqwest::get(running.url("/version")));
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn gives_up_on_a_client_that_does_not_read_its_answers() {
    let large = router().route("/large", get(|| async { vec![0u8; 4 << 20] }));
    let running = Running::start(large, ServeLimits { max_connections: 1, ..limits() }).await;
    let mut deaf = running.connect().await;
    let request = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
    deaf.write_all(&request.repeat(16)).await.unwrap();
    serves_another(&running).await;
    drop(deaf);
    running.stop().await;
}

#[tokio::test]
async fn closes_http2_connections_that_stay_idle() {
    let running = Running::start(router(), ServeLimits { max_connections: 1, ..limits() }).await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    http2.get(running.url("/version")).send().await.unwrap().text().await.unwrap();
    serves_another(&running).await;
    drop(http2);
    running.stop().await;
}

/// GOAWAY is followed by a ping, and who never answers it lingered, whoever wanted the place.
#[tokio::test]
async fn a_connection_that_lingers_gives_way_like_any_other() {
    let limits = ServeLimits { max_connections: 1, linger: 10 * PATIENCE, ..limits() };
    let running = Running::start(router(), limits).await;
    let mut silent = running.connect().await;
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let get_of_root = [0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'x'];
    silent.write_all(&[&settings[..], &get_of_root].concat()).await.unwrap();
    tokio::time::sleep(limits.header_read * 4).await;
    serves_another(&running).await;
    drop(silent);
    running.stop().await;
}

/// A route that says when it was entered, and answers when it is told to.
fn held() -> (Router, mpsc::Receiver<()>, CancellationToken) {
    let (entered, entries) = mpsc::channel(1);
    let release = CancellationToken::new();
    let handler = {
        let release = release.clone();
        move || async move {
            entered.send(()).await.unwrap();
            release.cancelled().await;
            "finished"
        }
    };
    (Router::new().route("/held", get(handler)), entries, release)
}

#[tokio::test]
async fn finishes_requests_under_way_and_accepts_no_more_on_shutdown() {
    let (router, mut entries, release) = held();
    let limits = ServeLimits { drain: PATIENCE, ..limits() };
    let running = Running::start(router, limits).await;
    let url = running.url("/held");
    let request = tokio::spawn(async move { reqwest::get(url).await.unwrap().text().await });
    entries.recv().await.unwrap();

    running.shutdown.cancel();
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    release.cancel();
    assert_eq!(request.await.unwrap().unwrap(), "finished");
    running.stop().await;
}

#[tokio::test]
async fn cuts_off_requests_that_outlive_the_drain_time() {
    let (router, mut entries, _release) = held();
    let running = Running::start(router, limits()).await;
    let url = running.url("/held");
    let request = tokio::spawn(async move { reqwest::get(url).await });
    entries.recv().await.unwrap();
    running.stop().await;
    request.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn readiness_gives_reasons_and_ends_with_the_shutdown() {
    let shutdown = CancellationToken::new();
    let readiness = Readiness::new(shutdown.clone());
    let (switch, state) = tokio::sync::watch::channel(true);
    readiness.add("store", move || {
        let good = *state.borrow();
        async move { if good { Ok(()) } else { Err("disk is full".to_owned()) } }
    });
    let running = Running::start(health_routes(readiness), limits()).await;
    let ask = async |path: &str| {
        let response = reqwest::get(running.url(path)).await.unwrap();
        (response.status().as_u16(), response.json::<serde_json::Value>().await.unwrap())
    };

    let (status, body) = ask("/readyz").await;
    assert_eq!((status, &body["checks"]["store"]), (200, &"ok".into()));
    switch.send(false).unwrap();
    let (status, body) = ask("/readyz").await;
    assert_eq!((status, &body["checks"]["store"]), (503, &"disk is full".into()));
    assert_eq!(ask("/healthz").await.0, 200);
    switch.send(true).unwrap();
    shutdown.cancel();
    let (status, body) = ask("/readyz").await;
    assert_eq!((status, &body["checks"]["process"]), (503, &"shutting down".into()));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn readiness_does_not_wait_for_a_check_that_hangs() {
    let readiness = Readiness::new(CancellationToken::new());
    readiness.add("hanging", std::future::pending);
    let report = readiness.report().await;
    assert!(!report.ready);
    assert_eq!(report.checks["hanging"], "no answer in time");
}

/// Who asked, as the service sees it, when a request says that it is for another.
async fn caller_behind(proxies: &[&str]) -> String {
    let whoami = |Extension(CallerAddress(address)): Extension<CallerAddress>| async move {
        address.to_string()
    };
    let router = Router::new().route("/whoami", get(whoami));
    let proxies = TrustedProxies::parse(proxies).unwrap();
    let running = Running::start_behind(router, ServeLimits::default(), proxies).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(running.url("/whoami")).header("x-forwarded-for", "192.0.2.7");
    let address = request.send().await.unwrap().text().await.unwrap();
    running.stop().await;
    address
}

#[tokio::test]
async fn a_service_knows_its_caller_and_believes_only_a_trusted_proxy() {
    assert_eq!(caller_behind(&[]).await, "127.0.0.1");
    assert_eq!(caller_behind(&["10.0.0.0/8"]).await, "127.0.0.1");
    assert_eq!(caller_behind(&["127.0.0.0/8"]).await, "192.0.2.7");
}
