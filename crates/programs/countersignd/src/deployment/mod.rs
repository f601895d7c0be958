//! One installation as a value: everything that it consists of, any number of each.
//!
//! A configuration file becomes it (`config`), and so does the command line of `dev`; whatever makes,
//! starts, checks or publishes services takes it from here. Every path is in it: the directories of
//! `dev` and those of `serve` are two ways to fill one value.

mod addresses;
mod key;
mod published;
mod service;
mod settings;
mod since;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use ::ca::CaConfig;
use anyhow::bail;
use server::Host;
use store::LogKind;
use wire::countersign::Forge;

pub(crate) use self::{
    addresses::{Address, addresses},
    key::{Key, not_made},
    published::trust_files,
    service::{Kind, METRICS_PORT, PROVIDER_PORT, Service},
    settings::{
        Database, DatabaseOwner, ListedWriters, Listen, LogOptions, Telemetry, TsaSettings, Writers,
    },
};
use crate::{anchors::AnchorPlace, certificates::ChainPlace, config::BaseUrl};

/// An installation.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) authorities: Vec<Authority>,
    pub(crate) logs: Vec<Log>,
    pub(crate) timestamp_authorities: Vec<TimestampAuthority>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) provider: Option<Provider>,
    pub(crate) listen: Listen,
    pub(crate) telemetry: Telemetry,
    pub(crate) database: Database,
    pub(crate) places: Places,
    /// Whether a process ends when the clock jumped and stays apart: its supervisor starts it with the right time.
    pub(crate) end_on_jump: bool,
    /// What can be meant, and seldom is.
    pub(crate) warnings: Vec<String>,
}

/// Who the services are for.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    /// How the trust files name who runs the services.
    pub(crate) operator: String,
    /// The audience that tokens for this tenant have; the issuers' own where there is none.
    pub(crate) audience: Option<String>,
}

/// A certificate authority.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) service: Service,
    pub(crate) key: Key,
    pub(crate) chain: ChainPlace,
    pub(crate) settings: CaConfig,
    /// The CT log whose SCTs it waits for.
    pub(crate) ct_log: String,
    /// Fetched keys of issuers, and the socket for orders: what it may lose.
    pub(crate) state_dir: PathBuf,
}

/// A log.
#[derive(Debug)]
pub(crate) struct Log {
    /// Its name is that in the database.
    pub(crate) service: Service,
    pub(crate) kind: LogKind,
    pub(crate) key: Key,
    /// Of a Rekor v1 log alone.
    pub(crate) rekor1: Option<Rekor1Places>,
    /// Since when it is trusted, as `init` kept it; `None` where no second one can follow.
    pub(crate) since_file: Option<PathBuf>,
    /// The last checkpoint that was signed, outside the database.
    pub(crate) checkpoint_file: PathBuf,
    /// Where it is kept too, before anybody sees it, out of reach of a restore; none in `dev`.
    pub(crate) anchors: Vec<AnchorPlace>,
    pub(crate) options: LogOptions,
}

/// What a Rekor v1 log has beside others.
#[derive(Debug)]
pub(crate) struct Rekor1Places {
    /// Signs its tiles.
    pub(crate) tiles_key: Key,
    /// Its tree id, once it is in the database.
    pub(crate) tree_id_file: PathBuf,
}

/// A timestamp authority.
#[derive(Debug)]
pub(crate) struct TimestampAuthority {
    pub(crate) service: Service,
    pub(crate) key: Key,
    pub(crate) chain: ChainPlace,
    pub(crate) settings: TsaSettings,
}

/// The trust files of a tenant, and the TUF repository that signs them.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) service: Service,
    pub(crate) root_key: Key,
    pub(crate) online_key: Key,
    pub(crate) tuf_dir: PathBuf,
    /// The root that it began with, for everybody; by it a lost repository is noticed.
    pub(crate) first_root_file: Option<PathBuf>,
    /// Where clients of this machine find the files.
    pub(crate) files_dir: Option<PathBuf>,
    /// The identity provider that clients log in to.
    pub(crate) oidc_url: String,
    /// The forge that names of repositories without a host mean.
    pub(crate) forge: Option<Forge>,
}

impl Repository {
    /// Its newest root; there when the repository was completely made.
    pub(crate) fn root_file(&self) -> PathBuf {
        self.tuf_dir.join("root.json")
    }

    /// Where it keeps checkpoints for logs.
    pub(crate) fn anchors_dir(&self) -> PathBuf {
        let name = self.tuf_dir.file_name().unwrap_or_default().to_string_lossy();
        self.tuf_dir.with_file_name(format!("anchors{}", name.trim_start_matches("tuf")))
    }

    /// Where logs find them: what `anchors` says.
    pub(crate) fn anchors_url(&self) -> String {
        format!("{}/anchors/", self.service.url)
    }

    /// A file that is there when the repository was made once, whatever became of it.
    pub(crate) fn evidence(&self) -> PathBuf {
        let newest = self.root_file();
        match &self.first_root_file {
            Some(first) if !newest.exists() => first.clone(),
            _ => newest,
        }
    }
}

/// The development identity provider: whoever can run `countersignd token` beside it is anybody.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Always of this machine.
    pub(crate) url: BaseUrl,
    pub(crate) port: u16,
    /// Whether people log in over HTTP: then whoever reaches it under the name of this machine is
    /// anybody.
    pub(crate) login: bool,
    /// How its operator gets a token of it, for the trust page: only who runs it knows.
    pub(crate) token_command: Option<String>,
    pub(crate) key: Key,
}

/// Directories that are more than the place of one file.
#[derive(Debug)]
pub(crate) struct Places {
    /// Everything is in it, but for what the configuration puts elsewhere.
    pub(crate) root: PathBuf,
    /// Keys and state of the services, for their owner alone.
    pub(crate) private: Vec<PathBuf>,
    /// What everybody may read.
    pub(crate) public: Option<PathBuf>,
    /// Keys of the roots, to be taken away.
    pub(crate) offline: Option<PathBuf>,
    /// The one process of the logs locks it.
    pub(crate) logs: PathBuf,
    /// Last checkpoints, each in a file of the log's name.
    pub(crate) checkpoints: PathBuf,
    /// The one process of the repositories locks it.
    pub(crate) trust: PathBuf,
    /// The one process of the development provider locks it; `token` reads from it.
    pub(crate) provider: PathBuf,
}

impl Deployment {
    /// The tenant of that name.
    pub(crate) fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.name == name)
    }

    /// The log of that name.
    pub(crate) fn log(&self, name: &str) -> Option<&Log> {
        self.logs.iter().find(|log| log.service.name == name)
    }

    /// The CA of that name, or the only one.
    ///
    /// # Errors
    /// When there is no such one, or several and no name; with all names.
    pub(crate) fn chosen_authority(&self, name: Option<&str>) -> anyhow::Result<&Authority> {
        let mut fitting =
            self.authorities.iter().filter(|one| name.is_none_or(|name| one.service.name == name));
        if let (Some(only), None) = (fitting.next(), fitting.next()) {
            return Ok(only);
        }
        let names = self.authorities.iter().map(|one| one.service.name.as_str());
        bail!("say by --ca which CA: {}", names.collect::<Vec<_>>().join(", "))
    }

    /// Hosts beside its own by which a CT log is reached.
    pub(crate) fn further_hosts(&self, log: &Log) -> Vec<Host> {
        addresses::further_hosts(log, self.authorities.iter())
    }

    /// Where everything that runs is found.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let logs: Vec<&Log> = self.logs.iter().collect();
        let authorities: Vec<&Authority> = self.authorities.iter().collect();
        addresses(self.services(), &logs, &authorities, self.provider.as_ref())
    }

    /// The logs that there are processes of.
    pub(crate) fn running_logs(&self) -> impl Iterator<Item = &Log> {
        self.logs.iter().filter(|log| log.service.state.runs())
    }

    /// Why logs may not be served: those of which nothing is kept out of reach of a restore.
    ///
    /// # Errors
    /// With the names of their tables.
    pub(crate) fn demand_anchors(&self) -> anyhow::Result<()> {
        let without = self.running_logs().filter(|log| log.anchors.is_empty());
        let tables: Vec<String> = without.map(|log| log.service.table()).collect();
        if tables.is_empty() {
            return Ok(());
        }
        bail!(
            "{} without `anchors`: restored from a backup, volume and database together, such a log would sign a \
             second history and nobody would know. Write `anchors = [\"file:/DIRECTORY\"]`, a volume that no \
             restore of the others brings back, or an https URL, at the top of the file for all logs",
            tables.join(", ")
        )
    }

    /// The trust service of this deployment that is an anchor of its logs, if one is.
    pub(crate) fn own_anchor(&self, place: &AnchorPlace) -> Option<&Repository> {
        let AnchorPlace::Http(url) = place else { return None };
        self.repositories.iter().find(|one| one.anchors_url() == url.as_str())
    }

    /// Refuses one process for logs and the trust service that keeps their checkpoints: the one starts when the other
    /// answers, and by one backup both would be restored.
    ///
    /// # Errors
    /// With their tables.
    pub(crate) fn refuse_own_anchors(&self) -> anyhow::Result<()> {
        for log in self.running_logs() {
            if let Some(own) = log.anchors.iter().find_map(|place| self.own_anchor(place)) {
                bail!(
                    "{} has an anchor at {}, which this process would be too: let `serve trust` be another process, on \
                     another machine",
                    log.service.table(),
                    own.service.table()
                );
            }
        }
        Ok(())
    }

    /// All services with a URL of their own, but for the development provider.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        let authorities = self.authorities.iter().map(|one| &one.service);
        authorities
            .chain(self.logs.iter().map(|one| &one.service))
            .chain(self.timestamp_authorities.iter().map(|one| &one.service))
            .chain(self.repositories.iter().map(|one| &one.service))
    }

    /// The CAs of the tenants that use `log`.
    pub(crate) fn authorities_of<'a>(
        &'a self,
        log: &'a Log,
    ) -> impl Iterator<Item = &'a Authority> {
        let shares = |one: &&Authority| one.service.tenant.iter().any(|own| log.service.is_of(own));
        self.authorities.iter().filter(shares)
    }

    /// The chains of the CAs whose certificates `log` takes, as files: its tenant's in every state, and others.
    ///
    /// Not only of the CAs that use it today: the next log is there before a CA changes to it, and the
    /// processes of log and CA start one after the other.
    pub(crate) fn ca_chain_files<'a>(&'a self, log: &'a Log) -> impl Iterator<Item = &'a PathBuf> {
        let is_ct = log.kind == LogKind::Ct;
        let ours = self.authorities_of(log).filter(move |_| is_ct);
        let ours = ours.map(|authority| &authority.chain.file);
        ours.chain(&log.options.further_ca_chains)
    }

    /// The audiences of all tenants: the clients for which the development provider logs people in.
    pub(crate) fn audiences(&self) -> impl Iterator<Item = &str> {
        self.tenants.iter().filter_map(|tenant| tenant.audience.as_deref())
    }
}
