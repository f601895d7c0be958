//! `countersignd log restore` and `log begin-anew`: the ways out for a log whose database was restored from an
//! old copy. The third, restoring a newer one, needs no order.

use std::{fs, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use engine::{Anchors, LogIn};
use postgres::PostgresLogStore;
use signing::{Clock, SigningKey, SystemClock};
use sqlite::SqliteLogStore;
use store::{LogRecord, LogSpec, LogStore};
use tlog::TreeHead;
use tracing::info;

use crate::{
    cli::{BeginAnewArguments, RestoreArguments},
    deployment::{Deployment, Log},
    fsck::{EXIT_UNAVAILABLE, open_alone, open_alone_to_make},
    log_orders::end_of_now,
    output,
    serve::{
        IN_USE, alone_to_make,
        make::{self, Made},
    },
    services::Shared,
};

/// `countersignd log restore`: gives a log back what was signed, or confirms that it has it.
pub(crate) async fn restore(
    arguments: RestoreArguments,
    deployment: Deployment,
) -> anyhow::Result<ExitCode> {
    let log = anchored(&deployment, &arguments.name)?;
    let opened = match arguments.from {
        Some(_) => open_alone_to_make(&deployment, "`log restore`").await?,
        None => open_alone(&deployment, "`log restore`").await?,
    };
    let Some(store) = opened else {
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let outcome = restore_in(log, store.as_ref(), &arguments).await;
    store.close().await;
    for line in outcome? {
        output::print(&line);
    }
    Ok(ExitCode::SUCCESS)
}

async fn restore_in(
    log: &Log,
    store: &dyn LogStore,
    arguments: &RestoreArguments,
) -> anyhow::Result<Vec<String>> {
    let name = &log.service.name;
    let Known { spec, mut anchors } = Known::of(log).await?;
    if let Some(place) = anchors.ended_at() {
        bail!("the log `{name}` is over, as {place} has it: nothing brings it back");
    }
    let note = arguments.checkpoint.as_deref().map(read_note).transpose()?;
    let signed = newest(&anchors, note.as_deref())?;
    let record = match recorded(store, name).await? {
        Some(record) => record,
        None if arguments.from.is_some() => store.ensure_log(&spec, SystemClock.now()).await?,
        None => bail!("the database has no log `{name}`: a copy of it is needed, by `--from`"),
    };
    let target = LogIn { store, record: &record };
    let restored = if let Some(from) = &arguments.from {
        from_copy(from, target, signed).await?
    } else {
        engine::holds(target, signed).await?;
        0
    };
    if let Some(note) = &note {
        anchors.adopt(target, note).await?;
    }
    let size = store.state(record.id).await?.edge.size();
    info!(
        target: "audit",
        { log.name = %name, log.size = size.0, log.restored = restored, log.signed = signed.size.0 },
        "restored a log"
    );
    Ok(vec![
        format!("{restored} entries came back to the log `{name}`, which has {size} now"),
        "start the services again".to_owned(),
    ])
}

/// The largest tree that is known to be signed.
fn newest(anchors: &Anchors, note: Option<&str>) -> anyhow::Result<TreeHead> {
    let given = note.map(|note| anchors.verified(note)).transpose()?;
    let kept = anchors.newest().map(|(head, _)| head);
    match (kept, given) {
        (Some(kept), Some(given)) if given.size > kept.size => Ok(given),
        (Some(kept), Some(given)) if given.size == kept.size && given != kept => bail!(
            "the checkpoint has root {} at size {}, and {} has root {}: one log signed both",
            given.root,
            given.size,
            anchors.places(),
            kept.root
        ),
        (Some(kept), _) => Ok(kept),
        (None, Some(given)) => Ok(given),
        (None, None) => bail!(
            "nothing is kept at {}: give the newest checkpoint that anybody has, by `--checkpoint`",
            anchors.places()
        ),
    }
}

fn read_note(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

async fn from_copy(from: &str, target: LogIn<'_>, signed: TreeHead) -> anyhow::Result<u64> {
    let copy = open_copy(from).await.with_context(|| format!("cannot open the copy {from}"))?;
    let restored = async {
        let spec = &target.record.spec;
        let known = copy.logs().await?;
        let record = known.iter().find(|one| one.spec.origin == spec.origin);
        let record = record.with_context(|| format!("the copy has no log `{}`", spec.origin))?;
        let copy = LogIn { store: copy.as_ref(), record };
        Ok(engine::restore(copy, target, signed).await?)
    };
    let restored = restored.await;
    copy.close().await;
    restored
}

async fn open_copy(from: &str) -> anyhow::Result<Arc<dyn LogStore>> {
    if from.starts_with("postgres://") || from.starts_with("postgresql://") {
        return Ok(Arc::new(PostgresLogStore::connect(from).await?));
    }
    let path = Path::new(from);
    if !path.is_file() {
        bail!("it is no file");
    }
    Ok(Arc::new(SqliteLogStore::open(path).await?))
}

/// `countersignd log begin-anew`: ends a log for ever, and makes the next one.
pub(crate) async fn begin_anew(
    arguments: BeginAnewArguments,
    deployment: Deployment,
) -> anyhow::Result<ExitCode> {
    let BeginAnewArguments { name, next, .. } = arguments;
    let (old, new) = (anchored(&deployment, &name)?, anchored(&deployment, &next)?);
    if name == next || old.kind != new.kind || !new.service.state.signs() {
        bail!(
            "`--next` names another log of the kind {} that takes entries, with a host of its own",
            old.kind
        );
    }
    make::directories(&deployment)?;
    // It makes what an `init` would.
    let Some(_alone) = alone_to_make(&deployment).await? else {
        output::say(IN_USE);
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let Some(store) = open_alone_to_make(&deployment, "`log begin-anew`").await? else {
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let outcome = begin_anew_in(&deployment, &store, (old, new)).await;
    store.close().await;
    outcome?;
    let until = end_of_now();
    for line in [
        format!("the log `{name}` is over, for ever: no process signs for it again"),
        format!("write into [log.{name}], which stays, for what it signed is verified by it:"),
        "state = \"retired\"".to_owned(),
        format!("valid_until = \"{until}\""),
        format!("[log.{next}] takes its place: let it be `active`, and start the services again"),
    ] {
        output::print(&line);
    }
    Ok(ExitCode::SUCCESS)
}

async fn begin_anew_in(
    deployment: &Deployment,
    store: &Arc<dyn LogStore>,
    (old, new): (&Log, &Log),
) -> anyhow::Result<()> {
    let (name, next) = (&old.service.name, &new.service.name);
    let Known { spec, mut anchors } = Known::of(old).await?;
    if anchors.ended_at().is_none() && recorded(store.as_ref(), next).await?.is_some() {
        bail!("the log `{next}` is in the database already: the next log is a new one");
    }
    let signed = anchors.newest().map(|(head, _)| head.size.0);
    info!(
        target: "audit",
        { log.name = %name, log.next = %next, log.signed = signed },
        "ending a log"
    );
    // First what no restore takes back; a crash after it leaves a log that nobody can start, and this may be
    // run again.
    let shared = Shared::new(Arc::new(SystemClock));
    let key = SigningKey::of(Arc::new(old.key.load()?), shared.cpu.clone());
    anchors.end(&key).await?;
    let record = match recorded(store.as_ref(), name).await? {
        Some(record) => record,
        None => store.ensure_log(&spec, SystemClock.now()).await?,
    };
    store.freeze(record.id).await?;
    info!(
        target: "audit",
        { log.name = %name, log.next = %next, log.signed = signed },
        "ended a log"
    );
    let mut tell = |made: &Made| output::print(&made.to_string());
    make::keys(deployment, shared.clock.now(), &mut tell)?;
    make::logs(deployment, store, &shared, &mut tell).await
}

/// What is known of a log without its database.
struct Known {
    spec: LogSpec,
    anchors: Anchors,
}

impl Known {
    async fn of(log: &Log) -> anyhow::Result<Self> {
        let public_key = log.key.public_key()?;
        let spec = log.names()?.spec(&public_key);
        let config = log.config(spec.clone(), &public_key);
        let anchors = Anchors::open(&config, &public_key, log.open_anchors()?).await?;
        Ok(Self { spec, anchors })
    }
}

/// The log of that name, which has anchors.
fn anchored<'a>(deployment: &'a Deployment, name: &str) -> anyhow::Result<&'a Log> {
    let Some(log) = deployment.log(name) else {
        let names: Vec<&str> =
            deployment.logs.iter().map(|log| log.service.name.as_str()).collect();
        bail!("the configuration has no [log.{name}], it has {}", names.join(", "));
    };
    if log.anchors.is_empty() {
        deployment.demand_anchors()?;
        bail!("[log.{name}] has no `anchors`");
    }
    Ok(log)
}

async fn recorded(store: &dyn LogStore, name: &str) -> anyhow::Result<Option<LogRecord>> {
    Ok(store.logs().await?.into_iter().find(|record| record.spec.name == name))
}
