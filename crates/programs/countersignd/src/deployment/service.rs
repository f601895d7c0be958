use std::fmt;

use server::{Allowance, Host};
use store::LogKind;
use trust::State;
use wire::Timestamp;

use crate::{cli::Part, config::BaseUrl};

/// What every service has.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// Of its table, and of a log for ever.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// How reports and checks call it: by its kind where it is the only one of it.
    pub(crate) label: String,
    /// `None`: of all.
    pub(crate) tenant: Option<String>,
    pub(crate) url: BaseUrl,
    pub(crate) port: u16,
    pub(crate) state: State,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) valid_until: Option<Timestamp>,
    /// How much one peer may write.
    pub(crate) per_peer: Allowance,
}

impl Service {
    /// Whether it works for `tenant`.
    pub(crate) fn is_of(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant)
    }

    /// The host by which requests find it.
    pub(crate) fn host(&self) -> Host {
        Host::new(self.url.host())
    }

    /// Its table's path in a configuration.
    pub(crate) fn place(&self) -> String {
        format!("{}.{}", self.kind.table(), self.name)
    }

    /// Its table in a configuration, in brackets.
    pub(crate) fn table(&self) -> String {
        format!("[{}]", self.place())
    }
}

impl fmt::Display for Service {
    /// As in `the CT log "ct"`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the {} `{}`", self.kind, self.name)
    }
}

/// What a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ca,
    Log(LogKind),
    Tsa,
    Trust,
}

impl Kind {
    /// Its tables' name in a configuration.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Log(_) => "log",
            Self::Tsa => "tsa",
            Self::Trust => "trust",
        }
    }

    /// The part of `serve` that runs it.
    pub(crate) const fn part(self) -> Part {
        match self {
            Self::Ca => Part::Ca,
            Self::Log(_) => Part::Log,
            Self::Tsa => Part::Tsa,
            Self::Trust => Part::Trust,
        }
    }

    /// In one word: also the beginning of the names of files of a deployment that has one of it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Log(kind) => kind.as_str(),
            Self::Tsa => "tsa",
            Self::Trust => "trust",
        }
    }

    /// The port of `dev`, and of configurations that name no other.
    pub(crate) const fn default_port(self) -> u16 {
        match self {
            Self::Ca => 5555,
            Self::Log(LogKind::Ct) => 6962,
            Self::Log(LogKind::Rekor1) => 3000,
            Self::Log(LogKind::Rekor2) => 3003,
            Self::Tsa => 3004,
            Self::Trust => 3005,
        }
    }
}

impl fmt::Display for Kind {
    /// Without an article.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ca => "CA",
            Self::Log(LogKind::Ct) => "CT log",
            Self::Log(LogKind::Rekor1) => "Rekor v1 log",
            Self::Log(LogKind::Rekor2) => "Rekor v2 log",
            Self::Tsa => "TSA",
            Self::Trust => "trust repository",
        })
    }
}

/// The port of the development provider where nothing else is said.
pub(crate) const PROVIDER_PORT: u16 = 3006;

/// The port of the metrics where nothing else is said.
pub(crate) const METRICS_PORT: u16 = 3007;
