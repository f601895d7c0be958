//! Settings of the parts of a deployment, and what they are where nobody says anything.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use engine::LogLimits;
use identity::IssuerConfig;
use rekor::{Rekor1Options, Rekor2Options};
use server::{Allowance, TrustedProxies};
use tsp::{IntermediateUsage, PolicyOid};

use crate::cli::Part;

/// Where services listen.
#[derive(Debug)]
pub(crate) struct Listen {
    /// `None` is loopback, both families.
    pub(crate) address: Option<IpAddr>,
    /// Of every process that has no other in `metrics_ports`.
    pub(crate) metrics_port: u16,
    pub(crate) metrics_ports: Vec<(Part, u16)>,
    /// Who is believed when saying for whom it asks.
    pub(crate) trusted_proxies: TrustedProxies,
}

impl Listen {
    /// Where the process of `part` shows its metrics.
    pub(crate) fn metrics_port(&self, part: Part) -> u16 {
        let own = self.metrics_ports.iter().find(|(of, _)| *of == part);
        own.map_or(self.metrics_port, |(_, port)| *port)
    }

    /// Whether others than this machine reach the services.
    pub(crate) fn is_beyond_loopback(&self) -> bool {
        self.address.is_some_and(|address| !address.is_loopback())
    }
}

/// What a process says of itself.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    /// Filter of the log.
    pub(crate) log: Option<String>,
    /// Whether each log line is a JSON object.
    pub(crate) json: bool,
    /// Where lines of the target `audit` are kept too.
    pub(crate) audit_dir: Option<PathBuf>,
}

/// Where the logs are kept.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite {
        file: PathBuf,
    },
    Postgres {
        /// Of a configuration without a password.
        url: url::Url,
        /// Holds the password.
        password_file: Option<PathBuf>,
        /// Who owns the tables, where that is not the role of `url`; for `init` alone.
        owner: Option<Box<DatabaseOwner>>,
    },
}

/// The owner of a database's tables.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseOwner {
    pub(crate) url: url::Url,
    pub(crate) password_file: Option<PathBuf>,
    /// Where `init --secrets-only` writes what a superuser runs to have both roles.
    pub(crate) roles_file: Option<PathBuf>,
}

impl Database {
    /// The directory of its file, if it has one.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Sqlite { file } => file.parent(),
            Self::Postgres { .. } => None,
        }
    }
}

/// What an operator may choose about a log; each kind reads what is its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogOptions {
    pub(crate) limits: LogLimits,
    /// How much of its disks the log leaves free, in MiB; `None` is the usual.
    pub(crate) min_free_mib: Option<u64>,
    pub(crate) rekor1: Rekor1Options,
    pub(crate) rekor2: Rekor2Options,
    /// Who may write to a Rekor log.
    pub(crate) writers: Writers,
    /// PEM chains of issuing CAs beside ours whose certificates a CT log takes: a retired one's, or
    /// one of another deployment.
    pub(crate) further_ca_chains: Vec<PathBuf>,
}

/// Who may write to a Rekor log.
#[derive(Debug, Clone, Default)]
pub(crate) enum Writers {
    /// Whoever reaches it; of `dev`, and where the file says so.
    #[default]
    Open,
    Listed(ListedWriters),
}

/// Whom a configuration names.
#[derive(Debug, Clone)]
pub(crate) struct ListedWriters {
    /// CAs, by name, whose certificates may be an entry's verifier.
    pub(crate) authorities: Vec<String>,
    /// Public keys, PEM.
    pub(crate) keys: Vec<PathBuf>,
    /// Whose tokens let a caller in: the entries of each issuer.
    pub(crate) issuers: Vec<Vec<IssuerConfig>>,
    /// What those tokens are for.
    pub(crate) audience: String,
    /// How much one issuer of tokens and certificates may write.
    pub(crate) per_issuer: Allowance,
    /// The same of one subject of an issuer.
    pub(crate) per_subject: Allowance,
}

/// What a timestamp authority declares in its tokens, and how it checks itself.
#[derive(Debug, Clone)]
pub(crate) struct TsaSettings {
    /// Of tokens for requests that name none.
    pub(crate) policy: PolicyOid,
    /// Further ones that a request may name.
    pub(crate) accepted_policies: Vec<PolicyOid>,
    /// Whether certificates between leaf and root must say that they are for timestamps.
    pub(crate) intermediate_usage: IntermediateUsage,
    /// One token in this many is verified before it leaves; `None` is the authority's own choice.
    pub(crate) verify_every: Option<u32>,
    /// How far the clock may step back, in seconds; `None` is the authority's own choice.
    pub(crate) max_clock_step_back_s: Option<u64>,
}

impl Default for TsaSettings {
    fn default() -> Self {
        Self {
            policy: PolicyOid::SIGSTORE,
            accepted_policies: Vec::new(),
            intermediate_usage: IntermediateUsage::Required,
            verify_every: None,
            max_clock_step_back_s: None,
        }
    }
}
