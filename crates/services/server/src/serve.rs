use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;
use tracing::{debug, warn};

use crate::{
    CallerAddress, TrustedProxies,
    activity::{Activity, Turn, Verdict},
    connections::{Connections, Place, Seat},
    shares::{Peers, Prefix, Shares},
};

/// What one server grants its callers.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// From the accepted connection to the first whole request head.
    pub first_request: Duration,
    /// From the first byte of a later HTTP/1 request head to its end, for an idle connection of either version, and
    /// for a peer that takes nothing of an answer: that one is cut off then.
    pub header_read: Duration,
    /// From telling an idle connection, or one whose peer takes one of its answers no more, to end to cutting it off:
    /// for the ends of the other answers.
    pub linger: Duration,
    /// Open connections; when there are more, idle ones and those of the peer with most of them give way.
    pub max_connections: usize,
    /// From the begin of a shutdown to cutting off what has not finished.
    pub drain: Duration,
}

impl Default for ServeLimits {
    /// Shutdown must end within 10 s, as long as `docker stop` waits: 8 s for the requests, the rest for the stores.
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            header_read: Duration::from_secs(30),
            linger: Duration::from_secs(30),
            max_connections: 4096,
            drain: Duration::from_secs(8),
        }
    }
}

/// Serves `router` on all `listeners` until `shutdown`, with the default [`ServeLimits`].
///
/// HTTP/1.1, and HTTP/2 without TLS by prior knowledge. On shutdown no
/// connection is accepted, requests under way are finished, idle connections close.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    serve_with(listeners, router, shutdown, ServeLimits::default()).await
}

/// [`serve`] with other limits.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve_with(
    listeners: Vec<TcpListener>,
    router: Router,
    shutdown: CancellationToken,
    limits: ServeLimits,
) -> io::Result<()> {
    serve_behind(listeners, router, shutdown, limits, TrustedProxies::default()).await
}

/// [`serve_with`] behind proxies that are believed when they say who called.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve_behind(
    listeners: Vec<TcpListener>,
    router: Router,
    shutdown: CancellationToken,
    limits: ServeLimits,
    proxies: TrustedProxies,
) -> io::Result<()> {
    let answering = Answering { router, proxies: Arc::new(proxies) };
    serve_current(listeners, move || answering.clone(), shutdown, limits).await
}

/// What a server answers with.
#[derive(Debug, Clone)]
pub struct Answering {
    /// All routes.
    pub router: Router,
    /// Who is believed when saying who called.
    pub proxies: Arc<TrustedProxies>,
}

/// [`serve_behind`] with what `current` gives at each request: it may change between two, and each sees one of them
/// whole. Asked often, so it has to be cheap.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve_current(
    listeners: Vec<TcpListener>,
    current: impl Fn() -> Answering + Send + Sync + 'static,
    shutdown: CancellationToken,
    limits: ServeLimits,
) -> io::Result<()> {
    let server = Arc::new(Server::new(current, shutdown, limits));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(Arc::clone(&server).accept_all(listener));
    }
    while let Some(ended) = accepting.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    server.connections.close();
    if tokio::time::timeout(limits.drain, server.connections.wait()).await.is_err() {
        warn!(open = server.connections.len(), "cutting off requests that did not finish in time");
        server.cut_off.cancel();
        server.connections.wait().await;
    }
    Ok(())
}

struct Server {
    current: Box<dyn Fn() -> Answering + Send + Sync>,
    limits: ServeLimits,
    shutdown: CancellationToken,
    open: Arc<Connections>,
    peers: Peers,
    connections: TaskTracker,
    /// Cancelled when the time for draining is over.
    cut_off: CancellationToken,
}

impl Server {
    fn new(
        current: impl Fn() -> Answering + Send + Sync + 'static,
        shutdown: CancellationToken,
        limits: ServeLimits,
    ) -> Self {
        Self {
            current: Box::new(current),
            limits,
            shutdown,
            open: Connections::new(limits.max_connections),
            peers: Peers::new(),
            connections: TaskTracker::new(),
            cut_off: CancellationToken::new(),
        }
    }

    async fn accept_all(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let next = || self.shutdown.run_until_cancelled(self.next(&listener));
        while let Some((seat, accepted)) = next().await {
            match accepted {
                Ok((stream, peer)) => {
                    let server = Arc::clone(&self);
                    self.connections.spawn(async move {
                        let cut_off = server.cut_off.clone();
                        cut_off.run_until_cancelled(server.admit(seat, (stream, peer))).await;
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Most likely out of file descriptors.
                    warn!(%error, "cannot accept a connection");
                    self.open.make_room();
                    let pause = tokio::time::sleep(ACCEPT_PAUSE);
                    self.shutdown.run_until_cancelled(pause).await;
                }
            }
        }
        Ok(())
    }

    async fn next(&self, listener: &TcpListener) -> (Seat, io::Result<(TcpStream, SocketAddr)>) {
        (self.open.seat().await, listener.accept().await)
    }

    async fn admit(&self, seat: Seat, (stream, peer): (TcpStream, SocketAddr)) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection ended at once");
            return;
        }
        let entered =
            self.shutdown.run_until_cancelled(self.open.enter(seat, Prefix::of(peer.ip())));
        match entered.await {
            Some(Some(place)) => self.converse((stream, peer), place).await,
            Some(None) => debug!("one connection too many"),
            None => {}
        }
    }

    async fn converse(&self, (stream, peer): (TcpStream, SocketAddr), place: Place) {
        let activity = &place.activity;
        let own = self.peers.shares(Prefix::of(peer.ip())).of_connection();
        let service = service_fn(|mut request: Request<Incoming>| {
            let under_way = activity.begin();
            let Answering { mut router, proxies } = (self.current)();
            let caller = proxies.caller(peer.ip(), request.headers());
            let shares = self.shares(caller, peer, &own);
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(shares);
            let answer = router.call(request.map(|body| activity.arriving(body)));
            let activity = activity.clone();
            async move {
                let answer = answer.await;
                // In this order: an answer that leaves is not taken for a quiet connection.
                let answer = answer.map(|answer| answer.map(|body| activity.leaving(body)));
                drop(under_way);
                answer
            }
        });
        let builder = self.http();
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);

        // hyper's own limits begin after the version is known, which a peer could delay for ever,
        // and know neither idle HTTP/2 connections nor peers that do not read.
        let next_look = tokio::time::sleep(self.limits.first_request);
        tokio::pin!(next_look);
        let mut stage = Stage::Staying;
        let ended = loop {
            tokio::select! {
                // First the connection, which may have been asked something since.
                biased;
                ended = &mut connection => break ended,
                // Also when it is leaving by itself, for which it has longer.
                () = told_to_leave(&place), if stage < Stage::GivingWay => {
                    // Who has its turn loses what it would have lost half a second later, and thousands wait meanwhile.
                    if activity.turn().0 == Turn::Peers {
                        return;
                    }
                    stage = Stage::GivingWay;
                    connection.as_mut().graceful_shutdown();
                    next_look.as_mut().reset(Instant::now() + GIVE_WAY);
                }
                () = &mut next_look => match self.judge(activity) {
                    _ if stage >= Stage::Leaving => return,
                    Verdict::Wait(until) => next_look.as_mut().reset(until),
                    Verdict::Silent | Verdict::Deaf => return,
                    Verdict::Idle | Verdict::PartlyDeaf => {
                        stage = Stage::Leaving;
                        connection.as_mut().graceful_shutdown();
                        next_look.as_mut().reset(Instant::now() + self.limits.linger);
                    }
                },
                () = self.shutdown.cancelled(), if stage == Stage::Staying => {
                    stage = Stage::Draining;
                    connection.as_mut().graceful_shutdown();
                }
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection ended badly");
        }
    }

    /// The budgets of a request: its connection's, or those of the caller for whom a trusted proxy asks.
    fn shares(
        &self,
        CallerAddress(caller): CallerAddress,
        peer: SocketAddr,
        own: &Shares,
    ) -> Shares {
        let caller = Prefix::of(caller);
        if caller == Prefix::of(peer.ip()) { own.clone() } else { self.peers.shares(caller) }
    }

    fn judge(&self, activity: &Activity) -> Verdict {
        activity.judge(self.limits.first_request, self.limits.header_read)
    }

    fn http(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read)
            .max_buf_size(MAX_HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HTTP2_PING_INTERVAL)
            .max_concurrent_streams(HTTP2_MAX_STREAMS)
            .max_header_list_size(HTTP2_MAX_HEADERS)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .max_pending_accept_reset_streams(HTTP2_MAX_RESETS)
            .max_local_error_reset_streams(HTTP2_MAX_ERRORS);
        builder
    }
}

/// How far a connection is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Staying,
    /// The server ends: it takes no further request.
    Draining,
    /// Its peer did nothing for a while.
    Leaving,
    /// Another needs its place.
    GivingWay,
}

/// Ends when the connection is to give way, and what had come from its peer by then could be seen.
async fn told_to_leave(place: &Place) {
    place.leave.cancelled().await;
    // The runtime asks the system meanwhile: in a flood a place is held for less time than a request may wait to be read.
    tokio::task::yield_now().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::InvalidInput
    )
}

/// Pause after a failed accept, in which connections close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// From telling a connection to give way to another to cutting it off.
const GIVE_WAY: Duration = Duration::from_millis(500);

/// Largest HTTP/1 request head, read buffer of a body and what is kept of an answer for a slow peer. A CI's token in
/// `Authorization` has 2 to 8 KiB.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The same limit for HTTP/2, where many requests of one connection have a head at once.
const HTTP2_MAX_HEADERS: u32 = 24 * 1024;

/// Requests at once on one HTTP/2 connection: as few as RFC 9113 §6.5.2 recommends at least.
const HTTP2_MAX_STREAMS: u32 = 100;

/// Bytes of bodies that one connection may have sent and nobody has read yet. They are on no budget.
const HTTP2_CONNECTION_WINDOW: u32 = 256 * 1024;

/// The same for one stream: a body of 64 KiB and its framing need no second round trip.
const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;

/// What h2 keeps of one answer for a peer whose window is open and who does not read.
const HTTP2_SEND_BUFFER: usize = 64 * 1024;

/// Requests that a peer may take back before they were looked at, as h2 has it; one more ends
/// the connection (CVE-2023-44487, rapid reset).
const HTTP2_MAX_RESETS: usize = 20;

/// Streams that a peer's own errors may cost before they end the connection, as h2 has it.
const HTTP2_MAX_ERRORS: usize = 1024;

/// Finds dead HTTP/2 peers, which send no FIN.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// In a flood a place changed hands before the request that had come with it was read.
    #[tokio::test]
    async fn a_request_that_has_come_is_answered_before_its_place_is_given_away() {
        let limits = ServeLimits { max_connections: 1, ..ServeLimits::default() };
        let (router, proxies) = (Router::new(), Arc::default());
        let answering = Answering { router, proxies };
        let server = Server::new(move || answering.clone(), CancellationToken::new(), limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Enough that no order of looking at several things at once is right by chance.
        for _ in 0..32 {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let (seat, peer) = (server.open.seat().await, Prefix::of([192, 0, 2, 1].into()));
            let place = server.open.enter(seat, peer).await.unwrap();
            place.leave.cancel();
            server.converse(listener.accept().await.unwrap(), place).await;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
        }
    }
}
