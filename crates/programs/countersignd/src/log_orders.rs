//! `countersignd log`: what is decided about a log once.

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use signing::{Clock, SystemClock};
use store::{LogKind, LogRecord, LogStore};
use tlog::TreeSize;
use trust::State;
use wire::Timestamp;

use crate::{
    cli::FreezeArguments,
    data_dir::{DataDir, read_json},
    deployment::{Deployment, Log},
    dev,
    fsck::{EXIT_UNAVAILABLE, open_alone},
    output,
    token::LastStart,
};

/// `countersignd log freeze`: the log takes nothing more, for good. Doing it again changes nothing.
pub(crate) async fn freeze(
    arguments: FreezeArguments,
    configured: Option<Deployment>,
) -> anyhow::Result<ExitCode> {
    let FreezeArguments { name, last, data_dir, database_url, .. } = arguments;
    let of_file = configured.is_some();
    let deployment = if let Some(deployment) = configured {
        deployment
    } else {
        let data_dir = DataDir::open(&data_dir)?;
        let start: Option<LastStart> = read_json(&data_dir.last_start_file())?;
        dev::deployment(&data_dir, start.as_ref(), database_url.as_deref())?
    };
    let Some(store) = open_alone(&deployment, "`log freeze`").await? else {
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let outcome = freeze_in((&deployment, store.as_ref()), &name, last).await;
    store.close().await;
    let Ended { size, lacks } = outcome?;
    output::print(&format!(
        "the log `{name}` is frozen: it ends with {size} entries, and stays readable"
    ));
    let next = match (of_file, lacks.is_empty()) {
        (true, _) => to_write(&deployment, &name),
        (false, true) => vec![OF_DEV.to_owned()],
        (false, false) => Vec::new(),
    };
    let lacking = lacks.iter().map(|lack| format!("until there is another one, {lack}"));
    for line in next.into_iter().chain(lacking) {
        output::print(&line);
    }
    Ok(ExitCode::SUCCESS)
}

/// How a log ended.
struct Ended {
    size: TreeSize,
    /// What does not go on without it.
    lacks: Vec<String>,
}

async fn freeze_in(
    (deployment, store): (&Deployment, &dyn LogStore),
    name: &str,
    last: bool,
) -> anyhow::Result<Ended> {
    let known = store.logs().await?;
    let Some(record) = known.iter().find(|record| record.spec.name == name) else {
        let names: Vec<&str> = known.iter().map(|record| record.spec.name.as_str()).collect();
        bail!("the database has no log `{name}`, it has {}", names.join(", "));
    };
    let lacks = lacks(deployment, &known, name);
    if !record.frozen && !last && !lacks.is_empty() {
        bail!(
            "without the log `{name}`, which takes entries, {}: make the next log active first, or say \
             `--last`; it is for good",
            lacks.join("; ")
        );
    }
    store.freeze(record.id).await?;
    Ok(Ended { size: store.state(record.id).await?.edge.size(), lacks })
}

/// What does not go on when the log takes nothing, besides what its database has frozen already.
fn lacks(deployment: &Deployment, known: &[LogRecord], name: &str) -> Vec<String> {
    let Some(log) = deployment.log(name) else { return Vec::new() };
    let ended = |other: &&Log| {
        let name = &other.service.name;
        known.iter().any(|record| record.spec.name == *name && record.frozen)
    };
    let is_ct = |log: &Log| log.kind == LogKind::Ct;
    let others = || {
        let active = deployment.logs.iter().filter(|one| one.service.state == State::Active);
        active
            .filter(|one| one.service.name != name && is_ct(one) == is_ct(log))
            .filter(|one| !ended(one))
    };
    let what = if is_ct(log) { "CT log" } else { "Rekor log" };
    let mut lacks = Vec::new();
    for tenant in deployment.tenants.iter().map(|tenant| tenant.name.as_str()) {
        let is_of = |one: &Log| one.service.is_of(tenant);
        if log.service.state == State::Active && is_of(log) && !others().any(is_of) {
            lacks
                .push(format!("the tenant `{tenant}` has no active {what}, and no service starts"));
        }
    }
    let issuing = deployment.authorities.iter().filter(|one| one.service.state.signs());
    for ca in issuing.filter(|one| one.ct_log == name).map(|one| &one.service) {
        lacks.push(format!("{ca} gets no SCTs and issues no certificate"));
    }
    lacks
}

/// Timestamps of signatures that the log took last may still be asked for: no certificate of theirs
/// is valid for longer. The log itself takes nothing, so a later end lets nothing in.
const LAST_TIMESTAMPS: Duration = Duration::from_mins(10);

const OF_DEV: &str = "`countersignd dev` sends no client to it from its next start on";

/// The end of a log that takes nothing from now on, as a table has it.
pub(crate) fn end_of_now() -> String {
    let until = SystemClock.now().saturating_add(LAST_TIMESTAMPS);
    let until = Timestamp::from_unix_seconds(until.0);
    until.map(|until| until.to_string()).unwrap_or_default()
}

fn to_write(deployment: &Deployment, name: &str) -> Vec<String> {
    let until = end_of_now();
    let is_new = deployment.log(name).is_some_and(|log| log.service.state.signs());
    let advice = if is_new {
        "write into its table, and start the services again:"
    } else {
        "its table has a state already; this would be the one of now:"
    };
    vec![
        advice.to_owned(),
        format!("[log.{name}]"),
        "state = \"frozen\"".to_owned(),
        format!("valid_until = \"{until}\""),
    ]
}
