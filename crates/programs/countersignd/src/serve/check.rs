use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use crypto::KeyType;
use service::SystemClock;
use store::{LogStore, StoreError};

use super::{
    database, issuers,
    public::{PublicDir, identities},
    start::{load, log_signers, trust_files, tuf_keys},
};
use crate::{
    cli::{CheckArguments, FsckTarget, Part},
    config::Config,
    data_dir::DataDir,
    deployment_dirs::{DeploymentDirs, open_to_others},
    fsck::{self, ca_sound, report, tsa_sound},
    output,
    services::Shared,
};

/// `countersignd check`: exit code 1 when something is wrong. The configuration itself was found
/// to be good by reading it.
pub(crate) async fn check(config: Config, arguments: CheckArguments) -> anyhow::Result<ExitCode> {
    let CheckArguments { online, issuers: only_issuers, .. } = arguments;
    let dirs = DeploymentDirs::new(&config.data_dir);
    let public = PublicDir::new(&dirs);
    let shared = Shared::new(Arc::new(SystemClock));
    let issuers = config.ca.settings.issuers.len();
    output::print(&format!("configuration: ok, {issuers} issuers are believed"));
    for words in open_to_others(&config) {
        output::print(&format!("warning: {words}"));
    }
    if let Some(oidc) = &config.oidc_dev {
        output::print("warning: [oidc-dev] is for trying out; whoever can run `token` is anybody");
        if oidc.login {
            output::print("warning: `login` in [oidc-dev]: whoever reaches its port is anybody");
        }
    }
    for warning in &config.warnings {
        output::print(&format!("warning: {warning}"));
    }
    let mut sound = issuers::check(&config, online, shared.clock.now().0).await?;
    if only_issuers {
        return Ok(exit_code(sound));
    }
    sound &= issuers::check_state(&config);
    sound &= report("ca", &ca(&config, &public));
    sound &= report("tsa", &tsa(&config, &public));
    sound &= report("log", &logs(&config, &dirs, &public).await);
    sound &= report("trust", &trust(&config, &dirs, &public, &shared));
    Ok(exit_code(sound))
}

fn exit_code(sound: bool) -> ExitCode {
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `countersignd fsck --config`: whether all that is `wanted` is sound; `None` when it is in use.
pub(crate) async fn fsck(
    config: &Config,
    wanted: impl Fn(FsckTarget) -> bool,
) -> anyhow::Result<Option<bool>> {
    let dirs = DeploymentDirs::new(&config.data_dir);
    let public = PublicDir::new(&dirs);
    let mut sound = true;
    if wanted(FsckTarget::Log) {
        let data_dir = DataDir::open(&dirs.of(Part::Log))?;
        match fsck::logs(&data_dir, database::open(config, &dirs).await?).await? {
            Some(logs_sound) => sound &= logs_sound,
            None => return Ok(None),
        }
    }
    if wanted(FsckTarget::Ca) {
        sound &= report("ca", &ca(config, &public));
    }
    if wanted(FsckTarget::Tsa) {
        sound &= report("tsa", &tsa(config, &public));
    }
    if wanted(FsckTarget::Trust) {
        let shared = Shared::new(Arc::new(SystemClock));
        sound &= report("trust", &trust(config, &dirs, &public, &shared));
    }
    Ok(Some(sound))
}

fn ca(config: &Config, public: &PublicDir) -> anyhow::Result<String> {
    let key = load(&config.ca.key, "ca", KeyType::EcdsaP256)?;
    ca_sound(public.material()?.ca_chain, &key)
}

fn tsa(config: &Config, public: &PublicDir) -> anyhow::Result<String> {
    let key = load(&config.tsa.key, "tsa", KeyType::EcdsaP256)?;
    tsa_sound(&public.material()?.tsa_chain, &key, config.tsa.settings.intermediate_usage)
}

async fn logs(
    config: &Config,
    dirs: &DeploymentDirs,
    public: &PublicDir,
) -> anyhow::Result<String> {
    log_signers(config, &public.material()?)?;
    public.ct_chains(&config.further_ca_chains)?;
    let store = match database::open(config, dirs).await? {
        // SQLite has one user: where the deployment runs, its own start has checked the logs.
        Err(StoreError::AlreadyOpen { .. }) => {
            return Ok("keys; the database is in use by a running process, not checked".to_owned());
        }
        opened => opened.context("cannot open the database")?,
    };
    let outcome = logs_in(config, public, store.as_ref()).await;
    store.close().await;
    outcome
}

/// The logs are there, with the keys and origins of the configuration.
async fn logs_in(
    config: &Config,
    public: &PublicDir,
    store: &dyn LogStore,
) -> anyhow::Result<String> {
    let material = public.material()?;
    let logs = identities(config, public.tree_id()?);
    let known = store.logs().await?;
    for (log, key) in [
        (&logs.ct, &material.ct),
        (&logs.rekor1, &material.rekor1),
        (&logs.rekor2, &material.rekor2),
    ] {
        let record = known.iter().find(|record| record.spec.name == log.name);
        let Some(record) = record else { bail!("the database has no log `{}`", log.name) };
        let expected = log.spec(key);
        if record.spec.origin != expected.origin {
            let (is, wanted) = (&record.spec.origin, &expected.origin);
            bail!("the origin of log `{}` is `{is}` for ever, not `{wanted}`", log.name);
        }
        if record.spec.public_key_der != expected.public_key_der {
            bail!("the log `{}` was made with another key", log.name);
        }
    }
    Ok(format!("{} logs and their keys", known.len()))
}

fn trust(
    config: &Config,
    dirs: &DeploymentDirs,
    public: &PublicDir,
    shared: &Shared,
) -> anyhow::Result<String> {
    tuf_keys(config)?;
    let files = trust_files(config, public, shared)?;
    if !dirs.tuf_root().exists() {
        bail!("{} is missing: run `countersignd init`", dirs.tuf_root().display());
    }
    Ok(format!("{} files, accepted by all lints", files.files().len()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{cli::ConfigArguments, serve::init};

    fn config(directory: &Path) -> Config {
        let file = directory.join("countersign.toml");
        let text = include_str!("../../../../../docs/samples/trial.toml");
        let line = text.lines().find(|line| line.starts_with("data_dir")).unwrap();
        let data_dir = format!("data_dir = \"{}\"", directory.join("data").display());
        std::fs::write(&file, text.replace(line, &data_dir)).unwrap();
        Config::load(&file).unwrap()
    }

    fn arguments(issuers: bool) -> CheckArguments {
        let config = ConfigArguments { config: "x".into() };
        CheckArguments { config, online: false, issuers }
    }

    /// Whoever checks what runs was told that the log is bad.
    #[tokio::test]
    async fn a_database_in_use_by_a_running_deployment_is_nothing_bad() {
        let directory = tempfile::tempdir().unwrap();
        let read = || config(directory.path());
        init(false, read()).await.unwrap();
        let dirs = DeploymentDirs::new(&read().data_dir);
        let running = database::open(&read(), &dirs).await.unwrap().unwrap();

        let public = PublicDir::new(&dirs);
        let said = logs(&read(), &dirs, &public).await.unwrap();
        assert!(said.contains("in use by a running process, not checked"), "{said}");
        let code = check(read(), arguments(false)).await.unwrap();
        assert_eq!(code, ExitCode::SUCCESS);

        // The keys are looked at all the same.
        std::fs::remove_file(dirs.key_file(Part::Log, "ct")).unwrap();
        let said = format!("{:#}", logs(&read(), &dirs, &public).await.unwrap_err());
        assert!(said.contains("ct.pem (`ct`) is missing") && said.contains("`key`"), "{said}");
        assert_eq!(check(read(), arguments(false)).await.unwrap(), ExitCode::FAILURE);
        running.close().await;
    }

    #[tokio::test]
    async fn issuers_alone_are_checked_where_nothing_was_made_yet() {
        let directory = tempfile::tempdir().unwrap();
        let read = || config(directory.path());
        assert_eq!(check(read(), arguments(true)).await.unwrap(), ExitCode::SUCCESS);
        assert_eq!(check(read(), arguments(false)).await.unwrap(), ExitCode::FAILURE);
    }
}
