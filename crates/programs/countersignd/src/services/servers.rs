use std::time::Duration;

use anyhow::anyhow;
use server::{ServeLimits, TrustedProxies, serve_behind};
use tokio::{
    sync::Mutex,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::Listener;
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
/// provider, so these go on until the CA has answered everybody.
pub(crate) struct Servers {
    front: Group,
    back: Group,
    background: CancellationToken,
}

impl Servers {
    /// Serves each listener on what was bound for it; `proxies` are believed when they say who called.
    pub(crate) fn start(
        listeners: Vec<(Listener, Bound)>,
        proxies: &TrustedProxies,
    ) -> anyhow::Result<Self> {
        let group = |patience| Group { proxies: proxies.clone(), ..Group::new(patience) };
        let (mut front, mut back) = (group(FRONT_PATIENCE), group(BACK_PATIENCE));
        for (listener, bound) in listeners {
            let group = if listener.is_called() { &mut back } else { &mut front };
            group.serve(listener, bound);
        }
        let background = CancellationToken::new();
        let metrics = server::install_metrics()?;
        tokio::spawn(metrics.upkeep(background.clone()));
        Ok(Self { front, back, background })
    }

    /// Waits for a server that ends though nobody told it to.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        tokio::select! {
            error = self.front.failed() => error,
            error = self.back.failed() => error,
        }
    }

    pub(crate) async fn stop(self) {
        self.front.stop().await;
        self.back.stop().await;
        self.background.cancel();
    }
}

/// Servers that stop together.
struct Group {
    // Locked by whoever waits for an end; never contended.
    servers: Mutex<JoinSet<(String, std::io::Result<()>)>>,
    shutdown: CancellationToken,
    patience: Duration,
    proxies: TrustedProxies,
}

impl Group {
    fn new(patience: Duration) -> Self {
        let (servers, shutdown) = (Mutex::default(), CancellationToken::new());
        Self { servers, shutdown, patience, proxies: TrustedProxies::default() }
    }

    fn serve(&mut self, listener: Listener, bound: Bound) {
        let (name, shutdown) = (listener.name(), self.shutdown.clone());
        let router = listener.router(&shutdown);
        let limits = ServeLimits { drain: self.patience, ..ServeLimits::default() };
        let proxies = self.proxies.clone();
        self.servers.get_mut().spawn(async move {
            (name, serve_behind(bound.listeners, router, shutdown, limits, proxies).await)
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
    use super::*;

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
