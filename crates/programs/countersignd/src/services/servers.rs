use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::anyhow;
use axum::Router;
use server::{Answering, Door, ServeLimits, TrustedProxies, serve_current};
use tokio::{
    sync::{Mutex, watch},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{Listener, listeners::End};
use crate::endpoints::Bound;

/// For requests of clients to finish. With what follows, a stop takes less than 10 s.
const FRONT_PATIENCE: Duration = Duration::from_secs(5);

/// For requests among the services, whose callers have finished.
const BACK_PATIENCE: Duration = Duration::from_secs(2);

/// For the logs to sequence what they accepted.
pub(crate) const LOGS_PATIENCE: Duration = Duration::from_secs(2);

/// For the tasks beside them to put away what they have.
pub(crate) const BACKGROUND_PATIENCE: Duration = Duration::from_millis(500);

/// The HTTP servers, in two groups: the CA calls the CT log and the identity
/// provider, so these go on until the CA has answered everybody. Where both share a port, it is of the second, and
/// the CA on it closes with the first.
pub(crate) struct Servers {
    front: Group,
    back: Group,
    /// Before the services of the back ports that nobody calls.
    door: Door,
    /// What all of them answer with: one value, so that it changes for all ports at once.
    routes: watch::Sender<Arc<BTreeMap<u16, Answering>>>,
    /// The ports of the second group; as they were at the start.
    called: Vec<u16>,
    background: CancellationToken,
}

impl Servers {
    /// Serves each listener on what was bound for it; `proxies` are believed when they say who called.
    pub(crate) fn start(
        listeners: Vec<(Listener, Bound)>,
        proxies: &TrustedProxies,
    ) -> anyhow::Result<Self> {
        let max_connections = server::connections_of_each(listeners.len());
        let group = |patience| Group { max_connections, ..Group::new(patience) };
        let (front, back) = (group(FRONT_PATIENCE), group(BACK_PATIENCE));
        let door = Door::new(front.shutdown.clone());
        let called = listeners.iter().filter(|(listener, _)| listener.is_called());
        let called = called.map(|(listener, _)| listener.port).collect();
        let (routes, background) = (watch::Sender::default(), CancellationToken::new());
        let mut servers = Self { front, back, door, routes, called, background };
        let (listeners, bound): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
        let names: Vec<_> = listeners.iter().map(|one| (one.port, one.name())).collect();
        servers.answer_with(listeners, proxies);
        for ((port, name), bound) in names.into_iter().zip(bound) {
            let routes = servers.routes.subscribe();
            let current = move || {
                let known = routes.borrow().get(&port).cloned();
                // Never: the ports stay.
                known
                    .unwrap_or_else(|| Answering { router: Router::new(), proxies: Arc::default() })
            };
            let group =
                if servers.called.contains(&port) { &mut servers.back } else { &mut servers.front };
            group.serve((name, bound), current);
        }
        let metrics = server::install_metrics()?;
        tokio::spawn(metrics.upkeep(servers.background.clone()));
        Ok(servers)
    }

    /// From now on every request is answered by these, of the same ports; those under way end as they began.
    pub(crate) fn answer_with(&self, listeners: Vec<Listener>, proxies: &TrustedProxies) {
        let proxies = Arc::new(proxies.clone());
        let mut routes = BTreeMap::new();
        for listener in listeners {
            let port = listener.port;
            // A port of the front closes with its services, so nobody comes later.
            let (of_port, door) = if self.called.contains(&port) {
                (&self.back.shutdown, Some(&self.door))
            } else {
                (&self.front.shutdown, None)
            };
            let end = End { of_port, of_callers: &self.front.shutdown, door };
            let proxies = Arc::clone(&proxies);
            routes.insert(port, Answering { router: listener.router(&end), proxies });
        }
        self.routes.send_replace(Arc::new(routes));
    }

    /// Waits for a server that ends though nobody told it to.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        tokio::select! {
            error = self.front.failed() => error,
            error = self.back.failed() => error,
        }
    }

    pub(crate) async fn stop(self) {
        tokio::join!(self.front.stop(), emptied(&self.door));
        self.back.stop().await;
        self.background.cancel();
    }
}

/// Waits until the services behind the door have answered everybody, as long as those of the front have.
async fn emptied(door: &Door) {
    if tokio::time::timeout(FRONT_PATIENCE, door.emptied()).await.is_err() {
        tracing::warn!(open = door.within(), "requests did not finish in time");
    }
}

/// Servers that stop together.
struct Group {
    // Locked by whoever waits for an end; never contended.
    servers: Mutex<JoinSet<(String, std::io::Result<()>)>>,
    shutdown: CancellationToken,
    patience: Duration,
    max_connections: usize,
}

impl Group {
    fn new(patience: Duration) -> Self {
        let (servers, shutdown) = (Mutex::default(), CancellationToken::new());
        let ServeLimits { max_connections, .. } = ServeLimits::default();
        Self { servers, shutdown, patience, max_connections }
    }

    fn serve(
        &mut self,
        (name, bound): (String, Bound),
        current: impl Fn() -> Answering + Send + Sync + 'static,
    ) {
        let shutdown = self.shutdown.clone();
        let (drain, max_connections) = (self.patience, self.max_connections);
        let limits = ServeLimits { drain, max_connections, ..ServeLimits::default() };
        self.servers.get_mut().spawn(async move {
            (name, serve_current(bound.listeners, current, shutdown, limits).await)
        });
    }

    async fn failed(&self) -> anyhow::Error {
        match self.servers.lock().await.join_next().await {
            Some(ended) => why(ended),
            None => std::future::pending().await,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        let mut servers = self.servers.into_inner();
        while let Some(ended) = servers.join_next().await {
            if !matches!(ended, Ok((_, Ok(())))) {
                tracing::error!(error = %why(ended), "a server ended badly");
            }
        }
    }
}

fn why(ended: Result<(String, std::io::Result<()>), JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow!("the server of {name} ended by itself"),
        Ok((name, Err(error))) => {
            anyhow::Error::new(error).context(format!("the server of {name} failed"))
        }
        Err(panic) => anyhow::Error::new(panic).context("a server panicked"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Instant,
    };

    use axum::{Router, response::IntoResponse, routing::get};
    use server::{Failure, Host, Protocol};
    use tokio::net::TcpListener;

    use super::*;
    use crate::services::Served;

    /// The CA's, and that of its log.
    const HOSTS: [&str; 2] = ["ca.example", "ct.example"];

    const PROTOCOL: Protocol = Protocol {
        name: "test",
        body_limit: 0,
        timeout: Duration::from_secs(20),
        render: |failure: &Failure| (failure.status(), failure.to_string()).into_response(),
    };

    async fn ask(port: u16, host: &str) -> reqwest::Result<(u16, String)> {
        let request = reqwest::Client::new().get(format!("http://127.0.0.1:{port}/"));
        let answer = request.header("host", host).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// A service at one of the hosts of `port`.
    fn served(port: u16, host: &str, router: Router) -> Served {
        let hosts = vec![Host::new(host)];
        Served { hosts, ..Served::at(port, host.to_owned(), (router, PROTOCOL)) }
    }

    /// The CA asks its log late, when the end has begun, and finds it on its own port.
    #[tokio::test]
    async fn what_was_accepted_on_a_port_that_the_log_shares_is_answered() {
        const CALLERS: usize = 50;
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let (entered, ending) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let issue = {
            let (entered, ending) = (Arc::clone(&entered), ending.clone());
            async move || {
                entered.fetch_add(1, Ordering::SeqCst);
                ending.cancelled().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                let (status, sct) = ask(port, HOSTS[1]).await.unwrap_or_default();
                (axum::http::StatusCode::from_u16(status).unwrap_or_default(), sct)
            }
        };
        let ca = served(port, HOSTS[0], Router::new().route("/", get(issue)));
        let log = served(port, HOSTS[1], Router::new().route("/", get(async || "an SCT")));
        let listener = Listener::group(vec![ca, Served { is_called: true, ..log }]);
        let bound = Bound { port, listeners: vec![socket] };
        let listening = listener.into_iter().zip([bound]).collect();
        let servers = Servers::start(listening, &TrustedProxies::default()).unwrap();

        let callers: JoinSet<_> = (0..CALLERS).map(|_| ask(port, HOSTS[0])).collect();
        while entered.load(Ordering::SeqCst) < CALLERS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = Instant::now();
        let stopping = tokio::spawn(servers.stop());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (status, said) = ask(port, HOSTS[0]).await.unwrap();
        assert_eq!((status, said.as_str()), (503, "the service is shutting down, try again"));
        ending.cancel();
        for answer in callers.join_all().await {
            assert_eq!(answer.unwrap(), (200, "an SCT".to_owned()));
        }
        stopping.await.unwrap();
        assert!(began.elapsed() < FRONT_PATIENCE, "nobody was waited for in vain");
        assert!(ask(port, HOSTS[1]).await.is_err(), "it is closed");
    }

    fn group_of(server: impl Future<Output = std::io::Result<()>> + Send + 'static) -> Group {
        let mut group = Group::new(FRONT_PATIENCE);
        group.servers.get_mut().spawn(async { ("the TSA".to_owned(), server.await) });
        group
    }

    #[tokio::test]
    async fn a_server_that_panics_fails_or_ends_by_itself_is_noticed() {
        let panicked = group_of(async { panic!("broken") }).failed().await;
        assert!(format!("{panicked:#}").contains("a server panicked"), "{panicked:#}");
        let failed = group_of(async { Err(std::io::Error::other("no descriptors")) });
        let failed = format!("{:#}", failed.failed().await);
        assert_eq!(failed, "the server of the TSA failed: no descriptors");
        let ended = group_of(async { Ok(()) }).failed().await;
        assert_eq!(ended.to_string(), "the server of the TSA ended by itself");
    }

    #[test]
    fn a_stop_takes_less_than_ten_seconds() {
        let longest = FRONT_PATIENCE + BACK_PATIENCE + LOGS_PATIENCE + BACKGROUND_PATIENCE;
        assert!(longest < Duration::from_secs(10), "SIGTERM is to end within 10 s: {longest:?}");
    }
}
