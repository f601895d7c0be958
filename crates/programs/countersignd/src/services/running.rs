use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::servers::{BACKGROUND_PATIENCE, LOGS_PATIENCE, Servers};
use crate::logs::Logs;

/// Everything of a process that was started.
pub(crate) struct Running {
    pub(crate) servers: Servers,
    /// `None` where no log runs.
    pub(crate) logs: Option<Logs>,
    pub(crate) background: Background,
}

impl Running {
    /// Waits for a signal, or for the end of anything that should never end; gives the latter.
    pub(crate) async fn until_signalled(&self, signals: &mut Signals) -> Option<anyhow::Error> {
        tokio::select! {
            name = signals.received() => {
                info!(signal = name, "shutting down");
                None
            }
            error = self.failed() => Some(error),
        }
    }

    /// Callers first, then what answers them, then the logs.
    pub(crate) async fn stop(self, failure: Option<anyhow::Error>) -> anyhow::Result<ExitCode> {
        self.servers.stop().await;
        if let Some(logs) = self.logs {
            logs.stop(LOGS_PATIENCE).await;
        }
        self.background.stop().await;
        match failure {
            None => Ok(ExitCode::SUCCESS),
            Some(error) => Err(error.context("stopped, since it cannot go on safely")),
        }
    }

    async fn failed(&self) -> anyhow::Error {
        let logs = async {
            match &self.logs {
                Some(logs) => logs.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = self.servers.failed() => error,
            error = logs => error,
        }
    }
}

/// Tasks beside the services: all they write is replaced at once, so they may end anywhere. They
/// are waited for a moment, to put away what would look like a running process.
#[derive(Default)]
pub(crate) struct Background {
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Background {
    /// Runs a task that ends when the token is cancelled.
    pub(crate) fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(self.shutdown.clone()));
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(BACKGROUND_PATIENCE, self.tasks.wait()).await.is_err() {
            warn!("a task beside the services did not end in time");
        }
    }
}

/// The signals that end the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The name of the next one.
    pub(crate) async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Runs `start`, unless a signal comes first: then `None`.
    pub(crate) async fn unless<T>(
        &mut self,
        start: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<Option<T>> {
        tokio::select! {
            started = start => started.map(Some),
            name = self.received() => {
                info!(signal = name, "ended before the start was complete");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::{Duration, Instant},
    };

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_tasks_to_put_away_what_they_have_but_not_long() {
        let put_away = Arc::new(AtomicBool::new(false));
        let background = Background::default();
        let done = Arc::clone(&put_away);
        background.spawn(|shutdown| async move {
            shutdown.cancelled().await;
            tokio::task::yield_now().await;
            done.store(true, Ordering::SeqCst);
        });
        background.stop().await;
        assert!(put_away.load(Ordering::SeqCst));

        let background = Background::default();
        background.spawn(|_| std::future::pending());
        let begin = Instant::now();
        background.stop().await;
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
