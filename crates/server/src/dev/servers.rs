use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use service::{Clock, Readiness, ServeLimits, harden, health_routes, serve_with};
use tokio::{
    sync::Mutex,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use translog::Log;
use tsa::Tsa;

use super::faces::Faces;
use crate::{
    endpoints::{Bound, Face},
    logs::Logs,
};

/// For requests of clients to finish. With what follows, a stop takes less than 10 s.
const FRONT_PATIENCE: Duration = Duration::from_secs(5);

/// For requests among the services, whose callers have finished.
const BACK_PATIENCE: Duration = Duration::from_secs(2);

/// For the logs to sequence what they accepted.
pub(super) const LOGS_PATIENCE: Duration = Duration::from_secs(2);

/// The HTTP servers, in two groups: the CA calls the CT log and the identity
/// provider, so these go on until the CA has answered everybody.
pub(super) struct Servers {
    front: Group,
    back: Group,
    background: CancellationToken,
}

impl Servers {
    /// Serves every face on what was bound for it.
    pub(super) fn start(
        faces: &Faces,
        logs: &Logs,
        bound: Vec<Bound>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let (mut front, mut back) = (Group::new(FRONT_PATIENCE), Group::new(BACK_PATIENCE));
        for (face, bound) in Face::ALL.into_iter().zip(bound) {
            let group = match face {
                Face::Ct | Face::Oidc | Face::Metrics => &mut back,
                _ => &mut front,
            };
            let readiness = readiness(face, faces, logs, group.shutdown.clone());
            let (router, protocol) = faces.router(face, logs, clock)?;
            let router = harden(router.merge(health_routes(readiness)), protocol);
            group.serve(face, bound, router);
        }
        let background = CancellationToken::new();
        let metrics = service::install_metrics()?;
        tokio::spawn(metrics.upkeep(background.clone()));
        Ok(Self { front, back, background })
    }

    /// Waits for a server that ends though nobody told it to.
    pub(super) async fn failed(&self) -> anyhow::Error {
        tokio::select! {
            error = self.front.failed() => error,
            error = self.back.failed() => error,
        }
    }

    pub(super) async fn stop(self) {
        self.front.stop().await;
        self.back.stop().await;
        self.background.cancel();
    }
}

/// Servers that stop together.
struct Group {
    // Locked by whoever waits for an end; never contended.
    servers: Mutex<JoinSet<(Face, std::io::Result<()>)>>,
    shutdown: CancellationToken,
    patience: Duration,
}

impl Group {
    fn new(patience: Duration) -> Self {
        Self { servers: Mutex::default(), shutdown: CancellationToken::new(), patience }
    }

    fn serve(&mut self, face: Face, bound: Bound, router: axum::Router) {
        let limits = ServeLimits { drain: self.patience, ..ServeLimits::default() };
        let shutdown = self.shutdown.clone();
        self.servers.get_mut().spawn(async move {
            (face, serve_with(bound.listeners, router, shutdown, limits).await)
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

fn why(ended: Result<(Face, std::io::Result<()>), JoinError>) -> anyhow::Error {
    match ended {
        Ok((face, Ok(()))) => anyhow!("the server of {face:?} ended by itself"),
        Ok((face, Err(error))) => {
            anyhow::Error::new(error).context(format!("the server of {face:?} failed"))
        }
        Err(panic) => anyhow::Error::new(panic).context("a server panicked"),
    }
}

/// What `face` needs to answer its callers.
fn readiness(face: Face, faces: &Faces, logs: &Logs, shutdown: CancellationToken) -> Readiness {
    let readiness = Readiness::new(shutdown);
    match face {
        // No certificate without a promise of the log.
        Face::Ca | Face::Ct => add_log(&readiness, "ct", &logs.ct),
        Face::Rekor2 => add_log(&readiness, "rekor2", &logs.rekor2),
        Face::Tsa => add_tsa(&readiness, &faces.tsa),
        Face::Rekor1 | Face::Trust | Face::Oidc | Face::Metrics => {}
    }
    readiness
}

fn add_log(readiness: &Readiness, name: &'static str, log: &Arc<Log>) {
    let log = Arc::clone(log);
    readiness.add(name, move || {
        let state = log.ready().map_err(|error| error.to_string());
        async move { state }
    });
}

fn add_tsa(readiness: &Readiness, tsa: &Arc<Tsa>) {
    let tsa = Arc::clone(tsa);
    readiness.add("tsa", move || {
        let state = tsa.readiness().map_err(|error| error.to_string());
        async move { state }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_of(server: impl Future<Output = std::io::Result<()>> + Send + 'static) -> Group {
        let mut group = Group::new(FRONT_PATIENCE);
        group.servers.get_mut().spawn(async { (Face::Tsa, server.await) });
        group
    }

    #[tokio::test]
    async fn a_server_that_panics_fails_or_ends_by_itself_is_noticed() {
        let panicked = group_of(async { panic!("broken") }).failed().await;
        assert!(format!("{panicked:#}").contains("a server panicked"), "{panicked:#}");
        let failed = group_of(async { Err(std::io::Error::other("no descriptors")) });
        let failed = format!("{:#}", failed.failed().await);
        assert_eq!(failed, "the server of Tsa failed: no descriptors");
        let ended = group_of(async { Ok(()) }).failed().await;
        assert_eq!(ended.to_string(), "the server of Tsa ended by itself");
    }

    #[test]
    fn a_stop_takes_less_than_ten_seconds() {
        let longest = FRONT_PATIENCE + BACK_PATIENCE + LOGS_PATIENCE;
        assert!(longest < Duration::from_secs(10), "design 3.2: {longest:?}");
    }
}
