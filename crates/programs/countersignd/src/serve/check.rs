use std::process::ExitCode;

use anyhow::{Context, bail};
use crypto::Signer;
use signing::{Clock, SystemClock};
use store::{LogRecord, LogStore, StoreError};
use tsp::TsaChain;

use super::{database, issuers};
use crate::{
    cli::CheckArguments,
    deployment::{
        self, Authority, Deployment, Repository, TimestampAuthority, not_made, trust_files,
    },
    deployment_dirs::open_to_others,
    fsck::report,
    logs::{check_state, frozen_and_not_said},
    output,
    services::ct_chains,
};

/// `countersignd check`: exit code 1 when something is wrong. The configuration itself was found
/// to be good by reading it.
pub(crate) async fn check(
    deployment: Deployment,
    arguments: CheckArguments,
) -> anyhow::Result<ExitCode> {
    let CheckArguments { online, issuers: only_issuers, .. } = arguments;
    let issuing = || deployment.authorities.iter().filter(|one| one.service.state.signs());
    let issuers: usize = issuing().map(|authority| authority.settings.issuers.len()).sum();
    output::print(&format!("configuration: ok, {issuers} issuers are believed"));
    for warning in warnings(&deployment) {
        output::print(&format!("warning: {warning}"));
    }
    let mut sound = true;
    for authority in issuing() {
        sound &= issuers::check(&deployment, authority, online, SystemClock.now()).await?;
    }
    if only_issuers {
        return Ok(exit_code(sound));
    }
    for authority in issuing() {
        sound &= issuers::check_state(authority);
    }
    for authority in &deployment.authorities {
        sound &= report(&authority.service.label, &authority_sound(authority));
    }
    for authority in &deployment.timestamp_authorities {
        sound &= report(&authority.service.label, &timestamp_authority_sound(authority));
    }
    sound &= report("log", &logs(&deployment).await);
    for repository in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
        sound &= report(&repository.service.label, &repository_sound(&deployment, repository));
    }
    Ok(exit_code(sound))
}

fn warnings(deployment: &Deployment) -> Vec<String> {
    let mut warnings = open_to_others(deployment);
    if let Some(provider) = &deployment.provider {
        let words = "[oidc-dev] is for trying out; whoever can run `token` is anybody";
        warnings.push(words.to_owned());
        if provider.login {
            let words = "`login` in [oidc-dev]: whoever reaches its port is anybody";
            warnings.push(words.to_owned());
        }
    }
    warnings.extend(deployment.warnings.iter().cloned());
    warnings
}

fn exit_code(sound: bool) -> ExitCode {
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a CA can do now what its state says.
pub(crate) fn authority_sound(authority: &Authority) -> anyhow::Result<String> {
    let state = authority.service.state;
    let chain = x509::CertificateChain::from_der(authority.chain.load()?)?;
    let certificates = chain.certificates().len();
    if !state.runs() {
        return Ok(format!("{certificates} certificates, {state}"));
    }
    chain.check_key(authority.key.load()?.public_key())?;
    let now = SystemClock.now();
    if state.signs() && !(chain.not_before()..=chain.not_after()).contains(&now) {
        bail!("the chain is not valid now");
    }
    Ok(format!("{certificates} certificates and their key"))
}

/// Whether a TSA can do now what its state says.
pub(crate) fn timestamp_authority_sound(authority: &TimestampAuthority) -> anyhow::Result<String> {
    let (state, chain) = (authority.service.state, authority.chain.load()?);
    let checked = TsaChain::from_ders(&chain)?;
    if !state.runs() {
        return Ok(format!("{} certificates, {state}", chain.len()));
    }
    let key = authority.key.load()?;
    checked.require_issuable(key.public_key(), authority.settings.intermediate_usage)?;
    if state.signs() && !checked.validity().contains(SystemClock.now()) {
        bail!("the chain is not valid now");
    }
    Ok(format!("{} certificates and their key", chain.len()))
}

async fn logs(deployment: &Deployment) -> anyhow::Result<String> {
    for log in &deployment.logs {
        keys(deployment, log).with_context(|| log.service.to_string())?;
    }
    let store = match database::open(deployment).await? {
        // SQLite has one user: where the deployment runs, its own start has checked the logs.
        Err(StoreError::AlreadyOpen { .. }) => {
            return Ok("keys; the database is in use by a running process, not checked".to_owned());
        }
        opened => opened.context("cannot open the database")?,
    };
    let outcome = logs_in(deployment, store.as_ref()).await;
    store.close().await;
    outcome
}

/// The keys of a log that runs; of one that does not, what clients verify by.
fn keys(deployment: &Deployment, log: &deployment::Log) -> anyhow::Result<()> {
    if !log.service.state.runs() {
        return log.key.public_key().map(drop);
    }
    log.key.load()?;
    if let Some(places) = &log.rekor1 {
        places.tiles_key.load()?;
    }
    ct_chains(deployment, log).map(drop)
}

/// The logs are there, with the keys and origins of the configuration.
async fn logs_in(deployment: &Deployment, store: &dyn LogStore) -> anyhow::Result<String> {
    let known = store.logs().await?;
    for log in deployment.running_logs() {
        as_configured(log, &known)?;
    }
    Ok(format!("{} logs and their keys", known.len()))
}

fn as_configured(log: &deployment::Log, known: &[LogRecord]) -> anyhow::Result<()> {
    let name = &log.service.name;
    let expected = log.identity()?.spec(&log.key.public_key()?);
    let record = check_state(log, known)?;
    if record.spec.origin != expected.origin {
        let (is, wanted) = (&record.spec.origin, &expected.origin);
        bail!("the origin of log `{name}` is `{is}` for ever, not `{wanted}`");
    }
    if record.spec.public_key_der != expected.public_key_der {
        bail!("the log `{name}` was made with another key");
    }
    match frozen_and_not_said(log).filter(|_| record.frozen) {
        Some(why) => bail!("{why}"),
        None => Ok(()),
    }
}

/// Whether a repository is there, and what it is to publish is what clients take.
pub(crate) fn repository_sound(
    deployment: &Deployment,
    repository: &Repository,
) -> anyhow::Result<String> {
    repository.root_key.load()?;
    repository.online_key.load()?;
    let files = trust_files(deployment, repository, SystemClock.now())?;
    let root = repository.root_file();
    if !root.exists() {
        bail!("{}", not_made(&root));
    }
    if let Some(directory) = &repository.files_dir {
        for file in files.files() {
            let path = directory.join(file.name);
            let found =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if found != file.content {
                bail!("{} is not what the keys and certificates make", path.display());
            }
        }
    }
    Ok(format!("{} files, accepted by all lints", files.files().len()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{cli::ConfigArguments, config, serve::init};

    fn deployment(directory: &Path) -> Deployment {
        let file = directory.join("countersign.toml");
        let text = include_str!("../../../../../docs/samples/trial.toml");
        let line = text.lines().find(|line| line.starts_with("data_dir")).unwrap();
        let data_dir = format!("data_dir = \"{}\"", directory.join("data").display());
        std::fs::write(&file, text.replace(line, &data_dir)).unwrap();
        config::load(&file).unwrap()
    }

    fn arguments(issuers: bool) -> CheckArguments {
        let config = ConfigArguments { config: "x".into() };
        CheckArguments { config, online: false, issuers }
    }

    /// Whoever checks what runs was told that the log is bad.
    #[tokio::test]
    async fn a_database_in_use_by_a_running_deployment_is_nothing_bad() {
        let directory = tempfile::tempdir().unwrap();
        let read = || deployment(directory.path());
        init(false, read()).await.unwrap();
        let running = database::open(&read()).await.unwrap().unwrap();

        let said = logs(&read()).await.unwrap();
        assert!(said.contains("in use by a running process, not checked"), "{said}");
        let code = check(read(), arguments(false)).await.unwrap();
        assert_eq!(code, ExitCode::SUCCESS);

        // The keys are looked at all the same.
        std::fs::remove_file(&read().log("ct").unwrap().key.file).unwrap();
        let said = format!("{:#}", logs(&read()).await.unwrap_err());
        assert!(said.contains("ct.pem (`ct`) is missing") && said.contains("`key`"), "{said}");
        assert_eq!(check(read(), arguments(false)).await.unwrap(), ExitCode::FAILURE);
        running.close().await;
    }

    #[tokio::test]
    async fn issuers_alone_are_checked_where_nothing_was_made_yet() {
        let directory = tempfile::tempdir().unwrap();
        let read = || deployment(directory.path());
        assert_eq!(check(read(), arguments(true)).await.unwrap(), ExitCode::SUCCESS);
        assert_eq!(check(read(), arguments(false)).await.unwrap(), ExitCode::FAILURE);
    }
}
