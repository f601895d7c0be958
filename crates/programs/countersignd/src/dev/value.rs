//! The deployment of `dev`: one of each, on this machine, with the development provider.

use std::{net::IpAddr, path::PathBuf};

use ::ca::CaConfig;
use anyhow::Context;
use crypto::KeyType;
use server::{Allowance, TrustedProxies};
use store::LogKind;
use trust::State;
use url::Url;
use wire::countersign::Forge;

use super::DevPorts;
use crate::{
    certificates::ChainPlace,
    config::BaseUrl,
    data_dir::DataDir,
    deployment::{
        Authority, Database, Deployment, Key, Kind, Listen, Log, LogOptions, Places, Provider,
        Rekor1Places, Repository, Service, Telemetry, Tenant, TimestampAuthority, TsaSettings,
    },
    endpoints::HOST,
    keys,
    logs::key_type,
    token::LastStart,
};

/// The one `O` of every certificate of `dev`.
const ORGANIZATION: &str = "Countersign development";

/// Its only tenant, and the name of what has no other.
const DEFAULT: &str = "default";

/// What the last start on `data_dir` was, as far as it is known.
pub(crate) fn deployment(
    data_dir: &DataDir,
    last: Option<&LastStart>,
    database_url: Option<&str>,
) -> anyhow::Result<Deployment> {
    let ports = last.and_then(|last| last.ports).unwrap_or(DevPorts::DEFAULT);
    let mut deployment = value(data_dir, ports, database_url)?;
    deployment.freeze(last.map(|last| last.frozen.as_slice()).unwrap_or_default());
    Ok(deployment)
}

impl Deployment {
    /// Sends no client to the logs that `dev`'s database has frozen: there is no file that could say so.
    pub(super) fn freeze(&mut self, frozen: &[String]) {
        for log in self.logs.iter_mut().filter(|log| frozen.contains(&log.service.name)) {
            log.service.state = State::Frozen;
        }
    }
}

/// Everything on its port, with the names of files that data directories always had.
pub(super) fn value(
    data_dir: &DataDir,
    ports: DevPorts,
    database_url: Option<&str>,
) -> anyhow::Result<Deployment> {
    let place = Place { data_dir };
    let provider_url = url(ports.oidc)?;
    let issuers = oidc::issuers(&provider_url.to_string(), None)?;
    let settings = CaConfig::new(issuers, Url::parse(&url(ports.ct)?.to_string())?);
    let repository = place.repository(service(Kind::Trust, ports.trust)?, provider_url.to_string());
    Ok(Deployment {
        tenants: vec![Tenant {
            name: DEFAULT.to_owned(),
            operator: HOST.to_owned(),
            audience: None,
        }],
        authorities: vec![Authority {
            service: service(Kind::Ca, ports.ca)?,
            key: place.key("ca", KeyType::EcdsaP256),
            chain: place.chain("ca"),
            settings,
            ct_log: LogKind::Ct.as_str().to_owned(),
            state_dir: place.root(),
        }],
        logs: vec![
            place.log(LogKind::Ct, ports.ct)?,
            place.log(LogKind::Rekor1, ports.rekor1)?,
            place.log(LogKind::Rekor2, ports.rekor2)?,
        ],
        timestamp_authorities: vec![TimestampAuthority {
            service: service(Kind::Tsa, ports.tsa)?,
            key: place.key("tsa", KeyType::EcdsaP256),
            chain: place.chain("tsa"),
            settings: TsaSettings::default(),
        }],
        repositories: vec![repository],
        provider: Some(Provider {
            url: provider_url,
            port: ports.oidc,
            login: false,
            token_command: Some(format!(
                "countersignd token --data-dir {}",
                trust::quoted(&data_dir.root().display().to_string())
            )),
            key: place.key(keys::OIDC, KeyType::Rsa2048),
        }),
        listen: listen(None, ports.metrics),
        telemetry: Telemetry::default(),
        database: place.database(database_url)?,
        places: place.places(),
        end_on_jump: false,
        warnings: Vec::new(),
    })
}

/// Where `dev` listens beside loopback.
pub(super) fn listen(address: Option<IpAddr>, metrics_port: u16) -> Listen {
    let trusted_proxies = TrustedProxies::default();
    Listen { address, metrics_port, metrics_ports: Vec::new(), trusted_proxies }
}

fn url(port: u16) -> anyhow::Result<BaseUrl> {
    Ok(format!("http://{HOST}:{port}").parse()?)
}

fn service(kind: Kind, port: u16) -> anyhow::Result<Service> {
    let name = match kind {
        Kind::Log(kind) => kind.as_str(),
        _ => DEFAULT,
    };
    Ok(Service {
        name: name.to_owned(),
        kind,
        label: kind.word().to_owned(),
        tenant: Some(DEFAULT.to_owned()),
        url: url(port)?,
        port,
        state: State::Active,
        valid_from: None,
        valid_until: None,
        per_peer: Allowance::default(),
    })
}

/// The one directory of it all.
struct Place<'a> {
    data_dir: &'a DataDir,
}

impl Place<'_> {
    fn root(&self) -> PathBuf {
        self.data_dir.root().to_owned()
    }

    fn key(&self, name: &str, key_type: KeyType) -> Key {
        Key {
            file: self.data_dir.key_file(name),
            name: name.to_owned(),
            kind: key_type,
            setting: "--data-dir".to_owned(),
            // Whoever needs a public half has the private one beside it.
            public_file: None,
        }
    }

    fn chain(&self, name: &str) -> ChainPlace {
        ChainPlace {
            file: self.data_dir.chain_file(name),
            root_key_file: self.data_dir.key_file(&format!("{name}-root")),
            organization: ORGANIZATION.to_owned(),
        }
    }

    fn log(&self, kind: LogKind, port: u16) -> anyhow::Result<Log> {
        let name = kind.as_str();
        let key_type = key_type(kind);
        let rekor1 = (kind == LogKind::Rekor1).then(|| Rekor1Places {
            tiles_key: self.key("rekor1-tiles", KeyType::Ed25519),
            tree_id_file: self.data_dir.tree_id_file(),
        });
        Ok(Log {
            service: service(Kind::Log(kind), port)?,
            kind,
            key: self.key(name, key_type),
            rekor1,
            since_file: None,
            checkpoint_file: self.data_dir.checkpoint_file(name),
            anchors: Vec::new(),
            options: LogOptions::default(),
        })
    }

    /// Names without a host mean what most projects are on.
    fn repository(&self, service: Service, oidc_url: String) -> Repository {
        Repository {
            service,
            root_key: self.key("tuf-root", KeyType::EcdsaP256),
            online_key: self.key("tuf-online", KeyType::EcdsaP256),
            tuf_dir: self.data_dir.tuf_dir(),
            first_root_file: None,
            files_dir: Some(self.data_dir.trust_dir()),
            oidc_url,
            forge: Some(Forge { url: "https://github.com".to_owned(), kind: None }),
        }
    }

    fn database(&self, url: Option<&str>) -> anyhow::Result<Database> {
        Ok(match url {
            None => Database::Sqlite { file: self.data_dir.log_database() },
            Some(url) => {
                let url = Url::parse(url).context("the database's URL cannot be read")?;
                Database::Postgres { url, password_file: None, owner: None }
            }
        })
    }

    fn places(&self) -> Places {
        Places {
            root: self.root(),
            private: vec![self.root()],
            public: None,
            offline: None,
            logs: self.root(),
            checkpoints: self.data_dir.checkpoints(),
            trust: self.root(),
            provider: self.root(),
        }
    }
}
