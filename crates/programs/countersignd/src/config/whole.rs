//! What can only be wrong with several tables together.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use identity::IssuerConfig;
use server::Host;
use store::LogKind;
use trust::State;
use url::Url;

use super::{ca::OpenCa, logs::OpenLog, section::Section, tenants::Tenants, trust::OpenRepository};
use crate::{
    cli::Part,
    deployment::{
        Address, Authority, Deployment, Kind, Log, Provider, Repository, Service,
        TimestampAuthority, addresses,
    },
    deployment_dirs::DeploymentDirs,
};

/// Everything that was read, one by one.
pub(super) struct Whole<'a, 'p> {
    pub(super) file: &'a Section<'p>,
    pub(super) tenants: &'a Tenants<'p>,
    pub(super) dirs: &'a DeploymentDirs,
    pub(super) authorities: Vec<OpenCa<'p>>,
    pub(super) logs: Vec<OpenLog<'p>>,
    pub(super) timestamp_authorities: Vec<TimestampAuthority>,
    pub(super) repositories: Vec<OpenRepository<'p>>,
    pub(super) provider: Option<&'a Provider>,
}

/// The same, fitted together.
pub(super) struct Parts {
    pub(super) authorities: Vec<Authority>,
    pub(super) logs: Vec<Log>,
    pub(super) timestamp_authorities: Vec<TimestampAuthority>,
    pub(super) repositories: Vec<Repository>,
}

impl Whole<'_, '_> {
    /// Notes everything that does not fit, and fits the rest.
    pub(super) fn settled(mut self) -> Parts {
        self.find_ct_logs();
        super::writers::settle_all(&mut self.logs, &self.authorities);
        self.check_tenants();
        self.check_hosts();
        self.check_audiences();
        super::apart::check(&self.authorities);
        self.check_logins();
        self.check_addresses();
        self.check_origins();
        self.check_ports();
        self.check_files();
        Parts {
            authorities: self.authorities.into_iter().map(|open| open.authority).collect(),
            logs: self.logs.into_iter().map(|open| open.log).collect(),
            timestamp_authorities: self.timestamp_authorities,
            repositories: self.repositories.into_iter().map(|open| open.repository).collect(),
        }
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        let authorities = self.authorities.iter().map(|open| &open.authority.service);
        authorities
            .chain(self.logs.iter().map(|open| &open.log.service))
            .chain(self.timestamp_authorities.iter().map(|one| &one.service))
            .chain(self.repositories.iter().map(|open| &open.repository.service))
    }

    /// Gives each CA its CT log: the one that it names, or the only active one of its tenant.
    fn find_ct_logs(&mut self) {
        let logs = &self.logs;
        for OpenCa { authority, ct_log, ct_url, section, .. } in &mut self.authorities {
            let tenant = authority.service.tenant.as_deref().unwrap_or_default();
            let of_tenant = || {
                logs.iter()
                    .map(|open| &open.log)
                    .filter(move |log| log.kind == LogKind::Ct && log.service.is_of(tenant))
            };
            let active = || of_tenant().filter(|log| log.service.state == State::Active);
            let found = match ct_log {
                Some(name) => of_tenant().find(|log| log.service.name == *name),
                None => active().next().filter(|_| active().count() == 1),
            };
            let Some(log) = found else {
                section.wrong("ct_log", no_ct_log(ct_log.as_deref(), tenant, active().count()));
                continue;
            };
            if authority.service.state.signs() && !log.service.state.signs() {
                let (name, state) = (&log.service.name, log.service.state);
                section.wrong("ct_log", format!("`{name}` is {state}: it gives no SCTs any more"));
            }
            authority.ct_log.clone_from(&log.service.name);
            let url = ct_url.take().or_else(|| Url::parse(&log.service.url.to_string()).ok());
            if let Some(url) = url {
                authority.settings.ct.url = url;
            }
        }
    }

    /// Clients of a tenant need one of each.
    fn check_tenants(&self) {
        for tenant in &self.tenants.0 {
            let active = |wanted: &[Kind]| {
                self.services().any(|service| {
                    wanted.contains(&service.kind)
                        && service.state == State::Active
                        && service.is_of(&tenant.name)
                })
            };
            let rekor = [Kind::Log(LogKind::Rekor2), Kind::Log(LogKind::Rekor1)];
            for (wanted, what) in [
                (&[Kind::Ca][..], "CA"),
                (&[Kind::Log(LogKind::Ct)], "CT log"),
                (&rekor, "Rekor log"),
                (&[Kind::Tsa], "TSA"),
                (&[Kind::Trust], "trust repository"),
            ] {
                let is_there = self.services().any(|service| wanted.contains(&service.kind));
                // That there is none at all was told.
                if is_there && !active(wanted) {
                    tenant.section.wrong_here(format!("has no active {what}"));
                }
            }
        }
    }

    /// A tenant that names its hosts has no service elsewhere, and nobody else has one there: a mistyped URL is
    /// found here, and a log that became everybody's when the second tenant came.
    fn check_hosts(&self) {
        for tenant in &self.tenants.0 {
            let Some(hosts) = &tenant.hosts else { continue };
            let own = |service: &&Service| service.tenant.as_deref() == Some(&tenant.name);
            for service in self.services().filter(own) {
                if !hosts.iter().any(|host| Host::new(host) == service.host()) {
                    let url = &service.url;
                    tenant.section.wrong("hosts", format!("do not name the host of {url}"));
                }
            }
            let others = |service: &&Service| service.state.runs() && !own(service);
            for service in self.services().filter(others) {
                if hosts.iter().any(|host| Host::new(host) == service.host()) {
                    let whose = match &service.tenant {
                        Some(other) => format!("of the tenant `{other}`"),
                        None => "of all tenants".to_owned(),
                    };
                    let (url, table) = (&service.url, service.table());
                    let words = format!("name the host of {url}, and {table} is {whose}");
                    tenant.section.wrong("hosts", words);
                }
            }
        }
    }

    /// An audience that clients would not ask for is of no use.
    fn check_audiences(&self) {
        for tenant in &self.tenants.0 {
            let Some(audience) = &tenant.audience else { continue };
            let own = self.authorities.iter().map(|open| &open.authority.service);
            let own = own.filter(|service| service.is_of(&tenant.name) && service.state.signs());
            let mut findings =
                own.filter_map(|service| trust::lint::audience(audience, &service.url.to_string()));
            if let Some(finding) = findings.next() {
                tenant.section.wrong("audience", finding);
            }
        }
    }

    /// Whoever logs in at a provider that no CA of the tenant believes is refused there: found here, not by
    /// the first user. The URL is compared to the letter, as the `iss` of tokens is.
    fn check_logins(&self) {
        for OpenRepository { repository, section } in &self.repositories {
            // The default is the development provider's, and who leaves that out of the issuers does not mean it.
            if !section.was_given("oidc_url") || !repository.service.state.runs() {
                continue;
            }
            let own = self.authorities.iter();
            let own = own.filter(|open| open.authority.service.tenant == repository.service.tenant);
            let own: Vec<_> = own.collect();
            if let Some(why) = nobody_believes(&repository.oidc_url, &own) {
                section.wrong("oidc_url", why);
            }
        }
    }

    /// A request finds its service by host and port. Those of two processes may be alike: whether it runs
    /// so, as each in a container of its own does, only their start knows.
    fn check_addresses(&self) {
        let logs: Vec<&Log> = self.logs.iter().map(|open| &open.log).collect();
        let authorities: Vec<_> = self.authorities.iter().map(|open| &open.authority).collect();
        let all = addresses(self.services(), &logs, &authorities, self.provider);
        for (position, one) in all.iter().enumerate() {
            let Address { host, port, place, part } = one;
            let mut others = all.iter().take(position).filter(|other| other.is_also(one));
            if let Some(first) = others.clone().find(|other| other.part == *part) {
                let apart = "requests could not tell them apart";
                let words = format!("{host} at port {port} is {}'s too: {apart}", first.place);
                self.file.wrong_at(place, words);
            } else if let Some(first) = others.next() {
                let (part, other) = (part.name(), first.part.name());
                let words = format!(
                    "{host} at port {port} is {}'s too: no process can serve both `{other}` and `{part}`",
                    first.place
                );
                self.file.warn_at(place, words);
            }
        }
    }

    /// The origin of a log is made of its host, for ever.
    fn check_origins(&self) {
        for (position, OpenLog { log, section, .. }) in self.logs.iter().enumerate() {
            let same = |open: &&OpenLog<'_>| {
                open.log.kind == log.kind && open.log.service.host() == log.service.host()
            };
            if let Some(first) = self.logs.iter().take(position).find(same) {
                let (host, name) = (log.service.url.host(), &first.log.service.name);
                section.wrong(
                    "url",
                    format!("`{host}` is the host of the log `{name}` for ever, and its origin"),
                );
            }
        }
    }

    /// Warns of services that clients are sent to at another port of this machine than they listen on: most
    /// likely one of the two was changed alone. Something in between, as containers have, can be meant.
    fn check_ports(&self) {
        let running = self.services().filter(|service| service.state.runs());
        let mut services: Vec<_> =
            running.map(|service| (service.table(), &service.url, service.port)).collect();
        services.extend(self.provider.map(|one| ("[oidc-dev]".to_owned(), &one.url, one.port)));
        for (table, url, port) in services {
            if url.plain_port().is_some_and(|of_url| of_url != port) {
                self.file.warn_at(
                    &table,
                    format!(
                        "`url` is `{url}`, and it listens on port {port}: set `port`, or the URL's"
                    ),
                );
            }
        }
    }

    /// Nobody's file is another's, and those of before are somebody's.
    fn check_files(&self) {
        let mut seen: BTreeMap<PathBuf, String> = BTreeMap::new();
        for (file, table) in self.files() {
            let one = spelled_alike(file);
            match seen.get(&one) {
                Some(first) => self
                    .file
                    .wrong_at(&table, format!("{} is a file of {first} too", file.display())),
                None => drop(seen.insert(one, table)),
            }
        }
        let kinds = [Kind::Ca, Kind::Tsa, Kind::Trust].into_iter();
        let logs = [LogKind::Ct, LogKind::Rekor1, LogKind::Rekor2].map(Kind::Log);
        for kind in kinds.chain(logs) {
            let of_kind = self.services().filter(|service| service.kind == kind);
            let names: Vec<&str> = of_kind.map(|service| service.name.as_str()).collect();
            if let Some(old) = self.dirs.unclaimed(kind, &names) {
                self.file.wrong(kind.table(), format!(
                    "{} is of one of {}, and nothing says of which: rename it, and its other files, as \
                     docs/deployment.md has it",
                    old.display(),
                    names.join(", ")
                ));
            }
        }
    }

    /// Files and directories that one service alone may have, or has once, with its table.
    fn files(&self) -> Vec<(&PathBuf, String)> {
        let mut files = Vec::new();
        for OpenCa { authority, .. } in &self.authorities {
            let table = authority.service.place();
            files.push((&authority.key.file, table.clone()));
            files.push((&authority.state_dir, table.clone()));
            files.push((&authority.chain.root_key_file, table.clone()));
            files.push((&authority.chain.file, table));
        }
        for one in &self.timestamp_authorities {
            let table = one.service.place();
            files.push((&one.key.file, table.clone()));
            files.push((&one.chain.root_key_file, table.clone()));
            files.push((&one.chain.file, table));
        }
        for OpenLog { log, .. } in &self.logs {
            files.push((&log.key.file, log.service.place()));
            let tiles = log.rekor1.iter().map(|places| &places.tiles_key.file);
            files.extend(tiles.map(|file| (file, log.service.place())));
        }
        for OpenRepository { repository, .. } in &self.repositories {
            let table = repository.service.place();
            files.push((&repository.root_key.file, table.clone()));
            files.push((&repository.online_key.file, table.clone()));
            files.push((&repository.tuf_dir, table));
        }
        let provider = self.provider.iter().map(|one| (&one.key.file, "oidc-dev".to_owned()));
        files.extend(provider);
        files
    }
}

/// A path as every other spelling of it is written: without `..` and links, as far as it is there.
pub(super) fn spelled_alike(path: &Path) -> PathBuf {
    if let Ok(there) = path.canonicalize() {
        return there;
    }
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => spelled_alike(parent).join(name),
        (Some(parent), Some(Component::ParentDir)) => {
            let mut above = spelled_alike(parent);
            above.pop();
            above
        }
        _ => path.to_owned(),
    }
}

/// Why a CA has no CT log.
fn no_ct_log(named: Option<&str>, tenant: &str, active: usize) -> String {
    match named {
        Some(name) => format!("`{name}` is no CT log of the tenant `{tenant}`"),
        None if active == 0 => format!("the tenant `{tenant}` has no active CT log"),
        None => format!("the tenant `{tenant}` has {active} active CT logs: name one"),
    }
}

/// Why people who log in at `url` would be refused by `authorities`. A table of an issuer with a problem of
/// its own is there, and told.
fn nobody_believes(url: &str, authorities: &[&OpenCa<'_>]) -> Option<String> {
    let issuers = || authorities.iter().flat_map(|open| &open.authority.settings.issuers);
    let urls = || authorities.iter().flat_map(|open| &open.issuer_urls);
    let written = || issuers().map(IssuerConfig::url).chain(urls().map(String::as_str));
    let is_believed = issuers().any(|issuer| issuer.is_of(url)) || written().any(|one| one == url);
    let is_unread = |url: &&String| !issuers().any(|issuer| issuer.url() == url.as_str());
    let may_match = urls().filter(is_unread).any(|url| url.contains('*'));
    // What is wrong with the issuers themselves is said already.
    if written().next().is_none() || is_believed || may_match {
        return None;
    }
    let same_but_slash =
        written().find(|issuer| issuer.trim_end_matches('/') == url.trim_end_matches('/'));
    Some(match same_but_slash {
        Some(issuer) => format!(
            "`{url}` and the issuer `{issuer}` differ by the final slash: write both as the `issuer` of \
             the provider's discovery document has it"
        ),
        None => format!(
            "`{url}` is the url of no [[ca.<name>.issuer]]: whoever logs in there would be refused"
        ),
    })
}

/// No process can show its metrics where it serves; whether it runs so, only its start knows.
pub(super) fn check_metrics_ports(file: &Section<'_>, deployment: &Deployment) {
    for part in Part::ALL {
        let port = deployment.listen.metrics_port(part);
        let mut services = deployment.services().filter(|service| {
            service.state.runs() && service.port == port && part.includes(service.kind.part())
        });
        if let Some(service) = services.next() {
            let place = format!("listen.metrics_ports.{}", part.name());
            let part = part.name();
            file.warn_at(
                &place,
                format!("{port} is the port of {service}: `serve {part}` cannot start"),
            );
        }
    }
}
