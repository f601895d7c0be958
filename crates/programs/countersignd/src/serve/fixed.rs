//! What a running process cannot change, and what it may.

use std::collections::BTreeMap;

use signing::Clock;
use store::LogKind;

use crate::{
    cli::Part,
    deployment::{Deployment, Log, Repository, Service, trust_files},
};

/// What is as it was at the start of a process, by where it is said; the values are compared and never shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fixed(BTreeMap<String, String>);

impl Fixed {
    /// Of a process of `parts`.
    ///
    /// # Errors
    /// When something of it cannot be read.
    pub(super) fn of(
        deployment: &Deployment,
        parts: &[Part],
        clock: &dyn Clock,
    ) -> anyhow::Result<Self> {
        let mut fixed = Self::default();
        let includes = |part| parts.iter().any(|one| one.includes(part));
        let part = parts.first().copied().unwrap_or(Part::All);
        fixed.of_process(deployment, part);
        let services = deployment.services().filter(|one| includes(one.kind.part()));
        for service in services.filter(|one| one.state.runs()) {
            fixed.service(service);
        }
        if includes(Part::Ca) {
            for one in &deployment.authorities {
                fixed.add("state_dir", &one.service, &one.state_dir);
            }
        }
        if includes(Part::Log) {
            for log in deployment.running_logs() {
                fixed.log(log)?;
            }
        }
        if includes(Part::Trust) {
            for one in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
                fixed.repository((deployment, one), clock)?;
            }
        }
        if let Some(provider) = deployment.provider.as_ref().filter(|_| includes(Part::OidcDev)) {
            let words = format!("{} {}", provider.url, provider.port);
            fixed.0.insert("[oidc-dev]".to_owned(), words);
        }
        Ok(fixed)
    }

    /// Where `next` differs, in words.
    pub(super) fn differences(&self, next: &Self) -> Vec<String> {
        let new = next.0.iter().filter(|(place, value)| self.0.get(*place) != Some(*value));
        let gone = self.0.keys().filter(|place| !next.0.contains_key(*place));
        let mut places: Vec<String> = new.map(|(place, _)| place.clone()).collect();
        places.extend(gone.cloned());
        places.sort();
        places
    }

    fn of_process(&mut self, deployment: &Deployment, part: Part) {
        let Deployment { listen, telemetry, .. } = deployment;
        let port = listen.metrics_port(part);
        for (place, value) in [
            ("`data_dir`", deployment.places.root.display().to_string()),
            ("[database]", format!("{:?}", deployment.database)),
            ("`address` of [listen]", format!("{:?}", listen.address)),
            ("the port of the metrics, in [listen]", port.to_string()),
            ("`format` of [telemetry]", telemetry.json.to_string()),
            ("`audit_dir` of [telemetry]", format!("{:?}", telemetry.audit_dir)),
        ] {
            self.0.insert(place.to_owned(), value);
        }
    }

    fn service(&mut self, service: &Service) {
        let (url, tenant) = (service.url.to_string(), &service.tenant);
        self.add("url", service, &url);
        self.add("port", service, &service.port);
        self.add("tenant", service, tenant);
    }

    /// The engine has them from its start on.
    fn log(&mut self, log: &Log) -> anyhow::Result<()> {
        let (service, options) = (&log.service, &log.options);
        let key = hex::encode(crypto::sha256(log.key.public_key()?.spki_der()));
        let limits = (&options.limits, options.min_free_mib, &options.rekor1);
        self.add("kind", service, &log.kind);
        self.add("key", service, &(key, &log.key.file));
        self.add("anchors", service, &log.anchors);
        self.0.insert(format!("limits of {}", service.table()), format!("{limits:?}"));
        // The writers of each entry's queue stay with it.
        if log.kind == LogKind::Rekor1 {
            self.add("writers", service, &options.writers);
        }
        Ok(())
    }

    /// What is published is signed for all clients: by a start, and not by the way.
    fn repository(
        &mut self,
        (deployment, one): (&Deployment, &Repository),
        clock: &dyn Clock,
    ) -> anyhow::Result<()> {
        let service = &one.service;
        let files = trust_files(deployment, one, clock.now())?;
        let published: Vec<_> = files
            .files()
            .iter()
            .map(|file| (file.name, hex::encode(crypto::sha256(&file.content))))
            .collect();
        let tenant = service.tenant.as_deref().and_then(|name| deployment.tenant(name));
        self.add("files_dir", service, &one.files_dir);
        self.0.insert(
            format!("what {} publishes of services, chains and keys", service.table()),
            format!("{published:?}{tenant:?}{:?}{:?}", one.oidc_url, one.forge),
        );
        let keys = (&one.root_key.file, &one.online_key.file, &one.tuf_dir);
        self.0.insert(format!("the keys of {}", service.table()), format!("{keys:?}"));
        Ok(())
    }

    fn add(&mut self, key: &str, service: &Service, value: &dyn std::fmt::Debug) {
        self.0.insert(format!("`{key}` of {}", service.table()), format!("{value:?}"));
    }
}
