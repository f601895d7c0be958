use server::Host;

use super::{Authority, Kind, Log, Provider, Service};
use crate::cli::Part;

/// Where a service is found: by one host and port in one process there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Its table's path in a configuration.
    pub(crate) place: String,
    /// The part of `serve` that runs it.
    pub(crate) part: Part,
}

impl Address {
    /// Whether requests for the one could be meant for the other: two services share it.
    pub(crate) fn is_also(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port) && self.place != other.place
    }
}

/// Those of all that run: of `services`, of the CT logs among `logs` by the hosts by which `authorities` reach
/// them, and of `provider`.
pub(crate) fn addresses<'a>(
    services: impl Iterator<Item = &'a Service>,
    logs: &[&Log],
    authorities: &[&Authority],
    provider: Option<&Provider>,
) -> Vec<Address> {
    let running = services.filter(|service| service.state.runs());
    let mut found: Vec<Address> = running.map(|service| of(service, service.host())).collect();
    for log in logs.iter().filter(|log| log.service.state.runs()) {
        let hosts = further_hosts(log, authorities.iter().copied());
        found.extend(hosts.into_iter().map(|host| of(&log.service, host)));
    }
    found.extend(provider.map(|provider| Address {
        host: Host::new(provider.url.host()),
        port: provider.port,
        place: "oidc-dev".to_owned(),
        part: Part::OidcDev,
    }));
    found
}

/// Hosts beside its own by which a CT log is reached: those of `ct_url`, whose port may be a proxy's.
pub(super) fn further_hosts<'a>(
    log: &Log,
    authorities: impl Iterator<Item = &'a Authority>,
) -> Vec<Host> {
    let using = authorities.filter(|one| one.ct_log == log.service.name);
    let hosts = using.filter_map(|one| one.settings.ct.url.host_str().map(Host::new));
    let mut hosts: Vec<Host> = hosts.filter(|host| *host != log.service.host()).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn of(service: &Service, host: Host) -> Address {
    let Service { kind, port, .. } = service;
    Address { host, port: *port, place: service.place(), part: Kind::part(*kind) }
}
