//! `countersignd dev`: everything in one process, ready to be signed with.

mod ports;
mod ready;
mod value;

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context, bail};
use signing::{Clock, OffsetClock, WatchedClock};
use store::LogKind;
use tracing::warn;

pub(crate) use self::{
    ports::{DevPorts, PortBase},
    value::deployment,
};
use self::{
    ready::Ready,
    value::{listen, value},
};
use crate::{
    cli::{DevArguments, Part},
    data_dir::{DataDir, read_json, remove_if_present, write_json},
    deployment::Deployment,
    serve::{self, Lasting, Locks, Opened, make},
    services::{OnHangup, Running, Shared, Signals},
    token::LastStart,
};

/// `countersignd dev`: runs until SIGTERM, SIGINT or the end of its terminal. There is no file to read again.
pub(crate) async fn run(arguments: DevArguments) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    // From here on a signal ends an unfinished start too.
    let mut signals = Signals::listen(OnHangup::End)?;
    if let Some(address) = arguments.listen.filter(|_| is_beyond_loopback(&arguments)) {
        warn!(
            %address,
            "listening beyond loopback: whoever reaches this address can use a stack whose \
             identity provider trusts everybody with the data directory; nobody logs in over HTTP"
        );
    }
    let data_dir = DataDir::create(&arguments.data_dir)?;
    let mut locks = Locks::default();
    locks.take(data_dir.root())?;
    remove_if_present(&data_dir.ready_file())?;

    let started = signals.unless(Box::pin(start(&arguments, &data_dir, locks))).await?;
    let Some((running, _lasting, ready)) = started else { return Ok(ExitCode::SUCCESS) };
    ready.announce(&data_dir, begin.elapsed())?;
    let failure = running.until_signalled(&mut signals).await;
    // What waits for the file must not find it while we go.
    remove_if_present(&data_dir.ready_file())?;
    running.stop(failure).await
}

/// Whether there is a page to log in on, where whoever sees it can be anybody.
fn may_log_in(arguments: &DevArguments) -> bool {
    !arguments.no_login && !is_beyond_loopback(arguments)
}

/// Whether others than this machine reach the stack.
fn is_beyond_loopback(arguments: &DevArguments) -> bool {
    arguments.listen.is_some_and(|address| !address.is_loopback())
}

/// Makes what is missing, and starts what `serve all` and `serve oidc-dev` start.
async fn start(
    arguments: &DevArguments,
    data_dir: &DataDir,
    locks: Locks,
) -> anyhow::Result<(Running, Lasting, Ready)> {
    let clock_offset_file = match &arguments.clock_offset_file {
        Some(file) => Some(std::path::absolute(file)?),
        None => None,
    };
    let clock: Arc<dyn Clock> = match &clock_offset_file {
        Some(file) => Arc::new(OffsetClock::new(file)),
        None => Arc::new(WatchedClock::new()),
    };
    let last: Option<LastStart> = read_json(&data_dir.last_start_file())?;
    let last_ports = last.and_then(|last| last.ports);
    let (ports, sockets) =
        DevPorts::bind(arguments.port_base, arguments.listen, last_ports).await?;
    let mut deployment = value(data_dir, ports, arguments.database_url.as_deref())?;
    deployment.listen = listen(arguments.listen, ports.metrics);
    if let Some(provider) = &mut deployment.provider {
        provider.login = may_log_in(arguments);
    }
    let mut start = LastStart { ports: Some(ports), clock_offset_file, ..LastStart::default() };
    let opened = Opened { shared: Shared::new(clock), locks, store: None, sockets };
    let (deployment, opened) = complete(deployment, opened, (data_dir, &mut start)).await?;
    let (running, lasting) = serve::start(&[Part::All, Part::OidcDev], &deployment, opened).await?;
    Ok((running, lasting, Ready::new(ports, data_dir)))
}

/// Makes everything that is missing, and learns which logs are frozen.
async fn complete(
    deployment: Deployment,
    opened: Opened,
    (data_dir, start): (&DataDir, &mut LastStart),
) -> anyhow::Result<(Deployment, Opened)> {
    let now = opened.shared.clock.now();
    let deployment = Arc::new(deployment);
    let making = tokio::task::spawn_blocking({
        let deployment = Arc::clone(&deployment);
        move || {
            make::directories(&deployment)?;
            make::keys(&deployment, now, &mut |_| {})
        }
    });
    let (made, store) = tokio::join!(making, serve::open_database_to_make(&deployment));
    made.context("making keys panicked")??;
    let store = store?.context("cannot open the log's database")?;
    make::logs(&deployment, &store, &opened.shared, &mut |_| {}).await?;
    let records = store.logs().await?;
    start.frozen =
        records.into_iter().filter(|record| record.frozen).map(|record| record.spec.name).collect();
    // Before anybody can ask for a token of this start.
    write_json(&data_dir.last_start_file(), start)?;
    let mut deployment =
        Arc::into_inner(deployment).context("a task that made keys did not end")?;
    deployment.freeze(&start.frozen);
    refuse_ended(&deployment)?;
    for repository in &deployment.repositories {
        make::repository(&deployment, repository, &opened.shared).await?;
    }
    Ok((deployment, Opened { store: Some(store), ..opened }))
}

/// Nothing can be signed any more where `log freeze --last` ended all logs of a kind.
fn refuse_ended(deployment: &Deployment) -> anyhow::Result<()> {
    let signs = |wanted: &[LogKind]| {
        let mut logs = deployment.logs.iter();
        logs.any(|log| wanted.contains(&log.kind) && log.service.state.signs())
    };
    let what = match (signs(&[LogKind::Ct]), signs(&[LogKind::Rekor1, LogKind::Rekor2])) {
        (true, true) => return Ok(()),
        (false, _) => "the CT log is",
        (true, false) => "all Rekor logs are",
    };
    bail!(
        "{what} frozen for good, by `log freeze`: nothing can be signed with this data directory any more; \
         begin another one by --data-dir (`fsck` still reads this one)"
    );
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn people_log_in_only_where_nobody_else_reaches_the_stack() {
        let may = |options: &[&str]| {
            let words = [["countersignd", "dev"].as_slice(), options].concat();
            let Command::Dev(arguments) = Cli::try_parse_from(words).unwrap().command else {
                panic!("another command")
            };
            may_log_in(&arguments)
        };
        assert!(may(&[]));
        assert!(may(&["--listen", "127.0.0.2"]) && may(&["--listen", "::1"]));
        for address in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(!may(&["--listen", address]), "{address}");
        }
        assert!(!may(&["--no-login"]));
    }
}
