use std::process::ExitCode;

use anyhow::{Context, bail};
use crypto::Signer;
use moment::UnixSeconds;
use signing::{Clock, SystemClock};
use store::{LogRecord, LogStore, StoreError};
use tsp::TsaChain;

use super::{
    database, issuers,
    kept::refuse_foreign,
    lost::{Lost, log_keys},
    make::fingerprint,
    tries,
};
use crate::{
    certificates::refuse_another_organization,
    cli::{Asks, CheckArguments},
    data_dir::read_if_present,
    deployment::{
        self, Authority, Database, Deployment, Repository, TimestampAuthority, not_made,
        trust_files,
    },
    deployment_dirs::open_to_others,
    fsck::{report, signed_size},
    known_logs::{self, as_configured, frozen_and_not_said, refuse_renamed},
    output,
    services::{SOON, check_writers, ct_chains},
};

/// `countersignd check`: exit code 1 when something is wrong. The configuration itself was found
/// to be good by reading it.
pub(crate) async fn check(
    deployment: Deployment,
    arguments: CheckArguments,
) -> anyhow::Result<ExitCode> {
    let (asks, only_issuers) = (arguments.asks(), arguments.issuers);
    let issuing = || deployment.authorities.iter().filter(|one| one.service.state.signs());
    let issuers: usize = issuing().map(|authority| authority.settings.issuers.len()).sum();
    output::print(&format!("configuration: ok, {issuers} issuers are believed"));
    for warning in warnings(&deployment) {
        output::print(&format!("warning: {warning}"));
    }
    let mut sound = true;
    for authority in issuing() {
        sound &= issuers::check(&deployment, authority, asks, SystemClock.now()).await?;
    }
    if only_issuers {
        return Ok(exit_code(sound));
    }
    for authority in issuing() {
        sound &= issuers::check_state(authority);
    }
    for authority in issuing().filter(|_| asks == Asks::All) {
        let what = format!("{} ct log", authority.service.label);
        sound &= report(&what, &issuers::ct_log(&deployment, authority).await);
    }
    for words in ends(&deployment, SystemClock.now()) {
        output::print(&format!("warning: {words}"));
    }
    let lost = Lost::new(&deployment).unwrap_or_else(|error| {
        sound &= report("trust", &Err(error));
        Lost::unread(&deployment)
    });
    for authority in &deployment.authorities {
        let found = lost.authority(authority).and_then(|()| authority_sound(authority));
        sound &= report(&authority.service.label, &found);
    }
    for authority in &deployment.timestamp_authorities {
        let found = lost.timestamp_authority(authority);
        let found = found.and_then(|()| timestamp_authority_sound(authority));
        sound &= report(&authority.service.label, &found);
    }
    sound &= report("files", &files(&deployment));
    sound &= report("places", &tries::places(&deployment));
    let anchored = deployment.demand_anchors().map(|()| "a place for each log".to_owned());
    sound &= report("anchors", &anchored);
    for words in tries::beside_the_data(&deployment) {
        output::print(&format!("warning: {words}"));
    }
    sound &= report("log", &logs(&deployment).await);
    sound &= report("keys", &tries::keys(&deployment).await);
    match tries::ports(&deployment).await {
        Ok(found) => output::print(&format!("ports: ok, {found}")),
        // Of this machine, which need not be the one that will run it.
        Err(taken) => output::print(&format!("warning: {taken:#}")),
    }
    for repository in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
        for words in tries::ended_roles(repository, SystemClock.now()) {
            output::print(&format!("warning: {words}"));
        }
        let found = lost.repository(repository);
        let found = found.and_then(|()| repository_sound(&deployment, repository));
        sound &= report(&repository.service.label, &found);
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

/// Chains of those that sign that end soon. What cannot be read is reported with the rest.
fn ends(deployment: &Deployment, now: UnixSeconds) -> Vec<String> {
    let authorities = deployment.authorities.iter().filter_map(|one| {
        let chain = x509::CertificateChain::from_der(one.chain.load().ok()?).ok()?;
        Some((&one.service, chain.not_after()))
    });
    let timestamp_authorities = deployment.timestamp_authorities.iter().filter_map(|one| {
        let chain = TsaChain::from_ders(&one.chain.load().ok()?).ok()?;
        Some((&one.service, chain.validity().not_after))
    });
    let soon = |end: UnixSeconds| (now..now.saturating_add(SOON)).contains(&end);
    authorities
        .chain(timestamp_authorities)
        .filter(|(service, end)| service.state.signs() && soon(*end))
        .map(|(service, end)| {
            let (table, end) = (service.table(), wire::Timestamp::from_unix_seconds(end.0));
            let end = end.map(|end| end.to_string()).unwrap_or_default();
            format!("the chain of {table} ends at {end}: let the next one begin before")
        })
        .collect()
}

/// Whether the next `init`, an upgrade's, will find nothing that somebody else can have put there.
pub(super) fn files(deployment: &Deployment) -> anyhow::Result<String> {
    for words in refuse_foreign(deployment)? {
        output::print(&format!("warning: {words}"));
    }
    Ok("nobody else's".to_owned())
}

fn exit_code(sound: bool) -> ExitCode {
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a CA can do now what its state says.
pub(crate) fn authority_sound(authority: &Authority) -> anyhow::Result<String> {
    let state = authority.service.state;
    let chain = authority.chain.load()?;
    refuse_another_organization(&authority.chain, &chain)?;
    let chain = x509::CertificateChain::from_der(chain)?;
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
    refuse_another_organization(&authority.chain, &chain)?;
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
    if let Database::Sqlite { file } = &deployment.database
        && !file.exists()
    {
        all_keys(deployment)?;
        bail!("{}", not_made(file));
    }
    let store = match database::open(deployment).await? {
        Ok(store) => store,
        Err(error) => {
            all_keys(deployment)?;
            // SQLite has one user: where the deployment runs, its own start has checked the logs.
            if matches!(error, StoreError::AlreadyOpen { .. }) {
                let said = "keys; the database is in use by a running process, not checked";
                return Ok(said.to_owned());
            }
            return Err(error).context("cannot open the database");
        }
    };
    let outcome = match tries::clock(store.as_ref(), SystemClock.now()).await {
        Ok(()) => logs_in(deployment, store.as_ref()).await,
        Err(fault) => Err(fault),
    };
    store.close().await;
    if let Some(words) = database::role_warning(deployment).await? {
        output::print(&format!("warning: {words}"));
    }
    outcome
}

fn all_keys(deployment: &Deployment) -> anyhow::Result<()> {
    deployment.running_logs().try_for_each(log_keys)?;
    for log in &deployment.logs {
        keys(deployment, log).with_context(|| log.service.to_string())?;
    }
    Ok(())
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
    check_writers(deployment, log)?;
    ct_chains(deployment, log).map(drop)
}

/// The logs are there, with the keys and origins of the configuration.
pub(super) async fn logs_in(
    deployment: &Deployment,
    store: &dyn LogStore,
) -> anyhow::Result<String> {
    let known = store.logs().await?;
    // Before the keys: one that was never made may be that of a log by another name.
    refuse_renamed(deployment, &known)?;
    all_keys(deployment)?;
    for log in deployment.running_logs() {
        let record = as_configured(log, &known)?;
        if let Some(why) = frozen_and_not_said(log).filter(|_| record.frozen) {
            bail!("{why}");
        }
        is_not_older(log, record, store).await?;
        tries::anchors(log, record, store).await?;
    }
    for words in known_logs::warnings(deployment, &known) {
        output::print(&format!("warning: {words}"));
    }
    for log in deployment.logs.iter().filter(|log| !log.service.state.runs()) {
        has_ended(log, &known)?;
    }
    Ok(format!("{} logs and their keys", known.len()))
}

/// Its start refuses it too, when it is too late to look for a newer dump.
async fn is_not_older(
    log: &deployment::Log,
    record: &LogRecord,
    store: &dyn LogStore,
) -> anyhow::Result<()> {
    let Some(note) = read_if_present(&log.checkpoint_file)? else { return Ok(()) };
    signed_size(store, record, &note).await.map(drop).with_context(|| {
        let (name, file) = (&log.service.name, log.checkpoint_file.display());
        format!("the log `{name}`, against {file}, the last checkpoint that it signed")
    })
}

/// A process that has not read the file again goes on taking entries, of which verifiers will know nothing.
fn has_ended(log: &deployment::Log, known: &[LogRecord]) -> anyhow::Result<()> {
    let name = &log.service.name;
    if known.iter().any(|record| record.spec.name == *name && !record.frozen) {
        bail!(
            "the log `{name}` is `{}` in the configuration and takes entries in the database: run \
             `countersignd log freeze {name}`",
            log.service.state
        );
    }
    Ok(())
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
    let fingerprint = fingerprint(&std::fs::read(&root)?);
    Ok(format!("{} files, accepted by all lints; {fingerprint}", files.files().len()))
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::{cli::ConfigArguments, config, serve::init};

    fn deployment(directory: &Path) -> Deployment {
        with(directory, "")
    }

    /// With `more` tables.
    fn with(directory: &Path, more: &str) -> Deployment {
        let file = directory.join("countersign.toml");
        let text = include_str!("../../../../../docs/samples/trial.toml");
        let line = text.lines().find(|line| line.starts_with("data_dir")).unwrap();
        assert!(line.contains("/var/tmp/countersign"));
        let text =
            text.replace("/var/tmp/countersign", &directory.join("data").display().to_string());
        std::fs::write(&file, text + more).unwrap();
        config::load(&file).unwrap()
    }

    fn arguments(issuers: bool) -> CheckArguments {
        let config = ConfigArguments { config: "x".into() };
        CheckArguments { config, online: false, offline: true, issuers }
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
    async fn a_chain_that_ends_within_a_month_is_warned_of() {
        let directory = tempfile::tempdir().unwrap();
        let deployment = deployment(directory.path());
        init(true, super::tests::deployment(directory.path())).await.unwrap();
        let chain = deployment.authorities[0].chain.load().unwrap();
        let end = x509::CertificateChain::from_der(chain).unwrap().not_after();
        let before = |days: u64| end.saturating_sub(Duration::from_hours(days * 24));
        assert_eq!(ends(&deployment, before(31)), Vec::<String>::new());
        let told = ends(&deployment, before(29));
        assert!(told[0].starts_with("the chain of [ca.default] ends at 20"), "{told:?}");
        assert!(told[1].starts_with("the chain of [tsa.default] ends at 20"), "{told:?}");
    }

    #[tokio::test]
    async fn a_log_from_far_ahead_of_the_clock_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let deployment = deployment(directory.path());
        init(false, super::tests::deployment(directory.path())).await.unwrap();
        let store = database::open(&deployment).await.unwrap().unwrap();
        let now = SystemClock.now();
        tries::clock(store.as_ref(), now).await.unwrap();
        let log = store.logs().await.unwrap().remove(0);
        let body = axum::body::Bytes::from_static(b"an entry");
        let leaf_hash = tlog::leaf_hash(&body);
        let entry = store::NewEntry {
            leaf_hash,
            dedup_hash: leaf_hash.into(),
            kind: "test",
            body,
            extra: axum::body::Bytes::new(),
            timestamp_signature: axum::body::Bytes::new(),
            index_keys: Vec::new(),
        };
        let ahead = now.saturating_add(Duration::from_hours(40 * 24));
        let minimum_size = tlog::TreeSize(0);
        let batch = store::Batch { entries: vec![entry], now: ahead, minimum_size };
        store.append(log.id, &batch).await.unwrap();
        store.close().await;
        let said = format!("{:#}", logs(&deployment).await.unwrap_err());
        assert!(said.starts_with(&format!("the log `{}`", log.spec.name)), "{said}");
        assert!(said.contains("behind the latest time that was signed"), "{said}");
    }

    #[tokio::test]
    async fn each_key_is_tried_and_each_port() {
        let directory = tempfile::tempdir().unwrap();
        let mut deployment = deployment(directory.path());
        init(false, super::tests::deployment(directory.path())).await.unwrap();
        // CA, TSA, three logs, the tiles of one of them, root and online key.
        assert_eq!(tries::keys(&deployment).await.unwrap(), "8 sign");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        deployment.authorities[0].service.port = taken.local_addr().unwrap().port();
        // Whatever it is, it does not answer as a service of ours does.
        let told = tries::ports(&deployment).await.unwrap_err().to_string();
        assert!(told.contains("for ca.default"), "{told}");
    }

    #[tokio::test]
    async fn a_role_of_tuf_that_ended_is_warned_of() {
        let directory = tempfile::tempdir().unwrap();
        let deployment = deployment(directory.path());
        init(false, super::tests::deployment(directory.path())).await.unwrap();
        let repository = &deployment.repositories[0];
        let at = |days: u64| SystemClock.now().saturating_add(Duration::from_hours(days * 24));
        assert_eq!(tries::ended_roles(repository, at(6)), Vec::<String>::new());
        let told = tries::ended_roles(repository, at(8));
        assert!(told.len() == 1 && told[0].starts_with("the TUF role `timestamp`"), "{told:?}");
    }

    #[tokio::test]
    async fn a_log_that_was_retired_and_never_frozen_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let table =
            "\n[log.old]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://127.0.0.9:3003\"\n";
        init(false, with(directory.path(), table)).await.unwrap();
        let end = "state = \"retired\"\nvalid_until = \"2100-01-01T00:00:00Z\"\n";
        let retired = with(directory.path(), &format!("{table}{end}"));
        let said = format!("{:#}", logs(&retired).await.unwrap_err());
        assert!(said.contains("`old` is `retired`") && said.contains("log freeze old"), "{said}");

        let store = database::open(&retired).await.unwrap().unwrap();
        let known = store.logs().await.unwrap();
        store.freeze(known.iter().find(|one| one.spec.name == "old").unwrap().id).await.unwrap();
        store.close().await;
        logs(&retired).await.unwrap();
    }

    #[tokio::test]
    async fn issuers_alone_are_checked_where_nothing_was_made_yet() {
        let directory = tempfile::tempdir().unwrap();
        let read = || deployment(directory.path());
        assert_eq!(check(read(), arguments(true)).await.unwrap(), ExitCode::SUCCESS);
        assert_eq!(check(read(), arguments(false)).await.unwrap(), ExitCode::FAILURE);
    }
}
