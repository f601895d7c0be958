use std::{fs::File, path::Path, sync::Arc};

use anyhow::{Context, bail};
use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use service::SystemClock;
use tracing::warn;
use trust::TrustFiles;
use url::Url;

use super::{
    database,
    public::{PublicDir, identities},
};
use crate::{
    admin,
    cli::Part,
    config::{Config, KeyFile},
    data_dir::{DataDir, ISSUER_KEYS, write_json},
    deployment_dirs::DeploymentDirs,
    endpoints::{self, Ports},
    keys,
    logs::{LogSigners, Logs},
    services::{
        self, Background, Material, Publisher, Running, Served, Servers, Shared, deployment,
        log_check,
    },
    token::LastStart,
};

/// Directories that no other process may serve while these are open.
pub(super) type Locks = Vec<File>;

/// Starts what `part` includes.
pub(super) async fn start(part: Part, config: &Config) -> anyhow::Result<(Running, Locks)> {
    let mut start = Start::new(config);
    // In this order: the CA asks whether the log beside it is ready.
    if part.includes(Part::Log) {
        start.log().await.context("log")?;
    }
    if part.includes(Part::Ca) {
        start.ca().context("ca")?;
    }
    if part.includes(Part::Tsa) {
        start.tsa().context("tsa")?;
    }
    if part.includes(Part::Trust) {
        start.trust().await.context("trust")?;
    }
    if part.includes(Part::OidcDev) {
        start.oidc_dev().context("oidc-dev")?;
    }
    start.listen(part).await
}

/// What is being started.
struct Start<'a> {
    config: &'a Config,
    dirs: DeploymentDirs,
    public: PublicDir,
    shared: Shared,
    served: Vec<Served>,
    logs: Option<Logs>,
    background: Background,
    locks: Locks,
}

impl<'a> Start<'a> {
    fn new(config: &'a Config) -> Self {
        let dirs = DeploymentDirs::new(&config.data_dir);
        Self {
            config,
            public: PublicDir::new(&dirs),
            dirs,
            shared: Shared::new(Arc::new(SystemClock)),
            served: Vec::new(),
            logs: None,
            background: Background::default(),
            locks: Vec::new(),
        }
    }

    fn ca(&mut self) -> anyhow::Result<()> {
        let key = load(&self.config.ca.key, "ca", KeyType::EcdsaP256)?;
        let mut settings = self.config.ca.settings.clone();
        let state_dir = self.config.ca_state_dir();
        settings.oidc.keys_dir = Some(state_dir.join(ISSUER_KEYS));
        let (mut ca, issuing) =
            services::ca(&self.shared, settings, key, &self.public.material()?)?;
        if let Some(logs) = &self.logs {
            // No certificate without an SCT.
            ca = ca.with_check(log_check("ct", &logs.ct));
        }
        services::keep_issuers(&self.background, issuing, admin::socket_in(&state_dir));
        self.served.push(ca);
        Ok(())
    }

    async fn log(&mut self) -> anyhow::Result<()> {
        let data_dir = self.open(Part::Log)?;
        let material = self.public.material()?;
        let signers = log_signers(self.config, &material)?;
        let store = database::open(self.config, &self.dirs).await?;
        let store = store.context("cannot open the log's database")?;
        let identities = identities(self.config, self.public.tree_id()?);
        let known = store.logs().await?;
        for log in [&identities.ct, &identities.rekor1, &identities.rekor2] {
            if !known.iter().any(|record| record.spec.name == log.name) {
                bail!(
                    "the database has no log `{}`: run `countersignd init`, unless this is the \
                     wrong database",
                    log.name
                );
            }
        }
        let logs = Logs::start(&data_dir, &identities, store, &signers, &self.shared).await?;
        let ct_chains = self.public.ct_chains(&self.config.further_ca_chains)?;
        let faces = services::logs(&self.shared, &logs, &signers, &ct_chains)?;
        self.served.extend([faces.ct, faces.rekor1, faces.rekor2]);
        self.logs = Some(logs);
        Ok(())
    }

    fn tsa(&mut self) -> anyhow::Result<()> {
        let key = load(&self.config.tsa.key, "tsa", KeyType::EcdsaP256)?;
        self.served.push(services::tsa(
            &self.shared,
            key,
            &self.public.material()?,
            self.config.tsa.settings.clone(),
        )?);
        Ok(())
    }

    async fn trust(&mut self) -> anyhow::Result<()> {
        self.open(Part::Trust)?;
        let files = trust_files(self.config, &self.public, &self.shared)?;
        let (tuf_dir, tuf_root) = (self.dirs.tuf(), self.dirs.tuf_root());
        if !tuf_root.exists() {
            bail!("{} is missing: run `countersignd init`", tuf_root.display());
        }
        let keys = tuf_keys(self.config)?;
        let trust = services::open_trust(&self.shared, &tuf_dir, keys, files).await?;
        self.served.push(services::trust(&trust));
        self.background.spawn(|shutdown| trust.keep_fresh(shutdown));
        Ok(())
    }

    fn oidc_dev(&mut self) -> anyhow::Result<()> {
        let oidc = self.config.oidc_dev.as_ref();
        let oidc = oidc.context("the configuration has no [oidc-dev]")?;
        let data_dir = self.open(Part::OidcDev)?;
        let key = keys::load_oidc(&data_dir)?;
        let url = Url::parse(&oidc.url.to_string())?;
        let port = url.port_or_known_default().unwrap_or(oidc.port);
        let ports = Ports::new(|_| port);
        write_json(&data_dir.last_start_file(), &LastStart { ports, clock_offset_file: None })?;
        if oidc.login && self.config.listen.address.is_some_and(|address| !address.is_loopback()) {
            warn!(
                "people log in to the development identity provider, which listens beyond loopback: \
                 whoever reaches it is anybody"
            );
        }
        let base_url = oidc.url.to_string();
        let known_as = (base_url.as_str(), self.config.audience.as_deref());
        self.served.push(services::oidc(&self.shared, known_as, key, oidc.login)?);
        Ok(())
    }

    /// Opens every port, and serves.
    async fn listen(mut self, part: Part) -> anyhow::Result<(Running, Locks)> {
        self.served.push(services::metrics(&self.served)?);
        let mut ready = Vec::new();
        let mut listening = Vec::new();
        for served in self.served {
            let (face, port) = (served.face, self.config.port(served.face, part));
            let bound = endpoints::bind_face(self.config.listen.address, face, port).await?;
            ready.push((face, port));
            listening.push((served, bound));
        }
        let servers = Servers::start(listening, &self.config.listen.trusted_proxies)?;
        services::all_ready(&ready).await?;
        let running = Running { servers, logs: self.logs, background: self.background };
        Ok((running, self.locks))
    }

    /// The directory of a service of which there may be one process at a time.
    fn open(&mut self, part: Part) -> anyhow::Result<DataDir> {
        let data_dir = DataDir::open(&self.dirs.of(part))?;
        self.locks.push(data_dir.lock()?);
        Ok(data_dir)
    }
}

/// A key that `init` has made.
pub(super) fn load(file: &KeyFile, name: &str, key_type: KeyType) -> anyhow::Result<LocalSigner> {
    let KeyFile(path) = file;
    keys::load_file(path, name, key_type)?.with_context(|| missing(name, path))
}

fn missing(name: &str, path: &Path) -> String {
    let setting = match name {
        "tuf-root" => "`root_key` of [trust.<name>]",
        "tuf-online" => "`online_key` of [trust.<name>]",
        "rekor1-tiles" => "`tiles_key` of the log of kind `rekor1`",
        "ca" | "tsa" => "`key` of its table",
        _ => "`key` of the log of that kind",
    };
    format!(
        "the key {} (`{name}`) is missing: run `countersignd init`, or name the file by {setting}",
        path.display()
    )
}

/// Root, online.
pub(super) fn tuf_keys(config: &Config) -> anyhow::Result<(LocalSigner, LocalSigner)> {
    Ok((
        load(&config.trust.root_key, "tuf-root", KeyType::EcdsaP256)?,
        load(&config.trust.online_key, "tuf-online", KeyType::EcdsaP256)?,
    ))
}

/// The keys of the logs, which must be those that everybody knows.
pub(super) fn log_signers(config: &Config, material: &Material) -> anyhow::Result<LogSigners> {
    let signer = |file, name, key_type, public: &PublicKey| {
        let key = load(file, name, key_type)?;
        if key.public_key() != public {
            bail!("the key `{name}` is not the one that was published for it");
        }
        Ok(Arc::new(key))
    };
    Ok(LogSigners {
        ct: signer(&config.ct.key, "ct", KeyType::EcdsaP256, &material.ct)?,
        rekor1: signer(&config.rekor1.key, "rekor1", KeyType::EcdsaP256, &material.rekor1)?,
        rekor1_tiles: signer(
            &config.rekor1_tiles_key,
            "rekor1-tiles",
            KeyType::Ed25519,
            &material.rekor1_tiles,
        )?,
        rekor2: signer(&config.rekor2.key, "rekor2", KeyType::Ed25519, &material.rekor2)?,
    })
}

/// The trust files of the deployment.
pub(super) fn trust_files(
    config: &Config,
    public: &PublicDir,
    shared: &Shared,
) -> anyhow::Result<TrustFiles> {
    let publisher = Publisher {
        operator: &config.operator,
        trust_dir: None,
        forge: config.trust.forge.clone(),
        audience: config.audience.clone(),
    };
    let logs = identities(config, public.tree_id()?);
    let deployment = deployment(publisher, &config.base_urls(), &logs, &public.material()?)?;
    Ok(TrustFiles::build(&deployment, shared.clock.now().0)?)
}
