//! What `check` tries: each key signs, the ports are free or ours, clock and TUF roles are not beyond what is
//! stored, and logs are as their anchors have them.

use std::{os::unix::fs::MetadataExt, path::Path};

use anyhow::{Context, anyhow, bail};
use engine::Anchors;
use moment::UnixSeconds;
use rustix::fs::Access;
use signing::{ClockFault, CpuPool, SigningKey};
use store::{LogRecord, LogStore, MAX_CLOCK_GAP};
use url::Url;

use crate::{
    anchors::AnchorPlace,
    data_dir::read_json,
    deployment::{Deployment, Key, Log, Repository},
    endpoints::{Addresses, bind},
    services,
};

/// Lets each key sign something that says nothing. What cannot be loaded is reported with its service.
pub(super) async fn keys(deployment: &Deployment) -> anyhow::Result<String> {
    let cpu = CpuPool::new(1);
    let (mut tried, mut failed) = (0_usize, Vec::new());
    for key in signing_keys(deployment) {
        let Ok(signer) = key.load() else { continue };
        let key = SigningKey::of(std::sync::Arc::new(signer), cpu.clone());
        key.try_if_idle().await;
        tried += 1;
        if let Some(trouble) = key.trouble() {
            failed.push(format!("`{}` ({})", trouble.key_id, trouble.outcome));
        }
    }
    if failed.is_empty() {
        return Ok(format!("{tried} sign"));
    }
    bail!("no signature of {}", failed.join(", "))
}

/// The keys of all that signs.
fn signing_keys(deployment: &Deployment) -> Vec<&Key> {
    let mut keys: Vec<&Key> = Vec::new();
    let authorities = deployment.authorities.iter().filter(|one| one.service.state.signs());
    keys.extend(authorities.map(|one| &one.key));
    let stamping = deployment.timestamp_authorities.iter();
    keys.extend(stamping.filter(|one| one.service.state.signs()).map(|one| &one.key));
    for log in deployment.running_logs() {
        keys.push(&log.key);
        keys.extend(log.rekor1.iter().map(|places| &places.tiles_key));
    }
    for one in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
        keys.extend([&one.root_key, &one.online_key]);
    }
    keys
}

/// Each port of the configuration can be listened on, or a process of ours does. Of this machine: a container has ports
/// of its own.
pub(super) async fn ports(deployment: &Deployment) -> anyhow::Result<String> {
    let metrics = (deployment.listen.metrics_port, "the metrics".to_owned());
    let mut ports: Vec<(u16, String)> = vec![metrics];
    for address in deployment.addresses() {
        if ports.iter().all(|(port, _)| *port != address.port) {
            ports.push((address.port, address.place.clone()));
        }
    }
    let addresses = Addresses::new(deployment.listen.address).await;
    let (mut free, mut ours, mut taken) = (0_usize, 0_usize, Vec::new());
    for (port, place) in ports {
        let Err(error) = bind(&addresses, port, &place) else {
            free += 1;
            continue;
        };
        let alive = Url::parse(&format!("http://127.0.0.1:{port}/healthz"))?;
        match services::probe(&alive).await {
            Ok(()) => ours += 1,
            Err(_) => taken.push(format!("{error:#}")),
        }
    }
    if taken.is_empty() {
        return Ok(format!("{free} free, {ours} with a running service"));
    }
    bail!("{}", taken.join("; "))
}

/// This user can write where services write: in directories that are there. What is not made yet is told elsewhere.
pub(super) fn places(deployment: &Deployment) -> anyhow::Result<String> {
    let (mut found, mut closed) = (0_usize, Vec::new());
    for directory in written(deployment) {
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        match rustix::fs::access(directory, wanted).map_err(std::io::Error::from) {
            Ok(()) => found += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => closed.push(format!("{}: {error}", directory.display())),
        }
    }
    if closed.is_empty() {
        return Ok(format!("{found} can be written to"));
    }
    bail!("this user cannot write to {}", closed.join(", "))
}

/// Directories in which services make and replace files.
fn written(deployment: &Deployment) -> Vec<&Path> {
    let mut written: Vec<&Path> = Vec::new();
    if deployment.running_logs().next().is_some() {
        written.push(&deployment.places.checkpoints);
        written.extend(deployment.database.directory());
    }
    for place in deployment.running_logs().flat_map(|log| &log.anchors) {
        if let AnchorPlace::Directory(directory) = place {
            written.push(directory);
        }
    }
    for one in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
        written.push(&one.tuf_dir);
        written.extend(one.files_dir.as_deref());
    }
    written.extend(deployment.telemetry.audit_dir.as_deref());
    written.sort_unstable();
    written.dedup();
    written
}

/// No log of the database has an entry from far ahead of this machine's clock.
pub(super) async fn clock(store: &dyn LogStore, now: UnixSeconds) -> anyhow::Result<()> {
    for record in store.logs().await? {
        let latest = store.state(record.id).await?.last_time;
        let fault = ClockFault::of_gap(now, latest, MAX_CLOCK_GAP).filter(|_| !record.frozen);
        if let Some(fault) = fault {
            return Err(anyhow!(fault)).context(format!("the log `{}`", record.spec.name));
        }
    }
    Ok(())
}

/// Roles of a repository that have ended: the service renews them when it runs.
pub(super) fn ended_roles(repository: &Repository, now: UnixSeconds) -> Vec<String> {
    let ended = |role: &'static str| {
        let expires = expiry(&repository.tuf_dir.join(format!("{role}.json")))?;
        let time = wire::Timestamp::from_unix_seconds(now.0)?;
        let words = || {
            let table = repository.service.table();
            format!(
                "the TUF role `{role}` of {table} ended at {expires}: {table} does not run, or cannot renew it"
            )
        };
        // Both are RFC 3339 in UTC, whole seconds: they compare as text.
        (expires <= time.to_string()).then(words)
    };
    ["root", "timestamp"].into_iter().filter_map(ended).collect()
}

fn expiry(file: &Path) -> Option<String> {
    let metadata: serde_json::Value = read_json(file).ok()??;
    Some(metadata["signed"]["expires"].as_str()?.to_owned())
}

/// As its start: volume and database may have been restored together, and agree.
pub(super) async fn anchors(
    log: &Log,
    record: &LogRecord,
    store: &dyn LogStore,
) -> anyhow::Result<()> {
    let public_key = log.key.public_key()?;
    let config = log.config(record.spec.clone(), &public_key);
    let anchors = Anchors::open(&config, &public_key, log.open_anchors()?).await?;
    let state = store.state(record.id).await?;
    Ok(anchors.check(store, record, &state.edge).await?)
}

/// Anchors on the file system of the data, of the trust service too: a restore of a whole machine or disk brings them back too.
pub(super) fn beside_the_data(deployment: &Deployment) -> Vec<String> {
    let device = |path: &Path| Some(std::fs::metadata(path).ok()?.dev());
    let root = &deployment.places.root;
    let mut found = Vec::new();
    for place in deployment.running_logs().flat_map(|log| &log.anchors) {
        let trust = deployment.own_anchor(place).map(|_| &deployment.places.trust);
        let directory: &Path = match (place, trust) {
            // Where a trust service is on another machine, its directory is not here.
            (AnchorPlace::Directory(directory), _) | (AnchorPlace::Http(_), Some(directory)) => {
                directory
            }
            (AnchorPlace::Http(_), None) => continue,
        };
        let words = format!(
            "the anchors in {} are on the file system of {}: restored as one, by a snapshot of the disk or the \
             machine, they notice nothing",
            directory.display(),
            root.display()
        );
        if device(directory).is_some_and(|own| device(root) == Some(own)) && !found.contains(&words)
        {
            found.push(words);
        }
    }
    found
}
