//! The services of a process: each one becomes a [`Served`], those of one port a [`Listener`], and all run as one
//! [`Running`].

mod build;
mod checks;
mod doorkeeper;
mod issuers;
mod listeners;
mod probe;
mod running;
mod servers;
mod watch;

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Extension, Router};
use futures::future::BoxFuture;
use server::{Host, PeerLimits, Protocol};
use signing::{Clock, CpuPool};
use store::LogKind;

pub(crate) use self::{
    build::{OpenTrust, ca, ct_chains, ct_log_check, log, metrics, oidc, open_trust, trust, tsa},
    checks::SOON,
    doorkeeper::check_writers,
    issuers::keep as keep_issuers,
    listeners::Listener,
    probe::{all_answer, probe},
    running::{Background, OnHangup, Running, Signals},
    servers::Servers,
    watch::watch,
};
use crate::deployment::{Kind, Service};

/// What every service of a process works with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cpu: CpuPool,
    /// Queues stay as long as their threads: a service that is built again has those of before.
    queues: Arc<Mutex<HashMap<String, CpuPool>>>,
}

impl Shared {
    /// One thread for signing and verifying per core.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { clock, cpu: CpuPool::new(cores), queues: Arc::default() }
    }

    /// The threads with queues for one service, so that it does not wait for all that another has to do.
    ///
    /// A certificate takes an SCT, and a timestamp is the cheapest thing there is; whoever writes to a Rekor
    /// log needed no leave of anybody, so a log's share is the smaller one.
    pub(crate) fn cpu_of(&self, kind: Kind, name: &str) -> CpuPool {
        let weight = match kind {
            Kind::Ca | Kind::Tsa | Kind::Log(LogKind::Ct) => 8,
            Kind::Log(LogKind::Rekor1 | LogKind::Rekor2) => 4,
            Kind::Trust => 1,
        };
        let make = || self.cpu.for_service(NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN));
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(format!("{}.{name}", kind.table())).or_insert_with(make).clone()
    }
}

/// The routes of one service, how the shared layers answer for it, and what it needs to be ready.
pub(crate) struct Served {
    /// For people.
    pub(crate) name: String,
    /// By which requests find it where others share its port.
    pub(crate) hosts: Vec<Host>,
    pub(crate) port: u16,
    /// Whether other services call it.
    pub(crate) is_called: bool,
    pub(crate) router: Router,
    pub(crate) protocol: Protocol,
    pub(crate) checks: Vec<Check>,
    /// What is tried now and then, so that the checks know it.
    pub(crate) trials: Vec<Trial>,
    /// What anybody is told beside them, and is no reason not to be ready.
    pub(crate) notes: Vec<Notes>,
    /// The same with names of files and hosts, on the port of the metrics only.
    pub(crate) details: Vec<Notes>,
}

/// What is not as it should be, by whom it is about.
pub(crate) type Notes = Arc<dyn Fn() -> BTreeMap<String, String> + Send + Sync>;

impl Served {
    fn new(service: &Service, router: Router, protocol: Protocol) -> Self {
        let hosts = vec![service.host()];
        let router = if service.per_peer.is_some() {
            router.layer(Extension(PeerLimits::new(&service.place(), &service.per_peer)))
        } else {
            router
        };
        Self { hosts, ..Self::at(service.port, service.to_string(), (router, protocol)) }
    }

    fn at(port: u16, name: String, (router, protocol): (Router, Protocol)) -> Self {
        Self {
            name,
            hosts: Vec::new(),
            port,
            is_called: false,
            router,
            protocol,
            checks: Vec::new(),
            trials: Vec::new(),
            notes: Vec::new(),
            details: Vec::new(),
        }
    }

    /// Makes readiness depend on `check` too.
    #[must_use]
    pub(crate) fn with_check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// The same where something has to be tried to know it.
    #[must_use]
    pub(crate) fn with_tried(mut self, (check, trial): (Check, Trial)) -> Self {
        self.trials.push(trial);
        self.with_check(check)
    }
}

/// Something that is tried beside the requests. It ends by itself, and soon.
pub(crate) type Trial = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Why something is not ready.
#[derive(Debug)]
pub(crate) struct Unready {
    /// For anybody: no names of hosts, files, keys or tables.
    pub(crate) public: String,
    /// For those who see the metrics, and for the log.
    pub(crate) detail: String,
}

impl From<String> for Unready {
    /// Of words that anybody may read.
    fn from(words: String) -> Self {
        Self { public: words.clone(), detail: words }
    }
}

/// A condition of `/readyz`. Cheap: it is asked at every question.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) name: String,
    /// Whether a process starts all the same where it does not hold: what is wrong stays so, of one service, and is no
    /// reason to leave out the others.
    pub(crate) may_wait: bool,
    /// `Err` holds the reason.
    pub(crate) state: Arc<dyn Fn() -> Result<(), Unready> + Send + Sync>,
}
