use std::sync::Arc;

use axum::Router;
use server::{Door, Host, Readiness, by_host, harden, health_routes};
use tokio_util::sync::CancellationToken;

use super::{Check, Served, build::METRICS};

/// One port, and the services on it.
pub(crate) struct Listener {
    pub(crate) port: u16,
    services: Vec<Served>,
}

impl Listener {
    /// One for each port of `served`, in their order.
    pub(crate) fn group(served: Vec<Served>) -> Vec<Self> {
        let mut listeners: Vec<Self> = Vec::new();
        for one in served {
            match listeners.iter_mut().find(|listener| listener.port == one.port) {
                Some(listener) => listener.services.push(one),
                None => listeners.push(Self { port: one.port, services: vec![one] }),
            }
        }
        listeners
    }

    /// Who listens, for people.
    pub(crate) fn name(&self) -> String {
        let names: Vec<&str> = self.services.iter().map(|served| served.name.as_str()).collect();
        names.join(", ")
    }

    /// The hosts by which its services are found.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.services.iter().flat_map(|served| &served.hosts).map(Host::as_str)
    }

    /// Whether a service of it is called by others, so that the port goes on until they have ended. What else is on
    /// it ends with them, behind a [`Door`].
    pub(super) fn is_called(&self) -> bool {
        self.services.iter().any(|served| served.is_called)
    }

    /// The routes of its services. One alone answers for any host; several are told apart by it.
    pub(super) fn router(self, end: &End<'_>) -> Router {
        let Self { mut services, .. } = self;
        if services.len() == 1
            && let Some(only) = services.pop()
        {
            return hardened(only, end);
        }
        let checks: Vec<Check> = services.iter().flat_map(|one| one.checks.clone()).collect();
        let routers = services.into_iter().flat_map(|one| {
            let hosts = one.hosts.clone();
            let router = hardened(one, end);
            hosts.into_iter().map(move |host| (host, router.clone()))
        });
        by_host(routers.collect::<Vec<_>>(), of_all(checks, end.of_callers))
    }
}

/// How the services of a port end.
pub(super) struct End<'a> {
    /// With it the port is closed.
    pub(super) of_port: &'a CancellationToken,
    /// With it those that nobody calls end, no later.
    pub(super) of_callers: &'a CancellationToken,
    /// Before these, where the port outlives them.
    pub(super) door: Option<&'a Door>,
}

/// Ready when all services of a port are. Whoever asks no host in particular is told no name.
fn of_all(checks: Vec<Check>, shutdown: &CancellationToken) -> Readiness {
    let readiness = Readiness::new(shutdown.clone());
    let state = move || {
        let not_ready = checks.iter().filter(|check| (check.state)().is_err()).count();
        if not_ready == 0 { Ok(()) } else { Err(format!("{not_ready} of them not ready")) }
    };
    readiness.add("services", move || std::future::ready(state()));
    readiness
}

fn hardened(served: Served, end: &End<'_>) -> Router {
    let (shutdown, router) = match end.door.filter(|_| !served.is_called) {
        Some(door) => (end.of_callers, door.before(served.router)),
        None => (end.of_port, served.router),
    };
    let readiness = Readiness::new(shutdown.clone());
    // Served by address to operators, where the metrics are.
    let in_detail = served.protocol.name == METRICS;
    for Check { name, state, .. } in served.checks {
        let state = move || state().map_err(|why| if in_detail { why.detail } else { why.public });
        readiness.add(name, move || std::future::ready(state()));
    }
    for notes in served.notes {
        let notes = Arc::clone(&notes);
        readiness.add_notes(move || notes());
    }
    harden(router.merge(health_routes(readiness)), served.protocol)
}
