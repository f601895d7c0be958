//! The services as `dev` and `serve` start them: each one becomes a [`Served`], and all run as one [`Running`].

mod build;
mod issuers;
mod material;
mod probe;
mod running;
mod servers;

use std::{collections::BTreeMap, sync::Arc};

use axum::Router;
use service::{Clock, CpuPool, Protocol};

pub(crate) use self::{
    build::{OpenTrust, ca, log_check, logs, metrics, oidc, open_trust, trust, tsa},
    issuers::keep as keep_issuers,
    material::{Material, Publisher, deployment, timestamp_url},
    probe::{all_ready, probe},
    running::{Background, Running, Signals},
    servers::Servers,
};
use crate::endpoints::Face;

/// What every service of a process works with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cpu: CpuPool,
}

impl Shared {
    /// One thread for signing and verifying per core.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { clock, cpu: CpuPool::new(cores) }
    }
}

/// The routes of one face, how the shared layers answer for it, and what it needs to be ready.
pub(crate) struct Served {
    pub(crate) face: Face,
    pub(crate) router: Router,
    pub(crate) protocol: Protocol,
    pub(crate) checks: Vec<Check>,
    /// What anybody is told beside them, and is no reason not to be ready.
    pub(crate) notes: Vec<Notes>,
    /// The same with names of files and hosts, on the port of the metrics only.
    pub(crate) details: Vec<Notes>,
}

/// What is not as it should be, by whom it is about.
pub(crate) type Notes = Arc<dyn Fn() -> BTreeMap<String, String> + Send + Sync>;

impl Served {
    fn new(face: Face, router: Router, protocol: Protocol) -> Self {
        Self { face, router, protocol, checks: Vec::new(), notes: Vec::new(), details: Vec::new() }
    }

    /// Makes readiness depend on `check` too.
    #[must_use]
    pub(crate) fn with_check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }
}

/// A condition of `/readyz`. Cheap: it is asked at every question.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// `Err` holds the reason.
    pub(crate) state: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}
