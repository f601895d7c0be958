//! `countersignd log`: what is decided about a log once.

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use signing::{Clock, SystemClock};
use wire::Timestamp;

use crate::{
    cli::FreezeArguments,
    data_dir::{DataDir, read_json},
    deployment::Deployment,
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
    let FreezeArguments { name, data_dir, database_url, .. } = arguments;
    let of_file = configured.is_some();
    let deployment = if let Some(deployment) = configured {
        deployment
    } else {
        let data_dir = DataDir::open(&data_dir)?;
        let last: Option<LastStart> = read_json(&data_dir.last_start_file())?;
        dev::deployment(&data_dir, last.as_ref(), database_url.as_deref())?
    };
    let Some(store) = open_alone(&deployment, "`log freeze`").await? else {
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let outcome = freeze_in(store.as_ref(), &name).await;
    store.close().await;
    let size = outcome?;
    output::print(&format!(
        "the log `{name}` is frozen: it ends with {size} entries, and stays readable"
    ));
    let next = if of_file { to_write(&deployment, &name) } else { vec![OF_DEV.to_owned()] };
    for line in &next {
        output::print(line);
    }
    Ok(ExitCode::SUCCESS)
}

/// The size with which it ends.
async fn freeze_in(store: &dyn store::LogStore, name: &str) -> anyhow::Result<tlog::TreeSize> {
    let known = store.logs().await?;
    let Some(record) = known.iter().find(|record| record.spec.name == name) else {
        let names: Vec<&str> = known.iter().map(|record| record.spec.name.as_str()).collect();
        bail!("the database has no log `{name}`, it has {}", names.join(", "));
    };
    store.freeze(record.id).await?;
    Ok(store.state(record.id).await?.edge.size())
}

/// Timestamps of signatures that the log took last may still be asked for: no certificate of theirs
/// is valid for longer. The log itself takes nothing, so a later end promises nothing.
const LAST_TIMESTAMPS: Duration = Duration::from_mins(10);

const OF_DEV: &str = "`countersignd dev` sends no client to it from its next start on";

fn to_write(deployment: &Deployment, name: &str) -> Vec<String> {
    let until = SystemClock.now().saturating_add(LAST_TIMESTAMPS);
    let until = Timestamp::from_unix_seconds(until.0);
    let until = until.map(|until| until.to_string()).unwrap_or_default();
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
