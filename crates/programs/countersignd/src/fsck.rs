//! `countersignd fsck`: verification of what is stored, part by part.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use crypto::PublicKey;
use store::{LogRecord, LogStore, StoreError};
use tlog::{SignedNote, TreeSize};

use crate::{
    cli::{FsckArguments, FsckTarget},
    data_dir::{DataDir, read_if_present, read_json},
    deployment::{Database, Deployment},
    dev,
    logs::{entry_rules, key_id, key_name},
    output, serve,
    token::LastStart,
};

/// Something that is needed is in use or cannot be reached; trying again may help.
pub(crate) const EXIT_UNAVAILABLE: u8 = 3;

/// `countersignd fsck`: prints what was found; exit code 1 when something is wrong.
///
/// Without `configured` the data is that of `dev`.
pub(crate) async fn run(
    arguments: FsckArguments,
    configured: Option<Deployment>,
) -> anyhow::Result<ExitCode> {
    let wanted = |target| arguments.target == FsckTarget::All || arguments.target == target;
    let deployment = match configured {
        Some(deployment) => deployment,
        None => of_dev(&arguments)?,
    };
    let mut sound = true;
    if wanted(FsckTarget::Log) {
        match logs(&deployment).await? {
            Some(logs_sound) => sound &= logs_sound,
            None => return Ok(ExitCode::from(EXIT_UNAVAILABLE)),
        }
    }
    if wanted(FsckTarget::Ca) {
        for one in &deployment.authorities {
            sound &= report(&one.service.label, &serve::authority_sound(one));
        }
    }
    if wanted(FsckTarget::Tsa) {
        for one in &deployment.timestamp_authorities {
            sound &= report(&one.service.label, &serve::timestamp_authority_sound(one));
        }
    }
    if wanted(FsckTarget::Trust) {
        for one in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
            sound &= report(&one.service.label, &serve::repository_sound(&deployment, one));
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The deployment that `dev` has last run on a data directory.
fn of_dev(arguments: &FsckArguments) -> anyhow::Result<Deployment> {
    let data_dir = DataDir::open(&arguments.data_dir)?;
    let last: Option<LastStart> = read_json(&data_dir.last_start_file())?;
    let deployment = dev::deployment(&data_dir, last.as_ref(), arguments.database_url.as_deref())?;
    if let Database::Sqlite { file } = &deployment.database
        && !file.exists()
        && matches!(arguments.target, FsckTarget::Log | FsckTarget::All)
    {
        bail!("no log in {}; give --database-url when it is on PostgreSQL", file.display());
    }
    Ok(deployment)
}

/// Opens the database, or says that a running process has it: then `None`.
pub(crate) async fn open_alone(
    deployment: &Deployment,
    again: &str,
) -> anyhow::Result<Option<Arc<dyn LogStore>>> {
    alone(serve::open_database(deployment).await?, again)
}

/// As [`open_alone`], for whoever makes logs: as the owner of the tables.
pub(crate) async fn open_alone_to_make(
    deployment: &Deployment,
    again: &str,
) -> anyhow::Result<Option<Arc<dyn LogStore>>> {
    alone(serve::open_database_to_make(deployment).await?, again)
}

fn alone(
    opened: Result<Arc<dyn LogStore>, StoreError>,
    again: &str,
) -> anyhow::Result<Option<Arc<dyn LogStore>>> {
    match opened {
        Ok(store) => Ok(Some(store)),
        Err(error @ StoreError::AlreadyOpen { .. }) => {
            output::say(&format!(
                "the database is in use by a running countersignd; stop it, then run {again} again \
                 ({error})"
            ));
            Ok(None)
        }
        Err(error) => Err(error).context("cannot open the log's database"),
    }
}

/// Whether all logs of the database are sound; `None` when another process has it.
async fn logs(deployment: &Deployment) -> anyhow::Result<Option<bool>> {
    let Some(store) = open_alone(deployment, "fsck").await? else { return Ok(None) };
    let mut sound = true;
    for record in store.logs().await? {
        let name = format!("log {}", record.spec.name);
        let checkpoints = &deployment.places.checkpoints;
        sound &= report(&name, &log(checkpoints, store.as_ref(), &record).await);
    }
    store.close().await;
    Ok(Some(sound))
}

/// Recomputes one log, and checks the checkpoint that is kept beside the database.
async fn log(
    checkpoints: &Path,
    store: &dyn LogStore,
    record: &LogRecord,
) -> anyhow::Result<String> {
    let found = engine::fsck(store, record, entry_rules(record.spec.kind)).await?;
    if !found.is_clean() {
        let all: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
        bail!("{} findings: {}", found.finding_count, all.join("; "));
    }
    let signed = match read_if_present(&checkpoints.join(&record.spec.name))? {
        Some(note) => signed_size(store, record, &note).await?.to_string(),
        None => "none".to_owned(),
    };
    Ok(format!(
        "{} entries reproduce root {} ({} full tiles, {} tree heads, signed checkpoint of size {signed})",
        found.computed.size, found.computed.root, found.tiles, found.tree_heads
    ))
}

/// Verifies a signed checkpoint and that the database still holds its tree.
pub(crate) async fn signed_size(
    store: &dyn LogStore,
    record: &LogRecord,
    note: &str,
) -> anyhow::Result<TreeSize> {
    let spec = &record.spec;
    let key = PublicKey::from_spki_der(&spec.public_key_der)?;
    let note: SignedNote = note.parse().context("the checkpoint file is damaged")?;
    let signed = note
        .verified_checkpoint(&key, key_name(spec), &key_id(spec, &key))
        .context("the checkpoint file does not verify")?
        .head;
    let size = signed.size;
    if size > TreeSize(0) && store.tree_head(record.id, size).await? != Some(signed) {
        bail!("the database has no tree of size {size} with the root that was signed");
    }
    Ok(size)
}

/// Prints one line; false when it is bad news.
pub(crate) fn report(name: &str, outcome: &anyhow::Result<String>) -> bool {
    match outcome {
        Ok(summary) => output::print(&format!("{name}: ok, {summary}")),
        Err(error) => output::print(&format!("{name}: BAD, {error:#}")),
    }
    outcome.is_ok()
}
