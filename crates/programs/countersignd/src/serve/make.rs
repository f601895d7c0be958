//! Makes what a deployment needs and does not have; what is there stays.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::Arc,
    thread,
};

use anyhow::{Context, anyhow, bail};
use crypto::{LocalSigner, ScramVerifier, Signer};
use moment::UnixSeconds;
use postgres::Login;
use store::{LogKind, LogRecord, LogStore};
use trust::State;
use tsp::IntermediateUsage;

use super::{
    database,
    kept::refuse_foreign,
    lost::{names, refuse_lost},
};
use crate::{
    anchors::AnchorPlace,
    certificates::{ChainPlace, ca_chain, refuse_another_organization, tsa_chain},
    data_dir::{Access, DataDir, create, read_json, remove_unfinished, replace, write_json},
    deployment::{self, Database, Deployment, Key, Repository},
    known_logs::{named, refuse_changed, refuse_renamed},
    logs,
    services::{self, Shared},
};

/// What became of one thing, for people.
#[derive(Debug)]
pub(crate) struct Made {
    what: String,
    happened: &'static str,
    detail: String,
}

impl Made {
    pub(super) fn new(what: impl Into<String>, happened: &'static str, detail: String) -> Self {
        Self { what: what.into(), happened, detail }
    }

    fn file(what: &str, was_there: bool, path: &Path) -> Self {
        let happened = if was_there { "kept" } else { "made" };
        Self::new(what, happened, path.display().to_string())
    }
}

impl std::fmt::Display for Made {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}, {}", self.happened, self.what, self.detail)
    }
}

/// Directories, with who may see them. What is there already, in them too, must be nobody else's.
/// Gives what to warn of.
pub(crate) fn directories(deployment: &Deployment) -> anyhow::Result<Vec<String>> {
    let warnings = refuse_foreign(deployment)?;
    let places = &deployment.places;
    for directory in &places.private {
        DataDir::create(directory)?;
    }
    for place in deployment.logs.iter().flat_map(|log| &log.anchors) {
        let AnchorPlace::Directory(directory) = place else { continue };
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    for (directory, mode) in [(&places.public, 0o755), (&places.offline, 0o700)] {
        let Some(directory) = directory else { continue };
        let explain = || format!("cannot make the directory {}", directory.display());
        fs::create_dir_all(directory).with_context(explain)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).with_context(explain)?;
    }
    Ok(warnings)
}

/// A job that makes one thing, or a few that need each other.
type Job<'a> = Box<dyn FnOnce() -> anyhow::Result<Vec<Made>> + Send + 'a>;

/// Keys, and certificates for them. `tell` is called for each as it is known.
pub(crate) fn keys(
    deployment: &Deployment,
    now: UnixSeconds,
    tell: &mut dyn FnMut(&Made),
) -> anyhow::Result<()> {
    refuse_lost(deployment)?;
    let jobs = jobs(deployment, now);
    // An RSA key takes 100 ms to make, and each file a wait for the disk.
    thread::scope(|scope| {
        let running: Vec<_> = jobs.into_iter().map(|job| scope.spawn(job)).collect();
        for job in running {
            let made = job.join().map_err(|_| anyhow!("making a key panicked"))??;
            made.iter().for_each(&mut *tell);
        }
        anyhow::Ok(())
    })?;
    deployment.keep_beginnings()
}

fn jobs(deployment: &Deployment, now: UnixSeconds) -> Vec<Job<'_>> {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for one in deployment.authorities.iter().filter(|one| one.service.state.runs()) {
        let what = one.service.to_string();
        jobs.push(Box::new(move || {
            chain(&what, &one.key, &one.chain, |key| {
                let chain = ca_chain(&one.chain, key, now)?;
                x509::CertificateChain::from_der(chain.clone())?.check_key(key.public_key())?;
                Ok(chain)
            })
        }));
    }
    for one in deployment.timestamp_authorities.iter().filter(|one| one.service.state.runs()) {
        let what = one.service.to_string();
        jobs.push(Box::new(move || {
            chain(&what, &one.key, &one.chain, |key| {
                let chain = tsa_chain(&one.chain, key, now)?;
                // Whether it is as the configuration wants it, `check` and each start say.
                let checked = tsp::TsaChain::from_ders(&chain)?;
                checked.require_issuable(key.public_key(), IntermediateUsage::Optional)?;
                Ok(chain)
            })
        }));
    }
    for log in deployment.running_logs() {
        jobs.push(Box::new(move || log_keys(log, now)));
    }
    for repository in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
        for (name, key) in [("root", &repository.root_key), ("online", &repository.online_key)] {
            let what = format!("the {name} key of {}", repository.service);
            jobs.push(Box::new(move || Ok(vec![made(&what, key)?.1])));
        }
    }
    if let Some(provider) = &deployment.provider {
        jobs.push(Box::new(|| Ok(vec![made("the development provider's key", &provider.key)?.1])));
    }
    jobs
}

/// A key and its chain, which `make` makes or reads, and compares with the key.
fn chain(
    what: &str,
    key: &Key,
    place: &ChainPlace,
    make: impl FnOnce(&LocalSigner) -> anyhow::Result<Vec<Vec<u8>>>,
) -> anyhow::Result<Vec<Made>> {
    let (signer, made) = made(&format!("the key of {what}"), key)?;
    let was_there = place.file.exists();
    let chain = make(&signer).with_context(|| {
        let (chain, key) = (place.file.display(), key.file.display());
        format!("the chain of {what}, {chain}, with its key, {key}")
    })?;
    refuse_another_organization(place, &chain)?;
    Ok(vec![made, Made::file(&format!("the chain of {what}"), was_there, &place.file)])
}

fn log_keys(log: &deployment::Log, now: UnixSeconds) -> anyhow::Result<Vec<Made>> {
    if let Some(since) = &log.since_file {
        remove_unfinished(since)?;
    }
    log.begin(now)?;
    let service = &log.service;
    let tiles = log.rekor1.as_ref().map(|places| &places.tiles_key);
    let mut all = Vec::new();
    for (what, key) in [
        (format!("the key of {service}"), Some(&log.key)),
        (format!("the tiles' key of {service}"), tiles),
    ] {
        let Some(key) = key else { continue };
        let (signer, made) = made(&what, key)?;
        key.publish(&signer)?;
        all.push(made);
    }
    Ok(all)
}

/// Makes a key, unless it is there. That it was not lost is known.
fn made(what: &str, key: &Key) -> anyhow::Result<(LocalSigner, Made)> {
    let was_there = key.file.exists();
    Ok((key.load_or_make()?, Made::file(what, was_there, &key.file)))
}

/// Passwords, for a database that is only about to be made, and what tells it of them.
pub(crate) fn database_passwords(
    deployment: &Deployment,
    tell: &mut dyn FnMut(&Made),
) -> anyhow::Result<()> {
    let Database::Postgres { url, password_file, owner } = &deployment.database else {
        return Ok(());
    };
    let own = password_file.as_deref().map(|path| password(path, "the database's password", tell));
    let own = own.transpose()?;
    let Some(owner) = owner else { return Ok(()) };
    let what = "the password of the database's owner";
    let of_owner = owner.password_file.as_deref().map(|path| password(path, what, tell));
    let (Some(own), Some(of_owner), Some(roles_file)) =
        (own, of_owner.transpose()?, owner.roles_file.as_deref())
    else {
        return Ok(());
    };
    let sql = postgres::roles_sql(
        owner.url.path().trim_start_matches('/'),
        &login(owner.url.username(), &of_owner),
        &login(url.username(), &own),
    );
    remove_unfinished(roles_file)?;
    replace(roles_file, sql.as_bytes(), Access::Everybody)?;
    tell(&Made::file("what tells the database of them", false, roles_file));
    Ok(())
}

/// What the database keeps of a password.
fn login<'a>(role: &'a str, password: &str) -> Login<'a> {
    let salt = crypto::random_bytes();
    let ScramVerifier { stored_key, server_key } =
        ScramVerifier::new(password, &salt, postgres::SCRAM_ITERATIONS);
    Login { role, salt, stored_key, server_key }
}

/// The password in a file; a new one where there is none.
fn password(path: &Path, what: &str, tell: &mut dyn FnMut(&Made)) -> anyhow::Result<String> {
    remove_unfinished(path)?;
    let was_there = path.exists();
    if !was_there {
        let password = hex::encode(crypto::random_bytes::<32>());
        create(path, password.as_bytes(), Access::Owner)?;
    }
    tell(&Made::file(what, was_there, path));
    database::password(path)
}

/// Logs that no process has served yet: whether the database has them, it alone knows.
pub(crate) fn never_served(deployment: &Deployment) -> Vec<&str> {
    let never = deployment.running_logs().filter(|log| !log.checkpoint_file.exists());
    never.map(|log| log.service.name.as_str()).collect()
}

/// The logs' rows in the database.
pub(crate) async fn logs(
    deployment: &Deployment,
    store: &Arc<dyn LogStore>,
    shared: &Shared,
    tell: &mut dyn FnMut(&Made),
) -> anyhow::Result<()> {
    let known = store.logs().await?;
    refuse_renamed(deployment, &known)?;
    for log in deployment.running_logs() {
        tell(&one_log(log, store, &known, shared).await?);
    }
    Ok(())
}

async fn one_log(
    log: &deployment::Log,
    store: &Arc<dyn LogStore>,
    known: &[LogRecord],
    shared: &Shared,
) -> anyhow::Result<Made> {
    let name = &log.service.name;
    let tree_id = match log.kind {
        LogKind::Rekor1 => rekor::tree_id(store.as_ref(), name).await?,
        LogKind::Ct | LogKind::Rekor2 => 0,
    };
    // Before the log is there: a database that was lost is noticed here.
    check_tree_id(log, tree_id)?;
    let spec = log.names_with(tree_id).spec(&log.key.public_key()?);
    let present = named(log, known);
    if let Some(record) = present {
        refuse_changed(log, record, &spec)?;
    }
    let record = store.ensure_log(&spec, shared.clock.now()).await?;
    // Afterwards: a database that took no log is not the one to ask for ever.
    if let Some(places) = log.rekor1.as_ref().filter(|places| !places.tree_id_file.exists()) {
        write_json(&places.tree_id_file, &tree_id)?;
    }
    let happened = if present.is_some() { "kept" } else { "made" };
    if log.service.state == State::Frozen && !record.frozen && is_new(store, &record).await? {
        logs::end_new(log, store, shared).await?;
        return Ok(Made::new(
            log.service.to_string(),
            happened,
            format!("{}, frozen", spec.origin),
        ));
    }
    Ok(Made::new(log.service.to_string(), happened, spec.origin))
}

/// Whether nobody has signed to it: it has nothing but the entry that every Rekor log begins with. Also
/// what an `init` left that was killed.
async fn is_new(store: &Arc<dyn LogStore>, record: &LogRecord) -> anyhow::Result<bool> {
    let first = u64::from(record.spec.kind != LogKind::Ct);
    Ok(store.state(record.id).await?.edge.size().0 <= first)
}

/// Makes sure that no other tree id of the log was kept.
fn check_tree_id(log: &deployment::Log, tree_id: i64) -> anyhow::Result<()> {
    let Some(places) = &log.rekor1 else { return Ok(()) };
    match read_json::<i64>(&places.tree_id_file)? {
        Some(known) if known != tree_id => bail!(
            "the database has no Rekor v1 log with the tree id {known}: it is not the one that this \
             deployment was made with"
        ),
        _ => Ok(()),
    }
}

/// A TUF repository, whose root clients are given.
pub(crate) async fn repository(
    deployment: &Deployment,
    of: &Repository,
    shared: &Shared,
) -> anyhow::Result<Made> {
    let root_file = of.root_file();
    let what = of.service.to_string();
    if root_file.exists() {
        let root = fs::read(&root_file);
        let root = root.with_context(|| format!("cannot read {}", root_file.display()))?;
        refuse_other_keys(of, &root)?;
        keep_root(of, &root)?;
        // Refuses what contradicts what clients were told.
        deployment::trust_files(deployment, of, shared.clock.now())?;
        return Ok(Made::new(what, "kept", fingerprint(&root)));
    }
    let trust = services::open_trust(shared, deployment, of).await?;
    let root = trust.repository.root_json();
    keep_root(of, &root)?;
    Ok(Made::new(what, "made", fingerprint(&root)))
}

/// By which people compare what they fetched once, over whatever way.
pub(super) fn fingerprint(root: &[u8]) -> String {
    format!("root.json has the SHA-256 {}", hex::encode(crypto::sha256(root)))
}

/// A root that names other keys can never be followed by another one.
fn refuse_other_keys(of: &Repository, root: &[u8]) -> anyhow::Result<()> {
    let root = String::from_utf8_lossy(root);
    for key in [&of.root_key, &of.online_key] {
        if !names(&root, &key.public_key()?) {
            bail!(
                "{} is not a key of {}: one of them is of another deployment, or of an old copy",
                key.file.display(),
                of.root_file().display()
            );
        }
    }
    Ok(())
}

fn keep_root(of: &Repository, root: &[u8]) -> anyhow::Result<()> {
    match of.first_root_file.as_deref().filter(|first| !first.exists()) {
        None => Ok(()),
        Some(first) => create(first, root, Access::Everybody),
    }
}
