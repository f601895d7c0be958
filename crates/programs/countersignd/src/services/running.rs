use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use signing::{Clock, ClockFault};
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
    /// Until the end.
    pub(crate) background: Background,
    /// Until the next configuration.
    pub(crate) of_configuration: Background,
    /// The clock, where the process is to end when it jumped and stays apart.
    pub(crate) ends_with: Option<Arc<dyn Clock>>,
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
        tokio::join!(self.of_configuration.stop(), self.background.stop());
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
            fault = jumped(self.ends_with.as_deref()) => {
                anyhow::Error::new(fault).context("`end_on_jump` of [clock]")
            }
        }
    }
}

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);

/// Looks in a row that find it apart: a clock that comes back at once, as when a service of time corrects itself, ends
/// nothing.
const STAYS: u32 = 10;

/// Waits until the clock has jumped and stays apart.
async fn jumped(clock: Option<&dyn Clock>) -> ClockFault {
    let Some(clock) = clock else { return std::future::pending().await };
    let mut looks = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        match clock.fault() {
            Some(fault @ ClockFault::Jumped { .. }) if looks + 1 >= STAYS => return fault,
            Some(ClockFault::Jumped { .. }) => looks += 1,
            _ => looks = 0,
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

    /// Ends all of them, and waits a moment for it.
    pub(crate) async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(BACKGROUND_PATIENCE, self.tasks.wait()).await.is_err() {
            warn!("a task beside the services did not end in time");
        }
    }
}

impl Drop for Background {
    /// What was begun for something that did not come about, too.
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What SIGHUP is to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnHangup {
    /// An order to read the configuration again.
    Reload,
    /// The end of its terminal, and so its own: an orderly one. Who began it with SIGHUP ignored, as `nohup` does,
    /// does not want that.
    End,
}

/// The signals that end the process, and the one that may.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
    on_hangup: OnHangup,
}

impl Signals {
    pub(crate) fn listen(on_hangup: OnHangup) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let is_heard = on_hangup == OnHangup::Reload || !ignores_hangup();
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: if is_heard { Some(listen(SignalKind::hangup())?) } else { None },
            on_hangup,
        })
    }

    /// The name of the next one that ends the process.
    pub(crate) async fn received(&mut self) -> &'static str {
        let Self { terminate, interrupt, hangup, on_hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) if *on_hangup == OnHangup::End => drop(hangup.recv().await),
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = hung_up => "SIGHUP",
        }
    }

    /// Takes out SIGHUP, for who reads the configuration again by it.
    pub(crate) fn take_hangup(&mut self) -> Option<Signal> {
        self.hangup.take()
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

/// Whether whoever began this process had it ignore SIGHUP; where the system does not say, it does not.
fn ignores_hangup() -> bool {
    const OF_SIGHUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & OF_SIGHUP != 0)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicU32, Ordering},
        },
        time::{Duration, Instant},
    };

    use super::*;

    /// Jumps for the looks that it is told, and for ever.
    struct Jumping(AtomicU32, [std::ops::Range<u32>; 2]);

    impl Clock for Jumping {
        fn now_ms(&self) -> moment::UnixMillis {
            moment::UnixMillis(0)
        }

        fn fault(&self) -> Option<ClockFault> {
            let look = self.0.fetch_add(1, Ordering::SeqCst);
            let by = Duration::from_secs(61);
            let jumps = self.1.iter().any(|looks| looks.contains(&look));
            jumps.then_some(ClockFault::Jumped { by, ahead: true })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumped_and_stays_apart_ends_who_asked_for_it_and_one_that_comes_back_does_not()
     {
        let clock = Jumping(AtomicU32::new(0), [3..12, 20..u32::MAX]);
        let fault = jumped(Some(&clock)).await;
        assert!(matches!(fault, ClockFault::Jumped { ahead: true, .. }));
        assert_eq!(clock.0.load(Ordering::SeqCst), 30);
        let never = tokio::time::timeout(Duration::from_hours(1), jumped(None)).await;
        assert!(never.is_err());
    }

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
