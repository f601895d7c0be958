use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;
use tracing::{debug, warn};

use crate::TrustedProxies;

/// What one server grants its callers.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// From the accepted connection to the first whole request head.
    pub first_request: Duration,
    /// From the first byte of a later HTTP/1 request head to its end, and for an idle connection
    /// of either version. A peer that does not read its answers counts as idle.
    pub header_read: Duration,
    /// From telling an idle connection to end to cutting it off: for answers still on their way.
    pub linger: Duration,
    /// Open connections; further ones wait in the system's backlog.
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
            linger: Duration::from_mins(2),
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
    let server = Arc::new(Server {
        router,
        limits,
        proxies: Arc::new(proxies),
        shutdown,
        slots: Arc::new(Semaphore::new(limits.max_connections)),
        connections: TaskTracker::new(),
        cut_off: CancellationToken::new(),
    });
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
    router: Router,
    limits: ServeLimits,
    proxies: Arc<TrustedProxies>,
    shutdown: CancellationToken,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
    /// Cancelled when the time for draining is over.
    cut_off: CancellationToken,
}

impl Server {
    async fn accept_all(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        while let Some(accepted) = self.shutdown.run_until_cancelled(self.accept(&listener)).await {
            match accepted {
                Ok((stream, peer, slot)) => {
                    let server = Arc::clone(&self);
                    self.connections.spawn(async move {
                        let cut_off = server.cut_off.clone();
                        cut_off.run_until_cancelled(server.converse((stream, peer), slot)).await;
                    });
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Most likely out of file descriptors: others will be closed soon.
                    warn!(%error, "cannot accept a connection");
                    let pause = tokio::time::sleep(ACCEPT_PAUSE);
                    self.shutdown.run_until_cancelled(pause).await;
                }
            }
        }
        Ok(())
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer, slot))
    }

    async fn converse(&self, (stream, peer): (TcpStream, SocketAddr), _slot: OwnedSemaphorePermit) {
        let activity = Activity::new();
        let service = service_fn({
            let (router, activity) = (self.router.clone(), activity.clone());
            let proxies = Arc::clone(&self.proxies);
            move |mut request: http::Request<_>| {
                let under_way = activity.begin();
                let caller = proxies.caller(peer.ip(), request.headers());
                request.extensions_mut().insert(caller);
                let answer = router.clone().call(request);
                async move {
                    let _under_way = under_way;
                    answer.await
                }
            }
        });
        let builder = self.http();
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);

        // hyper's own limits begin after the version is known, which a peer could delay for ever,
        // and know neither idle HTTP/2 connections nor peers that do not read.
        let next_look = tokio::time::sleep(self.limits.first_request);
        tokio::pin!(next_look);
        let (mut leaving, mut draining) = (false, false);
        let ended = loop {
            tokio::select! {
                ended = &mut connection => break ended,
                () = &mut next_look => match self.judge(&activity) {
                    _ if leaving => return,
                    Verdict::Wait(until) => next_look.as_mut().reset(until),
                    Verdict::Silent => return,
                    Verdict::Idle => {
                        leaving = true;
                        connection.as_mut().graceful_shutdown();
                        next_look.as_mut().reset(Instant::now() + self.limits.linger);
                    }
                },
                () = self.shutdown.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection ended badly");
        }
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
            .max_pending_accept_reset_streams(HTTP2_MAX_RESETS)
            .max_local_error_reset_streams(HTTP2_MAX_ERRORS);
        builder
    }
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

/// Largest HTTP/1 request head, and read buffer of a body. A CI's token in
/// `Authorization` has 2 to 8 KiB.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The same limit for HTTP/2.
const HTTP2_MAX_HEADERS: u32 = 64 * 1024;

/// Requests at once on one HTTP/2 connection.
const HTTP2_MAX_STREAMS: u32 = 256;

/// Bytes of bodies that one connection may have sent and nobody has read yet.
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The same for one stream: a body of 64 KiB and its framing need no second round trip.
const HTTP2_STREAM_WINDOW: u32 = 256 * 1024;

/// Requests that a peer may take back before they were looked at, as h2 has it; one more ends
/// the connection (CVE-2023-44487, rapid reset).
const HTTP2_MAX_RESETS: usize = 20;

/// Streams that a peer's own errors may cost before they end the connection, as h2 has it.
const HTTP2_MAX_ERRORS: usize = 1024;

/// Finds dead HTTP/2 peers, which send no FIN.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// What happens on one connection, as far as its time limits ask. Clones share it.
#[derive(Clone)]
struct Activity(Arc<Mutex<State>>);

struct State {
    /// Requests in the hands of the router.
    under_way: usize,
    /// Whether there was a whole request head.
    asked: bool,
    /// When the last request was answered, or the connection accepted.
    quiet_since: Instant,
}

/// What a connection deserves at some moment.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// To be looked at again then.
    Wait(Instant),
    /// It never sent a request.
    Silent,
    /// Nothing was asked for a while, or the peer does not take its answers.
    Idle,
}

impl Activity {
    fn new() -> Self {
        let state = State { under_way: 0, asked: false, quiet_since: Instant::now() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Notes a request; it is under way until the guard is dropped.
    fn begin(&self) -> UnderWay {
        let mut state = self.lock();
        state.asked = true;
        state.under_way += 1;
        UnderWay(self.clone())
    }

    fn judge(&self, first_request: Duration, idle: Duration) -> Verdict {
        let (state, now) = (self.lock(), Instant::now());
        let limit = if state.asked { idle } else { first_request };
        let end = state.quiet_since + limit;
        if state.under_way > 0 {
            // However long it takes: the router has a time limit of its own.
            Verdict::Wait(now + limit)
        } else if now < end {
            Verdict::Wait(end)
        } else if state.asked {
            Verdict::Idle
        } else {
            Verdict::Silent
        }
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in the hands of the router.
struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
        state.quiet_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_silent_after_the_first_limit() {
        let activity = Activity::new();
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Wait(Instant::now() + FIRST));
        tokio::time::advance(FIRST).await;
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Silent);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_after_its_last_answer() {
        let activity = Activity::new();
        let (one, two) = (activity.begin(), activity.begin());
        tokio::time::advance(IDLE * 10).await;
        assert!(matches!(activity.judge(FIRST, IDLE), Verdict::Wait(_)));
        drop(one);
        tokio::time::advance(IDLE).await;
        assert!(matches!(activity.judge(FIRST, IDLE), Verdict::Wait(_)));
        drop(two);
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Wait(Instant::now() + IDLE));
        tokio::time::advance(IDLE).await;
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Idle);
    }
}
