//! `countersignd dev`: everything in one process, ready to be signed with.

mod faces;
mod probe;
mod ready;
mod servers;
mod trust;

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::Context;
use service::{Clock, OffsetClock, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

pub(crate) use self::trust::{Chains, deployment};
use self::{faces::Faces, ready::Ready, servers::Servers};
use crate::{
    certificates,
    cli::DevArguments,
    data_dir::{DataDir, make_private, read_json, remove_if_present, write_json},
    endpoints::{self, Face},
    keys::Keys,
    logs::{Logs, open_store},
    token::LastStart,
};

/// `countersignd dev`: runs until SIGTERM or SIGINT.
pub(crate) async fn run(arguments: DevArguments) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    // From here on a signal ends an unfinished start too.
    let mut signals = Signals::listen()?;
    if let Some(address) = arguments.listen.filter(|address| !address.is_loopback()) {
        warn!(
            %address,
            "listening beyond loopback: whoever reaches this address can use a stack whose \
             identity provider trusts everybody with the data directory"
        );
    }
    let data_dir = DataDir::create(&arguments.data_dir)?;
    let _lock = data_dir.lock()?;
    remove_if_present(&data_dir.ready_file())?;

    let running = tokio::select! {
        started = start(&arguments, &data_dir) => started?,
        name = signals.received() => {
            info!(signal = name, "ended before the start was complete");
            return Ok(ExitCode::SUCCESS);
        }
    };
    running.ready.announce(&data_dir, begin.elapsed())?;
    let failure = tokio::select! {
        name = signals.received() => {
            info!(signal = name, "shutting down");
            None
        }
        error = running.failed() => Some(error),
    };
    // What waits for the file must not find it while we go.
    remove_if_present(&data_dir.ready_file())?;
    running.stop().await;
    match failure {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error.context("stopped, since it cannot go on safely")),
    }
}

/// Everything that was started.
struct Running {
    servers: Servers,
    logs: Logs,
    ready: Ready,
}

impl Running {
    /// Waits for the end of anything that should never end.
    async fn failed(&self) -> anyhow::Error {
        tokio::select! {
            error = self.servers.failed() => error,
            error = self.logs.failed() => error,
        }
    }

    /// Callers first, then what answers them, then the logs.
    async fn stop(self) {
        self.servers.stop().await;
        self.logs.stop(servers::LOGS_PATIENCE).await;
    }
}

async fn start(arguments: &DevArguments, data_dir: &DataDir) -> anyhow::Result<Running> {
    let clock_offset_file = match &arguments.clock_offset_file {
        Some(file) => Some(std::path::absolute(file)?),
        None => None,
    };
    let clock: Arc<dyn Clock> = match &clock_offset_file {
        Some(file) => Arc::new(OffsetClock::new(file)),
        None => Arc::new(SystemClock),
    };
    let last: Option<LastStart> = read_json(&data_dir.last_start_file())?;
    let (ports, bound) =
        endpoints::bind(arguments.port_base, arguments.listen, last.map(|last| last.ports)).await?;
    let sqlite_file = data_dir.log_database();
    if arguments.database_url.is_none() {
        // It names users and repositories.
        make_private(&sqlite_file)?;
    }
    let (secrets, store) = tokio::join!(
        make_secrets(data_dir.clone(), clock.now()),
        open_store(&sqlite_file, arguments.database_url.as_deref())
    );
    let (keys, chains) = secrets?;
    let store = store.context("cannot open the log's database")?;
    // Before anybody can ask for a token of this start.
    write_json(&data_dir.last_start_file(), &LastStart { ports, clock_offset_file })?;

    let faces = Faces::build((keys, chains), data_dir.tuf_dir(), &ports, &clock).await?;
    faces.trust_files.write_to(&data_dir.trust_dir())?;
    faces.tuf.write_root_to(&data_dir.trust_dir())?;
    let logs = Logs::start(data_dir, store, &faces.log_signers, &clock).await?;
    let servers = Servers::start(&faces, &logs, bound, &clock)?;
    for face in Face::ALL {
        probe::ready(ports.of(face)).await.with_context(|| format!("{face:?} does not answer"))?;
    }
    Ok(Running { servers, logs, ready: Ready::new(&ports, data_dir) })
}

async fn make_secrets(data_dir: DataDir, now: u64) -> anyhow::Result<(Keys, Chains)> {
    let make = move || {
        let keys = Keys::load_or_make(&data_dir)?;
        let ca = certificates::ca_chain(&data_dir, &keys.ca, now)?;
        let tsa = certificates::tsa_chain(&data_dir, &keys.tsa, now)?;
        Ok((keys, Chains { ca, tsa }))
    };
    tokio::task::spawn_blocking(make).await.context("making keys panicked")?
}

/// The signals that end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
